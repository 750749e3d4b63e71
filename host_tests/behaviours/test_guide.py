"""The guide's tables, row by row, against the running station over a real connection.

The rows are copied from the guide (PKR9492300, 10/2024) with its printing repaired as
docs/guide-notes.md says: booleans in lower case, lists with commas, numbers without units.
"""

import pytest

from host_tests.station import BOX, Rig, play
from host_tests.talk import change, keys, raw, settled, told
from tools import runtimes

GUIDE = runtimes.ROOT.parent / "shared" / "schneider-charge-ocpp-guide.txt"

# Page 12 to 15. Key, accessibility, default on an Evh5A22N2S, values that are taken (as read back,
# where that differs: given=read), values that are not.
STANDARD = """
AuthorizeRemoteTxRequests | RW | true | false True=true FALSE=false true | yes 1 2
ClockAlignedDataInterval | RW | 0 | 900 60 0 | -1 86401 1.5 ten
ConnectionTimeOut | RW | 0 | 60 0 | -1 x
GetConfigurationMaxKeys | R | 100 | | 50
HeartbeatInterval | RW | 60 | 600 60 | 0 -1 1e3
MeterValuesAlignedData | RW | | Voltage Frequency,Voltage | Temperature Voltage,SoC
MeterValuesAlignedDataMaxLength | R | 0 | | 5
MeterValuesSampledData | RW | Voltage,Power.Active.Import,Energy.Active.Import.Register,\
Current.Import,Current.Offered,Frequency | \
Voltage Power.Active.Import Energy.Active.Import.Register Energy.Reactive.Import.Register \
Energy.Active.Import=Energy.Active.Import.Register Current.Import Current.Offered Frequency \
Current.Import,Current.Offered Voltage;Frequency=Voltage,Frequency | RPM Voltage.L1 Voltage,RPM
MeterValuesSampledDataMaxLength | R | 20 | | 10
MeterValueSampleInterval | RW | 30 | 60 0 30 | -5 half
NumberOfConnectors | R | 1 | | 2
ResetRetries | RW | 0 | 3 0 | -1 11
ConnectorPhaseRotation | RW | NotApplicable | \
1.RST 0.RST,1.STR Unknown RTS 1.RST,1.RST,1.RST=1.RST NotApplicable | 2.RST XYZ 1.RST,1.STR
ConnectorPhaseRotationMaxLength | R | 0 | | 1
StopTransactionOnEVSideDisconnect | RW | true | false true | no
StopTransactionOnInvalidId | RW | true | false true | no
StopTxnAlignedData | RW | | Energy.Active.Import.Register Voltage | Power.Factor
StopTxnAlignedDataMaxLength | R | 0 | | 1
StopTxnSampledData | RW | | Energy.Active.Import.Register Voltage | Power.Offered
StopTxnSampledDataMaxLength | R | 0 | | 1
SupportedFeatureProfiles | R | Core,FirmwareManagement,SmartCharging,RemoteTrigger | | Core
TransactionMessageAttempts | RW | 3 | 5 3 | 0 -1
TransactionMessageRetryInterval | RW | 15 | 30 15 | -1
UnlockConnectorOnEVSideDisconnect | RW | true | false true | 0
MessageTimeout | RW | 30 | 20 30 | 0 30s
WebSocketPingInterval | RW | 60 | 0 30 60 | -1 60s
SupportedFileTransferProtocols | R | HTTP,HTTPS,FTP,FTPS | | FTP
ChargeProfileMaxStacklevel | R | 200 | | 10
ChargingScheduleMaxPeriods | R | 100 | | 10
ChargingScheduleAllowedChargingRateUnit | R | Current,Power | | Power
MaxChargingProfilesInstalled | R | 200 | | 10
ConnectorSwitch3to1PhaseSupported | R | true | | false
ReserveConnectorZeroSupported | R | true | | false
"""
# SupervisionUrl, BoxIdentifier and the data reset have tests of their own (test_behaviours_place).
CUSTOM = """
SupervisionUrl | RW | * | | http://example.com wss:// ftp://h
BoxIdentifier | RW | * | |
DefaultIdTag | RW | FreeCharge | DRIVER freeCharge FreeCharge | 123456789012345678901
TICdetection | R | false | | true
TICmode | RW | 0 | 1 2 3 0 | 4 -1 auto
MeterType | R | 1 | | 0
IMaxUser | R | 32 | | 16
PhaseNumber | R | 3 | | 1
TriggerBackendConfigurationDataReset | RW | false | false | maybe
"""
# What OCPP 1.6 asks for beyond the guide.
BEYOND = """
LocalAuthorizeOffline | RW | true | false true | perhaps
LocalPreAuthorize | RW | false | true false | perhaps
AllowOfflineTxForUnknownId | RW | true | false true | perhaps
MinimumStatusDuration | RW | 0 | 5 0 | -1
StopTransactionMaxMeterValues | R | * | | 5
SecurityProfile | RW | 0 | | 0 1 2 3 -1
CpoName | RW | | Wallbridge |
"""


