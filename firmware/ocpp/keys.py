"""The configuration keys: the guide's two tables (pages 12 to 15), and what OCPP 1.6 adds.

A row is all that there is to a key: GetConfiguration, ChangeConfiguration, the console, the
command line and provisioning go by it. The values are in `configuration.py`.

FeatureSet chooses between the guide's features and all that this firmware has. The rows of
`_FULL_TABLE` are there with `full` only.
"""

from collections import namedtuple

from firmware.base.runtime import const
from firmware.metering import measurands
from firmware.net.url import parse_url

# Access.
R = const(0)  # read
RW = const(1)  # read and write
RW_SOCKET = const(2)  # read and write, but read where the cable is attached (errata 3.84)
SECRET = const(3)  # write: it is never read

# Types: see `_TYPES`.
INTEGER = const(0)
_BOOLEAN = const(1)
_STRING = const(2)
_URL = const(3)
_BOX_IDENTIFIER = const(4)
_ID_TAG = const(5)
_AUTHORIZATION_KEY = const(6)
_CONSOLE_PASSWORD = const(7)
_MEASURANDS = const(8)
_PHASE_ROTATION = const(9)
_FEATURE_SET = const(10)

FEATURE_SET = "FeatureSet"
GUIDE = "guide"  # its values
FULL = "full"

# `bounds`: the lowest and the highest integer, or the number of characters that a text may have;
# None for no bounds. `default`: a text, or a function of the station that returns it. `effect`:
# None, or a function of the station, which is called after the answer when the value has changed.
Key = namedtuple("Key", ("name", "access", "type", "default", "bounds", "effect"))

# The columns are those of Key without `effect`: see `_EFFECTS`. Where `default` is None, the
# station knows it: see `_KNOWN_BY_STATION`. The rows are constants, so that they stay in flash.
_TABLE = (
    # Standard keys (guide pages 12 to 14)
    ("AuthorizeRemoteTxRequests", RW, _BOOLEAN, "true", None),
    ("ClockAlignedDataInterval", RW, INTEGER, "0", (0, 86400)),
    ("ConnectionTimeOut", RW, INTEGER, "0", (0, 86400)),
    ("GetConfigurationMaxKeys", R, INTEGER, "100", None),
    ("HeartbeatInterval", RW, INTEGER, "60", (1, 86400)),
    ("MeterValuesAlignedData", RW, _MEASURANDS, "", None),
    ("MeterValuesAlignedDataMaxLength", R, INTEGER, "0", None),
    (
        "MeterValuesSampledData",
        RW,
        _MEASURANDS,
        (
            "Voltage,Power.Active.Import,Energy.Active.Import.Register,Current.Import,"
            "Current.Offered,Frequency"
        ),
        None,
    ),
    ("MeterValuesSampledDataMaxLength", R, INTEGER, "20", None),
    ("MeterValueSampleInterval", RW, INTEGER, "30", (0, 86400)),
    ("NumberOfConnectors", R, INTEGER, "1", None),
    ("ResetRetries", RW, INTEGER, "0", (0, 10)),
    ("ConnectorPhaseRotation", RW, _PHASE_ROTATION, "NotApplicable", None),
    ("ConnectorPhaseRotationMaxLength", R, INTEGER, "0", None),
    ("StopTransactionOnEVSideDisconnect", RW, _BOOLEAN, "true", None),
    ("StopTransactionOnInvalidId", RW, _BOOLEAN, "true", None),
    ("StopTxnAlignedData", RW, _MEASURANDS, "", None),
    ("StopTxnAlignedDataMaxLength", R, INTEGER, "0", None),
    ("StopTxnSampledData", RW, _MEASURANDS, "", None),
    ("StopTxnSampledDataMaxLength", R, INTEGER, "0", None),
    ("SupportedFeatureProfiles", R, _STRING, None, None),
    ("TransactionMessageAttempts", RW, INTEGER, "3", (1, 100)),
    ("TransactionMessageRetryInterval", RW, INTEGER, "15", (0, 86400)),
    ("UnlockConnectorOnEVSideDisconnect", RW_SOCKET, _BOOLEAN, None, None),
    ("MessageTimeout", RW, INTEGER, "30", (1, 600)),
    ("WebSocketPingInterval", RW, INTEGER, "60", (0, 86400)),
    ("SupportedFileTransferProtocols", R, _STRING, "HTTP,HTTPS,FTP,FTPS", None),
    ("ChargeProfileMaxStacklevel", R, INTEGER, "200", None),
    ("ChargingScheduleMaxPeriods", R, INTEGER, "100", None),
    ("ChargingScheduleAllowedChargingRateUnit", R, _STRING, "Current,Power", None),
    ("MaxChargingProfilesInstalled", R, INTEGER, "200", None),
    ("ConnectorSwitch3to1PhaseSupported", R, _BOOLEAN, None, None),
    ("ReserveConnectorZeroSupported", R, _BOOLEAN, "true", None),
    # Customized keys (guide page 15)
    (
        "SupervisionUrl",
        RW,
        _URL,
        "wss://sandbox.ecostruxure-ev-advisor.se.app/supervision/evcs/v1.6",
        199,
    ),
    ("BoxIdentifier", RW, _BOX_IDENTIFIER, None, 50),
    ("DefaultIdTag", RW, _ID_TAG, "FreeCharge", 500),
    ("TICdetection", R, _BOOLEAN, None, None),
    ("TICmode", RW, INTEGER, "0", (0, 3)),
    ("MeterType", R, INTEGER, None, (0, 1)),
    ("IMaxUser", R, INTEGER, None, None),
    ("PhaseNumber", R, INTEGER, None, None),
    ("TriggerBackendConfigurationDataReset", RW, _BOOLEAN, "false", None),
    # Not in the guide: OCPP 1.6, its errata or the security white paper ask for them, or a bench
    # and an installer do
    ("LocalAuthorizeOffline", RW, _BOOLEAN, "true", None),
    ("LocalPreAuthorize", RW, _BOOLEAN, "false", None),
    ("AllowOfflineTxForUnknownId", RW, _BOOLEAN, "true", None),
    ("MinimumStatusDuration", RW, INTEGER, "0", (0, 3600)),
    ("StopTransactionMaxMeterValues", R, INTEGER, "30", None),
    ("AuthorizationKey", SECRET, _AUTHORIZATION_KEY, "", 40),
    ("SecurityProfile", RW, INTEGER, "0", (0, 2)),
    ("CpoName", RW, _STRING, "", 100),
    ("ConsolePassword", SECRET, _CONSOLE_PASSWORD, "", 40),
    (FEATURE_SET, RW, _FEATURE_SET, GUIDE, None),
)
_FULL_TABLE = (
    ("AuthorizationCacheEnabled", RW, _BOOLEAN, "true", None),
    ("LocalAuthListEnabled", RW, _BOOLEAN, "true", None),
    ("LocalAuthListMaxLength", R, INTEGER, "500", None),
    ("SendLocalListMaxLength", R, INTEGER, "200", None),
)

