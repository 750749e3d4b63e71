"""Properties of the limit in force, over random profiles, messages and ticks of the controller."""

from hypothesis import given, settings
from hypothesis import strategies as st

from host_tests import virtual
from host_tests.both.profiles_rig import NOW, Station, profile

LIMITS = st.sampled_from([0, 6, 8, 10, 16, 20, 32])
PERIODS = st.lists(st.tuples(st.integers(1, 12), LIMITS), min_size=1, max_size=8)
MESSAGES = st.lists(
    st.tuples(
        st.integers(0, 30),  # seconds since the one before
        st.sampled_from(["set", "set", "set", "clear"]),
        st.integers(0, 2),  # stackLevel
        st.integers(-20, 8),  # startSchedule, from now
        PERIODS,
        st.sampled_from([None, 5, 20]),  # duration
    ),
    min_size=1,
    max_size=6,
)


def charging(messages):
    """What happens in each second: (what the profiles allow, the limit in force, whether profiles
    were changed)."""

    async def work():
        station = Station()
        station.start(7)
        controller = station.limit_controller
        controller.set_limits()
        seen = []

        def look(changed):
            controller.set_limits()
            limit = station.evse.limits.get("profile")
            seen.append((station.limit()[0], 32000 if limit is None else limit, changed))

        for pause, what, level, start, periods, duration in [*messages, (30, "", 0, 0, [], None)]:
            for _ in range(pause):
                station.clock.pass_s(1)
                look(False)
            if what == "set":
                at, made = 0, []
                for length, limit in periods:
                    made.append((at, limit))
                    at += length
                more = {"duration": duration} if duration else {}
                start += station.clock.now
                await station.set(
                    profile(made, level, identity=level, start=max(start, NOW), **more)
                )
                look(True)
            elif what:
                await station.clear(stackLevel=level)
                look(True)
        return seen

    return virtual.run(work())


@settings(max_examples=200, deadline=None)
@given(MESSAGES)
def test_the_limit_in_force(messages):
    seen = charging(messages)
    never_more_than_the_profiles_allow(seen)
    a_limit_is_not_raised_only_to_fall_again(seen)
    what_is_allowed_for_some_seconds_is_given(seen)


def never_more_than_the_profiles_allow(seen):
    """Neither is it ever more, however shortly; so a reduction counts at once."""
    for allowed, limit, _ in seen:
        assert limit <= allowed


def a_limit_is_not_raised_only_to_fall_again(seen):
    """The pilot's duty cannot be lowered within 5 s of being raised."""
    raised = None
    before = 32000
    for second, (_, limit, changed) in enumerate(seen):
        if changed:
            raised = None  # nobody can know what will be sent
        elif limit < before and raised is not None:
            assert second - raised >= 5
        if limit > before:
            raised = second
        before = limit


def what_is_allowed_for_some_seconds_is_given(seen):
    for second in range(8, len(seen)):
        lately = seen[second - 8 : second + 1]
        if len({allowed for allowed, _, _ in lately}) == 1:
            ahead = seen[second : second + 7]
            if all(allowed >= seen[second][0] for allowed, _, _ in ahead) and len(ahead) == 7:
                assert seen[second][1] == seen[second][0]