def rows(text):
    for line in text.strip().splitlines():
        name, access, default, good, bad = (cell.strip() for cell in line.split("|"))
        yield name, access, default, good.split(), bad.split()


def printed():
    """(key, accessibility, default) as the guide prints them; the description may hold tabs."""
    for line in GUIDE.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("\t")]
        name = cells[0].replace("-", "")
        if len(cells) > 5 and cells[1] in ("Required", "Optional"):
            yield name, cells[2], cells[4]
        elif len(cells) == 6 and cells[3] in ("R", "RW"):
            yield name, cells[3], cells[4]


# What docs/guide-notes.md says about these defaults.
REPAIRED = {
    "SupervisionUrl": "*",
    "BoxIdentifier": "*",
    "TICdetection": "false",
    "IMaxUser": "32",
    "PhaseNumber": "3",
}


@pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not beside the checkout")
def test_the_rows_are_the_guides():
    guide = []
    for name, access, default in printed():
        default = default.replace("'", "").replace(" ", "").replace(";", ",").rstrip(",")
        if default in ("True", "False"):
            default = default.lower()
        elif default[:-1].isdigit() and default[-1] == "s":
            default = default[:-1]
        guide.append((name, access.replace(" & ", ""), REPAIRED.get(name, default)))
    ours = [row[:3] for row in rows(STANDARD + CUSTOM.lstrip())]
    assert ours == guide


def test_each_configuration_key(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, start=False) as rig:
            rig.house.interval = 0  # else HeartbeatInterval follows it
            await rig.start()
            point = await rig.online()
            table = list(rows(STANDARD)) + list(rows(CUSTOM)) + list(rows(BEYOND))
            known = {"SupervisionUrl": rig.url, "BoxIdentifier": BOX}

            answer = await point.ask("GetConfiguration")
            found = {item["key"]: item for item in answer.configuration_key}
            assert len(found) == len(answer.configuration_key) and not answer.unknown_key
            # everything in one answer, in the guide's order, and no secret in it
            assert [item["key"] for item in answer.configuration_key] == [r[0] for r in table]
            for name, access, default, _, _ in table:
                item = found[name]
                assert item["readonly"] is (access == "R"), name
                if default != "*":
                    assert item["value"] == default, name
                elif name in known:
                    assert item["value"] == known[name]

            # names match without regard to case, and are answered in the standard's spelling
            some, unknown = await keys(point, *(name.upper() for name, *_ in table), "Nonsense")
            assert list(some) == [name for name, *_ in table] and unknown == ["Nonsense"]

            for name, access, _, good, bad in table:
                for item in good:
                    given, _, read = item.partition("=")
                    assert await change(point, name, given) == "Accepted", (name, given)
                    assert (await keys(point, name))[0] == {name: read or given}
                before = (await keys(point, name))[0]
                for value in bad:
                    assert await change(point, name, value) == "Rejected", (name, value)
                assert (await keys(point, name))[0] == before, name
                if access == "R":
                    assert bad, f"{name}: try to write it"
            assert await change(point, "BoxIdentifier", "x" * 51) == "Rejected"
            assert await change(point, "SupervisionUrl", "ws://h/" + "x" * 193) == "Rejected"
            assert await change(point, "MeterValuesSampledData", "") == "Accepted"
            assert await change(point, "Nonsense", "1") == "NotSupported"
            assert await change(point, "authorizeremotetxrequests", "true") == "Accepted"
            assert (await rig.status())["link"] == "online" and rig.house.connections == 1

    play(runtime, session())


