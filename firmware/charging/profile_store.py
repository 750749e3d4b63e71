"""The installed charging profiles: 32 bytes each in RAM, the periods in flash.

A value of the store, named by its slot: ROW (charging/profiles.py), when it was received, a
sequence number, the periods. The newest profiles wait in RAM, 2 KB at most, so that one replaced
soon after it came costs no write of its own: a slot is written 5 s after its profile came, and a
minute after it was last written at the earliest. A power cut loses what waits; the profile that it
was to replace is there then. TxProfiles are only written to make room: no transaction outlives a
restart.
"""

from array import array
from struct import pack_into, unpack_from

from firmware.base import runtime
from firmware.base.runtime import const
from firmware.charging import profiles
from firmware.charging.profiles import ALWAYS, EPOCH, NEVER, ROW, TX

HEAD = 40  # bytes of a record before its periods: ROW (32), received (i), sequence (I)
_MOST = const(200)
_ROW = const(32)
_WAITING = const(2048)
_SOON_MS = const(5000)
_APART_MS = const(60000)
_GROWTH = const(20)  # slots
_NEVER = const(1073741823)  # profiles.NEVER, which is not there while nothing calls for it


class ProfileStore:
    """`store`: a Store of its own. `table`: the columns, indexed by slot; `orders`: the slots of
    the ChargePointMaxProfiles and of the others, as they win."""

    def __init__(self, store, clock, log):  # cold
        self._store = store
        self._clock = clock
        self._log = log
        self.table = tuple(array(code) for code in ROW[1:])
        self.orders = (b"", b"")
        self.wake = array("i")  # for `profiles.limits`, as of `_looked`
        self._looked = 0
        self._looked_for = None  # which transaction
        self._waiting = {}  # slot: record
        self._due = {}  # slot: when to write it, ms; of those that wait
        self._written = {}  # slot: when it was written, ms; of some
        self.sequence = 0
        self.newest = 0  # when the newest was received
        self._held = None  # what `limit` was asked and found, see there
        self._served = None  # the transaction for which TxProfiles may be there
        runtime.once("firmware.charging.profile_rare", "load", self, store)

    def row(self, slot: int) -> list:  # cold
        """What ROW unpacks to."""
        return [column[slot] for column in self.table]

    def slots(self) -> bytes:  # cold
        """The slots in use, in the order in which profiles win."""
        return self.orders[0] + self.orders[1]

    def periods(self, slot: int) -> bytes:  # cold
        """The packed periods; empty when they are lost."""
        data = self._waiting.get(slot) or self._store.read(str(slot))
        if not data and slot in self.slots():  # else it was removed meanwhile
            self._log.error("profile %d is lost: its file is damaged", self.table[9][slot])
        return data[HEAD:] if data else b""

    def same(self, row):  # cold
        """The slots of what a row replaces: the same id; the same purpose, level and connector."""
        ranks, below, _, _, _, _, _, _, _, ids = self.table
        rank, level, identity = row[0], row[1], row[9]
        same = []
        for slot in self.slots():
            if ids[slot] == identity or (below[slot] == level and ranks[slot] == rank):
                same.append(slot)
        return same

    def grow(self, slot):  # cold
        """Makes room in the table up to a slot, some more at a time: each growing may tear a hole
        into the heap."""
        more = slot // _GROWTH * _GROWTH + _GROWTH - len(self.wake)
        if more > 0:
            for code, column in zip(ROW[1:] + "i", self.table + (self.wake,)):
                column.extend(array(code, [0] * more))

    def place(self, slot, row):  # cold
        """Puts a row into the table, and the slot where it belongs in its order."""
        self.grow(slot)
        for column, value in zip(self.table + (self.wake,), row + (ALWAYS,)):
            column[slot] = value
        self._leave(slot)
        ranks, below = self.table[:2]
        orders = list(self.orders)
        which = 1 if row[0] else 0
        order = orders[which]
        low = 0
        high = len(order)
        while low < high:
            middle = (low + high) // 2
            if (ranks[order[middle]], below[order[middle]]) < row[:2]:
                low = middle + 1
            else:
                high = middle
        orders[which] = order[:low] + bytes([slot]) + order[low:]
        self.orders = tuple(orders)
        self._served = None

    def _leave(self, slot):  # cold
        gone = bytes([slot])
        self.orders = tuple(order.replace(gone, b"") for order in self.orders)
        self._held = None

    def _wait(self, slot, record):  # cold
        """Puts a record among those that wait for flash, or takes it out."""
        self._waiting.pop(slot, None)
        if record is None:
            self._due.pop(slot, None)
            return
        self._waiting[slot] = record
        if slot not in self._due:
            now = self._clock.ms()
            last = self._written.get(slot, -_APART_MS)
            self._due[slot] = max(now + _SOON_MS, last + _APART_MS)

    def put(self, record: bytearray) -> bool:  # cold
        """Installs a record: HEAD bytes, of which `put` fills those after the row, and periods.
        Replaces the profile of the same id, and the one of the same purpose, stack level and
        connector. False: there is no room."""
        row = unpack_from(ROW, record)
        same = self.same(row)
        slot = 0
        if same:
            slot = same.pop()
        else:
            used = self.slots()
            while slot in used:
                slot += 1
            if slot >= _MOST:
                return False
        waiting = sum(len(data) for other, data in self._waiting.items() if other != slot)
        if waiting + len(record) > _WAITING and not self._flush(list(self._waiting)):
            return False
        self.sequence += 1
        self.newest = max(self.newest, self._now())
        pack_into("<iI", record, _ROW, self.newest, self.sequence)
        self.place(slot, row)
        self._wait(slot, record)
        if row[0] == TX:
            self._due.pop(slot)
            self._store.remove(str(slot))  # or what it replaced would be back after a restart
        if same:
            self._flush([slot])  # first there is the new one, then no more old one
            self.remove(same[0])
        return True

    def remove(self, slot: int) -> None:  # cold
        """Removes the profile in a slot."""
        self._wait(slot, None)
        self._leave(slot)
        self._store.remove(str(slot))

    def clear(self) -> None:  # cold
        """Removes all; holds the loop for a while where there are many."""
        for slot in self.slots():
            self.remove(slot)

    def step(self, running) -> None:
        """To be called about each second: writes what has waited long enough, and removes the
        TxProfiles of transactions that are over. `running`: the running Transaction or None."""
        number = running.position if running else -1
        if number != self._served:
            self._served = number
            self._over(number)
        if self._due:
            now = self._clock.ms()
            due = [slot for slot in self._due if self._due[slot] <= now]
            if due:
                self._flush(due)

    def _over(self, number):  # cold
        """Removes the TxProfiles of other transactions than this one."""
        for slot in self.orders[1]:
            if self.table[0][slot] > TX:
                break
            if self.table[8][slot] != number:
                self.remove(slot)

    def flush(self) -> None:  # cold
        """Writes what waits: before an orderly restart."""
        self._flush(list(self._due))

    def _flush(self, slots):  # cold
        """False: the flash did not take it; it goes on waiting."""
        for slot in slots:
            try:
                self._store.write(str(slot), self._waiting[slot])
            except OSError as why:
                self._log.error("the flash does not take a charging profile: %s", why)
                self._due[slot] = self._clock.ms() + _APART_MS
                return False
            if len(self._written) > 8:
                self._written.clear()
            self._written[slot] = self._clock.ms()
            self._wait(slot, None)
        return True

    def _now(self):  # cold
        now = self._clock.epoch()
        return self.newest if now is None else now - EPOCH

    def moment(self, running) -> tuple:  # cold
        """(t, number, started) for `profiles.limits`. While nobody knows what time it is: the
        time when the newest profile was received."""
        t = self._now()
        if not running:
            return t, -1, t
        started = self._clock.epoch_at(running.started_ms)
        if started is None:
            return t, running.position, t - (self._clock.ms() - running.started_ms) // 1000
        return t, running.position, min(started - EPOCH, t)

    def limit(self, running, phases: int, top: int) -> tuple:
        """(mA on each phase, W limit in 0.1 W or profiles.NEVER, phases wished, Unix time when
        this changes by itself or None). `top`: the station's own maximum, mA.

        Asked for each second: what was found is held until it changes. While nobody knows what
        time it is, a transaction's profiles are looked at each time."""
        if not self.orders[0] and not self.orders[1]:
            return top, _NEVER, 3, None
        now = self._clock.epoch()
        began = self._clock.epoch_at(running.started_ms) if running else 0
        asked = (running, began, phases, top)
        held = self._held
        if not held or held[0] != asked or (now or 0) < held[1] or (now or 0) >= held[2]:
            held = self._held = self._find(running, phases, top, asked, now)
        return held[3]

    def _find(self, running, phases, top, asked, now):  # cold
        """(asked, since when this holds, until when, what `limit` gives), Unix seconds; 0 and 1
        where it holds until somebody tells the time, 0 and 0 where it does not hold."""
        t, number, started = self.moment(running)
        looked_for = (number, started if running else 0)
        if looked_for != self._looked_for or t < self._looked:
            self._looked_for = looked_for
            for slot in range(len(self.wake)):
                self.wake[slot] = ALWAYS
        self._looked = t
        pieces = profiles.limits(
            self.table, self.orders, self.periods, t, number, started, phases, top, False,
            self.wake,
        )  # fmt: skip
        until, ma, watts, wish = next(pieces)
        until += EPOCH
        if now is None:
            return asked, 0, int(not running), (ma, watts, wish, None)
        changes = until if until < NEVER + EPOCH else None
        return asked, now, until, (ma, watts, wish, changes)

    def listing(self):  # cold
        """Yields a line for each profile, as they win."""
        yield from runtime.load("firmware.charging.profile_rare").lines(self)
        runtime.drop("firmware.charging.profile_rare")
