"""The pilot's breaks and the switching of phases."""

from host_tests.both.charger_rig import Rig

# F, waking


def test_f_is_a_pulse_and_then_steady():
    for code, pulses in (("0x100215", 1), ("0x100206", 1), ("0x10020C", 0)):
        rig = Rig().charge()
        rig.sim("fault %s on" % code)
        rig.run(20000)
        assert rig.faults.active == [code]
        assert len(rig.times("pilot", 0)) == pulses
        assert rig.evse.duty == 1000 and rig.board.output == 1000
        if pulses:
            f = rig.times("pilot", 0)[0]
            after = [at for at in rig.times("pilot", 1000) if at > f][0]
            assert 300 <= after - f <= 1000
            assert rig.times("permit", False)[0] <= f
        rig.sim("unplug")
        rig.run(1000)
        assert rig.evse.pilot == "A"  # a held F would hide it


def test_no_f_without_a_car():
    rig = Rig()
    rig.sim("fault 0x100215 on")
    rig.run(5000)
    assert rig.faults.active and not rig.outputs()


def test_a_sleeping_car_is_woken_once():
    rig = Rig()
    rig.sim("plug", "sleep", "ready")
    rig.evse.enabled = True
    rig.run(29000)
    assert rig.evse.pilot == "B" and not rig.times("pilot", None) and rig.evse.offered_ma == 32000
    rig.run(10000)
    broken = rig.times("pilot", None)
    back = [at for at in rig.times("pilot", 1000) if at > broken[0]]
    assert len(broken) == 1 and back[0] - broken[0] == 4000
    assert rig.evse.offered_ma == 32000 and rig.evse.plugged
    rig.run(5000)
    assert rig.evse.contactor
    assert rig.times("pilot", 533)[1] - broken[0] >= 5000


def test_a_car_that_wants_nothing_is_woken_once_only():
    rig = Rig()
    rig.sim("plug")
    rig.evse.enabled = True
    rig.run(3600000)
    assert len(rig.times("pilot", None)) == 1 and rig.evse.plugged and not rig.faults.active
    rig.sim("ready")
    rig.run(3000)
    rig.sim("pause")
    rig.run(600000)  # full
    assert len(rig.times("pilot", None)) == 1


def test_unplugged_in_a_break_is_seen_after_it_and_is_no_fault():
    rig = Rig()
    rig.sim("plug", "sleep")
    rig.evse.enabled = True
    rig.until(lambda: rig.board.output is None)
    rig.run(1000)
    rig.sim("unplug")
    rig.run(1000)
    assert rig.evse.plugged
    rig.run(4000)
    assert not rig.evse.plugged and not rig.faults.active


def test_what_the_pilot_does_right_after_a_break_means_nothing():
    rig = Rig(sample=20)
    rig.sim("plug")
    rig.evse.enabled = True
    rig.run(10000)
    read = rig.board.read

    def swinging():
        read()
        back = rig.times("pilot", 1000)
        if back and rig.clock.now - back[-1] < 80:
            for n in range(8):
                rig.board.burst[n] = 12000  # the car's resistor is not there yet

    rig.board.read = swinging
    rig.until(lambda: rig.times("pilot", 1000))
    for _ in range(100):
        rig.run(20)
        assert rig.evse.plugged and rig.evse.pilot == "B"


# phases


def test_switching_phases():
    rig = Rig().charge()
    begun = rig.clock.now
    rig.evse.want_phases = 1
    rig.run(3000)
    assert rig.evse.switching and rig.evse.offered_ma == 0
    rig.run(80000)
    assert rig.evse.phases == 1 and not rig.evse.switching and rig.evse.contactor
    names = [(name, value) for _, name, value in rig.board.events if name != "lock"]
    assert names == [
        ("pilot", 1000),
        ("permit", False),
        ("contactor", False),
        ("pilot", None),
        ("phases", 1),
        ("pilot", 1000),
        ("pilot", 533),
        ("permit", True),
        ("contactor", True),
    ]
    at = rig.times("phases", 1)[0]
    assert at - begun <= 3500
    assert at - rig.times("pilot", None)[0] <= 500  # it rests once, behind the relay
    assert 60000 <= rig.times("pilot", 1000)[1] - at <= 60100
    reading = rig.board.reading()
    assert reading["i1"] > 30000 and reading["i2"] == 0
    rig.evse.want_phases = 3
    rig.run(80000)
    assert rig.evse.phases == 3 and rig.evse.contactor and rig.board.reading()["i2"] > 30000
    assert not rig.faults.active


def test_a_car_that_had_no_power_needs_no_wait():
    rig = Rig()
    rig.sim("plug")
    rig.run(1000)
    rig.evse.want_phases = 1
    rig.run(1000)
    assert rig.evse.phases == 1 and not rig.evse.switching and not rig.outputs()


def test_phases_wait_for_a_stubborn_car():
    rig = Rig().charge()
    rig.board.stubborn = True
    rig.evse.want_phases = 1
    rig.run(10000)
    at = rig.times("phases", 1)[0]
    assert at > rig.times("contactor", False)[0] >= rig.times("pilot", 1000)[0] + 6000


def test_phases_are_not_switched_behind_a_welded_contactor():
    rig = Rig().charge()
    rig.sim("fault 0x100208 on")
    rig.evse.want_phases = 1
    rig.run(100000)
    assert not rig.times("phases") and rig.evse.phases == 3 and not rig.evse.switching


def test_a_change_of_mind_while_switching():
    rig = Rig().charge()
    rig.evse.want_phases = 1
    rig.run(20000)
    assert rig.evse.phases == 1 and rig.evse.switching
    rig.evse.want_phases = 3
    rig.run(600)
    assert rig.evse.phases == 3
    rig.run(59000)
    assert rig.evse.switching and not rig.evse.contactor
    rig.run(10000)
    assert rig.evse.contactor and not rig.evse.switching


def test_a_fault_ends_the_break():
    rig = Rig().charge()
    rig.evse.want_phases = 1
    rig.run(20000)
    rig.sim("fault 0x100215 on")
    rig.run(1000)
    assert rig.board.output == 1000 and not rig.evse.switching
    rig.sim("fault 0x100215 off", "unplug")
    rig.run(1000)
    assert not rig.evse.plugged and not rig.faults.active


def test_one_phase_stations_never_switch():
    rig = Rig(phases=1).charge()
    rig.evse.want_phases = 3
    rig.run(100000)
    assert rig.evse.phases == 1 and rig.evse.contactor and not rig.times("phases")
