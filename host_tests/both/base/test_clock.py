"""The wall clock: what it takes from others, to the millisecond, and how it never goes back."""

from firmware.base import times
from firmware.base.times import Clock

NOW = 1800000000  # 2027-01-15T08:00:00Z


class Bench:
    """A clock whose milliseconds are told by the test."""

    def __init__(self, speed=1):
        self.now = 5000
        self.clock = Clock(speed, lambda: self.now)

    def wall_ms(self):
        """The wall clock of now, in ms after NOW."""
        at = self.clock.ms()
        return (self.clock.epoch_at(at) - NOW) * 1000 + self.clock.fraction_at(at)


def test_a_date_time_keeps_its_milliseconds():
    for text, moment in (
        ("2027-01-15T08:00:00Z", (NOW, 0)),
        ("2027-01-15T08:00:00.7Z", (NOW, 700)),
        ("2027-01-15T08:00:00.04+00:00", (NOW, 40)),
        ("2027-01-15T09:00:00.123999999+01:00", (NOW, 123)),
        ("2027-01-15T08:00:00.0009", (NOW, 0)),
    ):
        assert times.parse_moment(text) == moment, text
        assert times.parse(text) == NOW, text
    assert times.text(NOW, 7) == "2027-01-15T08:00:00.007Z"
    assert times.text(NOW, 999) == "2027-01-15T08:00:00.999Z"
    assert times.text(NOW) == times.text(NOW, 0) == "2027-01-15T08:00:00Z"


def test_the_clock_takes_milliseconds_and_half_of_the_round_trip():
    bench = Bench()
    asked_ms = bench.clock.ms()
    bench.now += 600
    assert bench.clock.set(NOW, 400, asked_ms) == 0
    assert bench.wall_ms() == 700
    bench.now += 1234
    assert bench.wall_ms() == 1934
    assert bench.clock.epoch() == NOW + 1


def test_nobody_knows_the_fraction_of_a_time_in_whole_seconds():
    bench = Bench()
    bench.clock.set(NOW)
    bench.now += 700
    assert bench.clock.epoch() == NOW and bench.clock.fraction_at(bench.clock.ms()) == 0
    # A second answer in the same second, and one early in the next, contradict nothing.
    assert bench.clock.set(NOW) == 0
    bench.now += 800
    assert bench.clock.set(NOW + 1) == 0
    bench.now += 400  # NOW + 1.9 by this clock, but by theirs it is NOW + 2 at least
    assert bench.clock.set(NOW + 2) == 100


def test_small_differences_are_corrected_little_by_little():
    for wrong_ms in (-2000, -700, -8, 8, 700, 2000):
        bench = Bench()
        bench.clock.set(NOW, 500)
        bench.now += 10000
        # The clock shows NOW + 10.5 s, and is told that it is `wrong_ms` later or earlier.
        told = 10500 + wrong_ms
        assert bench.clock.set(NOW + told // 1000, told % 1000 or 1) in (wrong_ms, wrong_ms + 1)
        before = bench.wall_ms()
        assert before in (10500, 10501)
        for _ in range(2000):
            bench.now += 10
            after = bench.wall_ms()
            assert 8 <= after - before <= 12, (wrong_ms, after - before)
            before = after
        assert abs(after - (told + 20000)) <= 1, wrong_ms


def test_a_slow_clock_is_set_forward():
    bench = Bench()
    bench.clock.set(NOW, 500)
    bench.now += 10000
    assert bench.clock.set(NOW + 5000, 250, None, False) == 4989750
    assert bench.wall_ms() == 5000250


def test_a_fast_clock_stands_still_until_time_has_caught_up():
    for fast_ms, may_go_back in ((2100, True), (60000, False), (3600000, True), (9000000, False)):
        bench = Bench()
        told = NOW - fast_ms // 1000
        bench.clock.set(NOW, 1)
        bench.now += fast_ms % 1000
        bench.clock.set(told, 1, None, may_go_back)
        shown = bench.wall_ms()
        for _ in range(10):
            bench.now += fast_ms // 10
            assert bench.wall_ms() == shown, fast_ms
        bench.now += 1000
        assert bench.wall_ms() == shown + 1000


def test_a_clock_that_is_fast_by_hours_is_set_back_between_transactions():
    bench = Bench()
    bench.clock.set(NOW, 1)
    assert bench.clock.set(NOW - 9000, 1) == -9000000
    assert bench.wall_ms() == -8999999


def test_a_late_answer_says_less():
    bench = Bench()
    bench.clock.set(NOW, 500)
    asked_ms = bench.clock.ms()
    bench.now += 20000
    # It took 20 s: it was made at any time between NOW + 0.5 and NOW + 20.5 by this clock.
    assert bench.clock.set(NOW + 1, 100, asked_ms) == 0
    assert bench.clock.set(NOW + 19, 100, asked_ms) == 0
    assert bench.clock.set(NOW + 21, 100, asked_ms) == 600


def test_moments_of_before_a_correction_stay_where_they_were():
    bench = Bench()
    bench.clock.set(NOW, 500)
    at = bench.clock.ms()
    bench.now += 10000
    bench.clock.set(NOW + 11, 900)
    for _ in range(20):
        assert bench.clock.epoch_at(at) == NOW and bench.clock.fraction_at(at) == 500
        bench.now += 1000


def test_the_round_trip_is_of_real_time_at_any_speed():
    bench = Bench(10)
    asked_ms = bench.clock.ms()
    bench.now += 100  # a second of the station's time
    bench.clock.set(NOW, 400, asked_ms)
    assert bench.wall_ms() == 450
