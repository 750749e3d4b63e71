"""The journal: order, restarts, damage, compaction, a full flash."""

from firmware.base.journal import Journal, pack_ints, unpack_ints
from host_tests.both.logs import Log
from host_tests.both.memory_files import MemoryFiles


def journal(files, **options):
    return Journal(files, Log(), **options)


def compact(j, index, is_needed):
    """Goes through the compaction of a segment; returns the bytes won."""

    def steps():
        won.append((yield from j.compaction(index, is_needed)))

    won = []
    for _ in steps():
        pass
    return won[0]


def fill(j, count, size=40):
    for _ in range(count):
        number = j.next
        assert j.append(number % 5, b"%d." % number + b"x" * size) == number


def positions(j, start=1):
    found = []
    for position, kind, payload in j.records(start):
        assert kind == position % 5
        assert payload.startswith(b"%d." % position)
        found.append(position)
    return found


def test_integers():
    for numbers in ((), (0,), (1, -1), (63, 64, -64, -65), (127, 128, 1 << 40, -(1 << 40))):
        data = b"??" + pack_ints(*numbers) + b"!"
        found, at = unpack_ints(data, len(numbers), 2)
        assert found == list(numbers), (numbers, found)
        assert at == len(data) - 1
    assert len(pack_ints(1800000000)) == 5 and len(pack_ints(-64)) == 1


def test_records_come_back_in_order_after_any_restart():
    files = MemoryFiles()
    j = journal(files)
    assert list(j.records()) == []
    for count in range(1, 200):
        fill(j, 1)
        again = journal(files)
        assert again.next == j.next == count + 1
        if count % 17 == 0:
            assert positions(again) == list(range(1, count + 1))
            assert positions(again, count - 3) == list(range(count - 3, count + 1))
            j = again
    assert len(j.segments) > 3
    assert j.size == sum(files.size(n) for n in files.data if n.endswith(".log"))


def test_a_reader_goes_on_while_records_are_appended_and_compacted():
    files = MemoryFiles()
    j = journal(files)
    fill(j, 100)
    reader = j.records()
    found = [next(reader)[0] for _ in range(5)]
    compact(j, 0, lambda record: record[0] > 50)
    found += [next(reader)[0] for _ in range(3)]
    fill(j, 50)
    for record in reader:
        found.append(record[0])
        if record[0] % 7 == 0 and j.next < 300:
            fill(j, 3)
    first = found[:5]
    assert first == [1, 2, 3, 4, 5]
    rest = list(range(found[5], j.next))
    assert found[5:] == rest and found[5] > 50


def test_a_reader_of_the_newest_is_not_outrun():
    j = journal(MemoryFiles())
    fill(j, 3)
    reader = j.records(3)
    assert next(reader)[0] == 3
    fill(j, 1)
    assert next(reader)[0] == 4
    fill(j, 60)  # the slots were used several times over
    assert [record[0] for record in reader] == list(range(5, 65))


def test_torn_tails_and_damage_lose_only_themselves():
    for spoil in (
        lambda data: data[:-1],
        lambda data: data + b"\x30\x01\x05",
        lambda data: data + b"\xff" * 100,
        lambda data: data + data[-20:],
        lambda data: data[:90] + bytes((data[90] ^ 4,)) + data[91:],
        lambda data: bytes((200,)) + data[1:],
    ):
        files = MemoryFiles()
        j = journal(files)
        fill(j, 16)
        last = [name for name in files.data if name.endswith(".log")][-1]
        files.data[last] = spoil(files.data[last])
        j = journal(files)
        before = positions(j)
        assert len(before) >= 15 and j.next == 17, before
        fill(j, 40)
        assert positions(j) == before + list(range(17, 57))
        assert positions(journal(files)) == before + list(range(17, 57))


def test_a_torn_slot_is_not_a_record():
    files = MemoryFiles()
    j = journal(files)
    fill(j, 5)
    files.data["journal/tail/5"] = files.data["journal/tail/5"][:-2]
    j = journal(files)
    assert j.next == 5 and positions(j) == [1, 2, 3, 4]
    fill(j, 30)
    assert positions(j) == list(range(1, 35))


