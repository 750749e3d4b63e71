"""FeatureSet `full`: the certification cases that need more than the guide's features.

The cases are the OCA's (OCPP 1.6 Compliancy Testing Tool), named by their numbers; here they run
against the `ocpp` package's central side, with its schemas switched on.
"""

import asyncio

import pytest

from firmware import provisioning
from host_tests.station import RUNTIMES, Rig, play
from host_tests.talk import change, keys, notes, settled, statuses, told

FULL = ("--key", "FeatureSet=full")
PRE_AUTHORIZE = ("--key", "LocalPreAuthorize=true")


def entry(id_tag, status="Accepted", **more):
    return {"idTag": id_tag, "idTagInfo": {"status": status, **more}}


async def send_list(point, version, kind, *entries):
    answer = await point.ask(
        "SendLocalList",
        list_version=version,
        update_type=kind,
        local_authorization_list=list(entries),
    )
    return answer.status


async def version(point):
    return (await point.ask("GetLocalListVersion")).list_version


async def available(point, connector, operative):
    kind = "Operative" if operative else "Inoperative"
    return (await point.ask("ChangeAvailability", connector_id=connector, type=kind)).status


async def start(point, tag):
    return (await point.ask("RemoteStartTransaction", id_tag=tag, connector_id=1)).status


async def reserve(rig, point, connector):
    answer = await point.ask(
        "ReserveNow",
        connector_id=connector,
        id_tag="TAG",
        reservation_id=1,
        expiry_date="2099-01-01T00:00:00Z",
    )
    return answer.status


def asked(house):
    """For which idTags the central system was asked."""
    return [call["idTag"] for call in house.calls("Authorize")]


async def a_charge(rig, tag, count=1):
    """A charge from presenting the idTag to the car's leaving."""
    await rig.console("sim plug")
    await rig.console("sim ready")
    await rig.console(f"authorize {tag}")
    begun = await rig.house.heard_of("StartTransaction", count=count)
    await told(rig, "Charging")
    await rig.console("sim unplug")
    await rig.house.heard_of("StopTransaction", count=count)
    await told(rig, "Available")
    return begun


# the cases: coroutine functions of (rig, point)


async def cached_id_local(rig, point):
    assert (await point.ask("ClearCache")).status == "Accepted"
    await a_charge(rig, "CARD")
    await a_charge(rig, "card", 2)  # idTags know no case
    assert asked(rig.house) == ["CARD"]


async def cached_id_remote(rig, point):
    assert (await point.ask("ClearCache")).status == "Accepted"
    await a_charge(rig, "CARD")
    await rig.console("sim plug")
    assert await start(point, "CARD") == "Accepted"
    await rig.house.heard_of("StartTransaction", count=2)
    assert asked(rig.house) == ["CARD"]


async def listed_id_local(rig, point):
    assert (
        await send_list(point, 1, "Full", entry("CARD"), entry("OTHER", "Blocked")) == "Accepted"
    )
    begun = await a_charge(rig, "CARD")
    assert begun["idTag"] == "CARD" and asked(rig.house) == []


async def listed_id_remote(rig, point):
    assert await send_list(point, 1, "Full", entry("CARD")) == "Accepted"
    await rig.console("sim plug")
    assert await start(point, "CARD") == "Accepted"
    await rig.house.heard_of("StartTransaction")
    assert asked(rig.house) == []


async def reset_while_unavailable(rig, point, kind):
    assert await available(point, 1, False) == "Accepted"
    await told(rig, "Unavailable")
    assert (await point.ask("Reset", type=kind)).status == "Accepted"
    await rig.house.heard_of("BootNotification", count=2)
    before = len(rig.house.calls("StatusNotification"))
    point = await rig.online()
    async with asyncio.timeout(30):
        while not notes(rig.house, 0, before) or not notes(rig.house, 1, before):
            await asyncio.sleep(0.05)
    assert statuses(rig.house, 0, before) == ["Available"]
    assert statuses(rig.house, 1, before) == ["Unavailable"]
    assert await start(point, "CARD") == "Rejected"
    assert await available(point, 1, True) == "Accepted"
    await told(rig, "Available")


async def hard_reset(rig, point):
    await reset_while_unavailable(rig, point, "Hard")


async def soft_reset(rig, point):
    await reset_while_unavailable(rig, point, "Soft")


async def power_failure_while_unavailable(rig, point):
    assert await available(point, 1, False) == "Accepted"
    await told(rig, "Unavailable")
    await rig.kill()
    before = len(rig.house.calls("StatusNotification"))
    await rig.start()
    await rig.online()
    async with asyncio.timeout(30):
        while not notes(rig.house, 1, before):
            await asyncio.sleep(0.05)
    assert statuses(rig.house, 0, before) == ["Available"]
    assert statuses(rig.house, 1, before) == ["Unavailable"]


