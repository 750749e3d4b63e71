"""As many charging profiles as there can be."""

from firmware.ocpp import schemas
from firmware.ocpp.handlers import smart_charging
from host_tests.both.profiles_rig import Station, Values, profile


class Forgetful(Values):
    """A store that costs no memory."""

    def write(self, name, data):
        self.writes += 1


async def for_start(station, wanted):
    """What a RemoteStartTransaction with this profile installs; None."""
    message = {"idTag": "A", "chargingProfile": wanted}
    checked = schemas.check("RemoteStartTransaction", "req", message)
    return await smart_charging.record_for_start(station, checked["chargingProfile"])


async def test_a_remote_start_whose_profile_finds_no_room():
    station = Station(Forgetful())
    for n in range(200):
        assert await station.set(profile(10, level=n, identity=n)) == "Accepted"
    wanted = profile(10, purpose="Tx", kind="Relative", start=None, level=3, identity=200)
    assert not await for_start(station, wanted)
    wanted["chargingProfileId"] = 7  # takes that one's place
    assert await for_start(station, wanted)


async def test_many_tx_profiles_go_some_at_a_time():
    station = Station()
    station.start(7, position=40)
    for n in range(50):
        await station.set(profile(20, purpose="Tx", level=n, identity=n))
    await station.set(profile(6))
    station.stop()
    left = [len(station.profiles.slots())]
    while left[-1] > 1:
        assert station.limit() == (6000, None)
        station.profiles.maintain(None)
        left.append(len(station.profiles.slots()))
        assert 0 < left[-2] - left[-1] <= 5, left


async def test_ids_beyond_32_bits():
    """As they come from milliseconds; each of them is another one, and survives a restart."""
    station = Station()
    ids = (1 << 31, (1 << 31) - 1, -(1 << 31), -(1 << 31) - 1, 1 << 40, (1 << 40) + (1 << 32), 0)
    for level, n in enumerate(ids):
        assert await station.set(profile(10 + level, level=level, identity=n)) == "Accepted"
    assert len(station.profiles.slots()) == len(ids)
    assert await station.set(profile(6, level=100, identity=1 << 40)) == "Accepted"
    assert station.limit() == (6000, None) and len(station.profiles.slots()) == len(ids)
    station.profiles.flush()
    again = station.restart()
    listed = sorted([int(line.split(" ")[0]) for line in again.profiles.listing()])
    assert listed == sorted(ids)
    assert await again.clear(id=1 << 32) == "Unknown"
    assert await again.clear(id=1 << 40) == "Accepted"
    assert await again.set(profile(7, level=101, identity=5)) == "Accepted"  # in its place
    assert await again.clear(id=0) == "Accepted"
    assert len(again.profiles.slots()) == len(ids) - 1
