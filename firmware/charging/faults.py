"""The vendor error codes (guide page 17): detected, held, told and cleared."""

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

# The guide's columns: code, description, recoverable by unplug gun, need contact service.
# Ours: OCPP errorCode, ms until the cause counts as there, ms until it counts as gone,
# F where the car is told by a pulse of state F (the contactor may not have opened, or the car
# does not keep to what it is told).
TABLE = """
0x100206|Ground fault|Yes|Yes|GroundFailure|1000|0|F
0x200206|Power Input over voltage|Yes|Yes|OverVoltage|1000|60000|
0x200208|Power input under voltage|Yes|Yes|UnderVoltage|3000|60000|
0x100213|Charging over current|Yes|Yes|OverCurrentFailure|7000|0|F
0x100102|Cable over temperature|Yes|No|HighTemperature|500|0|
0x10020F|Metering chip data error|Yes|Yes|PowerMeterFailure|0|0|
0x100215|Current leakage fault|Yes|Yes|GroundFailure|0|0|F
0x100218|Cable fault|Yes|Yes|OtherError|500|0|
0x100205|Electronic lock fault|Yes|Yes|ConnectorLockFailure|0|0|
0x100217|CP signal fault|Yes|Yes|OtherError|500|0|
0x100208|Relay fault|No|Yes|PowerSwitchFailure|500|0|F
0x10020C|Tamper detected|Yes|No|OtherError|500|0|
"""

_LATCH = "faults"  # the store's name for what survives a power cut


def row(code: str) -> list:
    """A code's row as texts. Raises ValueError for a code that the guide does not have."""
    at = TABLE.find("\n" + code + "|") + 1
    if not at:
        raise ValueError("no such vendor error code: %s" % code)
    return TABLE[at : TABLE.find("\n", at)].split("|")


class Faults:
    """What is wrong. `active` holds the codes, oldest first; any of them stops energy.

    A code that unplugging recovers is held until the pilot is back in A with its cause gone. The
    other (relay) survives power cuts until a `reset` with its cause gone. `pulse`: a code that
    asks for state F was raised since the evse looked last.
    """

    def __init__(self, log, store):
        self.log = log
        self.store = store
        self.pulse = False
        self._there = {}  # code to ms: since when its cause is there
        self._gone = {}  # code to ms: since when it seems gone again
        self._raised = {}
        self._events = []
        self._unsaved = False
        latched = store.read(_LATCH)
        self.active = latched.decode().split() if latched else []
        for code in self.active:
            log.warning("%s %s: held until a reset with its cause gone", code, row(code)[1])

    @property
    def clear(self) -> bool:
        """Neither a code nor a cause on its way to one: the contactor may close."""
        return not (self.active or self._there)

    @property
    def pending(self) -> bool:
        """A cause is there and its code not yet."""
        return len(self._there) > 0 and any(code not in self.active for code in self._there)

    def cause(self, code: str, present: bool | None, now: int) -> None:
        """Says whether a code's physical cause is there at `now` (ms). None: between the value
        that raises it and the one that ends it, so it stays what it was."""
        if present is None:
            present = code in self._there and code in self.active
        if present:
            since = self._there.get(code)
            if since is None:
                since = self._there[code] = now
            if code in self._gone:
                del self._gone[code]
            if code not in self.active and now - since >= int(row(code)[5]):
                self._raise(code, now)
        elif code in self._there:
            if code in self.active:
                if code not in self._gone:
                    self._gone[code] = now
                if now - self._gone[code] < int(row(code)[6]):
                    return
                del self._gone[code]
            del self._there[code]

    def _raise(self, code, now):
        cells = row(code)
        self.log.error("%s %s", code, cells[1])
        self.active.append(code)
        self._raised[code] = now
        self._events.append((code, True))
        self.pulse = self.pulse or cells[7] == "F"
        self._unsaved = self._unsaved or cells[2] == "No"

    def update(self, unplugged: bool) -> None:
        """After each step, once the permit has been set: writes what must survive, clears what
        unplugging recovers."""
        if self._unsaved:
            self._unsaved = False
            held = [code for code in self.active if row(code)[2] == "No"]
            if held:
                self.store.write(_LATCH, " ".join(held).encode())
            else:
                self.store.remove(_LATCH)
        if unplugged and self.active:
            self._clear("Yes")

    def reset(self) -> None:
        """A Reset: what unplugging does not recover ends here, unless its cause is there."""
        self._clear("No")
        self.update(False)

    def _clear(self, kind):
        for code in list(self.active):
            if code not in self._there and row(code)[2] == kind:
                self.log.info("%s is over", code)
                self.active.remove(code)
                self._raised.pop(code, None)
                self._events.append((code, False))
                self._unsaved = self._unsaved or kind == "No"

    def since(self, code: str) -> int:
        """The ms at which an active code was raised; 0 when that was before the last start."""
        return self._raised.get(code, 0)

    def drain(self):
        """What was raised (True) and cleared (False) since the last call, oldest first."""
        if not self._events:
            return ()
        events = self._events
        self._events = []
        return events
