"""The authorization cache: what it keeps, what goes, when it is written."""

from firmware.local_authorization.cache import AuthorizationCache
from firmware.local_authorization.records import Known
from host_tests.both.logs import Log
from host_tests.both.memory_files import MemoryFiles

ACCEPTED = {"status": "Accepted"}
BLOCKED = {"status": "Blocked"}
TEN_MINUTES = 600000


class Clock:
    def __init__(self):
        self.now = 0
        self.time = 1800000000

    def ms(self):
        return self.now

    def epoch(self):
        return self.time


class Rig:
    def __init__(self, files=None, endpoint=7):
        self.files = files or MemoryFiles()
        self.clock = Clock()
        self.log = Log()
        self.endpoint = endpoint
        self.cache = AuthorizationCache(
            self.files, "ids", self.clock, self.log, lambda: self.endpoint
        )

    def again(self, endpoint=7):
        return Rig(self.files, endpoint)

    def ids(self):
        return [Known(record).id_tag for record in self.cache.records()]

    def status(self, id_tag):
        known = self.cache.find(id_tag)
        return known and known.status

    def wait(self, ms):
        self.clock.now += ms
        self.cache.maintain()


def test_the_newest_word_counts():
    rig = Rig()
    assert rig.status("A") is None
    rig.cache.put("A", {"status": "Accepted", "parentIdTag": "P"})
    rig.cache.put("B", BLOCKED)
    assert rig.status("a") == "Accepted" and rig.cache.find("A").parent_id_tag == "P"
    rig.cache.put("a", BLOCKED)
    assert rig.status("A") == "Blocked" and len(rig.ids()) == 2


def test_sixty_four_of_them_and_the_least_recently_used_go():
    rig = Rig()
    for n in range(64):
        rig.cache.put("ID%d" % n, ACCEPTED)
    assert rig.cache.count == 64 == len(rig.ids())
    assert rig.status("ID0") == "Accepted"  # used
    rig.cache.put("NEW", ACCEPTED)
    assert rig.ids() == ["NEW", "ID0"] + ["ID%d" % n for n in range(63, 8, -1)]
    assert rig.cache.count == 57 and rig.status("ID8") is None and rig.status("ID9")
    for n in range(300):
        rig.cache.put("MORE%d" % n, ACCEPTED)
        assert 57 <= rig.cache.count == len(rig.ids()) <= 64 and rig.ids()[0] == "MORE%d" % n
    again = rig.again()
    assert again.cache.count == len(again.ids()) >= 56


def test_few_of_them_are_in_memory():
    """The others are found in the file, whatever their length."""
    rig = Rig()
    tags = ["x" * (n % 21) + "%d" % n for n in range(40)] + [""]
    for n in range(41):
        rig.cache.put(tags[n], {"status": "Accepted", "parentIdTag": "P" * (n % 20)})
        assert len(rig.cache._newest) <= 8
    for n in range(41):
        assert rig.cache.find(tags[n].upper()).parent_id_tag == "P" * (n % 20)
    assert rig.cache.count == 41 == len(rig.ids())
    assert rig.ids()[:2] == [tags[40], tags[39]]  # used last
    assert rig.status("x") is None and rig.status("xx1") is None


def test_those_that_may_not_charge_go_first():
    rig = Rig()
    for n in range(61):
        rig.cache.put("ID%d" % n, ACCEPTED)
    rig.cache.put("BLOCKED", BLOCKED)
    rig.cache.put("OVER", {"status": "Accepted", "expiryDate": 1799999999})
    rig.cache.put("LATER", {"status": "Accepted", "expiryDate": 1800000001})
    rig.cache.put("NEW", ACCEPTED)
    assert rig.ids() == ["NEW", "LATER"] + ["ID%d" % n for n in range(60, 5, -1)]


def test_it_is_written_ten_minutes_after_a_change():
    rig = Rig()
    rig.cache.put("A", ACCEPTED)
    rig.cache.put("B", ACCEPTED)
    rig.wait(TEN_MINUTES - 1)
    assert rig.again().ids() == []
    rig.wait(1)
    assert rig.again().ids() == ["B", "A"]
    changes = rig.files.changes
    for _ in range(100):  # nothing new: nothing is written
        rig.cache.put("A", ACCEPTED)
        assert rig.status("B")
        rig.wait(TEN_MINUTES)
    assert rig.files.changes == changes
    rig.cache.put("C", ACCEPTED)
    rig.cache.flush()  # an orderly end
    assert rig.again().ids()[0] == "C"
    changes = rig.files.changes
    rig.cache.flush()
    assert rig.files.changes == changes


def test_who_may_not_charge_any_more_is_written_at_once():
    rig = Rig()
    rig.cache.put("A", ACCEPTED)
    rig.cache.put("A", BLOCKED)
    assert rig.again().status("A") == "Blocked"
    rig.cache.put("A", ACCEPTED)
    assert rig.again().status("A") == "Blocked"
    rig.wait(TEN_MINUTES)
    assert rig.again().status("A") == "Accepted"


def test_it_is_cleared_for_good():
    rig = Rig()
    assert rig.cache.clear()
    rig.cache.put("A", ACCEPTED)
    rig.cache.flush()
    assert rig.cache.clear()
    assert rig.ids() == [] and rig.again().ids() == []
    rig.wait(TEN_MINUTES)
    assert rig.again().ids() == []


def test_a_damaged_file_is_an_empty_cache():
    rig = Rig()
    for n in range(20):
        rig.cache.put("A%d" % n, ACCEPTED)
    rig.cache.flush()
    whole = rig.files.data["ids/cache"]
    for at in range(len(whole)):
        rig.files.data["ids/cache"] = whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :]
        assert rig.again().ids() == [], at
        rig.files.data["ids/cache"] = whole[:at]
        assert rig.again().ids() == [], at


def test_another_central_system_finds_nothing():
    rig = Rig()
    rig.cache.put("A", ACCEPTED)
    rig.cache.flush()
    assert rig.again(8).status("A") is None
    rig.endpoint = 8
    assert rig.status("A") is None
    rig.cache.put("B", ACCEPTED)
    rig.cache.flush()
    assert rig.again(8).ids() == ["B"] and rig.again(7).status("B") is None


def test_a_full_flash_is_only_logged():
    rig = Rig(MemoryFiles(limit=10))
    rig.cache.put("A", ACCEPTED)
    rig.wait(TEN_MINUTES)
    assert rig.log.errors() and rig.status("A") == "Accepted"
    for n in range(30):  # then there are as many as there is memory for
        rig.cache.put("B%d" % n, ACCEPTED)
    assert rig.ids() == ["B%d" % n for n in range(29, 21, -1)] and rig.cache.count == 8


def test_a_refusal_that_the_flash_does_not_take():
    """What the file said of the idTag counts no more."""
    rig = Rig()
    rig.cache.put("A", ACCEPTED)
    rig.cache.flush()
    rig.files.limit = 0
    rig.cache.put("A", BLOCKED)
    assert rig.log.errors() and rig.status("A") == "Blocked"
    for n in range(30):
        rig.cache.put("B%d" % n, ACCEPTED)
    assert rig.status("A") is None and rig.again().ids() == []
