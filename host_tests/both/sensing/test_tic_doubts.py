"""A TIC line that talks, but whose frames can't be believed: it is said, and the car gets 6 A."""

import asyncio

from firmware.base.times import Clock
from firmware.board.simulated import serial_lines
from firmware.metering.load_balancing import LoadBalancer
from firmware.sensing import tic
from firmware.sensing.tic import STANDARD
from host_tests.both.sensing.test_tic import Port, facts, swap


class Forger(Port):
    """A line whose frames have another value of some labels; `damage`: each frame has a group
    with a wrong checksum."""

    forged = ()
    damage = False

    def read(self, n):
        data = self._frame()
        now = self.clock.ms()
        due = min(len(data), (now - self._begun) * 960 // 1000)
        out = data[self._sent : due][:n]
        self._sent += len(out)
        if self._sent >= len(data):
            self._begun = now + 25
            self._sent = 0
        if self.baud != 9600:
            return bytes([c * 5 % 251 for c in out])
        return out

    _begun = _sent = 0

    def _frame(self):
        data = serial_lines.tic_frame(STANDARD, self.facts)
        for label, text in self.forged:
            data = swap(STANDARD, data, label, text)
        if self.damage:
            data = data.replace(b"PREF\t", b"PREG\t")
        return data


def reader(made, **changes):
    clock = Clock()
    lines = []
    port = Forger(clock, made)
    for name in changes:
        setattr(port, name, changes[name])
    got = []
    line = tic.TicLine(port.tune, clock, _Log(lines), got.append, STANDARD)
    task = asyncio.create_task(line.run())
    return clock, port, line, got, lines, task


class _Log:
    """Keeps what is more than debug."""

    def __init__(self, lines):
        self.info = self.warning = self.error = lambda text, *more: lines.append(text % more)
        self.debug = lambda text, *more: None


async def test_frames_that_are_refused_for_long_are_a_warning():
    forged = (("IRMS1", "090"),)
    clock, port, line, got, lines, task = reader(facts([2000] * 3), forged=forged)
    await clock.sleep_ms(9000)
    assert not line.doubted and line.why_doubted() is None and not lines
    await clock.sleep_ms(3000)
    assert line.doubted and not line.detected and not got
    assert line.why_doubted() == "IRMS contradicts SINSTS on phase 1"
    await clock.sleep_ms(30000)
    assert len(lines) == 1 and "IRMS contradicts SINSTS" in lines[0]
    port.forged = ()
    await clock.sleep_ms(3000)
    assert line.detected and not line.doubted and line.why_doubted() is None and got
    port.forged = forged
    await clock.sleep_ms(25000)
    assert line.doubted and len(lines) >= 3
    task.cancel()


async def test_so_are_groups_that_are_always_damaged():
    clock, port, line, got, lines, task = reader(facts([2000] * 3), damage=True)
    await clock.sleep_ms(12000)
    assert line.why_doubted() == "groups are damaged" and len(lines) == 1
    port.facts = facts([1000] * 3)
    port.read = lambda n: b""  # unplugged
    await clock.sleep_ms(11000)
    assert not line.doubted
    task.cancel()


async def test_a_line_that_falls_silent_is_not_doubted():
    """The reader looks for the line at the other speed meanwhile, over and over."""
    clock, port, line, got, lines, task = reader(facts([2000] * 3))
    line.set_mode(tic.FIND_OUT)
    await clock.sleep_ms(20000)
    assert line.detected and got
    port.read = lambda n: b""
    await clock.sleep_ms(60000)
    assert not line.detected and not line.doubted and line.why_doubted() is None
    assert not any("believed" in text for text in lines), lines
    task.cancel()


async def test_a_linky_with_absurd_powers_in_every_frame_is_believed():
    forged = (
        ("SINSTS", "01407"), ("SINSTS1", "48370"), ("SINSTS2", "17742"), ("SINSTS3", "41187"),
    )  # fmt: skip
    clock, port, line, got, lines, task = reader(facts([2000] * 3), forged=forged)
    await clock.sleep_ms(15000)
    assert line.detected and not line.doubted
    assert got[-1]["i"] == [2000, 2000, 2000] and got[-1]["va"] == 1407
    task.cancel()


class _Now:
    def __init__(self):
        self.now = 5000000

    def ms(self):
        return self.now


def test_a_line_that_was_never_believed_limits_like_a_lost_one():
    now = _Now()
    balance = LoadBalancer(now, pause_s=600)
    assert balance.limit_now() is None
    balance.doubt()
    assert balance.limit_now() == 6000
    now.now += 599000
    balance.doubt()
    assert balance.limit_now() == 6000
    now.now += 2000
    assert balance.limit_now() == 0
