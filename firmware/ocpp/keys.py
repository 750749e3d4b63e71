"""The configuration keys: the guide's two tables (pages 12 to 15), and what OCPP 1.6 adds.

A row is all that there is to a key: GetConfiguration, ChangeConfiguration, the console, the
command line and provisioning go by it. The values are in `configuration.py`.
"""

from collections import namedtuple

from firmware.ocpp import key_effects as effects
from firmware.ocpp.key_types import (
    authorization_key,
    boolean,
    box_identifier,
    console_password,
    id_tag,
    integer,
    measurand_list,
    phase_rotation,
    string,
    url,
)

# Access.
R = "read"
RW = "read and write"
RW_SOCKET = "read and write, but read where the cable is attached"  # errata 3.84
SECRET = "write"  # it is never read

# `type`: a function of key_types.py, to which `bounds` are given. `default`: a text, or a function
# of the station that knows it. `effect`: None, or a function of the station, called when the key
# has another value and the answer that says so is out.
Key = namedtuple("Key", ("name", "access", "type", "default", "bounds", "effect"))


def _key(name, access, type, default, bounds=None, effect=None):
    return Key(name, access, type, default, bounds, effect)


# Values that the station itself knows: its commercial reference, its meter, its TIC line.


def _max_a(station):
    return str(station.reference.max_ma // 1000)


def _phases(station):
    return str(station.reference.phases)


def _switches_phases(station):
    return "true" if station.reference.phases == 3 else "false"


def _has_socket(station):
    return "true" if station.reference.socket else "false"


def _box_identifier(station):
    return station.config.own_box_identifier()


def _tic_detected(station):
    return "true" if station.tic.detected else "false"


def _meter_type(station):
    meter = station.meter
    return str(meter.mid if meter.last or not meter.error else 0)  # none was ever there


TABLE = (
    # Standard keys (guide pages 12 to 14)
    _key("AuthorizeRemoteTxRequests", RW, boolean, "true"),
    _key("ClockAlignedDataInterval", RW, integer, "0", (0, 86400), effects.set_sampling),
    _key("ConnectionTimeOut", RW, integer, "0", (0, 86400)),
    _key("GetConfigurationMaxKeys", R, integer, "100"),
    _key("HeartbeatInterval", RW, integer, "60", (1, 86400), effects.set_heartbeat),
    _key("MeterValuesAlignedData", RW, measurand_list, ""),
    _key("MeterValuesAlignedDataMaxLength", R, integer, "0"),
    _key(
        "MeterValuesSampledData",
        RW,
        measurand_list,
        "Voltage,Power.Active.Import,Energy.Active.Import.Register,Current.Import,"
        "Current.Offered,Frequency",
    ),
    _key("MeterValuesSampledDataMaxLength", R, integer, "20"),
    _key("MeterValueSampleInterval", RW, integer, "30", (0, 86400), effects.set_sampling),
    _key("NumberOfConnectors", R, integer, "1"),
    _key("ResetRetries", RW, integer, "0", (0, 10)),
    _key("ConnectorPhaseRotation", RW, phase_rotation, "NotApplicable"),
    _key("ConnectorPhaseRotationMaxLength", R, integer, "0"),
    _key("StopTransactionOnEVSideDisconnect", RW, boolean, "true"),
    _key("StopTransactionOnInvalidId", RW, boolean, "true"),
    _key("StopTxnAlignedData", RW, measurand_list, ""),
    _key("StopTxnAlignedDataMaxLength", R, integer, "0"),
    _key("StopTxnSampledData", RW, measurand_list, ""),
    _key("StopTxnSampledDataMaxLength", R, integer, "0"),
    _key(
        "SupportedFeatureProfiles",
        R,
        string,
        "Core,FirmwareManagement,SmartCharging,RemoteTrigger",
    ),
    _key("TransactionMessageAttempts", RW, integer, "3", (1, 100), effects.set_delivery),
    _key("TransactionMessageRetryInterval", RW, integer, "15", (0, 86400), effects.set_delivery),
    _key("UnlockConnectorOnEVSideDisconnect", RW_SOCKET, boolean, _has_socket),
    _key("MessageTimeout", RW, integer, "30", (1, 600), effects.set_pings),
    _key("WebSocketPingInterval", RW, integer, "60", (0, 86400), effects.set_pings),
    _key("SupportedFileTransferProtocols", R, string, "HTTP,HTTPS,FTP,FTPS"),
    _key("ChargeProfileMaxStacklevel", R, integer, "200"),
    _key("ChargingScheduleMaxPeriods", R, integer, "100"),
    _key("ChargingScheduleAllowedChargingRateUnit", R, string, "Current,Power"),
    _key("MaxChargingProfilesInstalled", R, integer, "200"),
    _key("ConnectorSwitch3to1PhaseSupported", R, boolean, _switches_phases),
    _key("ReserveConnectorZeroSupported", R, boolean, "true"),
    # Customized keys (guide page 15)
    _key(
        "SupervisionUrl",
        RW,
        url,
        "wss://sandbox.ecostruxure-ev-advisor.se.app/supervision/evcs/v1.6",
        199,
        effects.change_endpoint,
    ),
    _key("BoxIdentifier", RW, box_identifier, _box_identifier, 50, effects.change_endpoint),
    _key("DefaultIdTag", RW, id_tag, "FreeCharge", 500),
    _key("TICdetection", R, boolean, _tic_detected),
    _key("TICmode", RW, integer, "0", (0, 3), effects.set_tic_mode),
    _key("MeterType", R, integer, _meter_type, (0, 1)),
    _key("IMaxUser", R, integer, _max_a),
    _key("PhaseNumber", R, integer, _phases),
    _key("TriggerBackendConfigurationDataReset", RW, boolean, "false"),
    # Not in the guide: OCPP 1.6, its errata or the security white paper ask for them, or a bench
    # and an installer do
    _key("LocalAuthorizeOffline", RW, boolean, "true"),
    _key("LocalPreAuthorize", RW, boolean, "false"),
    _key("AllowOfflineTxForUnknownId", RW, boolean, "true"),
    _key("MinimumStatusDuration", RW, integer, "0", (0, 3600)),
    _key("StopTransactionMaxMeterValues", R, integer, "30"),
    _key("AuthorizationKey", SECRET, authorization_key, "", 40, effects.reconnect),
    _key("SecurityProfile", RW, integer, "0", (0, 2), effects.reconnect),
    _key("CpoName", RW, string, "", 100),
    _key("ConsolePassword", SECRET, console_password, "", 40),
)


def find(name: str) -> Key | None:
    """The key of a name, in any case; None where there is none."""
    lowered = name.lower()
    for key in TABLE:
        if len(key.name) == len(name) and key.name.lower() == lowered:
            return key
    return None


def check(key: Key, text: str) -> str:
    """A value as it is stored. Raises ValueError saying what is wrong with it."""
    if any(c < 32 or c == 127 for c in text.encode()):
        raise ValueError("control characters")
    return key.type(text, key.bounds)


def is_read_only(key: Key, has_socket: bool) -> bool:
    """Whether the central system can't change it. `has_socket`: else the cable is attached."""
    return key.access == R or (key.access == RW_SOCKET and not has_socket)