def test_many_keys_at_once(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            point = await rig.online()
            hundred = [f"Unknown{n}" for n in range(100)]
            found, unknown = await keys(point, *hundred)
            assert not found and unknown == hundred
            error = await raw(rig, point, "GetConfiguration", {"key": hundred + ["One more"]})
            assert error[0] == 4 and error[2] == "OccurenceConstraintViolation"
            # the longest key a hundred times would not fit a small heap
            found, _ = await keys(point, *["SupportedFeatureProfiles"] * 99, "CpoName")
            assert list(found) == ["SupportedFeatureProfiles", "CpoName"]
            free = []
            for _ in range(6):
                found, _ = await keys(point)
                assert len(found) > 40
                free.append((await settled(rig, 1))["heap_free"])
            assert abs(free[-1] - free[1]) < 4000, free  # nothing of the answers stays

    play(runtime, session())


def profile(number=1, purpose="TxDefaultProfile"):
    return {
        "chargingProfileId": number,
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}],
        },
    }


# Page 9 and 10: what the central system sends, and the answer of an idle station.
ASKED = [
    ("CancelReservation", {"reservationId": 1}, {"status": "Rejected"}),
    ("ChangeAvailability", {"connectorId": 0, "type": "Operative"}, "NotSupported"),
    ("ChangeConfiguration", {"key": "CpoName", "value": "x"}, {"status": "Accepted"}),
    ("ClearCache", {}, "NotSupported"),
    ("ClearChargingProfile", {"id": 77}, {"status": "Unknown"}),
    ("DataTransfer", {"vendorId": "com.example"}, {"status": "UnknownVendorId"}),
    (
        "GetCompositeSchedule",
        {"connectorId": 1, "duration": 60, "chargingRateUnit": "A"},
        {"status": "Accepted"},
    ),
    ("GetConfiguration", {"key": ["CpoName"]}, {}),
    ("GetDiagnostics", {"location": "ftp://127.0.0.1:9/", "retries": 0}, {}),
    ("GetLocalListVersion", {}, "NotSupported"),
    ("RemoteStartTransaction", {"idTag": "TAG", "connectorId": 2}, {"status": "Rejected"}),
    ("RemoteStopTransaction", {"transactionId": 5}, {"status": "Rejected"}),
    (
        "ReserveNow",
        {"connectorId": 2, "expiryDate": "2099-01-01T00:00:00Z", "idTag": "T", "reservationId": 1},
        {"status": "Rejected"},
    ),
    ("SendLocalList", {"listVersion": 1, "updateType": "Full"}, "NotSupported"),
    (
        "SetChargingProfile",
        {"connectorId": 0, "csChargingProfiles": profile()},
        {"status": "Accepted"},
    ),
    ("TriggerMessage", {"requestedMessage": "Heartbeat"}, {"status": "Accepted"}),
    ("UnlockConnector", {"connectorId": 2}, {"status": "NotSupported"}),
    (
        "UpdateFirmware",
        {"location": "http://127.0.0.1:9/", "retrieveDate": "2099-01-01T00:00:00Z"},
        {},
    ),
    # beyond the table
    ("GetInstalledCertificateIds", {"certificateType": "x"}, "NotImplemented"),
    ("Nonsense", {}, "NotImplemented"),
    ("BootNotification", {}, "NotSupported"),
    ("RemoteStopTransaction", {"transactionId": "5"}, "TypeConstraintViolation"),
    ("UnlockConnector", {}, "OccurenceConstraintViolation"),
    ("UnlockConnector", {"connectorId": 1, "why": "?"}, "FormationViolation"),
]


