"""The log lines kept in flash for diagnostics."""

import asyncio

from firmware.base.log import Log, Logbook
from firmware.base.times import Clock
from host_tests.both import bundles


def made(keep=40):
    log = Log(Clock(), keep)
    log._out = None
    return log


def quiet(log, text):
    log.lines.append("0 I test: " + text)
    log._unsaved = min(log._unsaved + 1, log.keep)
    log.lines = log.lines[-log.keep :]


def read(logbook):
    return [str(line, "utf-8") for line in logbook.lines()]


def test_each_line_is_kept_once():
    files = bundles.folder()
    log = made()
    logbook = Logbook(files, log)
    assert read(logbook) == []
    logbook.save()
    quiet(log, "one")
    quiet(log, "two")
    logbook.save()
    logbook.save()
    quiet(log, "thr\u00e9e")
    logbook.save()
    assert read(logbook) == ["+0 I test: one", "+0 I test: two", "+0 I test: thr\u00e9e"]
    bundles.remove(files)


def test_times_are_dates_once_the_clock_is_known():
    files = bundles.folder()
    log = made()
    logbook = Logbook(files, log)
    log.clock.set(1800000000)
    quiet(log, "now")
    logbook.save()
    began = ("2027-01-15T08:00:00Z", "2027-01-15T07:59:59Z")  # the clock has run since then
    assert read(logbook) in [[date + " I test: now"] for date in began]
    bundles.remove(files)


def test_more_lines_than_the_ring_has():
    files = bundles.folder()
    log = made(5)
    logbook = Logbook(files, log)
    for i in range(12):
        quiet(log, str(i))
    logbook.save()
    assert read(logbook) == ["+0 I test: %d" % i for i in range(7, 12)]
    bundles.remove(files)


def test_the_flash_is_bounded_and_the_newest_stay():
    files = bundles.folder()
    log = made()
    logbook = Logbook(files, log)
    for i in range(400):
        quiet(log, "%04d " % i + "x" * 80)
        if i % 7 == 0:
            logbook.save()
    size = sum([len(data) for data in bundles.tree(files, "log").values()])
    assert size <= 2 * 8192
    numbers = [int(line.split(" ")[3]) for line in read(logbook)]
    assert numbers == list(range(numbers[0], 400 - 400 % 7 + 1)) and len(numbers) > 80
    bundles.remove(files)


async def test_after_a_fault():
    """A moment later, and not again within the hour."""
    files = bundles.folder()
    log = made()
    logbook = Logbook(files, log)
    quiet(log, "fault")
    begun = log.clock.ms()
    await logbook.save_after_fault()
    assert log.clock.ms() - begun == 10000 and len(read(logbook)) == 1
    quiet(log, "fault again")
    await logbook.save_after_fault()
    assert log.clock.ms() - begun == 10000 and len(read(logbook)) == 1
    await log.clock.sleep_ms(3600000)
    await logbook.save_after_fault()
    assert len(read(logbook)) == 2
    bundles.remove(files)


class Copy:
    """A file that notes the turns that others had before each line."""

    def __init__(self):
        self.lines = []
        self.seen = []
        self.turns = 0

    def write(self, line):
        self.lines.append(str(line, "utf-8"))
        self.seen.append(self.turns)

    async def count(self):
        while True:
            self.turns += 1
            await asyncio.sleep(0)


async def test_others_run_while_it_is_copied():
    """Each line is a turn for them, and what a fault saves meanwhile waits: it may move the
    files."""
    files = bundles.folder()
    log = made()
    logbook = Logbook(files, log)
    for i in range(30):
        quiet(log, str(i))
    logbook.save()
    copy = Copy()
    counting = asyncio.create_task(copy.count())
    copying = asyncio.create_task(logbook.copy(copy, "", ""))
    await asyncio.sleep(0)
    moved = []
    rename = files.rename
    files.rename = lambda old, new: (moved.append(len(copy.lines)), rename(old, new))
    files.size = lambda name: 9000  # so much that the file is moved
    quiet(log, "fault")
    async with logbook._files_in_use:
        logbook.save()
    await copying
    counting.cancel()
    assert copy.lines == ["+0 I test: %d\n" % i for i in range(30)] and moved == [30]
    assert len(set(copy.seen)) == 30
    bundles.remove(files)


async def test_the_lines_between_two_dates():
    files = bundles.folder()
    log = made()
    logbook = Logbook(files, log)
    quiet(log, "before the clock was known")
    logbook.save()
    log.clock.set(1800000000)
    quiet(log, "dated")
    logbook.save()
    for first, last, count in (
        ("", "", 2),
        ("2027-01-15T07:59:00Z", "2027-01-15T08:01:00Z", 2),
        ("2027-01-15T08:01:00Z", "", 1),
        ("", "2027-01-15T07:59:00Z", 1),
    ):
        copy = Copy()
        await logbook.copy(copy, first, last)
        assert len(copy.lines) == count and "before" in copy.lines[0], (first, last)
    bundles.remove(files)
