"""The pilot under noise: whatever the duty, the phase and the noise, the state is right.

Up to 60 A, where a tenth of the period is low; 80 A would need bursts of 200 samples.
"""

from __future__ import annotations

from array import array

from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.sensing import pilot

LEVEL = {"A": 12000, "B": 9000, "C": 6000, "D": 3000, "E": 0}
NOISE = st.lists(st.integers(-400, 400), min_size=100, max_size=128)


def sampled(high, low, duty, phase_us, step_us, noise):
    """A burst that is synchronous to nothing: a sample every `step_us` of a 1 ms period."""
    samples = array("h")
    for n, error in enumerate(noise):
        at = (phase_us + n * step_us) % 1000
        samples.append((high if at < duty else low) + error)
    return samples


@settings(max_examples=300, deadline=None)
@given(
    state=st.sampled_from("ABCDE"),
    ma=st.integers(6000, 60000),
    phase=st.integers(0, 999),
    step=st.integers(17, 97).filter(lambda us: us % 2 and us % 5),
    noise=NOISE,
    tilt=st.integers(-500, 500),
)
def test_state_under_noise_and_any_duty(state, ma, phase, step, noise, tilt):
    low = 0 if state == "E" else -12000
    burst = sampled(LEVEL[state] + tilt, low, pilot.duty(ma), phase, step, noise)
    assert pilot.classify(*pilot.levels(burst), True) == state


@settings(max_examples=200, deadline=None)
@given(
    state=st.sampled_from("BCD"),
    low=st.integers(-9500, 3000),
    ma=st.integers(6000, 60000),
    phase=st.integers(0, 999),
    noise=NOISE,
)
def test_a_missing_diode_is_never_a_state(state, low, ma, phase, noise):
    burst = sampled(LEVEL[state], low, pilot.duty(ma), phase, 31, noise)
    assert pilot.classify(*pilot.levels(burst), True) == ""


@settings(max_examples=200, deadline=None)
@given(
    state=st.sampled_from("ABCDE"),
    noise=NOISE,
    spike=st.integers(-32768, 32767),
    at=st.integers(0, 99),
)
def test_one_spike_under_noise(state, noise, spike, at):
    steady = array("h", [LEVEL[state] + error for error in noise])
    steady[at] = spike
    assert pilot.classify(*pilot.levels(steady), False) == state


@given(st.lists(st.integers(-32768, 32767), min_size=3, max_size=200), st.booleans())
def test_any_burst_has_a_state_or_none(samples, pwm):
    high, low = pilot.levels(array("h", samples))
    assert low <= high or len(samples) < 6
    ranks = sorted(samples)
    assert (high, low) == ((ranks[-2] + ranks[-3]) // 2, (ranks[1] + ranks[2]) // 2)
    assert pilot.classify(high, low, pwm) in ("", "A", "B", "C", "D", "E", "F")


@given(st.integers(0, 1100))
def test_current_and_duty_agree(permille):
    ma = pilot.current(permille)
    assert ma == 0 or 6000 <= ma <= 80000
    if 100 <= permille <= 850:
        assert pilot.duty(ma) == permille
