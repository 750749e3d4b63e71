"""Properties of load balancing, also through a whole TIC line."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.board.simulated import serial_lines
from firmware.metering.load_balancing import MIN_MA, LoadBalancer, available_ma
from firmware.sensing import tic

EXAMPLES = settings(max_examples=200, deadline=None)
ORDERS = ["".join(p) for p in itertools.permutations("RST")]
MA = st.integers(0, 40000)
SUBSCRIBED = st.sampled_from((10000, 15000, 20000, 30000, 60000))


class Now:
    def __init__(self):
        self.now = 0

    def ms(self):
        return self.now


def facts(draw, subscribed):
    over = max(draw) > subscribed
    return {
        "phases": len(draw),
        "i": draw,
        "v": [230000] * len(draw),
        "va": None,
        "subscribed": subscribed,
        "overrun": over,
    }


def total(other, car, order):
    draw = list(other)
    for n, i in enumerate(car):
        draw["RST".index(order[n])] += i
    return draw


@st.composite
def worlds(draw):
    """(subscribed, the rest of the house at each frame, the car's most a phase, the order)"""
    rest = draw(st.lists(st.tuples(MA, MA, MA), min_size=1, max_size=30))
    car = draw(st.lists(st.integers(6000, 32000), min_size=1, max_size=3))
    return draw(SUBSCRIBED), rest, car, draw(st.sampled_from(ORDERS))


@given(worlds(), st.booleans())
@EXAMPLES
def test_never_above_what_is_left(world, known):
    subscribed, rest, most, order = world
    now = Now()
    balance = LoadBalancer(now)
    low = 0
    for other in rest:
        now.now += 1000
        before = balance.limit_now()
        car = [min(before or 0, i) for i in most]
        house = facts(total(other, car, order), subscribed)
        balance.follow(house, car, order if known else "")
        left = min(subscribed - 1000 - other["RST".index(order[n])] for n in range(len(most)))
        space = available_ma(house, car, order if known else "")
        assert space <= left
        if known:
            assert space == left
        assert balance.limit == 0 or MIN_MA <= balance.limit <= max(MIN_MA, left)
        if before != 0:
            low = low + 1 if min(space, before or space) < MIN_MA else 0
            assert (balance.limit == 0) == (low > 2)
            # a reduction at once and whole, whatever was before: nothing has wound up
            if before and MIN_MA <= space <= before:
                assert balance.limit == space
            elif before and space > before:
                raised = balance.limit - before
                assert raised == 0 if house["overrun"] else 4 * raised - 3 <= space - before
        else:
            low = 0
            assert balance.limit in (0, MIN_MA)


@given(worlds())
@EXAMPLES
def test_converges(world):
    subscribed, rest, most, order = world
    now = Now()
    balance = LoadBalancer(now, seen=True)
    other = rest[0]
    left = min(subscribed - 1000 - other["RST".index(order[n])] for n in range(len(most)))
    for _ in range(120):
        now.now += 1000
        car = [min(balance.limit_now(), i) for i in most]
        balance.follow(facts(total(other, car, order), subscribed), car, order)
    if left < MIN_MA:
        assert balance.limit_now() == 0
    elif max(total(other, car, order)) <= subscribed:  # no phase of the others is over
        assert balance.limit_now() == left


@given(worlds(), st.lists(MA, min_size=3, max_size=3))
@EXAMPLES
def test_history_does_not_matter_for_a_reduction(world, other):
    subscribed, rest, most, order = world
    now = Now()
    old = LoadBalancer(now)
    for before in rest:
        now.now += 1000
        car = [min(old.limit_now() or 0, i) for i in most]
        old.follow(facts(total(before, car, order), subscribed), car, order)
    if old.limit:
        car = [min(old.limit, i) for i in most]
        house = facts(total(other, car, order), subscribed)
        space = available_ma(house, car, order)
        if MIN_MA <= space <= old.limit:
            new = LoadBalancer(now)
            for balance in (old, new):
                balance.follow(house, car, order)
                assert balance.limit == space


@given(
    st.sampled_from((tic.HISTORIQUE, tic.STANDARD)),
    st.sampled_from((1, 3)),
    st.lists(st.lists(st.integers(0, 25000), min_size=3, max_size=3), min_size=1, max_size=4),
    st.integers(6000, 32000),
)
@EXAMPLES
def test_a_house_on_a_tic_line_stays_within_its_subscription(mode, phases, rest, most):
    """In whole amperes, as the meter tells them."""
    now = Now()
    balance = LoadBalancer(now)
    decoder = tic.Decoder(mode)
    for other in rest:
        for turn in range(40):
            now.now += 2000
            car = [min(balance.limit_now() or 0, most)] * phases
            draw = [a + b for a, b in zip(other, car)]
            made = {"i": draw, "v": [230000] * phases, "subscribed": 30000}
            (frame,) = decoder.feed(serial_lines.tic_frame(mode, made))
            balance.follow(tic.house_facts(frame), car, "RST" if phases == 3 else "")
            if turn:  # reacted to what changed
                assert max(draw) <= max(30000, max(other[:phases]) + 6000)
    if balance.limit:
        assert max(draw) <= max(30000, max(other[:phases]) + 6000)


@given(st.lists(MA, min_size=3, max_size=3), st.integers(0, 2), st.integers(6000, 32000))
@EXAMPLES
def test_a_one_phase_car_on_any_phase(other, phase, most):
    order = ORDERS[phase * 2]
    now = Now()
    balance = LoadBalancer(now)
    for _ in range(60):
        now.now += 1000
        car = [min(balance.limit_now() or 0, most)]
        balance.follow(facts(total(other, car, order), 60000), car, order)
    assert balance.limit == 59000 - other["RST".index(order[0])]


@given(st.integers(6000, 12000), st.integers(0, 20000))
@EXAMPLES
def test_a_car_below_its_offer_and_no_meter(drawn, other):
    """Without a meter the offer stands for the car: slower, but the house is never over."""
    now = Now()
    balance = LoadBalancer(now)
    for turn in range(200):
        now.now += 1000
        offer = balance.limit_now() or 0
        car = min(drawn, offer)
        draw = other + car
        balance.follow(facts([draw], 30000), [offer])
        if turn > 40:
            assert draw <= 30000
