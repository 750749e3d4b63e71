"""The local authorization list, the cache and the availability: random updates against a dict, and
power cuts at every step of the flash."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.base.store import Store
from firmware.charging.session import Session
from firmware.local_authorization.cache import AuthorizationCache
from firmware.local_authorization.local_list import LocalList
from firmware.local_authorization.records import STATUSES, Known, pack_record
from firmware.ocpp.configuration import Configuration
from firmware.ocpp.handlers import full_core
from firmware.ocpp.rpc import Rpc
from host_tests.both.logs import Log
from host_tests.both.memory_files import MemoryFiles
from host_tests.flash import Flash

ENDPOINT = 7
ACCEPTED = {"status": "Accepted"}

ids = st.one_of(
    st.text("aAbB1", min_size=1, max_size=3),
    st.text(max_size=20),
    st.sampled_from(["\u00e9" * 20, "\U0001f600" * 20, "X" * 20]),
)
infos = st.none() | st.fixed_dictionaries(
    {"status": st.sampled_from(STATUSES)},
    optional={"parentIdTag": st.text(max_size=20), "expiryDate": st.integers(1, 2**32 - 1)},
)
updates = st.lists(
    st.tuples(st.booleans(), st.lists(st.tuples(ids, infos), max_size=12)), max_size=8
)


def lowered(id_tag):
    """As the list compares: the ASCII letters, on every Python."""
    return id_tag.encode().lower()


def told(known):
    made = {"status": known.status}
    if known.parent_id_tag:
        made["parentIdTag"] = known.parent_id_tag
    if known.expiry:
        made["expiryDate"] = known.expiry
    return known.id_tag, made


def bare(info):
    return {name: value for name, value in info.items() if value != ""}


async def send(target, version, entries, is_full):
    changes = target.begin()
    for id_tag, info in entries:
        changes.add(pack_record(id_tag, info))
    return await target.update(version, changes, is_full)


@given(updates)
def test_random_updates_against_a_dict(given_updates):
    files = MemoryFiles()
    target = LocalList(files, "ids", Log(), lambda: ENDPOINT)
    model, at = {}, 0
    for version, (is_full, entries) in enumerate(given_updates, 1):
        answer = asyncio.run(send(target, version, entries, is_full))
        keys = [lowered(id_tag) for id_tag, _ in entries]
        if len(set(keys)) < len(keys) or is_full and any(info is None for _, info in entries):
            assert answer == "Failed"
            continue
        assert answer == "Accepted"
        model = {} if is_full else dict(model)
        for key, (id_tag, info) in zip(keys, entries):
            model.pop(key, None)
            if info is not None:
                model[key] = (id_tag, bare(info))
        at = version if model else 0
        target = LocalList(files, "ids", Log(), lambda: ENDPOINT) if version % 2 else target
        assert target.version == at and target.count == len(model)
        assert [told(known) for known in target.all()] == [model[key] for key in sorted(model)]
        for key, entry in model.items():
            assert told(target.find(str(key, "utf-8"))) == entry
        for id_tag, _ in entries:
            assert (target.find(id_tag) is not None) == (lowered(id_tag) in model)


def test_five_hundred_are_looked_up_without_being_in_memory():
    """A look reads some tens of records, whatever the list's length."""

    class Counting(MemoryFiles):
        read = 0

        def open(self, name, mode):
            f = super().open(name, mode)
            whole = f.read

            def read(size=None):
                assert size is not None and size <= 512
                data = whole(size)
                self.read += len(data)
                return data

            f.read = read
            return f

    files = Counting()
    target = LocalList(files, "ids", Log(), lambda: ENDPOINT)
    for first in range(0, 500, 100):
        entries = [("ID%05d" % n, ACCEPTED) for n in range(first, first + 100)]
        assert asyncio.run(send(target, first + 1, entries, False)) == "Accepted"
    for id_tag in ("ID00000", "id00250", "ID00499", "ID00500", "A"):
        files.read = 0
        assert (target.find(id_tag) is not None) == (id_tag not in ("ID00500", "A"))
        assert files.read < 12 * (2 + 7 + 7)


# power cuts


class Clock:
    def ms(self):
        return 0

    def epoch(self):
        return 1800000000


