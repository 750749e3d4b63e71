"""Load balancing: room by phase, reductions at once, pauses, a lost TIC."""

from firmware.charging.evse import Limits
from firmware.metering.load_balancing import LoadBalancer, available_ma, phase_rotation
from firmware.smart_charging.controller import LimitController
from host_tests.both.memory_files import MemoryStore


class Now:
    def __init__(self):
        self.now = 5000

    def ms(self):
        return self.now


def house(i, subscribed=30000, va=None, overrun=False):
    return {
        "phases": len(i),
        "i": i,
        "v": [230000] * len(i),
        "va": va,
        "subscribed": subscribed,
        "overrun": overrun,
    }


def follow(balance, other, car_most, frames, order="", subscribed=30000, metered=True):
    """A car that takes what it is offered up to its most; returns the limit after each frame."""
    limits = []
    for _ in range(frames):
        offer = balance.limit_now() or 0
        car = [min(offer, most) if offer >= 6000 else 0 for most in car_most]
        draw = list(other)
        for n, i in enumerate(car):
            draw["RST".index(order[n]) if order else n] += i
        balance._clock.now += 1000
        seen = car if metered else [offer] * len(car)
        balance.follow(house(draw, subscribed, overrun=max(draw) > subscribed), seen, order)
        limits.append(balance.limit)
    return limits


def test_rotation():
    assert phase_rotation("1.RST") == "RST"
    assert phase_rotation("0.RST,1.STR") == "STR"
    assert phase_rotation("0.RST, 1.TRS ,2.RTS") == "TRS"
    assert phase_rotation("0.RST,2.STR") == ""
    for text in ("", "Unknown", "1.Unknown", "1.NotApplicable", "1.RRS", "1.RSTT"):
        assert phase_rotation(text) == ""


def test_room_of_a_single_phase_house():
    assert available_ma(house([12000]), [0]) == 30000 - 1000 - 12000
    assert available_ma(house([12000]), [10000]) == 30000 - 1000 - 2000
    # VA against VA: 30 A are 6000 VA; 3000 VA drawn leave 3000 VA, 13043 mA at 230 V, less 1 A
    assert available_ma(house([13000], va=3000), [0]) == 12043
    assert available_ma(house([13000], va=3000), [10000]) == 22043
    assert available_ma(house([40000], va=9200), [0]) < 0


def test_a_one_phase_car_on_each_phase_of_a_three_phase_house():
    draw = [20000, 5000, 11000]
    for phase in range(3):
        order = ("RST", "STR", "TRS")[phase]
        assert available_ma(house(draw), [0], order) == 29000 - draw[phase]
        assert available_ma(house(draw), [4000], order) == 33000 - draw[phase]
        # a three-phase station whose meter shows that the car uses one phase only
        assert available_ma(house(draw), [4000, 0, 100], order) == 33000 - draw[phase]
    assert available_ma(house(draw), [4000]) == 33000 - 20000  # unknown: the worst
    assert available_ma(house(draw), [0, 0, 0], "RST") == 9000  # nothing drawn yet: all three


def test_a_three_phase_car():
    draw = [20000, 15000, 11000]
    assert available_ma(house(draw), [10000, 10000, 9000], "RST") == min(19000, 24000, 27000)
    assert available_ma(house(draw), [10000, 10000, 9000], "TRS") == min(28000, 19000, 23000)
    assert available_ma(house(draw), [10000, 10000, 9000]) == 18000


def test_each_phase_converges_for_a_one_phase_car():
    for order in ("RST", "STR", "TRS"):
        balance = LoadBalancer(Now())
        other = [21000, 3000, 13000]
        limits = follow(balance, other, [32000], 40, order)
        assert limits[-1] == 29000 - other["RST".index(order[0])]
        assert all(a <= b for a, b in zip(limits, limits[1:]))


def test_a_car_below_its_offer_gives_back_at_once():
    # 10 A of an offered 28: the next frame's limit is right, no 18 A of cuts have to pass
    balance = LoadBalancer(Now())
    assert follow(balance, [1000], [10000], 30)[-1] == 28000
    balance._clock.now += 1000
    balance.follow(house([25000 + 10000], overrun=True), [10000])
    assert balance.limit == 6000
    balance = LoadBalancer(Now())
    follow(balance, [1000], [10000], 30)
    balance._clock.now += 1000
    balance.follow(house([15000 + 10000]), [10000])
    assert balance.limit == 14000


def test_a_reduction_at_once_and_an_increase_by_quarters():
    balance = LoadBalancer(Now())
    balance.follow(house([20000]), [0])
    assert balance.limit == 9000
    balance.follow(house([1000]), [0])
    assert balance.limit == 9000 + 19000 // 4
    balance.follow(house([18000]), [0])
    assert balance.limit == 11000


