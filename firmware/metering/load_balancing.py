"""Load balancing: the current that the house leaves for the car, by the house meter's TIC line.

Each good frame gives the limit anew. It is never the last limit plus a correction, since errors
would add up.
"""

from firmware.base.runtime import const
from firmware.sensing.pilot import MIN_MA
from firmware.sensing.tic import LOST_MS

_MARGIN_MA = const(1000)
_LOW_FRAMES = const(2)  # when more frames in a row leave less than 6 A, charging pauses
_PAUSE_MS = const(60000)  # the shortest pause

_USED_MA = const(500)  # a phase that carries less is not in use
_TARIFF_V = const(200)  # converts the subscribed current to a power


def phase_rotation(text: str, connector: int = 1) -> str:
    """The connector's three letters in ConnectorPhaseRotation ("0.RST,1.TRS"), R for the house's
    phase 1; "" when that is unknown or not applicable."""
    for item in text.split(","):
        number, _, order = item.strip().partition(".")
        if number == str(connector) and sorted(order) == ["R", "S", "T"]:
            return order
    return ""


def available_ma(house: dict, car: list, order: str = "") -> int:
    """The most that the car may draw on each phase, mA; below 0 when the house is over by itself.

    `house` are the facts of one frame (`sensing.tic.house_facts`), `car` the car's mA on each
    phase of the connector by its own meter at that moment, or the offer where there is no meter;
    `order` is what `phase_rotation` gives. On a three-phase house with the order unknown, the
    worst phase counts."""
    most = house["subscribed"] - _MARGIN_MA
    if house["phases"] == 1:
        if house["va"] is None:
            return most - house["i"][0] + max(car)
        volts = max(house["v"][0] // 1000, 100)
        left_va = house["subscribed"] * _TARIFF_V // 1000 - house["va"]
        return left_va * 1000 // volts - _MARGIN_MA + max(car)
    used = [n for n in range(len(car)) if car[n] >= _USED_MA] or range(len(car))
    left = []
    for n in used:
        drawn = house["i"]["RST".index(order[n])] if order else max(house["i"])
        left.append(most - drawn + car[n])
    return min(left)


class LoadBalancer:
    """The limit that the house sets: `limit` in mA, 0 for a pause, None while there was no frame.

    `seen`: this station has had a good frame before, so it starts at 6 A. `pause_s`: after so long
    without a frame charging pauses; 0: never."""

    def __init__(self, clock, seen: bool = False, pause_s: int = 600):
        self.seen = seen
        self.limit = MIN_MA if seen else None
        self._clock = clock
        self._pause_s = pause_s
        self._frame_ms = clock.ms()  # when the newest frame came, or the start
        self._low_frames = 0  # how many frames in a row have left less than 6 A
        self._pause_until_ms = 0

    def follow(self, house: dict, car: list, order: str = "") -> None:
        """A good frame came; the arguments are those of `available_ma`."""
        now = self._frame_ms = self._clock.ms()
        self.seen = True
        limit = self.limit
        if house["subscribed"] is None:  # only short frames yet
            available = 0 if house["overrun"] else MIN_MA
        else:
            available = available_ma(house, car, order)
        if house["overrun"] and limit is not None:
            available = min(available, limit)
        if limit == 0:
            if available >= MIN_MA and now >= self._pause_until_ms:
                self.limit = MIN_MA
        elif available < MIN_MA:
            self._low_frames += 1
            self.limit = MIN_MA
            if self._low_frames > _LOW_FRAMES:
                self.limit = self._low_frames = 0
                self._pause_until_ms = now + _PAUSE_MS
        else:
            self._low_frames = 0
            if limit is None or available < limit:
                self.limit = available
            else:
                self.limit += (available - limit + 3) // 4

    def doubt(self) -> None:
        """The line talks, but no frame can be believed: as if one had been lost."""
        if self.limit is None:
            self.limit = MIN_MA
            self._frame_ms = self._clock.ms()

    def limit_now(self) -> int | None:
        """The limit of this moment; it falls while the line is silent."""
        if self.limit:
            silent_ms = self._clock.ms() - self._frame_ms
            if silent_ms >= LOST_MS:
                self.limit = min(self.limit, MIN_MA)
                self._low_frames = 0
            if self._pause_s and silent_ms >= self._pause_s * 1000:
                self.limit = self._pause_until_ms = 0
        return self.limit
