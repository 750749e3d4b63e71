"""Reading and changing the keys: GetConfiguration, ChangeConfiguration and the data reset.

Loaded when used: what the station needs all the time is in `config.py`.
"""

import asyncio

from firmware.base import runtime
from firmware.ocpp import Answer, CallError, keys, security

_KNOWN = "firmware.ocpp.known"
_RESET = "TriggerBackendConfigurationDataReset"


async def GetConfiguration(station, payload):
    """OCPP 5.8: all keys, or those asked for, each once; unknown ones are named."""
    asked = payload.get("key")
    if asked and len(asked) > 100:
        raise CallError("OccurenceConstraintViolation", "key: at most GetConfigurationMaxKeys")
    known = runtime.load(_KNOWN)  # once for all keys: each load holds the loop
    try:
        ask = asked or keys.names()
        return await _all(station, ask, asked, lambda name: known.value(station, name))
    finally:
        known = None
        runtime.drop(_KNOWN)


async def _all(station, names, asked, known):
    config = station.config
    fixed = not station.reference.socket
    found = []
    unknown = []
    seen = []
    for name in names:
        await asyncio.sleep(0)  # each of them takes its time
        key = keys.row(name)
        if not key or (asked and key[1] == "w"):
            unknown.append(name)
        elif key[1] != "w" and key[0] not in seen:
            value = config.given(key[0])
            if value is None:
                value = keys.default(key, known)
            found.append({"key": key[0], "readonly": readonly(key, fixed), "value": value})
            if asked:
                seen.append(key[0])
    answer = {"configurationKey": found}
    if unknown:
        answer["unknownKey"] = unknown
    return answer


async def ChangeConfiguration(station, payload):
    """OCPP 5.3. What the new value does happens after the answer; only the data reset's work is
    done before it."""
    status, name, why = change(station, payload["key"], payload["value"])
    if why:
        station.log("config").info("%s %s: %s", status, name, why)
    answer = {"status": status}
    if status != "Accepted":
        return answer
    if not name:
        await runtime.soon("firmware.ocpp.effects", "clear", station)
    return Answer(answer, lambda: station.key_changed(name))


def readonly(key: list, fixed: bool) -> bool:
    """Whether a row's key can't be changed over OCPP. `fixed`: an attached cable (errata 3.84)."""
    return key[1] == "r" or (fixed and key[0] == "UnlockConnectorOnEVSideDisconnect")


def change(station, name: str, value: str) -> tuple:
    """As ChangeConfiguration would: (status, the key's own name, why not). The name is empty when
    all keys went back to their defaults."""
    config = station.config
    key = keys.row(name)
    if not key:
        return "NotSupported", "a key", "no such key"  # its text may hold a secret
    name = key[0]
    if readonly(key, not station.reference.socket):
        return "Rejected", name, "read-only"
    why = ""
    try:
        value = check(key, value)
        if name in security.KEYS:
            why = station.security.prepare_change(name, value)
    except ValueError as error:
        why = str(error)
    if why:
        return "Rejected", name, why
    if name == _RESET and value == "true":
        reset(config)
        return "Accepted", "", ""
    config.put(name, value)
    return "Accepted", name, ""


def reset(config) -> None:
    """TriggerBackendConfigurationDataReset: back to the provisioned values and the defaults, but
    never secrets and the security profile (docs/guide-notes.md), nor what no ChangeConfiguration
    can set. In one step: also that this key reads false. Raises OSError when the flash does not
    take it; then nothing has changed."""
    keep = {}
    gone = []
    for layer in (config.stored, config.run):
        for name in layer:
            access = (keys.row(name) or "-r")[1]
            if access == "w" or name == "SecurityProfile":
                keep[name] = layer[name]
            elif layer is config.run and access != "r":
                gone.append(name)
    config.save(keep)
    for name in gone:
        del config.run[name]


def check(key: list, value: str) -> str:
    """The value as it is stored, of a key's row. Raises ValueError saying what is wrong."""
    kind = key[2]
    if any(c < 32 or c == 127 for c in value.encode()):
        raise ValueError("control characters")
    if kind == "b":
        value = value.strip().lower()
        if value not in ("true", "false"):
            raise ValueError("true or false")
    elif kind == "i":
        digits = value[1:] if value[:1] in ("-", "+") else value
        if not (digits and len(digits) <= 9 and all(48 <= c < 58 for c in digits.encode())):
            raise ValueError("a whole number")
        number = int(value)
        if len(key) > 4:
            low, high = key[4].split("..")
            if not int(low) <= number <= int(high):
                raise ValueError("from %s to %s" % (low, high))
        value = str(number)
    elif kind == "m":
        from firmware.metering import measurands

        value = measurands.normal(value)
    elif kind == "p":
        value = _rotation(value)
    else:
        if key[0] == "ConsolePassword":
            value = value.strip()  # as what is typed
        if len(key) > 4 and len(value) > int(key[4]):
            raise ValueError("at most %s characters" % key[4])
        if kind == "u" and value:
            from firmware.net import address

            if address.parse_url(value)[1] is not None:
                raise ValueError("no user or password")
        if key[0] == "BoxIdentifier" and not value.strip():
            raise ValueError("not empty")
        if key[0] == "DefaultIdTag" and not 0 < len(value) <= 20:
            raise ValueError("1 to 20 characters, as an idTag has")
        if key[0] == "AuthorizationKey" and value and len(value) < 16:
            raise ValueError("16 to 40 characters")
    return value


def _rotation(value):
    """ConnectorPhaseRotation (OCPP 9.1.7): one value, or `0.RST,1.RTS`."""
    out = []
    for item in value.split(","):
        item = item.strip()
        connector, dot, phases = item.partition(".")
        if not dot:
            connector, phases = "", item
        elif connector not in ("0", "1"):
            raise ValueError("connector 0 or 1")
        if phases not in ("NotApplicable", "Unknown", "RST", "RTS", "SRT", "STR", "TRS", "TSR"):
            raise ValueError("NotApplicable, Unknown, RST, RTS, SRT, STR, TRS or TSR")
        out.append(connector + dot + phases)
    if len(out) > 2:
        raise ValueError("at most one for connector 0 and one for 1")
    return ",".join(out)
