"""The simulated board: the world's facts as a board senses them, and the outputs that move it."""

from array import array

from firmware.base import runtime
from firmware.base.runtime import const
from firmware.board.simulated import serial_lines
from firmware.board.simulated.world import TIC_HISTORIQUE, TIC_OFF, TIC_STANDARD, World
from firmware.charging import faults as codes
from firmware.sensing.tic import HISTORIQUE, STANDARD

_CAR_ASKS = {"ready": "C", "pause": "B", "ventilate": "D"}  # what the car asks of the pilot
_SETTLE_MS = const(1500)  # after a change of the world, samples come every 20 ms for so long
_SAMPLE_MS = const(20)
_UNIT = const(1)  # the meter's Modbus address
_MOST_ASKED = const(16)  # requests whose answers are kept; the meter's task has a few
_SUBSCRIBED_MA = const(60000)  # of the house, on each phase


class Board(World):
    """The contract is in docs/architecture.md. `registers`: the RegisterMap by which the meter
    answers, None for no meter; `power_off`: ends the process at once; the others as for World."""

    def __init__(self, clock, phases=3, path=None, registers=None, power_off=None):
        super().__init__(clock, phases, path)
        self.registers = registers
        self.power_off = power_off
        self._asked = {}  # requests of the meter's values
        self.burst = array("h", [12000] * 8)
        self.pp_ohm = self.cable_ohm
        self.contactor = self.lock_closed = False
        self.ground_ok = True
        self.adc_error = ""
        self.residual_trip = self.tamper = False
        self.cable_ddeg = self.temp_ddeg

    # Facts

    def read(self) -> None:
        self.advance()
        faults = self.faults
        high = 12000
        if self.plugged:
            high = 9000 if not self.s2 else 6000 if self.ask == "C" else 3000
        low = high
        if codes.PILOT in faults:
            high = low = 0  # CP touches PE
        elif self.output is None:
            high = low = 12000  # nothing hangs on this end
        elif self.output == 0:
            high = low = -12000
        elif self.output < 1000:
            low = -12000 if self.diode or not self.plugged else -high
        burst = self.burst
        if burst[0] != high or burst[7] != low:
            for n in range(8):
                burst[n] = high if n < 4 else low
        self.pp_ohm = 30 if codes.CABLE in faults else self.cable_ohm
        self.contactor = self.closed != (codes.RELAY in faults)
        self.lock_closed = not self._lock_wanted if codes.LOCK in faults else self._lock_closed
        self.ground_ok = codes.GROUND not in faults
        self.residual_trip = codes.LEAKAGE in faults
        self.tamper = codes.TAMPER in faults
        self.cable_ddeg = 800 if codes.TEMPERATURE in faults else self.temp_ddeg

    # Time

    def pause(self, ms: int) -> int:
        """The ms to the next sample that shows something new, at most `ms`."""
        self.advance()
        if self._now - self._changed_ms < _SETTLE_MS:
            ms = min(ms, _SAMPLE_MS)
        for name in self._due:
            ms = min(ms, max(1, self._due[name] - self._now))
        self.keep_permit(ms)
        return ms

    async def wait(self, ms: int) -> None:
        """Until the next sample; earlier when somebody changes the world. A sample that comes late
        is late because this process was busy elsewhere: the station did nothing wrong, and its
        permit holds."""
        self._wake.clear()
        ms = self.pause(ms)
        self.station_waits = True
        try:
            await runtime.wait(self._wake, ms / self.clock.speed)
        finally:
            self.advance()
            self.keep_permit(0)
            self.station_waits = False

    def feed(self, silent: str) -> None:
        """No watchdog here."""

    def crash_record(self) -> str:
        """And nothing that would remember."""
        return ""

    def tic_tune(self, baud: int):
        """The TIC line at another speed."""
        return self.port("tic", baud)

    def port(self, name: str, baud: int = 9600, parity: str = "E"):
        """The serial line of the "meter" or the "tic"."""
        if name == "meter":
            return serial_lines.MeterPort(self)
        return serial_lines.TicPort(self, baud)

    def command(self, arguments: list) -> None:
        """Runs a `sim` command. Raises ValueError saying what is wrong with its arguments."""
        self.advance()
        self._obey(arguments)
        self.settle()

    def _obey(self, arguments):
        """What a person does to the simulated world."""
        name = arguments[0] if arguments else ""
        value = arguments[1] if len(arguments) == 2 else ""
        if name == "fault" and len(arguments) == 3:
            self._fail(arguments[1], arguments[2])
        elif name in ("plug", "unplug") and not value:
            self.plug(name == "plug")
        elif name in _CAR_ASKS and not value:
            self.car_asks(_CAR_ASKS[name])
        elif name == "sleep" and not value:
            self.car_sleeps()
        elif name == "tic" and value in (TIC_HISTORIQUE, TIC_STANDARD, TIC_OFF):
            self.tic_mode = value
        elif name == "power" and value == "off" and self.power_off:
            self.power_off()
        elif name == "draw" and value:
            self.draw_ma = _number(value, 0, 80000)
        elif name == "house" and value:
            self.house_ma = _number(value, 0, 200000)
        elif name == "volt" and value:
            self.volt_mv = _number(value, 0, 500) * 1000
        elif name == "temp" and value:
            self.temp_ddeg = _number(value, -40, 150) * 10
        elif name == "phases" and value in ("1", "3"):
            self.car_phases = int(value)
        else:
            raise ValueError("not understood: sim %s; try help" % " ".join(arguments))

    def _fail(self, text, state):
        """A fault's physical cause is there from now on, or no longer."""
        known = [row.code for row in codes.rows()]
        for code in known:
            if code.lower() == text.lower():
                break
        else:
            raise ValueError("no such code: %s; they are %s" % (text, " ".join(known)))
        if state not in ("on", "off"):
            raise ValueError("on or off, not %s" % state)
        self.set_fault(code, state == "on")

    # The other ends of the serial lines

    def answer_meter(self, request: bytes) -> bytes:
        """The meter's answer to a Modbus frame, b"" for none."""
        if not self.registers or codes.METERING in self.faults:
            return b""
        asked = self._asked.get(request)
        if not asked:
            if len(self._asked) >= _MOST_ASKED:
                self._asked.clear()
            asked = self._asked[request] = serial_lines.Asked(self.registers, request)
        shows = self.meter_shows(asked.has_counters)
        if shows != asked.shows:
            asked.shows = shows
            asked.frame = serial_lines.meter_answer(self.registers, _UNIT, request, self.reading())
        return asked.frame

    def tic_frame(self) -> list:
        """One TIC frame of the house, in the mode of its line, in pieces."""
        house = self.house()
        phases = range(1, self.mains + 1)
        facts = {
            "i": [house["i%d" % n] for n in phases],
            "v": [house["v%d" % n] for n in phases],
            "subscribed": _SUBSCRIBED_MA,
            "energy": house["energy"],
        }
        mode = HISTORIQUE if self.tic_mode == TIC_HISTORIQUE else STANDARD
        return serial_lines.tic_frame_pieces(mode, facts)


def _number(text, low, high):
    digits = text[1:] if text[:1] == "-" else text
    if not digits.isdigit() or not low <= int(text) <= high:
        raise ValueError("a whole number from %d to %d, not %s" % (low, high, text))
    return int(text)