class Station:
    """What a FullCore needs of a station, on a flash."""

    def __init__(self, flash):
        self.files = flash.mount()
        self.log = Log()
        self.clock = Clock()
        self.store = Store(self.files)
        self.config = Configuration(self.store, {}, {})
        self.rpc = Rpc(None, self.log, lambda: 30, self.clock.ms)
        self.transactions = self.outbox = self
        self.endpoint_id = ENDPOINT
        self.running = None
        self.session = Session(
            None, None, self, self.config, self.clock, self.log, lambda: False, lambda _: b""
        )
        self.full = full_core.FullCore(self)


BEFORE = (3, ["A Accepted", "B Blocked"], ["CARD Accepted"], (True, True))


def prepared():
    """A flash with a list and a cache, power not yet cut."""
    flash = Flash(32)
    station = Station(flash)
    entries = [("A", ACCEPTED), ("B", {"status": "Blocked"})]
    assert asyncio.run(send(station.full.local_list, 3, entries, True)) == "Accepted"
    station.full.cache.put("CARD", ACCEPTED)
    station.full.cache.flush()
    flash.unmount()
    return bytes(flash.memory)


def a_full_list(station):
    entries = [("ID%d" % n, ACCEPTED) for n in range(200)]
    return asyncio.run(send(station.full.local_list, 4, entries, True)) == "Accepted"


def a_change_of_the_list(station):
    entries = [("C", ACCEPTED), ("a", None)]
    return asyncio.run(send(station.full.local_list, 4, entries, False)) == "Accepted"


def an_empty_list(station):
    return asyncio.run(send(station.full.local_list, 4, [], True)) == "Accepted"


def a_refusal(station):
    station.full.cache.put("card", {"status": "Invalid"})


def a_cleared_cache(station):
    return station.full.cache.clear()


def unavailable(station):
    return station.full.change_availability(1, False) == "Accepted"


def scheduled(station):
    station.running = station  # a transaction
    return station.full.change_availability(0, False) == "Scheduled"


def look(memory):
    """What a station finds after the cut."""
    full = Station(Flash(memory=bytearray(memory))).full
    lines = list(full.list_lines())[1:]
    session = full._station.session
    return full.local_list.version, lines, list(full.cache_lines()), session.availability()


@pytest.mark.parametrize(
    "act, after",
    [
        (a_full_list, (4, sorted("ID%d Accepted" % n for n in range(200)), *BEFORE[2:])),
        (a_change_of_the_list, (4, ["B Blocked", "C Accepted"], *BEFORE[2:])),
        (an_empty_list, (0, [], *BEFORE[2:])),
        (a_refusal, (*BEFORE[:2], ["card Invalid"], BEFORE[3])),
        (a_cleared_cache, (*BEFORE[:2], [], BEFORE[3])),
        (unavailable, (*BEFORE[:3], (True, False))),
        (scheduled, (*BEFORE[:3], (False, False))),
    ],
)
def test_old_or_new_whenever_the_power_fails(act, after):
    """And new as soon as that was promised."""
    memory = prepared()
    assert look(memory) == BEFORE
    seen = []
    for cut in range(1, 1000):
        flash = Flash(memory=bytearray(memory), seed=cut)
        station = Station(flash)
        flash.cut_at = flash.steps + cut
        try:
            is_promised = act(station)
        except (OSError, flash.PowerCut):
            is_promised = False
        found = look(flash.memory)
        assert found in (BEFORE, after), cut
        assert found == after or not is_promised, cut
        seen.append(found)
        if not flash.dead:
            break
    assert BEFORE in seen and seen[-1] == after


def test_cache_known_again():
    """Whatever was put last is found, and what is found is what was put."""
    cache = AuthorizationCache(MemoryFiles(), "ids", Clock(), Log(), lambda: ENDPOINT)
    for n in range(200):
        cache.put("ID%d" % (n % 70), {"status": STATUSES[n % 5]})
        assert cache.find("id%d" % (n % 70)).status == STATUSES[n % 5]
        ids = [lowered(Known(record).id_tag) for record in cache.records()]
        assert len(set(ids)) == len(ids) == cache.count <= 64
