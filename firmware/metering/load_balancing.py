"""Load balancing: what the house leaves for the car, from the meter's TIC line.

Computed afresh from each good frame and never by adding to the last limit, which would wind up.
"""

from firmware.sensing.pilot import MIN_MA

_MARGIN_MA = 1000
_LOW_FRAMES = 2  # below 6 A for more than these: pause
_RETRY_MS = 60000
_LOST_MS = 10000
_USED_MA = 500  # a phase with less is not in use


def rotation(text: str, connector: int = 1) -> str:
    """The connector's three letters in ConnectorPhaseRotation ("0.RST,1.TRS"), R for the house's
    phase 1; "" when that is unknown or not applicable."""
    for item in text.split(","):
        number, _, order = item.strip().partition(".")
        if number == str(connector) and sorted(order) == ["R", "S", "T"]:
            return order
    return ""


def room(house: dict, car: list, order: str = "") -> int:
    """The most that the car may draw on each phase, mA; below 0 when the house is over by itself.

    `house` are the facts of one frame (`sensing.tic.house`), `car` the car's mA on each phase of
    the connector by its own meter at that moment, or the offer where there is no meter; `order`
    what `rotation` gives. On a three-phase house with the order unknown: the worst phase."""
    most = house["subscribed"] - _MARGIN_MA
    if house["phases"] == 1:
        if house["va"] is None:
            return most - house["i"][0] + max(car)
        volts = max(house["v"][0] // 1000, 100)
        left = (house["subscribed"] // 5 - house["va"]) * 1000 // volts  # VA against VA, at 200 V
        return left - _MARGIN_MA + max(car)
    used = [n for n in range(len(car)) if car[n] >= _USED_MA] or range(len(car))
    rooms = []
    for n in used:
        if order:
            rooms.append(most - house["i"]["RST".index(order[n])] + car[n])
        else:
            rooms.append(most - max(house["i"]) + car[n])
    return min(rooms)


class Balance:
    """The limit that the house sets: `limit` in mA, 0 a pause, None while TIC was never seen.

    `seen`: this station has once had a good frame with its present provisioning, so it starts
    at 6 A. `pause_s`: so long without TIC ends in a pause; 0 never does."""

    def __init__(self, clock, seen: bool = False, pause_s: int = 600):
        self._clock = clock
        self.pause_s = pause_s
        self.seen = seen
        self.limit = MIN_MA if seen else None
        self._last = clock.ms()  # the newest frame, or the start
        self._low = 0  # frames with less than 6 A, in a row
        self._retry = 0  # when a pause may end

    def frame(self, house: dict, car: list, order: str = "") -> None:
        """A good frame came; arguments as for `room`."""
        now = self._last = self._clock.ms()
        self.seen = True
        limit = self.limit
        if house["subscribed"] is None:  # only short frames yet
            space = 0 if house["overrun"] else MIN_MA
        else:
            space = room(house, car, order)
        if house["overrun"] and limit is not None:
            space = min(space, limit)
        if limit == 0:
            if space >= MIN_MA and now >= self._retry:
                self.limit = MIN_MA
        elif space < MIN_MA:
            self._low += 1
            self.limit = MIN_MA
            if self._low > _LOW_FRAMES:
                self.limit = self._low = 0
                self._retry = now + _RETRY_MS
        else:
            self._low = 0
            if limit is None or space < limit:
                self.limit = space
            else:
                self.limit += (space - limit + 3) // 4

    def step(self) -> int | None:
        """The limit now; called each second or so, since a lost TIC brings no frame."""
        if self.limit:
            now = self._clock.ms()
            if now - self._last >= _LOST_MS:
                self.limit = min(self.limit, MIN_MA)
                self._low = 0
            if self.pause_s and now - self._last >= self.pause_s * 1000:
                self.limit = self._retry = 0
        return self.limit
