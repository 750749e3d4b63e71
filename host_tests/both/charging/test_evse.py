"""The sequence of power, measured against the stepped clock: every time of the field notes."""

from host_tests.both.charger_rig import Rig
from host_tests.both.memory_files import MemoryStore


def opened(rig, since):
    """ms from `since` until the contactor itself was open."""
    at = [at for at in rig.times("contactor", False) if at >= since]
    assert at, "never opened"
    return at[0] - since


# closing


def test_lock_then_permit_then_contactor():
    rig = Rig()
    rig.sim("plug", "ready")
    rig.run(5000)
    assert rig.evse.pilot == "C" and rig.evse.duty == 1000
    assert not rig.times("permit") and not rig.evse.locked
    rig.evse.enabled = True
    rig.run(3000)
    order = [name for _, name, _ in rig.board.events if name in ("lock", "permit", "contactor")]
    assert order == ["lock", "permit", "contactor"]
    assert rig.evse.contactor and rig.evse.locked and rig.evse.pilot == "C"


def test_power_within_3_s_of_c_and_never_at_once():
    for sample in (0, 20):
        rig = Rig(sample=sample)
        rig.sim("plug")
        rig.evse.enabled = True
        rig.run(10007)
        assert rig.evse.pilot == "B" and rig.evse.locked and not rig.evse.contactor
        begun = rig.clock.now
        rig.sim("ready")
        rig.run(3000)
        took = rig.times("contactor", True)[0] - begun
        assert 500 <= took <= 700, took


def test_a_flickering_c_closes_nothing():
    rig = Rig(sample=20)
    rig.sim("plug")
    rig.evse.enabled = True
    rig.run(10000)
    for _ in range(20):
        rig.sim("ready")
        rig.run(450)
        rig.sim("pause")
        rig.run(60)
    assert not rig.times("permit")


def test_no_energy_without_a_lock_that_closes():
    rig = Rig()
    rig.sim("fault 0x100205 on", "plug", "ready")
    rig.evse.enabled = True
    rig.run(20000)
    assert not rig.times("permit")
    assert rig.faults.active == ["0x100205"]


def test_nothing_without_permission_or_a_limit():
    rig = Rig(ma=5999)
    rig.sim("plug", "ready")
    rig.evse.enabled = True
    rig.run(20000)
    assert not rig.outputs() and not rig.times("permit") and rig.evse.offered_ma == 0
    rig.limits.set("imax_user", 0)
    rig.run(20000)
    assert rig.limits.limited_by == "imax_user" and not rig.times("permit")


def test_state_d_gets_no_power():
    rig = Rig()
    rig.sim("plug", "ventilate")
    rig.evse.enabled = True
    rig.run(20000)
    assert rig.evse.pilot == "D" and not rig.times("permit")
    assert not rig.faults.active


# opening


def test_opens_within_100_ms_whatever_the_sample():
    for event in ("pause", "unplug", "ventilate", "fault 0x100217 on"):
        for offset in range(0, 20, 3):
            rig = Rig(sample=20).charge()
            rig.run(offset)
            begun = rig.clock.now
            rig.sim(event)
            rig.run(1000)
            took = opened(rig, begun)
            assert took <= 100, (event, offset, took)
            assert not rig.evse.contactor


def test_opens_within_100_ms_on_the_simulated_board():
    for event in ("pause", "unplug", "ventilate", "fault 0x100217 on"):
        rig = Rig().charge()
        begun = rig.clock.now
        rig.sim(event)
        rig.run(200)
        assert opened(rig, begun) <= 100


def test_a_stalled_loop_opens_with_its_first_reading():
    rig = Rig(sample=20).charge()
    begun = rig.clock.now
    rig.sim("pause")
    rig.next = begun + 70  # a handshake holds the loop
    rig.run(500)
    assert opened(rig, begun) <= 100


def test_a_permit_that_fell_in_a_stall_is_not_simply_back():
    """Held up so long that the heartbeat's wiring opened the contactor: the whole sequence again,
    5 s later, and not a contactor that closes with the next beat."""
    rig = Rig(sample=20).charge()
    for _ in range(3):
        rig.board.events.clear()
        begun = rig.clock.now
        rig.next = begun + 2000
        rig.run(12000)
        assert len(rig.times("contactor", False)) == 1
        (closed,) = rig.times("contactor", True)
        assert begun + 7000 <= closed <= begun + 9000
        assert not rig.faults.active and rig.evse.contactor


def test_a_lost_diode_opens_and_is_a_fault():
    rig = Rig(sample=20).charge()
    begun = rig.clock.now
    rig.board.diode = False
    rig.run(300)
    assert opened(rig, begun) <= 100 and not rig.faults.active
    rig.run(400)
    assert rig.faults.active == ["0x100217"]
    assert rig.evse.plugged


def test_one_bad_reading_opens_nothing():
    rig = Rig(sample=20).charge()
    for _ in range(30):
        rig.sim("pause")
        rig.run(20)
        rig.sim("ready")
        rig.run(60)
    assert not rig.times("permit")


def test_a_flickering_pilot_opens():
    rig = Rig(sample=20).charge()
    begun = rig.clock.now
    for _ in range(10):
        rig.sim("pause")
        rig.run(20)
        rig.sim("ready")
        rig.run(20)
    assert opened(rig, begun) <= 100