# A wrong value of these locks the station out: security.py prepares a change and can undo it.
SECURITY_KEYS = ("AuthorizationKey", "SecurityProfile")
# Where and as whom the station connects.
ENDPOINT_KEYS = ("SupervisionUrl", "BoxIdentifier")


def rows(feature_set: str = FULL):
    """Generator: the keys that there are with a FeatureSet, in the guide's order."""
    for cells in _TABLE:
        yield _key(cells)
    for cells in _FULL_TABLE if feature_set == FULL else ():
        yield _key(cells)


def _key(cells):
    name, access, type, default, bounds = cells
    if default is None:
        default = _KNOWN_BY_STATION[name]
    return Key(name, access, type, default, bounds, _EFFECTS.get(name))


def find(name: str, feature_set: str = FULL) -> Key | None:
    """The key of a name, in any case; None where there is none with this FeatureSet."""
    lowered = name.lower()
    for table in (_TABLE, _FULL_TABLE if feature_set == FULL else ()):
        for cells in table:
            known = cells[0]  # its name; to compare lengths first makes the fewest texts
            if len(known) == len(name) and known.lower() == lowered:
                return _key(cells)
    return None


def check(key: Key, text: str) -> str:
    """A value as it is stored and reported. Raises ValueError saying what is wrong with it."""
    if any(c < 32 or c == 127 for c in text.encode()):
        raise ValueError("no control characters")
    return _TYPES[key.type](text, key.bounds)


# What an installer says of the place: see tools/provision.py.
_TOLD_BY_INSTALLER = ("IMaxUser", "PhaseNumber", "MeterType")


