"""The station's energy meter: polled each second; what it says is believed only if it can be."""

from firmware.sensing.modbus import ModbusError

_EVERY_MS = 1000
_LOST_POLLS = 5
_LOST_MS = 10000
_MARGIN_MS = 2000  # a meter updates its registers each second or so, and an answer may be late
_NEW_MS = 60000  # a register elsewhere, that goes on sanely from there for so long: a new meter
MAX_W = 3 * 32 * 265  # the most that can flow through the station


class Meter:
    """Facts: `model`; `last`, the newest good reading or None; `error`, None or why there is
    none (0x10020F); `mid`, 1 if MID-approved (key MeterType).

    `registers` is a meters.RegisterMap, `master` a modbus.Master, `mid` the installer's answer
    where he gave one. `clock` counts the time in which the meter lives: the station's for the
    simulated one, real time for a real one (they differ with --speed).
    """

    alive = False  # for the station's supervisor

    def __init__(self, master, registers, unit: int, clock, log, mid: int | None = None):
        self.master = master
        self.registers = registers
        self.unit = unit
        self.clock = clock
        self.log = log
        self.model = registers.model
        self.mid = registers.mid if mid is None else mid
        self.max_w = MAX_W
        self.last = None
        self._asked = None  # when the poll that gave `last` began
        self._began = -1  # when the newest poll began
        self._since = clock.ms()  # when something good was last heard
        self._fails = 0
        self._said = False  # that it is lost
        self._why = ""
        self._wrong = None
        self._odd = None  # (energy, asked, since) of values that can't be
        self._busy = False

    @property
    def error(self) -> str | None:
        """Why the meter can't be trusted now: lost (5 polls in a row, or 10 s), or values that
        can't be."""
        if self._wrong:
            return self._wrong
        late = self.clock.ms() - self._since >= _LOST_MS
        if self._fails >= _LOST_POLLS or (self._fails and late):
            return "%s, unit %d: %s" % (self.model, self.unit, self._why)
        return None

    def age(self) -> int | None:
        """ms since the newest good reading was asked for; None without one."""
        return None if self._asked is None else self.clock.ms() - self._asked

    async def run(self) -> None:
        """The task: a poll each second."""
        while True:
            due = self.clock.ms() + _EVERY_MS
            await self.poll()
            await self.clock.sleep_ms(max(due - self.clock.ms(), 20))

    async def read_now(self, wait_ms: int = 3000) -> dict | None:
        """A reading asked for after this call began; None if none comes in `wait_ms` (plus the
        poll under way). A meter that is lost is not waited for; one never heard yet is."""
        asked = self.clock.ms()
        until = asked + wait_ms
        while True:
            await self.poll(asked)
            if self._asked is not None and self._asked >= asked:
                return self.last
            if (self.error and self.last) or self.clock.ms() >= until:
                return None
            await self.clock.sleep_ms(100)

    async def poll(self, newer: int | None = None) -> None:
        """Reads the meter once, unless somebody else's poll began at `newer` or later."""
        while self._busy:
            await self.clock.sleep_ms(20)
            if newer is not None and self._began >= newer and not self._busy:
                return
        self._busy = True
        try:
            self._began = began = self.clock.ms()
            blocks = []
            for address, count in self.registers.blocks:
                blocks.append(
                    await self.master.read(self.unit, self.registers.function, address, count)
                )
                self.alive = True
            reading = self.registers.decode(blocks)
            if "energy" not in reading:
                raise ModbusError("the energy register says: not available")
            self._take(reading, began)
        except (ModbusError, OSError) as why:
            self._failed(why)
        finally:
            self._busy = False
            self.alive = True  # after each exchange: `run` may wait for another's poll and its own

    def _failed(self, why):
        self._fails += 1
        self._why = str(why)
        if getattr(why, "code", 0) in (2, 3):  # not so many registers, or none of the gaps
            self.registers.plan_blocks(10, 0)
        if self.error and not self._said:
            self._said = True
            self.log.error("lost: %s", self.error)
        else:
            self.log.debug("%s, unit %d: %s", self.model, self.unit, why)

    def _take(self, reading, began):
        now = self.clock.ms()
        energy = reading["energy"]
        trouble = self._wrong or self._said
        self._fails = 0
        self._said = False
        self._since = now
        if self.last and not self._follows(energy, now, self.last["energy"], self._asked):
            odd = self._odd
            goes_on = odd and self._follows(energy, now, odd[0], odd[1])
            self._odd = (energy, began, odd[2] if goes_on else began)
            if now - self._odd[2] < _NEW_MS:
                text = "energy register went from %d to %d Wh" % (self.last["energy"], energy)
                if not odd:  # once may be a slip; it has to say it again
                    self.log.warning(text)
                elif not self._wrong:
                    self._wrong = text
                    self.log.error("%s: can't be", text)
                return
            self.log.warning("goes on from %d Wh: taken for a new meter", energy)
        elif trouble:
            self.log.info("answers again, %d Wh", energy)
        self._wrong = self._odd = None
        self.last = reading
        self._asked = began

    def _follows(self, energy, now, before, asked):
        """Whether a register can have gone from `before`, asked for at `asked`, to `energy`."""
        most = self.max_w * (now - asked + _MARGIN_MS) // 3600000
        return 0 <= energy - before <= most + self.registers.energy_step_wh(energy)
