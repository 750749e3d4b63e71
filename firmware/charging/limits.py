"""The limits of the offered current: each has a name, and the lowest one counts."""

_NOMINAL_V = 230  # converts power to current and back


def current_ma(power_dw: int, phases: int) -> int:
    """The current in mA on each of so many phases that makes this power, in 0.1 W."""
    return power_dw * 100 // (_NOMINAL_V * phases)


def power_dw(ma: int, phases: int) -> int:
    """The power in 0.1 W that a current of `ma` makes on each of so many phases."""
    return ma * _NOMINAL_V * phases // 100


class Limits:
    """Limits in mA on each phase: imax_user, cable, tic, temperature, profile...

    `limited_by` names the lowest of them, "" while there is none. No duty cycle can offer less
    than 6000 mA: charging pauses below.
    """

    def __init__(self):
        self._limits = {}
        self._least = 0
        self.limited_by = ""

    def set(self, name: str, ma: int | None) -> None:
        """Sets or, with None, lifts a limit."""
        if self._limits.get(name) == ma:
            return
        if ma is None:
            del self._limits[name]
        else:
            self._limits[name] = ma
        self._least = 0
        self.limited_by = ""
        for name in sorted(self._limits):
            if not self.limited_by or self._limits[name] < self._least:
                self.limited_by = name
                self._least = self._limits[name]

    def get(self, name: str) -> int | None:
        """A limit in mA; None while it is not set."""
        return self._limits.get(name)

    def least(self) -> int:
        """The lowest limit in mA; 0 while no limit is set, since a station that does not know its
        circuit offers nothing."""
        return self._least

    def all(self) -> dict:
        """All limits, name to mA."""
        return dict(self._limits)
