"""The lock, the cable and the heat."""

from host_tests.both.charger_rig import Rig

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
