"""The local authorization list: updates, looking up, its bounds."""

import asyncio
import binascii
import json

from firmware.local_authorization.local_list import LocalList
from firmware.local_authorization.records import Known, pack_record
from firmware.ocpp import CallError, json_reader, schemas
from firmware.ocpp.handlers import full_core
from host_tests.both.logs import Log
from host_tests.both.memory_files import MemoryFiles

ACCEPTED = {"status": "Accepted"}


class Rig:
    """A list on files in RAM; `endpoint` is the central system's number."""

    def __init__(self, files=None):
        self.files = files or MemoryFiles()
        self.log = Log()
        self.endpoint = 7
        self.list = LocalList(self.files, "ids", self.log, lambda: self.endpoint)

    def again(self):
        return Rig(self.files)

    async def send(self, version, entries, is_full=True):
        changes = self.list.begin()
        for id_tag, info in entries:
            changes.add(pack_record(id_tag, info))
        return await self.list.update(version, changes, is_full)

    def ids(self):
        return [known.id_tag for known in self.list.all()]

    def status(self, id_tag):
        known = self.list.find(id_tag)
        return known and known.status


def info(status, parent=None, expiry=None):
    made = {"status": status}
    if parent is not None:
        made["parentIdTag"] = parent
    if expiry is not None:
        made["expiryDate"] = expiry
    return made


def test_a_record_keeps_what_it_is_told():
    known = Known(pack_record('T"\n\u00e9\0', info("Blocked", "P\u20ac", 1900000000)))
    assert known.id_tag == 'T"\n\u00e9\0' and known.parent_id_tag == "P\u20ac"
    assert known.status == "Blocked" and known.expiry == 1900000000
    known = Known(pack_record("A" * 20, ACCEPTED))
    assert known.id_tag == "A" * 20 and known.parent_id_tag == "" and known.expiry == 0
    for date, kept in ((0, 1), (-5, 1), (1 << 40, 0xFFFFFFFF)):
        assert Known(pack_record("A", info("Accepted", None, date))).expiry == kept


def test_what_is_accepted_expires():
    for now, expected in ((99, "Accepted"), (100, "Expired"), (101, "Expired")):
        known = Known(pack_record("A", info("Accepted", None, 100)))
        assert known.expire(now) and known.status == expected
    known = Known(pack_record("A", info("Accepted", None, 100)))
    assert not known.expire(None)  # nobody can tell
    known = Known(pack_record("A", info("Blocked", None, 100)))
    assert known.expire(None) and known.status == "Blocked"
    assert Known(pack_record("A", ACCEPTED)).expire(None)


async def test_full_and_differential():
    rig = Rig()
    assert rig.list.version == 0 and rig.ids() == [] and rig.status("A") is None
    assert await rig.send(3, [("b", ACCEPTED), ("A", ACCEPTED), ("c", ACCEPTED)]) == "Accepted"
    assert rig.list.version == 3 and rig.ids() == ["A", "b", "c"]
    changes = [("B", info("Blocked")), ("D", ACCEPTED), ("a", None), ("nobody", None)]
    assert await rig.send(4, changes, False) == "Accepted"
    assert rig.ids() == ["B", "c", "D"] and rig.status("b") == "Blocked"
    assert rig.status("A") is None and rig.status("d") == "Accepted"
    again = rig.again()
    assert again.list.version == 4 and again.ids() == ["B", "c", "D"]
    assert await again.send(9, [], False) == "Accepted"  # a new version of the same
    assert again.list.version == 9 and again.ids() == ["B", "c", "D"]
    assert await again.send(2, [("x", ACCEPTED)]) == "Accepted"
    assert again.list.version == 2 and again.ids() == ["x"]
    assert await again.send(3, [("X", None)], False) == "Accepted"
    assert again.list.version == 0 and again.ids() == []
    assert again.files.listdir("ids") == []


async def test_what_is_refused_changes_nothing():
    rig = Rig()
    assert await rig.send(3, [("A", ACCEPTED)]) == "Accepted"
    before = dict(rig.files.data)
    for version, entries, is_full, answer in (
        (3, [("B", ACCEPTED)], False, "VersionMismatch"),
        (2, [], False, "VersionMismatch"),
        (0, [("B", ACCEPTED)], True, "Failed"),
        (-1, [("B", ACCEPTED)], True, "Failed"),
        (1 << 63, [("B", ACCEPTED)], True, "Failed"),
        (4, [("B", ACCEPTED), ("b", ACCEPTED)], False, "Failed"),
        (4, [("B", None)], True, "Failed"),
        (4, [("B%d" % n, ACCEPTED) for n in range(201)], True, "Failed"),
    ):
        assert await rig.send(version, entries, is_full) == answer, version
        assert rig.files.data == before and rig.list.version == 3
    assert rig.ids() == ["A"]


