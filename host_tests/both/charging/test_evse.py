"""The sequence of power, measured against the stepped clock: every time of the field notes."""

from host_tests.both.charger_rig import Rig, Store


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


# the lock


def test_five_tries_a_second_apart_then_a_fault():
    rig = Rig()
    rig.sim("plug")
    rig.run(1000)
    rig.sim("fault 0x100205 on")
    rig.evse.enabled = True
    rig.run(200)
    begun = rig.times("lock")[0]
    rig.until(lambda: rig.faults.active)
    tries = rig.times("lock")
    assert len(tries) == 5 and all(b - a >= 1000 for a, b in zip(tries, tries[1:]))
    assert 5000 <= rig.clock.now - begun <= 5200


def test_the_lock_holds_while_the_contactor_is_closed():
    rig = Rig().charge()
    rig.board.stubborn = True
    rig.evse.enabled = False
    rig.run(20000)
    assert rig.times("lock", False)[0] >= rig.times("contactor", False)[0] >= 6000


def test_hold_lock_holds_without_energy_and_on_unplug():
    rig = Rig().charge()
    rig.evse.hold_lock = True
    rig.evse.enabled = False
    rig.run(10000)
    rig.sim("unplug")
    rig.run(10000)
    assert rig.evse.locked and not rig.times("lock")
    rig.evse.hold_lock = False
    rig.run(1000)
    assert not rig.evse.locked


def test_no_locking_without_a_car():
    rig = Rig()
    rig.evse.enabled = rig.evse.hold_lock = True
    rig.run(10000)
    assert not rig.times("lock")


def asks(rig):
    """unlock() of a running station: what it said, as a list that is filled later."""
    said = []

    async def ask():
        said.append(await rig.evse.unlock())

    return said, ask()


async def drive(rig, ms):
    import asyncio

    for _ in range(ms // 100):
        rig.run(100)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_unlock_waits_for_the_contactor():
    import asyncio

    rig = Rig().charge()
    rig.evse.enabled = False
    said, ask = asks(rig)
    task = asyncio.create_task(ask)
    await asyncio.sleep(0)
    await drive(rig, 1000)
    assert not said and rig.evse.locked
    await drive(rig, 3000)
    assert said == [True] and not rig.evse.locked
    assert rig.times("lock", False)[0] >= rig.times("contactor", False)[0]
    await task


async def test_unlock_of_a_jammed_lock_fails():
    import asyncio

    rig = Rig().charge()
    rig.evse.hold_lock = True
    rig.evse.enabled = False
    rig.run(8000)
    rig.board.lock = lambda close: rig.board.note("lock", close)  # the motor is dead
    for most in (6000, 2000):
        said, ask = asks(rig)
        task = asyncio.create_task(ask)
        await asyncio.sleep(0)
        await drive(rig, most)
        assert said == [False], most
        assert rig.faults.active == ["0x100205"]
        await task


async def test_unlock_of_an_attached_cable():
    rig = Rig(socket=False).charge()
    assert await rig.evse.unlock() is False
    rig.evse.enabled = False
    rig.run(10000)
    assert not rig.times("lock") and not rig.evse.locked


# cable and temperature


def test_the_cable_limits():
    rig = Rig()
    for ohm, ma in ((1500, 13000), (680, 20000), (220, 32000), (100, 32000)):
        rig.board.cable_ohm = ohm
        rig.sim("plug")
        rig.evse.enabled = True
        rig.run(7000)
        assert rig.evse.offered_ma == ma, ohm
        rig.sim("unplug")
        rig.evse.enabled = False
        rig.run(1000)
        assert rig.limits.get("cable") is None


def test_an_attached_cable_has_no_pp():
    rig = Rig(socket=False)
    rig.sim("fault 0x100218 on")
    rig.charge()
    assert rig.limits.get("cable") is None and rig.evse.contactor and not rig.faults.active


def test_heat_derates_stops_and_clears():
    rig = Rig().charge()
    rig.sim("temp 64")
    rig.run(6000)
    assert rig.evse.offered_ma == 32000
    rig.sim("temp 65")
    rig.run(6000)
    assert rig.evse.offered_ma == 15000 and rig.limits.limited_by == "temperature"
    rig.sim("temp 70")
    rig.run(6000)
    assert rig.evse.offered_ma == 10000 and rig.evse.contactor
    rig.sim("temp 66")
    rig.run(6000)
    assert rig.evse.offered_ma == 10000  # not up and down with each degree
    rig.sim("temp 74")
    rig.run(6000)
    assert rig.evse.offered_ma == 6000 and not rig.faults.active
    rig.sim("temp 59")
    rig.run(6000)
    assert rig.evse.offered_ma == 32000 and rig.limits.get("temperature") is None
    rig.sim("temp 75")
    rig.run(1000)
    assert rig.faults.active == ["0x100102"] and not rig.evse.contactor
    rig.sim("temp 60", "unplug")
    rig.run(10000)
    assert rig.faults.active
    rig.sim("temp 59")
    rig.run(1000)
    assert not rig.faults.active


def test_a_station_starts_again_with_the_car_in_place():
    rig = Rig(store=Store()).charge()
    rig.start()
    assert rig.evse.pilot == "A" and not rig.evse.enabled
    rig.run(2000)
    assert rig.evse.plugged and not rig.board.closed and not rig.evse.locked
    assert not rig.faults.active
    rig.charge()
    assert rig.evse.contactor