# The guide's own table there: the operation, and whether it is called "Not supported".
OPERATIONS = dict.fromkeys(
    """CancelReservation ChangeConfiguration ClearChargingProfile DataTransfer
    GetCompositeSchedule GetConfiguration GetDiagnostics RemoteStartTransaction
    RemoteStopTransaction ReserveNow Reset SetChargingProfile TriggerMessage UnlockConnector
    UpdateFirmware""".split(),
    False,
) | dict.fromkeys("ChangeAvailability ClearCache GetLocalListVersion SendLocalList".split(), True)


def operations():
    """What the guide's table says of each operation: message -> its second column."""
    guide = {}
    for line in (
        GUIDE.read_text().split("## Operations Initiated by Central System")[1].splitlines()
    ):
        if line.startswith("# Smart Charging"):
            break
        name, *cells = line.split("\t")
        if len(cells) == 2 and name != "Message":
            guide[name] = cells[1]
    return guide


@pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not beside the checkout")
def test_the_operations_are_the_guides():
    assert {name: text == "Not supported" for name, text in operations().items()} == OPERATIONS


def test_each_operation_of_the_guide_is_asked_for():
    unsupported = {name for name in OPERATIONS if OPERATIONS[name]}
    asked = {action: wanted for action, _, wanted in reversed(ASKED)}
    assert set(OPERATIONS) <= set(asked) | {"Reset"}
    assert {name for name in OPERATIONS if asked.get(name) == "NotSupported"} == unsupported