async def test_five_hundred_and_no_more():
    rig = Rig()
    for first in range(0, 500, 100):
        some = [("ID%04d" % (n * 7 % 500), ACCEPTED) for n in range(first, first + 100)]
        assert await rig.send(first + 1, some, False) == "Accepted"
    assert rig.ids() == ["ID%04d" % n for n in range(500)]
    assert await rig.send(900, [("ONE-MORE", ACCEPTED)], False) == "Failed"
    assert rig.list.version == 401 and rig.list.count == 500
    assert "ids/list.new" not in rig.files.data
    assert await rig.send(901, [("ONE-MORE", ACCEPTED), ("ID0000", None)], False) == "Accepted"
    for n in (1, 2, 250, 498, 499):
        assert rig.status("id%04d" % n) == "Accepted"
    for id_tag in ("ID0000", "ID", "", "ID00001", "a", "zz"):
        assert rig.status(id_tag) is None, id_tag


async def test_where_the_flash_is_full_the_old_list_stays():
    rig = Rig(MemoryFiles(limit=100))
    assert await rig.send(1, [("A", ACCEPTED)]) == "Accepted"
    assert await rig.send(2, [("B%d" % n, ACCEPTED) for n in range(9)]) == "Failed"
    assert rig.ids() == ["A"] and rig.list.version == 1 and rig.again().ids() == ["A"]
    assert rig.log.errors()


