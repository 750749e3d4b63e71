"""Two hundred of the largest SetChargingProfile there is."""

import gc
import os

from firmware.ocpp import json_reader, schemas
from firmware.ocpp.handlers import smart_charging
from firmware.smart_charging.profile_files import ProfileFiles
from host_tests.both.profiles_rig import Station


def write(frame, identity, level):
    """Writes the frame with 100 periods of three members, as a central system does, into a
    buffer; returns the view of it."""
    at = 0

    def add(text):
        nonlocal at
        frame[at : at + len(text)] = text.encode()
        at += len(text)

    add(
        '[2, "3f2b8a52-0d7e-4f7e-9d5c-%012d", "SetChargingProfile", {"connectorId": 1, ' % identity
    )
    add('"csChargingProfiles": {"chargingProfileId": %d, "stackLevel": %d, ' % (identity, level))
    add('"chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Recurring", ')
    add(
        '"recurrencyKind": "Daily", "chargingSchedule": {"startSchedule": "2027-01-01T00:00:00Z", '
    )
    add('"chargingRateUnit": "A", "chargingSchedulePeriod": [')
    for i in range(100):
        add('{"startPeriod": %d, "limit": %d.%d, ' % (i * 864, i % 32, i % 10))
        add('"numberPhases": 3}, ' if i < 99 else '"numberPhases": 3}]}}}]')
    return memoryview(frame)[:at]


async def receive(station, view):
    """As rpc does it: what the answer is."""
    frame = await json_reader.read_message(view)
    payload = await schemas.checked("SetChargingProfile", frame.pop())
    return await smart_charging.SetChargingProfile(station, payload)


async def test_two_hundred_of_a_hundred_periods():
    from firmware.base.store import Files

    folder = "/tmp/wallbridge-" + "".join(["%02x" % b for b in os.urandom(6)])
    station = Station(Folder(Files(folder)))
    frame = bytearray(6500)
    for n in range(200):
        answer = await receive(station, write(frame, n, n))
        assert answer == {"status": "Accepted"}, n
        if n % 20 == 0:
            assert station.limit()[0] <= 32000
    assert await receive(station, write(frame, 200, 200)) == {"status": "Rejected"}
    # replaces by id, also when full
    assert await receive(station, write(frame, 7, 200)) == {"status": "Accepted"}
    assert len(station.profiles.slots()) == 200
    gc.collect()
    answer = await station.composite(86400)
    assert len(answer["chargingSchedule"]["chargingSchedulePeriod"]) == 100
    station.profiles.flush()
    values = station.values
    answer = station = None
    gc.collect()
    station = Station(values)
    assert len(station.profiles.slots()) == 200
    assert await station.clear() == "Accepted"
    while values.tidy(0):
        pass
    assert Station(Folder(Files(folder))).profiles.slots() == b""
    left = [os.listdir(folder + "/profiles/segments%d" % number) for number in range(2)]
    assert len(left[0] + left[1]) == 1  # the one that is appended to


class Folder(ProfileFiles):
    """ProfileFiles, with what the station's Store has."""

    def read(self, slot):
        return None if isinstance(slot, str) else super().read(slot)
