"""The station's energy meter: polled every second; only plausible readings are used."""

import asyncio
from collections import namedtuple

from firmware.base.runtime import const
from firmware.sensing.modbus import ModbusError

_EVERY_MS = const(1000)
_LOST_POLLS = const(5)  # failed polls in a row after which the meter is lost
_LOST_MS = const(10000)  # or so long without an answer
_MARGIN_MS = const(2000)  # a meter renews its registers each second or so; an answer may be late
_NEW_MS = const(60000)  # a register that jumped and then counts rightly for so long: a new meter's
_START_MS = const(30000)  # so soon after the start a meter may still be starting itself
_AGREE_MS = const(10000)  # then a register that counts rightly for so long is believed
_UNSEEN_MS = const(62000)  # how much older than a power cut the journal's last register can be
MAX_W = 3 * 32 * 265  # the most that can flow through the station
_NARROW = const(10)  # registers a request, for a meter that refuses more
_REFUSALS = (2, 3)  # Modbus' illegal data address or value: too many registers, or unused ones


def plausible_ranges(max_ma: int, phases: int) -> tuple:
    """What an installation's meter can show: (fields of a reading, lowest, highest), in their
    units. `max_ma`: what the circuit carries (IMaxUser); a car that takes much more than it was
    offered still is 0x100213, not a wrong meter."""
    ma = max(4 * max_ma, 64000)
    dw = ma * 3  # at 300 V
    return (
        (("i1", "i2", "i3"), -ma, ma),
        (("v1", "v2", "v3"), 0, 300000),
        (("p1", "p2", "p3"), -dw, dw),
        (("power",), -phases * dw, phases * dw),
        (("frequency",), 40000, 70000),
        (("energy", "reactive"), 0, 10**13 - 1),
    )


# A reading that can't follow the last good one: its `energy` register, when the poll began, and
# since when the register has counted plausibly from there.
Implausible = namedtuple("Implausible", ("energy", "asked_ms", "since_ms"))