async def no_list_has_version_0(rig, point):
    assert await version(point) == 0
    found, _ = await keys(point, "LocalAuthListEnabled", "LocalAuthListMaxLength")
    assert found == {"LocalAuthListEnabled": "true", "LocalAuthListMaxLength": "500"}
    assert await change(point, "LocalAuthListEnabled", "false") == "Accepted"
    assert await version(point) == -1
    assert await send_list(point, 1, "Full", entry("CARD")) == "NotSupported"


async def a_list_is_sent(rig, point):
    assert await send_list(point, 7, "Full", entry("A"), entry("B", "Blocked")) == "Accepted"
    assert await version(point) == 7
    changes = (entry("C", "Invalid", parentIdTag="P"), {"idTag": "a"})
    assert await send_list(point, 8, "Differential", *changes) == "Accepted"
    assert await version(point) == 8
    listed = ["version 8, 2 of at most 500 idTags", "B Blocked", "C Invalid, parent P"]
    assert await rig.console("list") == listed
    assert await rig.console("list b") == ["B Blocked"]
    assert await send_list(point, 2, "Full") == "Accepted"  # a full one may go back
    assert await version(point) == 0  # it is empty


async def a_version_that_does_not_ascend(rig, point):
    assert await send_list(point, 5, "Full", entry("A")) == "Accepted"
    assert await send_list(point, 5, "Differential", entry("B")) == "VersionMismatch"
    assert await send_list(point, 4, "Differential", entry("B")) == "VersionMismatch"
    for number in (0, -1):  # they mean something else (errata 3.52)
        assert await send_list(point, number, "Full", entry("B")) == "Failed"
    assert await send_list(point, 6, "Full", entry("B"), entry("b")) == "Failed"
    assert await send_list(point, 6, "Full", {"idTag": "B"}) == "Failed"
    assert await version(point) == 5 and await rig.console("list A") == ["A Accepted"]


async def reserved_while_unavailable(rig, point):
    assert await available(point, 1, False) == "Accepted"
    assert await reserve(rig, point, 1) == "Unavailable"


async def station_reserved_while_unavailable(rig, point):
    assert await available(point, 0, False) == "Accepted"
    assert await reserve(rig, point, 0) == "Unavailable"
    await told(rig, "Unavailable", 0)
    await told(rig, "Unavailable")


async def cache_cleared_local(rig, point):
    await a_charge(rig, "CARD")
    assert (await point.ask("ClearCache")).status == "Accepted"
    await a_charge(rig, "CARD", 2)
    assert asked(rig.house) == ["CARD", "CARD"]


async def cache_cleared_remote(rig, point):
    await a_charge(rig, "CARD")
    assert (await point.ask("ClearCache")).status == "Accepted"
    await rig.console("sim plug")
    assert await start(point, "CARD") == "Accepted"
    await rig.house.heard_of("StartTransaction", count=2)
    assert asked(rig.house) == ["CARD", "CARD"]


CASES = {
    "007_1": cached_id_local,
    "007_2": cached_id_remote,
    "008_1": listed_id_local,
    "008_2": listed_id_remote,
    "013": hard_reset,
    "014": soft_reset,
    "034": power_failure_while_unavailable,
    "042_2": no_list_has_version_0,
    "043": a_list_is_sent,
    "043_2": a_version_that_does_not_ascend,
    "048_3": reserved_while_unavailable,
    "050_3": station_reserved_while_unavailable,
    "061_1": cache_cleared_local,
    "061_2": cache_cleared_remote,
}


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("case", CASES)
def test_TC(case, runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, *FULL, *PRE_AUTHORIZE) as rig:
            await CASES[case](rig, await rig.online())
            assert rig.house.errors() == []

    play(runtime, session())


# Home Assistant's integration of OCPP, as it talks to a station that connects

MEASURANDS = (
    "Current.Export Current.Import Current.Offered Energy.Active.Import.Register "
    "Energy.Reactive.Import.Register Energy.Active.Import.Interval Frequency Power.Active.Import "
    "Power.Factor Power.Offered RPM SoC Temperature Voltage"
).split()


