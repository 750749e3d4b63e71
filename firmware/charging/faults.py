"""The vendor error codes (guide page 17): when they are raised, held, reported and cleared."""

from collections import namedtuple

from firmware.base.runtime import const

GROUND = const("0x100206")
OVERVOLTAGE = const("0x200206")
UNDERVOLTAGE = const("0x200208")
OVERCURRENT = const("0x100213")
TEMPERATURE = const("0x100102")
METERING = const("0x10020F")
LEAKAGE = const("0x100215")
CABLE = const("0x100218")
LOCK = const("0x100205")
PILOT = const("0x100217")
RELAY = const("0x100208")
TAMPER = const("0x10020C")

# Columns of the guide: `code`, `info` (its description), `unplugging_recovers` (recoverable by
# unplug gun), `needs_service` (need contact service).
# Columns of ours: `error_code` is OCPP's errorCode. A cause must be present for `raise_ms` before
# its code is raised, and absent for `clear_ms` before it counts as gone. `pulses_f`: the pilot
# gives a pulse of state F, because the contactor may not have opened, or because the car does not
# obey the offered current.
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

# The rows are constants, so that they stay in flash; `rows` gives the columns their names.
_TABLE = (
    (GROUND, "Ground fault", True, True, "GroundFailure", 1000, 0, True),
    (OVERVOLTAGE, "Power Input over voltage", True, True, "OverVoltage", 1000, 60000, False),
    (UNDERVOLTAGE, "Power input under voltage", True, True, "UnderVoltage", 3000, 60000, False),
    (OVERCURRENT, "Charging over current", True, True, "OverCurrentFailure", 7000, 0, True),
    (TEMPERATURE, "Cable over temperature", True, False, "HighTemperature", 500, 0, False),
    (METERING, "Metering chip data error", True, True, "PowerMeterFailure", 0, 0, False),
    (LEAKAGE, "Current leakage fault", True, True, "GroundFailure", 0, 0, True),
    (CABLE, "Cable fault", True, True, "OtherError", 500, 0, False),
    (LOCK, "Electronic lock fault", True, True, "ConnectorLockFailure", 0, 0, False),
    (PILOT, "CP signal fault", True, True, "OtherError", 500, 0, False),
    (RELAY, "Relay fault", False, True, "PowerSwitchFailure", 500, 0, True),
    (TAMPER, "Tamper detected", True, False, "OtherError", 500, 0, False),
)

_LATCH = const("faults")  # the store's name for what survives a power cut


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
    """The vendor error codes that are active. `active` holds them, oldest first; any of them stops
    energy.

    A code that unplugging recovers ends when the pilot is in A and the cause is gone. The relay
    fault survives power cuts, and ends at a `reset` when the cause is gone.
    """

    def __init__(self, log, store):
        self.log = log
        self.store = store
        self._cause_since = {}  # code to ms: since when its cause is present
        self._gone_since = {}  # code to ms: since when the cause of an active code is absent
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
        """Whether no code is active and no cause is present: the contactor may close."""
        return not (self.active or self._cause_since)

    @property
    def cause_unconfirmed(self) -> bool:
        """Whether a cause is present, but not yet for long enough to raise its code."""
        return len(self._cause_since) > 0 and any(
            code not in self.active for code in self._cause_since
        )

    def set_cause(self, code: str, present: bool | None, now: int) -> None:
        """Says whether a code's physical cause is present at `now` (ms). None: the measured value
        lies between the threshold that raises the code and the one that ends it, so nothing
        changes."""
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
        """To be called after each step, once the permit has been set: the permit does not wait for
        the flash. Stores the codes that survive a power cut; clears those that unplugging
        recovers, if `unplugged`."""
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
        """A Reset: clears the codes that unplugging does not recover, unless their cause is
        present."""
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
        """The (code, is_raised) of each code that was raised (True) or cleared (False) since the
        last call, oldest first."""
        if not self._events:
            return ()
        events = self._events
        self._events = []
        return events
