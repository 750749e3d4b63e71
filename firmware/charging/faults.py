"""The vendor error codes (guide page 17): detected, held, told and cleared."""

from collections import namedtuple

GROUND = "0x100206"
OVERVOLTAGE = "0x200206"
UNDERVOLTAGE = "0x200208"
OVERCURRENT = "0x100213"
TEMPERATURE = "0x100102"
METERING = "0x10020F"
LEAKAGE = "0x100215"
CABLE = "0x100218"
LOCK = "0x100205"
PILOT = "0x100217"
RELAY = "0x100208"
TAMPER = "0x10020C"

# The guide's columns: `code`, `info` (its description), `unplugging_recovers` (recoverable by
# unplug gun), `needs_service` (need contact service). Ours: `error_code` is OCPP's errorCode,
# `raise_ms` how long the cause is there until the code is raised, `clear_ms` how long it is gone
# until that counts, `pulses_f` whether the car is told by a pulse of state F (the contactor may
# not have opened, or the car does not keep to what it is told).
VendorError = namedtuple(
    "VendorError",
    (
        "code",
        "info",
        "unplugging_recovers",
        "needs_service",
        "error_code",
        "raise_ms",
        "clear_ms",
        "pulses_f",
    ),
)

# Constants, which take no heap in a frozen image: a row gets its names when it is looked up.
_TABLE = (
    ("0x100206", "Ground fault", True, True, "GroundFailure", 1000, 0, True),
    ("0x200206", "Power Input over voltage", True, True, "OverVoltage", 1000, 60000, False),
    ("0x200208", "Power input under voltage", True, True, "UnderVoltage", 3000, 60000, False),
    ("0x100213", "Charging over current", True, True, "OverCurrentFailure", 7000, 0, True),
    ("0x100102", "Cable over temperature", True, False, "HighTemperature", 500, 0, False),
    ("0x10020F", "Metering chip data error", True, True, "PowerMeterFailure", 0, 0, False),
    ("0x100215", "Current leakage fault", True, True, "GroundFailure", 0, 0, True),
    ("0x100218", "Cable fault", True, True, "OtherError", 500, 0, False),
    ("0x100205", "Electronic lock fault", True, True, "ConnectorLockFailure", 0, 0, False),
    ("0x100217", "CP signal fault", True, True, "OtherError", 500, 0, False),
    ("0x100208", "Relay fault", False, True, "PowerSwitchFailure", 500, 0, True),
    ("0x10020C", "Tamper detected", True, False, "OtherError", 500, 0, False),
)

_LATCH = "faults"  # the store's name for what survives a power cut


def rows():
    """Yields all rows, in the guide's order."""
    for cells in _TABLE:
        yield VendorError(*cells)


def row(code: str) -> VendorError:
    """A code's row. Raises ValueError for a code that the guide does not have."""
    for found in rows():
        if found.code == code:
            return found
    raise ValueError("no such vendor error code: %s" % code)


class Faults:
    """What is wrong. `active` holds the codes, oldest first; any of them stops energy.

    A code that unplugging recovers is held until the pilot is back in A with its cause gone. The
    other (relay) survives power cuts until a `reset` with its cause gone.
    """

    def __init__(self, log, store):
        self.log = log
        self.store = store
        self._cause_since = {}  # code to ms: since when its cause is there
        self._gone_since = {}  # code to ms: since when the cause of an active code seems gone
        self._raised = {}  # code to ms
        self._events = []
        self._pulse_f = False  # a code that asks for state F was raised
        self._unsaved = False
        latched = store.read(_LATCH)
        self.active = latched.decode().split() if latched else []
        for code in self.active:
            log.warning("%s %s: held until a reset with its cause gone", code, row(code).info)

    @property
    def nothing_wrong(self) -> bool:
        """Neither a code nor a cause on its way to one: the contactor may close."""
        return not (self.active or self._cause_since)

    @property
    def cause_unconfirmed(self) -> bool:
        """A cause is there, but not yet for long enough to raise its code."""
        return len(self._cause_since) > 0 and any(
            code not in self.active for code in self._cause_since
        )

    def set_cause(self, code: str, present: bool | None, now: int) -> None:
        """Says whether a code's physical cause is there at `now` (ms). None: between the value
        that raises it and the one that ends it, so it stays what it was."""
        if present is None:
            present = code in self._cause_since and code in self.active
        if present:
            since = self._cause_since.get(code)
            if since is None:
                since = self._cause_since[code] = now
            if code in self._gone_since:
                del self._gone_since[code]
            if code not in self.active and now - since >= row(code).raise_ms:
                self._raise(code, now)
        elif code in self._cause_since:
            if code in self.active:
                if code not in self._gone_since:
                    self._gone_since[code] = now
                if now - self._gone_since[code] < row(code).clear_ms:
                    return
                del self._gone_since[code]
            del self._cause_since[code]

    def _raise(self, code, now):
        error = row(code)
        self.log.error("%s %s", code, error.info)
        self.active.append(code)
        self._raised[code] = now
        self._events.append((code, True))
        self._pulse_f = self._pulse_f or error.pulses_f
        self._unsaved = self._unsaved or not error.unplugging_recovers

    def take_pulse(self) -> bool:
        """Whether a code that asks for a pulse of state F was raised since the last call."""
        pulse = self._pulse_f
        self._pulse_f = False
        return pulse

    def update(self, unplugged: bool) -> None:
        """After each step, once the permit has been set: writes what must survive, clears what
        unplugging recovers."""
        if self._unsaved:
            self._unsaved = False
            held = [code for code in self.active if not row(code).unplugging_recovers]
            if held:
                self.store.write(_LATCH, " ".join(held).encode())
            else:
                self.store.remove(_LATCH)
        if unplugged and self.active:
            self._clear(True)

    def reset(self) -> None:
        """A Reset: what unplugging does not recover ends here, unless its cause is there."""
        self._clear(False)
        self.update(False)

    def _clear(self, by_unplugging):
        for code in list(self.active):
            if code not in self._cause_since and row(code).unplugging_recovers == by_unplugging:
                self.log.info("%s is over", code)
                self.active.remove(code)
                self._raised.pop(code, None)
                self._events.append((code, False))
                self._unsaved = self._unsaved or not by_unplugging

    def since(self, code: str) -> int:
        """The ms at which an active code was raised; 0 when that was before the last start."""
        return self._raised.get(code, 0)

    def drain(self):
        """(code, raised) of what was raised (True) and cleared (False) since the last call,
        oldest first."""
        if not self._events:
            return ()
        events = self._events
        self._events = []
        return events