async def configure(point, name, value):
    """Sets a key where it has another value."""
    found, unknown = await keys(point, name)
    assert not unknown
    if found[name] != value:
        assert await change(point, name, value) == "Accepted"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_home_assistant(runtime, tmp_path):
    """Nothing that it asks for at a connection gets a CALLERROR, and its switch of the
    availability works."""

    async def session():
        async with Rig(runtime, tmp_path, *FULL) as rig:
            house = rig.house
            point = await rig.online()
            found, _ = await keys(point, "SupportedFeatureProfiles")
            profiles = found["SupportedFeatureProfiles"].split(",")
            assert sorted(profiles) == [
                "Core", "FirmwareManagement", "LocalAuthListManagement", "RemoteTrigger",
                "Reservation", "SmartCharging",
            ]  # fmt: skip
            assert await keys(point, "NumberOfConnectors") == ({"NumberOfConnectors": "1"}, [])
            await keys(point, "HeartbeatInterval")
            accepted = []
            for measurand in MEASURANDS:
                if await change(point, "MeterValuesSampledData", measurand) == "Accepted":
                    accepted.append(measurand)
            assert len(accepted) == 7
            assert await change(point, "MeterValuesSampledData", ",".join(accepted)) == "Accepted"
            await keys(point, "MeterValuesSampledData")
            await configure(point, "MeterValueSampleInterval", "60")
            await configure(point, "ClockAlignedDataInterval", "900")
            await configure(point, "WebSocketPingInterval", "60")
            assert await available(point, 0, True) == "Accepted"
            answer = await point.ask("TriggerMessage", requested_message="BootNotification")
            assert answer.status == "Accepted"
            await house.heard_of("BootNotification", count=2)
            for connector in (0, 1):
                before = len(notes(house, connector))
                answer = await point.ask(
                    "TriggerMessage",
                    requested_message="StatusNotification",
                    connector_id=connector,
                )
                assert answer.status == "Accepted"
                async with asyncio.timeout(30):
                    while len(notes(house, connector)) == before:
                        await asyncio.sleep(0.05)
            assert await available(point, 0, False) == "Accepted"
            await told(rig, "Unavailable", 0)
            await told(rig, "Unavailable")
            assert await available(point, 0, True) == "Accepted"
            await told(rig, "Available")
            refused = [m for _, way, m in house.messages if way == "<" and m[0] == 4]
            assert refused == [] and house.errors() == []

    play(runtime, session())


# the choice


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_feature_set_is_chosen_from_afar(runtime, tmp_path):
    """It takes effect at once, over a new registration, and stays over a restart and a data
    reset; with `guide` nothing is left of what the other one kept."""

    async def session():
        async with Rig(runtime, tmp_path) as rig:
            point = await rig.online()
            everything, _ = await keys(point)
            assert "FeatureSet" not in everything  # with `guide` they are the guide's
            assert await keys(point, "FeatureSet") == ({"FeatureSet": "guide"}, [])
            wanted = [
                "AuthorizationCacheEnabled",
                "LocalAuthListEnabled",
                "SendLocalListMaxLength",
            ]
            assert (await keys(point, *wanted))[1] == wanted
            assert await change(point, "AuthorizationCacheEnabled", "true") == "NotSupported"
            assert await change(point, "FeatureSet", "most") == "Rejected"
            assert await change(point, "FeatureSet", "Full") == "Accepted"
            await rig.house.heard_of("BootNotification", count=2)
            point = await rig.online()
            everything, _ = await keys(point)
            assert everything["FeatureSet"] == "full"
            assert list(everything.values())[-5:] == ["full", "true", "true", "500", "200"]
            assert await send_list(point, 3, "Full", entry("A")) == "Accepted"
            assert await available(point, 0, False) == "Accepted"
            await rig.kill()
            await rig.start()
            await rig.house.heard_of("BootNotification", count=3)
            point = await rig.online()
            await told(rig, "Unavailable")
            assert await version(point) == 3
            assert (
                await change(point, "TriggerBackendConfigurationDataReset", "true") == "Accepted"
            )
            assert await keys(point, "FeatureSet") == ({"FeatureSet": "full"}, [])
            assert await version(point) == 0
            await told(rig, "Available")
            assert await send_list(point, 3, "Full", entry("A")) == "Accepted"
            assert await available(point, 0, False) == "Accepted"
            await told(rig, "Unavailable")
            before = len(rig.house.calls("BootNotification"))
            assert await rig.console("config FeatureSet guide") == ["Accepted"]
            await rig.house.heard_of("BootNotification", count=before + 1)
            point = await rig.online()
            await told(rig, "Available")
            _, error = await rig.ask("list")
            assert error == "only with FeatureSet full: config FeatureSet full"
            assert (await settled(rig, 1))["status"] == "Available"
            assert await change(point, "FeatureSet", "full") == "Accepted"
            await rig.house.heard_of("BootNotification", count=before + 2)
            assert await version(await rig.online()) == 0
            assert rig.house.errors() == []

    play(runtime, session())


def test_the_feature_set_is_provisioned():
    given = {
        "model": "Evh5A22N2S",
        "keys": {"FeatureSet": "FULL", "LocalAuthListEnabled": "false"},
    }
    kept = provisioning.check(given).provisioned_keys
    assert kept["FeatureSet"] == "full" and kept["LocalAuthListEnabled"] == "false"
    with pytest.raises(ValueError, match="FeatureSet: guide or full"):
        provisioning.check({"model": "Evh5A22N2S", "keys": {"FeatureSet": "all"}})
