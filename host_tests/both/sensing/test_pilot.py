"""The pilot's levels, states and duty, and the proximity contact: the windows and both ranges."""

from array import array

from firmware.sensing import pilot


def burst(high, low, highs, total):
    """A burst of `total` samples of which `highs` caught the high part."""
    return array("h", [high] * highs + [low] * (total - highs))


def test_levels_of_the_narrowest_pulse():
    assert pilot.levels(burst(6000, -12000, 10, 100)) == (6000, -12000)
    assert pilot.levels(burst(6000, -12000, 3, 100)) == (6000, -12000)
    assert pilot.levels(burst(9000, 9000, 50, 100)) == (9000, 9000)


def test_one_spike_changes_nothing():
    for spike in (-15000, 0, 15000):
        for at in (0, 5, 50, 99):
            samples = burst(6000, -12000, 10, 100)
            if 10 > at and spike < 6000 or at >= 10:
                samples[at] = spike
            assert pilot.levels(samples) == (6000, -12000)


def test_windows_are_a_volt_each_side():
    for state, nominal in (("A", 12000), ("B", 9000), ("C", 6000), ("D", 3000), ("E", 0)):
        for mv in (nominal - 1000, nominal, nominal + 1000):
            assert pilot.classify(mv, mv, False) == state
            assert pilot.classify(mv, -12000, True) == state
        assert pilot.classify(nominal - 1001, -12000, True) == ""
        assert pilot.classify(nominal + 1001, -12000, True) == ""
    assert pilot.classify(-12000, -12000, False) == "F"
    assert pilot.classify(-11000, -12000, True) == "F"
    for mv in (-10999, -13001, -1001, 13001, 32767, -32768):
        assert pilot.classify(mv, mv, False) == ""


def test_the_diode_shows_under_pwm_only():
    for mv in (12000, 9000, 6000, 3000):
        assert pilot.classify(mv, -9999, True) == ""
        assert pilot.classify(mv, -10000, True) != ""
        assert pilot.classify(mv, mv, False) != ""
    assert pilot.classify(0, 0, True) == "E"


def test_duty_of_both_ranges():
    assert pilot.duty(6000) == 100
    assert pilot.duty(16000) == 266
    assert pilot.duty(32000) == 533
    assert pilot.duty(51000) == 850
    assert pilot.duty(60000) == 880
    assert pilot.duty(80000) == 960
    assert pilot.duty(200000) == 960
    for ma in (5999, 0, -1):
        assert pilot.duty(ma) == 1000


def test_current_of_a_duty():
    assert pilot.current(1000) == pilot.current(0) == pilot.current(50) == 0
    assert pilot.current(80) == pilot.current(100) == 6000
    assert pilot.current(266) == 15960
    assert pilot.current(850) == 51000
    assert pilot.current(960) == pilot.current(970) == 80000
    assert pilot.current(971) == 0


def test_duty_never_allows_more_and_hardly_less():
    for ma in range(6000, 80001, 10):
        allowed = pilot.current(pilot.duty(ma))
        assert ma - 1800 <= allowed <= ma
        if not 51000 < ma < 52750:  # there the two ranges overlap
            assert ma - 250 < allowed


def test_proximity_resistors():
    rows = ((1500, 13000), (680, 20000), (220, 32000), (100, 63000))
    for ohm, ma in rows:
        for tolerance in (-3, 0, 3):
            assert pilot.pp_limit(ohm + ohm * tolerance // 100) == ma
    assert pilot.pp_limit(0) == pilot.pp_limit(74) == 0
    assert pilot.pp_limit(75) == 63000
    assert pilot.pp_limit(2201) is None
    assert pilot.pp_limit(99999) is None
