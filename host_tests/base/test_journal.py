"""The journal and the packing of integers against models, on LittleFS and with any damage."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.base.journal import Journal, pack_ints, unpack_ints
from host_tests.both.base.test_journal import compact
from host_tests.both.logs import Log
from host_tests.both.memory_files import MemoryFiles
from host_tests.flash import Flash


@given(st.lists(st.integers()))
def test_integers_of_any_size(numbers):
    data = pack_ints(*numbers)
    assert unpack_ints(data + b"more", len(numbers)) == (numbers, len(data))


@given(st.lists(st.integers(-(1 << 62), 1 << 62), min_size=1))
def test_integers_are_small(numbers):
    size = sum(max(1, (2 * abs(n)).bit_length() + 6) // 7 + 1 for n in numbers)
    assert len(pack_ints(*numbers)) <= size


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 12), st.integers(0, 255)),
        st.tuples(st.just("compact"), st.integers(0, 9), st.integers(1, 4)),
        st.tuples(st.just("compact beside"), st.integers(0, 9), st.integers(1, 4)),
        st.tuples(st.just("restart")),
        st.tuples(st.just("read"), st.integers(0, 200)),
        st.tuples(st.just("flush")),
    ),
    max_size=60,
)


class Reader:
    """Reads on from a position, some records at a time, while the journal changes."""

    def __init__(self, journal, start):
        self.journal = journal
        self.start = start
        self.records = journal.records(start)
        self.seen = []
        self.end = None  # where the journal ended when it had read all

    def read(self, most):
        for _ in range(most):
            record = next(self.records, None)
            if record is None:
                self.end = self.end or self.journal.next
                return
            self.seen.append(record)

    def check(self, model):
        """It saw all in order. What went before it was read may be missing, nothing else."""
        self.read(10000)
        positions = [record[0] for record in self.seen]
        assert positions == sorted(set(positions))
        assert all(position >= self.start for position in positions)
        first = positions[0] if positions else self.end
        assert {record for record in model if first <= record[0] < self.end} <= set(self.seen)


# A flash with a block for each segment, each slot and the copy that compaction makes.
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps, st.booleans())
def test_as_a_list_would(todo, little):
    files = Flash(128).mount() if little else MemoryFiles()
    journal = Journal(files, Log(), segment_size=500)
    model = []
    readers = []
    for step in todo:
        if step[0] == "append":
            for n in range(step[1]):
                payload = bytes([n]) * step[2]
                position = journal.append(n, payload)
                model.append((position, n, payload))
        elif step[0] == "compact" and step[1] < len(journal.segments) - 1:
            end = journal.segments[step[1] + 1]
            begin = journal.segments[step[1]]
            size = journal.size
            every = step[2]
            won = compact(journal, step[1], lambda record, n=every: record[0] % n == 0)
            assert journal.size == size - won
            model = [r for r in model if not begin <= r[0] < end or r[0] % every == 0]
        elif step[0] == "compact beside" and step[1] < len(journal.segments) - 1:
            end = journal.segments[step[1] + 1]
            begin = journal.segments[step[1]]
            for _ in journal.compaction(step[1], lambda record, n=step[2]: record[0] % n == 0):
                payload = bytes(step[2] * 20)
                model.append((journal.append(1, payload), 1, payload))
                for reader in readers:
                    reader.read(1)
                if step[1] > 7:
                    break  # it is given up
            else:
                model = [r for r in model if not begin <= r[0] < end or r[0] % step[2] == 0]
        elif step[0] == "restart":
            for reader in readers:
                reader.check(model)
            journal = Journal(files, Log(), segment_size=500)
            readers = []
        elif step[0] == "read":
            readers.append(Reader(journal, step[1]))
        elif step[0] == "flush":
            journal.flush()
        for reader in readers:
            reader.read(3)
        assert list(journal.records()) == model
    assert journal.next > max([record[0] for record in model], default=0)
    for reader in readers:
        reader.check(model)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_is_skipped_and_never_guessed_at(data):
    files = MemoryFiles()
    journal = Journal(files, Log(), segment_size=500)
    written = {}
    for n in range(40):
        payload = data.draw(st.binary(max_size=30))
        written[journal.append(n % 7, payload)] = (n % 7, payload)
    for _ in range(data.draw(st.integers(1, 5))):
        name = data.draw(st.sampled_from(sorted(n for n in files.data if files.data[n])))
        content = bytearray(files.data[name])
        at = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "insert", "repeat"]))
        if kind == "flip":
            content[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del content[at:]
        elif kind == "insert":
            content[at:at] = data.draw(st.binary(min_size=1, max_size=20))
        else:
            content += content[at:]
        files.data[name] = bytes(content)
    journal = Journal(files, Log(), segment_size=500)
    found = list(journal.records())
    assert [r[0] for r in found] == sorted({r[0] for r in found})
    for position, kind, payload in found:
        assert written[position] == (kind, payload)
    position = journal.append(3, b"goes on")
    assert list(journal.records())[-1] == (position, 3, b"goes on")
    assert list(Journal(files, Log(), segment_size=500).records())[-1] == (position, 3, b"goes on")