def test_records_in_slots_and_segment_are_not_doubled():
    files = MemoryFiles()
    j = journal(files)
    fill(j, 10)
    tail = dict(files.data)
    j.flush()
    files.data.update(tail)  # as if the cut came right after the append
    assert positions(journal(files)) == list(range(1, 11))
    # an append that was cut half way
    name = "journal/00000001.log"
    files.data[name] = files.data[name][: len(files.data[name]) // 2]
    assert positions(journal(files)) == list(range(1, 11))


def test_compaction_keeps_what_is_wanted_and_joins():
    files = MemoryFiles()
    j = journal(files)
    fill(j, 400)
    kept = [p for p in range(1, 401) if p % 10 == 0]
    while True:
        before = len(j.segments)
        size = j.size
        for index in range(len(j.segments) - 1):
            if index < len(j.segments) - 1:
                won = compact(j, index, lambda record: record[0] % 10 == 0)
                assert j.size == size - won
                size = j.size
        if len(j.segments) == before:
            break
    newest = j.segments[-1]
    wanted = [p for p in kept if p < newest] + list(range(newest, 401))
    assert positions(j) == wanted == positions(journal(files))
    assert len(j.segments) <= 3
    assert j.size == sum(files.size(n) for n in files.data if n.endswith(".log"))


def test_a_cut_between_joining_and_removing_doubles_nothing():
    files = MemoryFiles()
    j = journal(files)
    fill(j, 200)
    compact(j, 0, lambda record: record[0] < 5)
    second = "journal/%08x.log" % j.segments[1]
    old = files.data[second]
    removed = files.remove
    files.remove = lambda name: None
    compact(j, 1, lambda record: record[0] % 2)
    files.remove = removed
    assert files.data[second] == old
    again = journal(files)
    found = positions(again)
    assert found == sorted(set(found))
    compact(again, 1, lambda record: record[0] % 2)
    found = positions(again)
    assert found == sorted(set(found))
    assert positions(journal(files)) == found


def test_emptied_segments_go():
    files = MemoryFiles()
    j = journal(files)
    fill(j, 200)
    while len(j.segments) > 1:
        compact(j, 0, lambda record: False)
    newest = "journal/%08x.log" % j.segments[0]
    assert [name for name in files.data if name.endswith(".log")] == [newest]
    rest = positions(j)
    assert rest == list(range(rest[0], 201))
    assert journal(files).next == 201


def test_a_full_flash_keeps_room_for_what_must_not_be_lost():
    files = MemoryFiles(4000, slack=120)
    j = journal(files, reserve=1000)
    accepted = 0
    try:
        while True:
            j.append(1, b"v" * 60, False)
            accepted += 1
    except OSError:
        pass
    assert accepted > 20
    must = [j.append(2, b"m" * 60) for _ in range(4)]
    try:
        j.append(2, b"m" * 60)
    except OSError:
        pass
    else:
        raise AssertionError
    assert j.room < 0
    again = journal(files, reserve=1000)
    kinds = [record[1] for record in again.records()]
    assert kinds == [1] * accepted + [2] * len(must)


def test_limit():
    j = journal(MemoryFiles(), limit=5000)
    while j.room > 0:
        fill(j, 1)
    assert 4000 < j.size < 6000


def test_a_record_too_long():
    j = journal(MemoryFiles())
    j.append(1, b"x" * 255)
    try:
        j.append(1, b"x" * 256)
    except ValueError:
        pass
    else:
        raise AssertionError
    assert [len(record[2]) for record in j.records()] == [255]


def test_where_the_heap_has_no_room_for_a_segment_it_is_read_in_small_pieces():
    files = MemoryFiles()
    j = journal(files)
    fill(j, 200)
    opened = files.open

    def little(name, mode):
        file = opened(name, mode)
        read = file.read

        def read_little(size=None):
            if size is not None and size > 600:
                raise MemoryError
            return read(size)

        file.read = read_little
        return file

    files.open = little
    assert positions(journal(files)) == list(range(1, 201))
