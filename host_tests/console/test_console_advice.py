"""What the console answers to who does not know: why a key was refused, why the car waits, what a
fault asks for. Each answer says what to do."""

import pytest

from host_tests.station import Rig, play

REFUSED = [
    ("HeartbeatInterval 99999999999", "a whole number from 1 to 86400"),
    ("HeartbeatInterval 0", "a whole number from 1 to 86400"),
    ("HeartbeatInterval -99999999999999999999", "a whole number from 1 to 86400"),
    ("HeartbeatInterval soon", "a whole number from 1 to 86400"),
    ("AuthorizeRemoteTxRequests perhaps", "true or false"),
    ("MeterValuesSampledData Voltage,Colour", "Colour"),
    ("IMaxUser 16", "make provision"),
    ("PhaseNumber 1", "make provision"),
    ("NumberOfConnectors 2", "read-only: it tells what this station is"),
    ("TICdetection true", "read-only: it tells what this station is"),
    ("SecurityProfile 1", "set AuthorizationKey first"),
    ("AuthorizationKey short", "16 to 40 characters"),
    ("BoxIdentifier \u00e9" + "x" * 50, "at most 50 characters"),
    ("DefaultIdTag " + "x" * 21, "1 to 20 characters"),
    ("SupervisionUrl http://there", "ws://"),
    ("ConnectorPhaseRotation 1.XYZ", "RST"),
]


def test_a_refused_value_has_its_reason_and_what_to_do(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, "--supervision-url", "", house=False) as rig:
            for words, why in REFUSED:
                lines, error = await rig.ask("config " + words)
                assert error is None and len(lines) == 2, (words, lines, error)
                name = words.split()[0]
                assert lines[0] == "Rejected" and lines[1].startswith(name + ": "), lines
                assert why in lines[1], lines
            lines, error = await rig.ask("config Nonsense 1")
            assert (lines[0], error) == ("NotSupported", None) and lines[
                1
            ] == "no such key; `config` lists them"
            assert await rig.console("config HeartbeatInterval +0090") == ["Accepted"]
            assert await rig.console("config HeartbeatInterval") == ["HeartbeatInterval=90"]
            assert await rig.console("config HeartbeatInterval 000000000120") == ["Accepted"]

    play(runtime, session())


def test_config_with_an_equals_sign_is_told_the_right_form(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, "--supervision-url", "", house=False) as rig:
            for line in ("config HeartbeatInterval=60", "config heartbeatinterval = 60",
                         "config AuthorizationKey=SECRETSECRETSECRET"):  # fmt: skip
                lines, error = await rig.ask(line)
                name = "AuthorizationKey" if "Auth" in line else "HeartbeatInterval"
                assert not lines and f"config {name} VALUE" in error, (line, error)
                assert "SECRET" not in error
            assert (await rig.ask("config Nonsense=1"))[1].startswith("no such key")

    play("cpython", session())


def test_lists_that_are_empty_say_so(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, "--supervision-url", "", house=False) as rig:
            for name in ("faults", "queue", "profiles"):
                assert await rig.console(name) == ["none"]

    play("cpython", session())


def test_faults_say_what_to_do(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, "--supervision-url", "", house=False) as rig:
            for line in ("sim plug", "sim fault 0x10020C on", "sim fault 0x100208 on"):
                await rig.console(line)
            for line in ("sim fault 0x100206 on", "sim ready"):
                await rig.console(line)
            await rig.until(vendor_error="0x10020C", status="Faulted")
            await rig.sleep(5)
            faults = {line.split()[0]: line for line in await rig.console("faults")}
            assert faults["0x10020C"].endswith(" s: unplug the car"), faults
            ground = faults["0x100206"]
            assert "unplug the car; if it comes again, call the service" in ground, faults
            if "0x100208" in faults:
                assert "reset hard" in faults["0x100208"] and "service" in faults["0x100208"]
            assert "unplug the car" in (await rig.status())["why"]
            assert any("why: " in line for line in await rig.console("show"))

    play(runtime, session())


def test_help(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, "--supervision-url", "", house=False) as rig:
            everything = await rig.console("help")
            assert (
                await rig.console("?") == everything
                and "status: the state as one line of JSON" in everything
            )
            assert await rig.console("help status") == ["status: the state as one line of JSON"]
            lines = await rig.console("help queue")
            assert len(lines) == 2 and all(line.startswith("queue") for line in lines)
            assert lines == await rig.console("? queue")
            assert (await rig.ask("help nonsense"))[1].startswith("no such command: nonsense")
            assert (await rig.ask("help me please"))[1] == "help or help COMMAND"

    play("cpython", session())


def limit(amps, purpose="ChargePointMaxProfile"):
    return {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": amps}],
        },
    }


async def why(rig):
    return (await rig.status())["why"] or ""


def test_a_station_that_waits_says_why(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, "--key", "ConnectionTimeOut=600") as rig:
            point = await rig.online()
            assert await why(rig) == ""
            # nobody has started it
            for line in ("sim plug", "sim ready"):
                await rig.console(line)
            await rig.until(status="Preparing")
            assert "RemoteStartTransaction" in await why(rig)
            # a car that is charged, and one that asks for nothing
            assert (await point.ask("RemoteStartTransaction", id_tag="A")).status == "Accepted"
            await rig.until(status="Charging")
            assert await why(rig) == ""
            await rig.console("sim pause")
            await rig.until(status="SuspendedEV")
            assert await why(rig) == "the car asks for no energy"
            await rig.console("sim ready")
            # limits: a profile, then the house
            answer = await point.ask(
                "SetChargingProfile", connector_id=0, cs_charging_profiles=limit(5)
            )
            assert answer.status == "Accepted"
            await rig.until(status="SuspendedEVSE")
            assert "charging profile allows 5.0 A" in await why(rig)
            assert any("why: " in line and "5.0 A" in line for line in await rig.console("show"))
            await point.ask("ClearChargingProfile")
            await rig.until(status="Charging")
            for line in ("sim tic standard", "sim house 60000"):
                await rig.console(line)
            await rig.until(status="SuspendedEVSE", timeout=120)
            assert "house" in await why(rig)
            # the end: the car is there, and has been charged
            await rig.console("stop")
            await rig.until(status="Finishing")
            assert "has been charged" in await why(rig)
            await rig.console("sim unplug")
            await rig.until(status="Available")
            assert (await point.ask("RemoteStartTransaction", id_tag="B")).status == "Accepted"
            await rig.until(status="Preparing")
            assert await why(rig) == "B may charge: waiting for the car"

    play(runtime, session())


def test_a_tic_line_that_is_lost_is_why(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, "--supervision-url", "", house=False) as rig:
            for line in ("sim tic historique", "sim plug", "sim ready"):
                await rig.console(line)
            await rig.until(status="Charging")
            await rig.sleep(20)
            await rig.console("sim tic off")
            await rig.until(status="SuspendedEVSE", timeout=900)
            assert "TIC line has been silent" in await why(rig)

    play(runtime, session())


@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_a_station_that_is_not_accepted_says_so(tmp_path, status):
    async def session():
        async with Rig("cpython", tmp_path, start=False) as rig:
            rig.house.registrations = [status] * 50
            await rig.start()
            await rig.until(registration=status)
            await rig.console("sim plug")
            await rig.until(plugged=True)
            assert status in await why(rig)

    play("cpython", session())
