"""What the installed profiles allow. Loaded when a limit has to be looked for, and by
GetCompositeSchedule, which keeps it for as long as it takes."""

import asyncio

from firmware.base import runtime
from firmware.smart_charging.profile_store import HEAD, number_of

_PROFILES = "firmware.smart_charging.profiles"
_EPOCH = 1735689600  # profiles.EPOCH
_ALWAYS = -1073741824
_NEVER = 1073741823


async def look(governor) -> None:
    """`find` for a Governor, with turns for others: each module to be loaded holds the loop."""
    await asyncio.sleep(0)
    profiles = runtime.load(_PROFILES)
    await asyncio.sleep(0)
    running = governor.transactions.running
    top = governor.config.int("IMaxUser") * 1000
    governor.look(find(governor.profiles, running, governor.evse.phases, top, profiles))


def find(store, running, phases: int, top: int, profiles=None) -> tuple:
    """See ProfileStore.limit. Keeps in `store.found`: (what was asked, since when this holds,
    until when, what was found), Unix seconds; 0 and 1 where it holds until somebody tells the
    time, 0 and 0 where it does not hold."""
    profiles = profiles or runtime.load(_PROFILES)
    t, number, started = moment(store, running)
    looked_for = (number, started if running else 0)
    if looked_for != store.looked_for or t < store.looked:
        store.looked_for = looked_for
        for slot in range(len(store.wake)):
            store.wake[slot] = _ALWAYS
    store.looked = t
    pieces = profiles.limits(
        store.table, store.orders, reader(store), t, number, started, phases, top, False,
        store.wake,
    )  # fmt: skip
    until, ma, watts, wish = next(pieces)
    clock = store.clock
    now = clock.epoch()
    since = now or 0
    end = until + _EPOCH
    if now is None:
        end = int(not running)
    found = ma, watts, wish, None if now is None or until >= _NEVER else end
    began = clock.epoch_at(running.started_ms) if running else 0
    store.found = (running, began, phases, top), since, end, found
    return found


def reader(store):
    """What `profiles.limits` calls for the packed periods in a slot; empty when they are lost."""

    def periods(slot):
        data = store.waiting.get(slot) or store.values.read(str(slot))
        if not data and slot in store.orders[0] + store.orders[1]:  # else removed meanwhile
            store.log.error("profile %d is lost: its file is damaged", store.identity(slot))
        return data[HEAD:] if data else b""

    return periods


def moment(store, running) -> tuple:
    """(t, number, started) for `profiles.limits`. While nobody knows what time it is: the time
    when the newest profile was received."""
    clock = store.clock
    now = clock.epoch()
    t = store.newest if now is None else now - _EPOCH
    number = number_of(running)
    if not running:
        return t, number, t
    started = clock.epoch_at(running.started_ms)
    if started is None:
        return t, number, t - (clock.ms() - running.started_ms) // 1000
    return t, number, min(started - _EPOCH, t)
