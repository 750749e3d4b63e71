"""GetConfiguration and ChangeConfiguration (OCPP 5.8, 5.3)."""

import asyncio

from firmware.ocpp import Answer, CallError, configuration, keys

_AT_ONCE = 16  # keys that are looked up before others have a turn


async def GetConfiguration(station, payload):
    """All keys, or those asked for, each once; unknown ones are named."""
    asked = payload.get("key")
    if asked and len(asked) > station.config.int("GetConfigurationMaxKeys"):
        raise CallError("OccurenceConstraintViolation", "key: at most GetConfigurationMaxKeys")
    found = []
    unknown = []
    for name in asked or [key.name for key in keys.TABLE]:
        key = keys.find(name)
        if asked and (not key or key.access == keys.SECRET):
            unknown.append(name)
        elif key.access != keys.SECRET and key not in found:
            found.append(key)
            if len(found) % _AT_ONCE == 0:
                await asyncio.sleep(0)
    answer = {"configurationKey": [_key_value(station, key) for key in found]}
    if unknown:
        answer["unknownKey"] = unknown
    return answer


def _key_value(station, key):
    """A KeyValue (OCPP 7.29)."""
    return {
        "key": key.name,
        "readonly": keys.is_read_only(key, station.reference.socket),
        "value": station.config.get(key.name),
    }


async def ChangeConfiguration(station, payload):
    """What the new value does happens after the answer; only the data reset's work is done before
    it."""
    change = await configuration.change_key(station, payload["key"], payload["value"])
    answer = {"status": change.status}
    if change.status != "Accepted":
        return answer
    return Answer(answer, lambda: configuration.apply_change(station, change))