class Meter:
    """Facts: `model`; `last`, the newest good reading or None; `error`, why the meter can't be
    trusted (0x10020F) or None; `mid`, 1 if MID-approved (key MeterType).

    `registers` is a meters.RegisterMap, `master` a modbus.Master, `mid` the installer's answer or
    None. `clock` is the station's for the simulated meter, and real time for a real one (they
    differ with --speed). `max_ma` and `phases`: the installation's.
    """

    alive = False  # for the station's supervisor

    def __init__(
        self,
        master,
        registers,
        unit: int,
        clock,
        log,
        mid: int | None = None,
        max_ma: int = 32000,
        phases: int = 3,
    ):
        self.master = master
        self.registers = registers
        self.unit = unit
        self.clock = clock
        self.log = log
        self.model = registers.model
        self.mid = registers.mid if mid is None else mid
        self.max_w = MAX_W
        self.last = None
        self._asked_ms = None  # when the poll that gave `last` began
        self._began_ms = -1  # when the newest poll began
        self._heard_ms = clock.ms()  # when something good was last heard
        self._failed_polls = 0  # in a row
        self._loss_logged = False
        self._failure = ""  # of the newest poll that failed
        self._ranges = plausible_ranges(max_ma, phases)
        self._started_ms = clock.ms()
        self._known = None  # the journal's last register, Wh; None: there is none that counts
        self._relied_on = False  # somebody has taken a reading for good
        self._odd_polls = 0  # in a row that had a value which can't be
        self._oddity = ""  # which
        self._implausible = None  # the newest Implausible, or None
        self._wrong = None  # the text about it, once it was seen twice
        self._polling = False

    def warn_of_missing_values(self) -> None:
        """Logs which protections do not work with this model."""
        if not self.registers.has("v1"):
            self.log.warning(
                "%s tells no voltage and no current: 0x200206 and 0x200208 can't be raised, "
                "0x100213 and the house's share go by its power, as if all phases drew alike",
                self.model,
            )

    @property
    def error(self) -> str | None:
        """Why the meter can't be trusted now: it is lost (for 5 polls in a row, or 10 s), or its
        values are impossible. None while it can, and for 30 s after the start where nothing that
        can be believed has come yet."""
        if not (self._wrong or self._odd_polls or self._failed_polls):
            return None  # usual, and asked at each step of the evse
        is_starting = self.clock.ms() - self._started_ms < _START_MS
        if not self.last and is_starting:
            return None
        if self._wrong:
            return self._wrong
        if self._odd_polls >= _LOST_POLLS and not is_starting:
            return "%s, unit %d: %s can't be" % (self.model, self.unit, self._oddity)
        late = self.clock.ms() - self._heard_ms >= _LOST_MS
        if self._failed_polls >= _LOST_POLLS or (self._failed_polls and late):
            return "%s, unit %d: %s" % (self.model, self.unit, self._failure)
        return None

    def expect(self, energy: int) -> None:
        """To be called before `run`: the journal's last register (Wh)."""
        self._known = energy

    def age(self) -> int | None:
        """ms since the newest good reading was asked for; None without one."""
        return None if self._asked_ms is None else self.clock.ms() - self._asked_ms

    async def run(self) -> None:
        """The task: a poll each second."""
        while True:
            due = self.clock.ms() + _EVERY_MS
            await self.poll()
            await self.clock.sleep_ms(max(due - self.clock.ms(), 20))

    async def read_now(self, wait_ms: int = 3000) -> dict | None:
        """A reading that was asked for after this call began; None if none comes within `wait_ms`
        (plus the poll under way). Does not wait for a meter that is lost, unless it has never
        answered."""
        asked = self.clock.ms()
        until = asked + wait_ms
        while True:
            await self.poll(asked)
            if self._asked_ms is not None and self._asked_ms >= asked:
                self._relied_on = True
                return self.last
            if (self.error and self.last) or self.clock.ms() >= until:
                return None
            await self.clock.sleep_ms(100)

    async def poll(self, newer: int | None = None) -> None:
        """Reads the meter once, unless another task's poll began at `newer` or later."""
        while self._polling:
            await self.clock.sleep_ms(20)
            if newer is not None and self._began_ms >= newer and not self._polling:
                return
        self._polling = True
        try:
            self._began_ms = began = self.clock.ms()
            blocks = []
            for address, count in self.registers.blocks:
                blocks.append(
                    await self.master.read(self.unit, self.registers.function, address, count)
                )
                self.alive = True
            await asyncio.sleep(0)  # others have a turn after the checksums,
            reading = self.registers.decode(blocks)
            self._leave_out_oddities(reading)
            if "energy" not in reading:
                raise ModbusError(self._oddity or "the energy register says: not available")
            await asyncio.sleep(0)  # and after the decoding
            self._judge(reading, began)
        except (ModbusError, OSError) as why:
            self._poll_failed(why)
        finally:
            self._polling = False
            self.alive = True  # after each exchange: `run` may wait for another's poll and its own

    def _leave_out_oddities(self, reading):
        """Takes out of a reading what can't be, by physics and the installation."""
        self._oddity = ""
        for fields, lowest, highest in self._ranges:
            for field in fields:
                value = reading.get(field, lowest)
                if not lowest <= value <= highest:
                    del reading[field]
                    if value or field != "frequency":  # there is none without voltage
                        self._oddity = "%s %d" % (field, value)
        self._odd_polls = self._odd_polls + 1 if self._oddity else 0
        if self._odd_polls == 1:
            self.log.warning("%s can't be: left out", self._oddity)

    def _poll_failed(self, why):
        self._failed_polls += 1
        self._failure = str(why)
        if getattr(why, "code", 0) in _REFUSALS:
            self.registers.plan_blocks(_NARROW, 0)
        if self.error and not self._loss_logged:
            self._loss_logged = True
            self.log.error("lost: %s", self.error)
        else:
            self.log.debug("%s, unit %d: %s", self.model, self.unit, why)

    def _judge(self, reading, began):
        """Takes a reading if it can follow the last one. `began`: when its poll began, ms."""
        now = self.clock.ms()
        energy = reading["energy"]
        was_wrong = self._wrong or self._loss_logged
        self._failed_polls = 0
        self._loss_logged = False
        self._heard_ms = now
        if not self._can_be_next(energy, now):
            before = self._implausible
            goes_on = before and self._follows(energy, now, before.energy, before.asked_ms)
            since = before.since_ms if goes_on else began
            self._implausible = Implausible(energy, began, since)
            last = self.last["energy"] if self.last else self._known
            if last is None:  # the first register ever: the next one has to agree
                if not goes_on:
                    return
            else:
                # Without a journal nobody knows whether the first ones were right.
                doubtful = not self.last or (self._known is None and not self._relied_on)
                is_starting = doubtful and now - self._started_ms < _START_MS
                if now - since < (_AGREE_MS if is_starting or not self.last else _NEW_MS):
                    text = "energy register went from %d to %d Wh" % (last, energy)
                    if not before:  # a single one may be a slip
                        self.log.warning(text)
                    elif not self._wrong and not is_starting:
                        self._wrong = text
                        self.log.error("%s: can't be", text)
                    return
                self.log.warning("goes on from %d Wh: taken for a new meter", energy)
        elif was_wrong:
            self.log.info("answers again, %d Wh", energy)
        self._wrong = self._implausible = None
        self.last = reading
        self._asked_ms = began

    def _can_be_next(self, energy, now):
        """Whether this register can be true, by the last one, or at the start by the journal's."""
        if self.last:
            return self._follows(energy, now, self.last["energy"], self._asked_ms)
        return self._known is not None and self._follows(
            energy, now, self._known, now - _UNSEEN_MS
        )

    def _follows(self, energy, now, before, asked):
        """Whether a register can have gone from `before`, asked for at `asked`, to `energy`."""
        most = self.max_w * (now - asked + _MARGIN_MS) // 3600000
        return 0 <= energy - before <= most + self.registers.energy_step_wh(energy)
