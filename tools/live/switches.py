"""What a person has set in the simulated world, so that the page can show it on its switches."""

from __future__ import annotations


class Switches:
    """The settings, by the `sim` commands that the station has accepted. Currents are in A."""

    def __init__(self):
        self.power = True
        self.start()

    def start(self) -> None:
        """A new process: its world is as it was built (firmware/board/simulated/world.py)."""
        self.car = "pause"
        self.draw = 32.0
        self.house = 2.0
        self.tic = "off"
        self.link = "up"
        self.faults: list[str] = []  # the codes whose cause is there, in small letters

    def typed(self, line: str) -> None:
        """A console line that was answered with ok."""
        words = line.split()
        name, values = words[1:2], words[2:]
        if words[:1] != ["sim"] or not name:
            return
        if name[0] in ("ready", "pause", "ventilate"):
            self.car = name[0]
        elif name[0] in ("draw", "house"):
            setattr(self, name[0], int(values[0]) / 1000)
        elif name[0] in ("tic", "link"):
            setattr(self, name[0], values[0])
        elif name[0] == "fault":
            code = values[0].lower()
            self.faults = [other for other in self.faults if other != code]
            if values[1] == "on":
                self.faults.append(code)

    def told(self) -> dict:
        """For the page."""
        return dict(vars(self))
