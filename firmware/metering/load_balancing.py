"""Load balancing: what the house leaves for the car, from the house meter's TIC line.

It is computed afresh from each good frame and never by adding to the last limit, which would wind
up.
"""

from firmware.sensing.pilot import MIN_MA

_MARGIN_MA = 1000
_LOW_FRAMES = 2  # after more frames in a row that leave less than 6 A there is a pause
_PAUSE_MS = 60000  # which lasts so long at least
_LOST_MS = 10000  # so long without a frame, the line is lost
_USED_MA = 500  # a phase that carries less is not in use
_TARIFF_V = 200  # by which the subscribed power is a current


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
    """The limit that the house sets: `limit` in mA, 0 a pause, None while TIC was never seen.

    `seen`: this station has once had a good frame with its present provisioning, so it starts
    at 6 A. `pause_s`: so long without TIC ends in a pause; 0 never does."""

    def __init__(self, clock, seen: bool = False, pause_s: int = 600):
        self.seen = seen
        self.limit = MIN_MA if seen else None
        self._clock = clock
        self._pause_s = pause_s
        self._frame_ms = clock.ms()  # when the newest frame came, or the start
        self._low_frames = 0  # in a row, that leave less than 6 A
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

    def limit_now(self) -> int | None:
        """`limit`, after a look at how long TIC has been silent."""
        if self.limit:
            silent_ms = self._clock.ms() - self._frame_ms
            if silent_ms >= _LOST_MS:
                self.limit = min(self.limit, MIN_MA)
                self._low_frames = 0
            if self._pause_s and silent_ms >= self._pause_s * 1000:
                self.limit = self._pause_until_ms = 0
        return self.limit