def test_a_pause_after_more_than_two_frames_and_a_retry():
    now = Now()
    balance = LoadBalancer(now)
    for limit in (6000, 6000, 0, 0):
        balance.follow(house([26000]), [0])
        assert balance.limit == limit
        now.now += 1000
    begun = now.now - 2000
    while now.now < begun + 60000:
        balance.follow(house([5000]), [0])
        assert balance.limit == 0
        now.now += 1000
    balance.follow(house([24000]), [0])
    assert balance.limit == 0  # still no room
    balance.follow(house([5000]), [0])
    assert balance.limit == 6000
    balance.follow(house([11000]), [6000])
    assert balance.limit == 6000 + 18000 // 4


def test_two_low_frames_are_no_pause():
    balance = LoadBalancer(Now())
    for draw in (26000, 26000, 10000, 26000, 26000, 10000):
        balance.follow(house([draw]), [0])
        assert balance.limit >= 6000


def test_overrun_never_raises():
    balance = LoadBalancer(Now())
    balance.follow(house([20000]), [0])
    balance.follow(house([2000], overrun=True), [0])
    assert balance.limit == 9000


def test_a_station_that_never_saw_tic_has_no_limit():
    now = Now()
    balance = LoadBalancer(now)
    now.now += 3600000
    assert balance.limit_now() is None and not balance.seen
    balance.follow(house([2000]), [0])
    assert balance.seen


def test_lost_tic():
    now = Now()
    balance = LoadBalancer(now, pause_s=300)
    balance.follow(house([2000]), [0])
    now.now += 9999
    assert balance.limit_now() == 27000
    now.now += 1
    assert balance.limit_now() == 6000
    now.now += 289999
    assert balance.limit_now() == 6000
    now.now += 1
    assert balance.limit_now() == 0
    balance.follow(house([2000]), [0])
    assert balance.limit == 6000  # no waiting: the house was never over
    balance = LoadBalancer(now, pause_s=0)
    balance.follow(house([2000]), [0])
    now.now += 86400000
    assert balance.limit_now() == 6000


def test_a_pause_outlasts_a_lost_tic():
    now = Now()
    balance = LoadBalancer(now)
    for _ in range(3):
        balance.follow(house([40000], overrun=True), [0])
    now.now += 20000
    assert balance.limit_now() == 0


def test_start_of_a_station_that_has_seen_tic():
    now = Now()
    balance = LoadBalancer(now, seen=True, pause_s=300)
    assert balance.limit_now() == 6000
    now.now += 300000
    assert balance.limit_now() == 0
    balance.follow(house([2000]), [0])
    assert balance.limit_now() == 6000


def test_a_restart_under_overload():
    # three-phase historique: the first frames are short ones and tell no subscription
    now = Now()
    balance = LoadBalancer(now, seen=True)
    limits = []
    for _ in range(3):
        now.now += 650
        balance.follow(house([38000, 4000, 4000], None, overrun=True), [6000, 0, 0], "RST")
        limits.append(balance.limit_now())
    assert limits == [6000, 6000, 0]
    balance = LoadBalancer(now, seen=True)
    balance.follow(house([20000, 4000, 4000], None), [6000, 0, 0], "RST")
    assert balance.limit_now() == 6000  # the minute after: nothing known, nothing wrong
    # with whole frames
    balance = LoadBalancer(now, seen=True)
    limits = follow(balance, [26000, 4000, 4000], [16000] * 3, 5, "RST")
    assert limits == [6000, 6000, 0, 0, 0]
    balance = LoadBalancer(now, seen=True)
    limits = follow(balance, [20000, 4000, 4000], [16000] * 3, 40, "RST")
    assert limits[-1] == 9000 and max(limits) == 9000


class Around:
    """What a LimitController looks at: a car that is offered 32 A on three phases."""

    def __init__(self, reading):
        self.clock = Now()
        self.last = reading
        self.phases = 3
        self.offered_ma = 32000
        self.limits = Limits()
        self.mode = 0
        self.doubted = False
        self.running = self.on_frame = None

    def int(self, name):
        return {"IMaxUser": 32, "PhaseNumber": 3}[name]

    def get(self, name):
        return "NotApplicable"


def given(reading):
    """The limit after frames of a house of 40 A, 28 of which on the fullest phase."""
    a = Around(reading)
    LimitController(a, a, a, a, a, a, a.clock, MemoryStore())
    for _ in range(60):
        a.clock.now += 1000
        a.on_frame(house([28000, 20000, 20000], 40000))
    return a.limits.get("tic")


def test_a_meter_without_currents_tells_the_cars_share_by_its_power():
    drawn = 10000  # of the 32 A offered
    by_current = given({"i1": drawn, "i2": drawn, "i3": drawn, "power": 69000})
    assert by_current == 40000 - 1000 - 28000 + drawn
    assert given({"power": 69000}) == by_current
    assert given({"power": 69000 * 9}) == 40000 - 1000 - 28000 + 32000  # never above the offer
    assert given(None) == 40000 - 1000 - 28000 + 32000  # lost: the offer stands for the car