def test_each_operation_of_the_central_system(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            point = await rig.online()
            for action, payload, wanted in ASKED:
                answer = await raw(rig, point, action, payload)
                if isinstance(wanted, str):
                    assert answer[0] == 4 and answer[2] == wanted, (action, answer)
                else:
                    assert answer[0] == 3, (action, answer)
                    assert {**answer[2], **wanted} == answer[2], (action, answer)
            answer = await raw(rig, point, "Reset", {"type": "Soft"})
            assert answer[2] == {"status": "Accepted"}
            await rig.house.heard_of("BootNotification", count=2)
            await rig.online()
            assert rig.house.errors() == []

    play(runtime, session())


def test_the_boot_notification(runtime, tmp_path):
    """Page 16: ChargePointModel is the CR number, whatever its case on the command line."""

    async def session():
        async with Rig(runtime, tmp_path, "--model", "EVH5a07n2c7") as rig:
            point = await rig.online()
            (boot,) = rig.house.calls("BootNotification")
            assert boot["chargePointModel"] == "Evh5A07N2C7"
            assert boot["chargePointVendor"] == "Schneider Electric"
            known, _ = await keys(
                point,
                "IMaxUser",
                "PhaseNumber",
                "ConnectorSwitch3to1PhaseSupported",
                "UnlockConnectorOnEVSideDisconnect",
            )
            assert list(known.values()) == ["32", "1", "false", "false"]
            assert await change(point, "UnlockConnectorOnEVSideDisconnect", "true") == "Rejected"
            answer = await point.ask("UnlockConnector", connector_id=1)
            assert answer.status == "NotSupported"

    play(runtime, session())


@pytest.mark.parametrize(
    "model, phases, amps, socket",
    [
        ("Evh5A22N2S", 3, 32, True),
        ("Evh5A22N400F", 3, 32, True),
        ("Evh5A07N2C7", 1, 32, False),
        ("Evh5A11N2C7", 3, 16, False),
        ("Evh5A07N2C5", 1, 32, False),
        ("Evh5A11N2C5", 3, 16, False),
    ],
)
def test_each_commercial_reference(model, phases, amps, socket, tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, "--model", model.lower()) as rig:
            point = await rig.charge()
            state = await settled(rig, 20)
            assert state["power_w"] > 0.99 * phases * amps * 230
            assert state["offered_ma"] == amps * 1000 and state["phases"] == phases
            assert state["locked"] is socket
            assert rig.house.calls("BootNotification")[0]["chargePointModel"] == model
            known, _ = await keys(point, "IMaxUser", "PhaseNumber")
            assert list(known.values()) == [str(amps), str(phases)]

    play("cpython", session())


# Page 14, with the phases of docs/guide-notes.md.
MEASURANDS = """
Current.Import | A | L1 L2 L3
Current.Offered | A | -
Energy.Active.Import.Register | Wh | -
Energy.Reactive.Import.Register | varh | -
Frequency | - | -
Power.Active.Import | kW | - L1 L2 L3
Voltage | V | L1-N L2-N L3-N
"""


def test_each_measurand(runtime, tmp_path):
    wanted = [[cell.strip() for cell in line.split("|")] for line in MEASURANDS.split("\n")[1:-1]]

    async def session():
        every = ",".join(row[0] for row in wanted)
        words = (
            "--key",
            "MeterValuesSampledData=" + every,
            "--key",
            "MeterValueSampleInterval=10",
        )
        async with Rig(runtime, tmp_path, *words) as rig:
            await rig.charge()
            await rig.until(power_w=22066)
            values = await rig.house.heard_of("MeterValues", count=3)
            assert values["connectorId"] == 1 and values["transactionId"] == 1001
            (sample,) = values["meterValue"]
            told = {}
            for item in sample["sampledValue"]:
                assert item["context"] == "Sample.Periodic" and item["location"] == "Outlet"
                key = (item["measurand"], item.get("unit", "-"))
                told.setdefault(key, {})[item.get("phase", "-")] = item["value"]
            assert set(told) == {(name, unit) for name, unit, _ in wanted}
            for name, unit, phases in wanted:
                assert set(told[name, unit]) == set(phases.split()), name
            assert told["Current.Import", "A"]["L2"] == "31.98"
            assert told["Current.Offered", "A"]["-"] == "32"
            assert told["Power.Active.Import", "kW"]["-"] == "22.0662"
            assert told["Power.Active.Import", "kW"]["L3"] == "7.3554"
            assert told["Voltage", "V"]["L1-N"] == "230"
            assert told["Frequency", "-"]["-"] == "50"
            assert int(told["Energy.Active.Import.Register", "Wh"]["-"]) > 0
            assert rig.house.errors() == []

    play(runtime, session())


def test_each_measurand_on_one_phase(tmp_path):
    async def session():
        every = ",".join(line.split(" ")[0] for line in MEASURANDS.strip().split("\n"))
        words = ("--model", "Evh5A07N2C5", "--key", "MeterValuesSampledData=" + every)
        async with Rig("cpython", tmp_path, *words) as rig:
            await rig.charge()
            values = await rig.house.heard_of("MeterValues", count=2, timeout=300)
            sampled = values["meterValue"][0]["sampledValue"]
            phases = {item["measurand"]: item["phase"] for item in sampled if "phase" in item}
            assert len(sampled) == 7 and phases == {"Current.Import": "L1", "Voltage": "L1-N"}
            assert {i["measurand"]: i["value"] for i in sampled}["Power.Active.Import"] == "7.3554"

    play("cpython", session())


def test_each_message_of_the_station(runtime, tmp_path):
    """Page 9: what the charge point sends; the two statuses of transfers come when triggered."""

    async def session():
        words = ("--key", "MeterValueSampleInterval=5")
        async with Rig(runtime, tmp_path, *words) as rig:
            point = await rig.charge()
            await rig.house.heard_of("MeterValues", count=2)
            for message in (
                "BootNotification",
                "DiagnosticsStatusNotification",
                "FirmwareStatusNotification",
                "Heartbeat",
                "MeterValues",
                "StatusNotification",
            ):
                answer = await point.ask("TriggerMessage", requested_message=message)
                assert answer.status == "Accepted", message
            await rig.house.heard_of("BootNotification", count=2)
            idle = {"status": "Idle"}
            assert await rig.house.heard_of("DiagnosticsStatusNotification") == idle
            assert await rig.house.heard_of("FirmwareStatusNotification") == idle
            await rig.house.heard_of("Heartbeat")
            await rig.console("sim unplug")
            await rig.house.heard_of("StopTransaction")
            await told(rig, "Available")
            said = {m[2] for _, way, m in rig.house.messages if way == "<" and m[0] == 2}
            assert said == {
                "Authorize",
                "BootNotification",
                "DiagnosticsStatusNotification",
                "FirmwareStatusNotification",
                "Heartbeat",
                "MeterValues",
                "StartTransaction",
                "StatusNotification",
                "StopTransaction",
            }
            assert rig.house.errors() == []

    play(runtime, session())