async def test_a_flipped_bit_is_no_list():
    rig = Rig()
    assert await rig.send(5, [("A%d" % n, ACCEPTED) for n in range(60)]) == "Accepted"
    whole = rig.files.data["ids/list"]
    assert len(whole) > 600  # more than a piece
    for at in (0, 7, len(whole) // 2, len(whole) - 20, len(whole) - 1):
        rig.files.data["ids/list"] = whole[:at] + bytes((whole[at] ^ 4,)) + whole[at + 1 :]
        again = rig.again()
        assert again.list.version == 0 and again.status("A1") is None and again.log.errors()
    for size in (0, 1, 19, 20, len(whole) - 1):
        rig.files.data["ids/list"] = whole[:size]
        assert rig.again().list.version == 0
    assert await again.send(6, [("B", ACCEPTED)], False) == "Accepted" and again.ids() == ["B"]


async def test_a_list_of_another_shape_is_none():
    """An earlier build had an offset for each record; the central system sends it anew."""
    rig = Rig()
    await rig.send(3, [("ID-%d" % n, ACCEPTED) for n in range(9)])
    file = rig.files.data["ids/list"]
    for offsets in (1, 6):
        made = file[:-20] + bytes(2 * offsets) + file[-20:-4]
        rig.files.data["ids/list"] = made + binascii.crc32(made).to_bytes(4, "little")
        again = rig.again()
        assert again.list.version == 0 and again.status("ID-1") is None
        assert again.log.has("error", "another firmware's")


async def test_another_central_system_finds_no_list():
    rig = Rig()
    assert await rig.send(5, [("A", ACCEPTED)]) == "Accepted"
    rig.endpoint = 8
    assert rig.list.version == 0 and rig.status("A") is None and rig.ids() == []
    rig.endpoint = 7
    assert rig.list.version == 5 and rig.status("A") == "Accepted"
    rig.endpoint = 8
    assert await rig.send(1, [("B", ACCEPTED)], False) == "Accepted"
    assert rig.ids() == ["B"]


# what comes over the wire


async def read(text, packers):
    return await json_reader.read_message(memoryview(text.encode()), packers)


class Core(full_core.FullCore):
    """As much of it as packs entries."""

    def __init__(self):
        self.rig = Rig()
        self.local_list = self.rig.list


def packers():
    made = dict(json_reader.PACKERS)
    made["localAuthorizationList"] = Core().pack_entry
    return made


def message(entries, kind="Full"):
    payload = {"listVersion": 1, "updateType": kind, "localAuthorizationList": entries}
    return '[2,"1","SendLocalList",%s]' % json.dumps(payload)


async def taken(entries):
    """The records that become of a message's list."""
    frame = await read(message(entries), packers())
    payload = await schemas.checked("SendLocalList", frame[3], full_core._CALLS)
    (changes,) = payload["localAuthorizationList"]
    assert changes.heap() < 2000
    return [Known(record) for record in changes.in_order(await changes.look()) if record]


async def test_two_hundred_idtags_are_packed_as_they_come():
    """They would take 60 KB as objects. Of more than there may be nothing is kept."""

    def entries(count):
        full = {
            "status": "Accepted",
            "expiryDate": "2027-01-01T00:00:00Z",
            "parentIdTag": "P" * 20,
        }
        return [{"idTag": "ID-%017d" % (n * 77 % count), "idTagInfo": full} for n in range(count)]

    found = await taken(entries(200))
    assert [known.id_tag for known in found] == ["ID-%017d" % n for n in range(200)]
    assert all(k.expiry == 1798761600 and k.parent_id_tag == "P" * 20 for k in found)
    assert len(message(entries(200))) < full_core.FullCore.longest_message
    assert len(await taken(entries(333))) == 200
    rig = Rig()
    assert await rig.send(1, [(e["idTag"], ACCEPTED) for e in entries(201)]) == "Failed"


async def test_what_is_wrong_in_an_entry_is_told():
    good = {"idTag": "A", "idTagInfo": ACCEPTED}
    for entry, code, text in (
        ({}, "Occurence", "localAuthorizationList[1].idTag: missing"),
        ({"idTag": "A" * 21}, "Property", "localAuthorizationList[1].idTag: longer than 20"),
        ({"idTag": 5}, "Type", "localAuthorizationList[1].idTag: not a string"),
        (
            {"idTag": "B", "idTagInfo": {}},
            "Occurence",
            "localAuthorizationList[1].idTagInfo.status: missing",
        ),
        ({"idTag": "B", "x": 1}, "Formation", "localAuthorizationList[1].x: unknown"),
        (5, "Type", "localAuthorizationList: not a list of objects"),
        ([], "Type", "localAuthorizationList: not a list of objects"),
        (None, "Type", "localAuthorizationList: not a list of objects"),
    ):
        try:
            await taken([good, entry])
        except CallError as error:
            assert error.code in (code + "ConstraintViolation", code + "Violation"), entry
            assert error.description == text, error.description
        else:
            raise AssertionError(entry)


async def test_elsewhere_such_a_list_is_as_before():
    """Only with `full` it is packed, and nothing but SendLocalList takes it."""
    frame = await read(message([{"idTag": "A"}]), None)
    assert frame[3]["localAuthorizationList"] == [{"idTag": "A"}]
    frame = await read('[2,"1","Reset",{"localAuthorizationList":[{"idTag":"A"}]}]', packers())
    try:
        await schemas.checked("Reset", frame[3], full_core._CALLS)
    except CallError as error:
        assert error.code in ("OccurenceConstraintViolation", "FormationViolation")
    else:
        raise AssertionError("not refused")


async def test_an_update_waits_in_files():
    """It comes from there in order; an idTag that is there twice is found; they go with the
    update, and those of a power cut at the next start."""
    rig = Rig()
    for end in ("", "-AND-MORE"):
        changes = rig.list.begin()
        for n in range(200):
            record = pack_record("%05d%s" % (n * 37 % 200, end), info("Accepted", "P" * 20))
            changes.add(record)
        files = [name for name in rig.files.data if "changes" in name]
        assert changes.count == 200 and len(files) > 1
        assert max([len(rig.files.data[name]) for name in files]) <= 4096  # an erase each time
        assert await rig.list.update(len(end) + 1, changes, False) == "Accepted"
        assert rig.files.listdir("ids") == ["list"]
    ids = ["%05d%s" % (n, end) for n in range(200) for end in ("", "-AND-MORE")]
    assert rig.ids() == ids
    changes = rig.list.begin()
    for n in range(199):
        changes.add(pack_record("%05d" % n, None))
    changes.add(pack_record("00000", ACCEPTED))
    assert await rig.list.update(99, changes, False) == "Failed"
    assert rig.list.count == 400 and rig.files.listdir("ids") == ["list"]
    changes = rig.list.begin()
    for n in range(60):
        changes.add(pack_record("%05d" % n, ACCEPTED))
    # the power fails before it is complete
    assert len(rig.files.listdir("ids")) > 1
    assert rig.again().list.count == 400 and rig.files.listdir("ids") == ["list"]


async def test_a_second_update_waits_for_the_first():
    """A small one in memory; a large one is refused, since the file is not its yet."""
    rig = Rig()
    entries = [("ID%05d" % n, ACCEPTED) for n in range(150)]
    first = asyncio.create_task(rig.send(1, entries))
    await asyncio.sleep(0)
    second = asyncio.create_task(rig.send(2, [("X", ACCEPTED)], False))
    await asyncio.sleep(0)
    try:
        await rig.send(3, entries, False)
    except OSError:
        pass
    else:
        raise AssertionError("not refused")
    assert await first == await second == "Accepted"
    assert rig.list.count == 151 and rig.list.version == 2
