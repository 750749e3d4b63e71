"""Properties of the wall clock: whatever it is told, and however often."""

from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.base.times import Clock

NOW = 1800000000

# What happens: the time until then, and what is told: how far from the truth (ms), how long the
# answer took on its way (ms, as long on the way there as on the way back), whether it has ms.
told = st.tuples(
    st.integers(0, 200000),
    st.one_of(st.just(0), st.integers(-3000, 3000), st.integers(-20000000, 20000000)),
    st.integers(0, 40000),
    st.booleans(),
)


class World:
    """A clock and the true time, both in ms."""

    def __init__(self):
        self.true_ms = 0
        self.clock = Clock(1, lambda: self.true_ms)

    def shown(self):
        at = self.clock.ms()
        return (self.clock.epoch_at(at) - NOW) * 1000 + self.clock.fraction_at(at)

    def tell(self, wrong_ms, way_ms, with_ms, may_go_back):
        asked_ms = self.clock.ms()
        self.true_ms += way_ms
        said = NOW * 1000 + self.true_ms + wrong_ms
        self.true_ms += way_ms
        fraction = said % 1000 if with_ms else 0
        return self.clock.set(said // 1000, fraction, asked_ms, may_go_back)


@settings(max_examples=400, deadline=None)
@given(st.lists(told, min_size=1, max_size=12), st.lists(st.integers(0, 5000), max_size=12))
def test_time_never_runs_back_while_a_transaction_runs(events, pauses):
    world = World()
    world.tell(0, 0, True, True)
    world.tell(1, 0, True, True)
    last = world.shown()
    for event, pause in zip(events, pauses + [17] * len(events)):
        world.true_ms += event[0]
        assert world.shown() >= last
        last = world.shown()
        world.tell(*event[1:], False)
        assert world.shown() >= last
        last = world.shown()
        world.true_ms += pause
        assert world.shown() >= last
        last = world.shown()


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 1000), st.lists(st.tuples(st.integers(0, 90000), st.integers(0, 1000))))
def test_it_shows_the_central_systems_time_to_a_tenth_of_a_second(first_way_ms, beats):
    """The clocks agree, the ways there and back take as long as each other, times have ms."""
    world = World()
    world.true_ms = 7 if first_way_ms != 993 else 8  # a fraction of 0 is not known
    world.tell(0, first_way_ms, True, True)
    for pause, way_ms in beats:
        world.true_ms += pause
        world.tell(0, way_ms, True, False)
        assert abs(world.shown() - world.true_ms) <= 100
        world.true_ms += pause // 7
        assert abs(world.shown() - world.true_ms) <= 100


@settings(max_examples=300, deadline=None)
@given(st.integers(-2000, 2000), st.integers(0, 1000), st.integers(1, 999))
def test_within_a_minute_of_a_correction_it_is_right(wrong_ms, way_ms, fraction):
    world = World()
    world.true_ms = fraction
    world.tell(wrong_ms, 0, True, True)
    world.true_ms += 60000
    if (world.true_ms + way_ms) % 1000 == 0:
        world.true_ms += 1
    world.tell(0, way_ms, True, False)
    for _ in range(60):
        world.true_ms += 1000
    assert abs(world.shown() - world.true_ms) <= 2


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 999), st.lists(st.integers(0, 90000), max_size=8))
def test_whole_seconds_leave_it_less_than_a_second_behind(begin, pauses):
    world = World()
    world.true_ms = begin
    world.tell(0, 0, False, True)
    for pause in pauses:
        world.true_ms += pause
        world.tell(0, 0, False, False)
        assert world.clock.epoch() - NOW in (world.true_ms // 1000 - 1, world.true_ms // 1000)
