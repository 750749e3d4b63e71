"""What evcc and Home Assistant's integration ask a station, in the order in which they ask it.

Taken from their sources (docs/central-systems.md says which versions), not from a run of theirs:
`charger/ocpp/cp_setup.go` and `charger/ocpp.go`; `ocppv16.py`. Both with the guide's features.
"""

import asyncio
import datetime

import pytest

from host_tests.station import RUNTIMES, Rig, play
from host_tests.talk import change, keys, raw, told

EVCC_MEASURANDS = (
    "Power.Active.Import,Energy.Active.Import.Register,Current.Import,Voltage,Current.Offered,"
    "Power.Offered,SoC"
)


def evcc_profile(rig, ampere, number, level, phases=None):
    """Absolute, since a minute ago; the highest id and stack level that the station names."""
    period = {"startPeriod": 0, "limit": ampere}
    if phases:
        period["numberPhases"] = phases
    now = datetime.datetime.fromtimestamp(rig.house.now(), datetime.UTC)
    began = now - datetime.timedelta(minutes=1)
    return {
        "chargingProfileId": number,
        "stackLevel": level,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {
            "startSchedule": began.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [period],
        },
    }


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_evcc(runtime, tmp_path):
    """Its setup, a remote start (`remotestart: true`), a pause and a changed limit."""

    async def session():
        async with Rig(runtime, tmp_path) as rig:
            point = await rig.online()
            refused = await raw(rig, point, "ChangeAvailability", {
                "connectorId": 0, "type": "Operative"
            })  # fmt: skip
            assert refused[2] == "NotSupported"  # evcc writes it into its log and goes on
            found, _ = await keys(point)
            assert found["ConnectorSwitch3to1PhaseSupported"] == "true"
            level = int(found["ChargeProfileMaxStacklevel"])
            number = int(found["MaxChargingProfilesInstalled"])
            accepted = []
            for name in EVCC_MEASURANDS.split(","):
                if await change(point, "MeterValuesSampledData", name) == "Accepted":
                    accepted.append(name)
            assert accepted == EVCC_MEASURANDS.split(",")[:5]
            assert await change(point, "MeterValuesSampledData", ",".join(accepted)) == "Accepted"
            answer = await point.ask(
                "TriggerMessage", requested_message="MeterValues", connector_id=0
            )
            assert answer.status == "Accepted"
            assert await change(point, "MeterValueSampleInterval", "10") == "Accepted"
            assert await change(point, "WebSocketPingInterval", "30") == "Accepted"
            await rig.console("sim plug")
            await told(rig, "Preparing")
            answer = await point.ask("RemoteStartTransaction", id_tag="evcc", connector_id=1)
            assert answer.status == "Accepted"
            await rig.console("sim ready")
            await rig.until(status="Charging")
            for ampere, status, phases in (
                (6, "Charging", 3),
                (0, "SuspendedEVSE", 3),
                (13.7, "Charging", 3),
                (16, "Charging", 1),
            ):
                profile = evcc_profile(rig, ampere, number, level, phases if phases == 1 else None)
                answer = await point.ask(
                    "SetChargingProfile", connector_id=1, cs_charging_profiles=profile
                )
                assert answer.status == "Accepted"
                await told(rig, status, timeout=400)
                if ampere:
                    await rig.until(
                        offered_ma=int(ampere * 1000), status=status, phases=phases, timeout=400
                    )
            values = await rig.house.heard_of("MeterValues", count=3)
            told_of = {item["measurand"] for item in values["meterValue"][0]["sampledValue"]}
            assert told_of == set(accepted)
            assert rig.house.errors() == []

    play(runtime, session())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_home_assistants_limit(runtime, tmp_path):
    """Its number "maximum current": a relative ChargePointMaxProfile on the highest level; and
    its start and stop. What it asks for at a connection is in test_full_core.py."""

    async def session():
        async with Rig(runtime, tmp_path) as rig:
            point = await rig.online()
            found, _ = await keys(point, "ChargingScheduleAllowedChargingRateUnit")
            assert "Current" in found["ChargingScheduleAllowedChargingRateUnit"].split(",")
            found, unknown = await keys(point, "ChargeProfileMaxStackLevel")
            assert not unknown
            (level,) = (int(value) for value in found.values())
            await rig.console("sim plug")
            await rig.console("sim ready")
            await told(rig, "Preparing")
            answer = await point.ask("RemoteStartTransaction", id_tag="0123456789", connector_id=1)
            assert answer.status == "Accepted"
            await rig.until(status="Charging")
            for ampere in (10.0, 16.0):
                profile = {
                    "chargingProfileId": 1000,
                    "stackLevel": level,
                    "chargingProfileKind": "Relative",
                    "chargingProfilePurpose": "ChargePointMaxProfile",
                    "chargingSchedule": {
                        "chargingRateUnit": "A",
                        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": ampere}],
                    },
                }
                answer = await point.ask(
                    "SetChargingProfile", connector_id=0, cs_charging_profiles=profile
                )
                assert answer.status == "Accepted"
                await rig.until(offered_ma=int(ampere * 1000))
            start = await rig.house.heard_of("StartTransaction")
            assert start["idTag"] == "0123456789"
            await asyncio.sleep(0.1)
            number = rig.house.next_transaction - 1
            answer = await point.ask("RemoteStopTransaction", transaction_id=number)
            assert answer.status == "Accepted"
            await rig.house.heard_of("StopTransaction")
            await told(rig, "Finishing")
            assert rig.house.errors() == []

    play(runtime, session())
