"""The session after a restart: whether the car is the one that has charged already is told by the
pilot, however late its first reading comes."""

import asyncio

from firmware.base.times import Clock
from firmware.charging.evse import Evse, Limits
from firmware.charging.faults import Faults
from firmware.charging.session import Session
from host_tests.both.charger_rig import Watched
from host_tests.both.logs import Log
from host_tests.both.memory_files import MemoryStore

LATE_MS = 30000  # a chip under load, or a station's clock at --speed 100


class Config:
    """The keys' values; the store that the car's past is kept in."""

    def __init__(self):
        self.store = MemoryStore(used=b"1")  # as a Reset leaves it behind a car that has charged

    def on(self, name):
        return True

    def int(self, name):
        return 0

    def get(self, name):
        return "FreeCharge"


class Meter:
    """A meter that answers at once."""

    last = {"energy": 5}

    async def read_now(self, wait_ms):
        return self.last


class Nothing:
    """Room in the flash without end."""

    async def make_room_for_transaction(self):
        pass


class Transactions:
    """Counts what is started."""

    running = None
    interrupted = None
    retention = Nothing()
    started = 0

    def start(self, *event):
        self.started += 1
        self.running = event
        return event


class Start:
    """A standalone station that starts: the session runs, the control loop does not yet."""

    def __init__(self, *sim):
        self.clock = clock = Clock()
        self.log = Log()
        self.board = Watched(clock)
        for line in sim:
            self.board.command(line.split())
        self.config = Config()
        limits = Limits()
        limits.set("imax_user", 32000)
        faults = Faults(self.log, self.config.store)
        self.evse = Evse(self.board, clock.ms, self.log, limits, faults, True, 3)
        self.transactions = Transactions()
        self.session = Session(
            self.evse,
            Meter(),
            self.transactions,
            self.config,
            clock,
            self.log,
            lambda: True,
            lambda reading: b"",
        )
        self.tasks = [asyncio.create_task(self.session.run())]

    def begin_control(self):
        self.tasks.append(asyncio.create_task(self._control()))

    async def _control(self):
        while True:
            pause = self.evse.step()
            if self.evse.has_changed():
                self.session.evse_changed()
            await self.clock.sleep_ms(self.board.pause(pause))

    def end(self):
        for task in self.tasks:
            task.cancel()


async def test_the_same_car_is_not_charged_again_where_the_first_sample_comes_late():
    for sim in (("plug",), ("plug", "ready")):
        start = Start(*sim)
        await start.clock.sleep_ms(LATE_MS)
        assert start.session.car_already_charged and not start.evse.pilot_is_known
        start.begin_control()
        await start.clock.sleep_ms(LATE_MS)
        assert start.evse.plugged and start.evse.pilot_is_known
        assert start.session.car_already_charged and not start.transactions.started
        # unplugged, and plugged in again: a new use
        start.board.command(["unplug"])
        await start.clock.sleep_ms(3000)
        assert not start.session.car_already_charged
        start.board.command(["plug"])
        await start.clock.sleep_ms(3000)
        assert start.transactions.started == 1
        start.end()


async def test_a_car_that_left_while_the_station_was_off_is_forgotten():
    start = Start()
    await start.clock.sleep_ms(LATE_MS)
    start.begin_control()
    await start.clock.sleep_ms(3000)
    assert start.evse.pilot_is_known and not start.session.car_already_charged
    start.board.command(["plug"])
    await start.clock.sleep_ms(3000)
    assert start.transactions.started == 1
    start.end()


async def test_a_pilot_that_can_not_be_read_says_nothing_about_the_car():
    start = Start("plug", "fault 0x100217 on")
    start.begin_control()
    await start.clock.sleep_ms(LATE_MS)
    assert start.evse.faults.active and not start.evse.pilot_is_known
    assert start.session.car_already_charged
    start.board.command("fault 0x100217 off".split())
    await start.clock.sleep_ms(3000)
    assert start.evse.plugged and start.session.car_already_charged
    start.end()
