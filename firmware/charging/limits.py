"""What bounds the offered current: the least of named limits, and who it is."""


class Limits:
    """Limits in mA on each phase: imax_user, cable, tic, temperature, profile...

    `who` names the one that limits. Below 6000 there is no duty for it: a pause.
    """

    def __init__(self):
        self._named = {}
        self._least = 0
        self.who = ""

    def set(self, name: str, ma: int | None) -> None:
        """Sets or, with None, lifts a limit."""
        if self._named.get(name) == ma:
            return
        if ma is None:
            del self._named[name]
        else:
            self._named[name] = ma
        self._least = 0
        self.who = ""
        for name in sorted(self._named):
            if not self.who or self._named[name] < self._least:
                self.who = name
                self._least = self._named[name]

    def get(self, name: str) -> int | None:
        return self._named.get(name)

    def least(self) -> int:
        """mA; 0 while no limit at all is known: a station that was never told offers nothing."""
        return self._least

    def all(self) -> dict:
        """Name to mA."""
        return dict(self._named)