def test_two_readings_are_not_half_a_second():
    rig = Rig(sample=20)
    rig.sim("plug", "ready")
    rig.run(2000)
    rig.evse.enabled = True
    rig.run(40)
    rig.sim("fault 0x100217 on")
    rig.run(20)
    rig.sim("fault 0x100217 off")
    rig.run(20)
    rig.next += 600  # a stalled loop: the second reading comes when the half second is over
    rig.run(620)
    assert not rig.times("permit")
    rig.run(600)
    assert rig.times("permit", True)


def test_an_offer_withdrawn_at_any_moment_closes_nothing_after_it():
    for ms in range(0, 600, 20):
        rig = Rig(sample=20)
        rig.sim("plug")
        rig.evse.enabled = True
        rig.run(8000)
        rig.sim("ready")
        rig.run(ms)
        rig.limits.set("tic", 0)
        rig.run(1000)
        withdrawn = rig.times("pilot", 1000)[0]
        assert all(at < withdrawn for at in rig.times("permit", True)), ms


def test_opens_at_once_on_faults():
    for code in ("0x100215", "0x100205"):
        rig = Rig(sample=20).charge()
        begun = rig.clock.now
        rig.sim("fault %s on" % code)
        rig.run(7000)
        assert opened(rig, begun) <= 60, code
        assert rig.faults.active == [code]
        assert rig.evse.duty == 1000 and rig.evse.offered_ma == 0


# the offer


def test_duty_changes_are_5_s_apart_and_the_least_goes_first():
    rig = Rig().charge()
    start = rig.clock.now
    rig.limits.set("profile", 20000)
    rig.run(600)
    assert rig.evse.offered_ma == 20000
    rig.limits.set("profile", 25000)
    rig.run(2000)
    rig.limits.set("tic", 10000)
    rig.run(2000)
    assert rig.evse.offered_ma == 20000
    rig.run(1000)
    assert rig.evse.offered_ma == 10000
    rig.run(10000)
    times = rig.times("pilot")
    assert rig.outputs() == [333, 166]
    assert times[1] - times[0] >= 5000 and times[1] <= start + 5600
    assert rig.evse.contactor and not rig.times("permit")


def test_withdrawing_is_never_delayed_offering_again_is():
    rig = Rig().charge()
    rig.limits.set("profile", 20000)
    rig.run(1000)
    rig.limits.set("profile", 0)
    rig.run(500)
    assert rig.evse.duty == 1000 and rig.evse.offered_ma == 0
    rig.limits.set("profile", 16000)
    rig.run(10000)
    times = rig.times("pilot")
    assert rig.outputs() == [333, 1000, 266]
    assert times[1] - times[0] < 1500 and 5000 <= times[2] - times[1] <= 5500
    assert rig.evse.contactor


def test_withdrawn_the_car_stops_and_the_contactor_opens_without_load():
    rig = Rig().charge()
    rig.evse.enabled = False
    begun = rig.clock.now
    rig.run(8000)
    assert rig.times("pilot", 1000)[0] - begun <= 500
    assert opened(rig, rig.times("pilot", 1000)[0]) <= 3000
    assert not rig.times("under load")
    assert not rig.evse.locked


def test_withdrawn_a_stubborn_car_is_cut_off_at_6_s():
    for sample in (0, 20):
        rig = Rig(sample=sample).charge()
        rig.board.stubborn = True
        rig.evse.enabled = False
        rig.run(10000)
        took = opened(rig, rig.times("pilot", 1000)[0])
        assert 6000 <= took <= 6100, took
        assert rig.evse.pilot == "C" and rig.board.ma == 0


def test_an_offer_that_comes_back_in_time_keeps_the_contactor():
    rig = Rig().charge()
    rig.board.stubborn = True
    rig.limits.set("tic", 0)
    rig.run(3000)
    rig.limits.set("tic", None)
    rig.run(20000)
    assert rig.evse.contactor and not rig.times("permit")
    assert rig.outputs() == [1000, 533]


def test_c_without_an_offer_stays_open_then_closes_under_pwm():
    rig = Rig()
    rig.sim("plug", "ready")
    rig.run(60000)
    assert rig.evse.pilot == "C" and not rig.times("permit")
    rig.evse.enabled = True
    rig.run(3000)
    pwm = rig.times("pilot", 533)[0]
    assert 500 <= rig.times("permit", True)[0] - pwm <= 1000


def test_status_facts_follow():
    rig = Rig(ma=16000).charge()
    evse = rig.evse
    assert (evse.offered_ma, evse.duty, evse.phases, evse.switching) == (16000, 266, 3, False)
    assert evse.plugged and evse.locked and evse.contactor and evse.pilot == "C"
    assert evse.has_changed()
    rig.run(2000)
    assert not evse.has_changed()
    rig.sim("unplug")
    rig.run(200)
    assert evse.has_changed() and not evse.plugged and evse.pilot == "A"


def test_a_station_starts_again_with_the_car_in_place():
    rig = Rig(store=MemoryStore()).charge()
    rig.start()
    assert rig.evse.pilot == "A" and not rig.evse.enabled
    rig.run(2000)
    assert rig.evse.plugged and not rig.board.closed and not rig.evse.locked
    assert not rig.faults.active
    rig.charge()
    assert rig.evse.contactor
