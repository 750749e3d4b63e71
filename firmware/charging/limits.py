"""What bounds the offered current: the least of named limits, and which one it is."""

_NOMINAL_V = 230  # by which power and current are one another


def current_ma(power_dw: int, phases: int) -> int:
    """The mA on each of the phases that make this power, 0.1 W."""
    return power_dw * 100 // (_NOMINAL_V * phases)


def power_dw(ma: int, phases: int) -> int:
    """The power in 0.1 W of so many mA on each of the phases."""
    return ma * _NOMINAL_V * phases // 100


class Limits:
    """Limits in mA on each phase: imax_user, cable, tic, temperature, profile...

    `limited_by` names the least of them, "" while there is none. Below 6000 mA no duty cycle
    stands for it: charging pauses.
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
        """mA; 0 while no limit at all is known: a station that was never told offers nothing."""
        return self._least

    def all(self) -> dict:
        """All limits, name to mA."""
        return dict(self._limits)