def why_read_only(key: Key) -> str:
    """Who sets a key that the central system can't change."""
    if key.name in _TOLD_BY_INSTALLER:
        return "read-only: the installer sets it by `make provision`, a PC's user by --key"
    if key.access == RW_SOCKET:
        return "read-only where the cable is attached"
    return "read-only: it tells what this station is"


def is_read_only(key: Key, has_socket: bool) -> bool:
    """Whether the central system can't change it. `has_socket`: else the cable is attached."""
    return key.access == R or (key.access == RW_SOCKET and not has_socket)


# Values that the station itself knows: its features, its commercial reference, its meter, its TIC
# line.


def _feature_profiles(station):
    if station.config.feature_set() == FULL:
        return (
            "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,"
            "RemoteTrigger"
        )
    return "Core,FirmwareManagement,SmartCharging,RemoteTrigger"


def _max_a(station):
    return str(station.reference.max_ma // 1000)


def _phases(station):
    return str(station.reference.phases)


def _switches_phases(station):
    return "true" if station.reference.phases == 3 else "false"


def _has_socket(station):
    return "true" if station.reference.socket else "false"


def _own_box_identifier(station):
    return station.config.own_box_identifier()


def _tic_detected(station):
    return "true" if station.tic.detected else "false"


def _meter_type(station):
    meter = station.meter
    return str(meter.mid if meter.last or not meter.error else 0)  # 0: no meter ever answered


_KNOWN_BY_STATION = {
    "SupportedFeatureProfiles": _feature_profiles,
    "UnlockConnectorOnEVSideDisconnect": _has_socket,
    "ConnectorSwitch3to1PhaseSupported": _switches_phases,
    "BoxIdentifier": _own_box_identifier,
    "TICdetection": _tic_detected,
    "MeterType": _meter_type,
    "IMaxUser": _max_a,
    "PhaseNumber": _phases,
}


# What a new value does at once (guide page 15: effective instantly): functions of the station. A
# key without an effect needs none, since its value is read each time that it is used.


def change_endpoint(station) -> None:
    """SupervisionUrl, BoxIdentifier: the station connects to another central system, or to the
    same one under another name."""
    if station.connection.present_endpoint_id() != station.transactions.outbox.endpoint_id:
        station.spawn(_leave_endpoint(station))


async def _leave_endpoint(station):
    """Stops the transaction, delivers its messages as far as possible, and dials the new endpoint.
    An authorization that waits for the car, and a reservation, belong to the old one and end."""
    session = station.session
    session.cancel_authorization()
    session.end_reservation("stays with its place")
    session.refuse_transactions()  # until the new endpoint is dialled
    await session.stop_transaction_and_wait("Other")
    station.connection.change_endpoint()


def reconnect(station) -> None:
    """AuthorizationKey, SecurityProfile: connects again, with the new values. While the endpoint
    changes this is not needed: a new connection is about to come."""
    if station.connection.present_endpoint_id() == station.transactions.outbox.endpoint_id:
        station.connection.redial()


def change_features(station) -> None:
    """FeatureSet: the station has other operations and keys, and registers anew, so that the
    central system looks at them again."""
    if station.take_features():
        station.registration.renew()
        reconnect(station)


def set_heartbeat(station) -> None:
    """HeartbeatInterval: the wait for the next Heartbeat is computed anew."""
    station.registration.interval_changed()


def set_pings(station) -> None:
    """WebSocketPingInterval, MessageTimeout: the pings begin anew."""
    station.connection.pings_changed()


def set_sampling(station) -> None:
    """MeterValueSampleInterval, ClockAlignedDataInterval: a new interval begins."""
    station.sampler.intervals_changed()


def set_delivery(station) -> None:
    """TransactionMessageAttempts and -RetryInterval, StopTransactionMaxMeterValues."""
    config = station.config
    station.transactions.outbox.configure(
        config.int("TransactionMessageAttempts"),
        config.int("TransactionMessageRetryInterval"),
        config.int("StopTransactionMaxMeterValues"),
    )


def set_tic_mode(station) -> None:
    """TICmode: the mode also decides whether the house's limit counts."""
    station.tic.set_mode(station.config.int("TICmode"))
    station.limit_controller.reconsider()


_EFFECTS = {
    "ClockAlignedDataInterval": set_sampling,
    "HeartbeatInterval": set_heartbeat,
    "MeterValueSampleInterval": set_sampling,
    "TransactionMessageAttempts": set_delivery,
    "TransactionMessageRetryInterval": set_delivery,
    "MessageTimeout": set_pings,
    "WebSocketPingInterval": set_pings,
    "SupervisionUrl": change_endpoint,
    "BoxIdentifier": change_endpoint,
    "TICmode": set_tic_mode,
    "AuthorizationKey": reconnect,
    "SecurityProfile": reconnect,
    FEATURE_SET: change_features,
}


# The types: functions (text, bounds) that return the value as it is stored and reported, or raise
# ValueError. Control characters have been refused before.

_ROTATIONS = ("NotApplicable", "Unknown", "RST", "RTS", "SRT", "STR", "TRS", "TSR")
_SHORTEST_PASSWORD = const(16)
_LONGEST_ID_TAG = const(20)


def _boolean(text: str, bounds) -> str:
    """true or false, in any case."""
    text = text.strip().lower()
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text


def _integer(text: str, bounds: tuple | None) -> str:
    """A whole number; `bounds`: the lowest and the highest one, or None."""
    low, high = bounds or (-999999999, 999999999)
    digits = text[1:] if text[:1] in ("-", "+") else text
    if digits and all(48 <= c < 58 for c in digits.encode()) and low <= int(text) <= high:
        return str(int(text))
    raise ValueError("a whole number" + (" from %d to %d" % bounds if bounds else ""))


def _string(text: str, longest: int | None) -> str:
    """Any text; `longest`: how many characters it may have, or None."""
    if longest and len(text) > longest:
        raise ValueError("at most %d characters" % longest)
    return text


def _url(text: str, longest: int) -> str:
    """A ws or wss URL, or nothing."""
    _string(text, longest)
    if text and parse_url(text).user is not None:
        raise ValueError("no user or password")
    return text


def _box_identifier(text: str, longest: int) -> str:
    """A text that is not blank."""
    _string(text, longest)
    if not text.strip():
        raise ValueError("not empty")
    return text


def _id_tag(text: str, longest: int) -> str:
    """What can be an idTag. The guide's key is longer than those are."""
    _string(text, longest)
    if not 0 < len(text) <= _LONGEST_ID_TAG:
        raise ValueError("1 to 20 characters, as an idTag has")
    return text


def _authorization_key(text: str, longest: int) -> str:
    """A password that is long enough (white paper A00.FR.204), or nothing."""
    _string(text, longest)
    if text and len(text) < _SHORTEST_PASSWORD:
        raise ValueError("16 to 40 characters")
    return text


def _console_password(text: str, longest: int) -> str:
    """Without blanks around it, as the console takes what is typed."""
    return _string(text.strip(), longest)


def _measurands(text: str, bounds) -> str:
    """The standard's names of measurands, with commas."""
    return measurands.normalize(text)


def _phase_rotation(text: str, bounds) -> str:
    """ConnectorPhaseRotation (OCPP 9.1.7): one value, or `0.RST,1.RTS`."""
    items = []
    connectors = []
    for item in text.split(","):
        item = item.strip()
        connector, dot, phases = item.partition(".")
        if not dot:
            connector, phases = "", item
        elif connector not in ("0", "1"):
            raise ValueError("connector 0 or 1")
        if phases not in _ROTATIONS:
            raise ValueError("NotApplicable, Unknown, RST, RTS, SRT, STR, TRS or TSR")
        item = connector + dot + phases
        if item not in items:
            items.append(item)
            connectors.append(connector)
    if len(items) > 2 or connectors[0] == connectors[-1] and len(items) == 2:
        raise ValueError("at most one for connector 0 and one for 1")
    return ",".join(items)


def _feature_set(text: str, bounds) -> str:
    """guide or full, in any case."""
    text = text.strip().lower()
    if text not in (GUIDE, FULL):
        raise ValueError("guide or full")
    return text


_TYPES: dict = {
    INTEGER: _integer,
    _BOOLEAN: _boolean,
    _STRING: _string,
    _URL: _url,
    _BOX_IDENTIFIER: _box_identifier,
    _ID_TAG: _id_tag,
    _AUTHORIZATION_KEY: _authorization_key,
    _CONSOLE_PASSWORD: _console_password,
    _MEASURANDS: _measurands,
    _PHASE_ROTATION: _phase_rotation,
    _FEATURE_SET: _feature_set,
}
