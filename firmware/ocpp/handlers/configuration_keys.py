"""GetConfiguration and ChangeConfiguration (OCPP 5.8, 5.3)."""

import asyncio

from firmware.ocpp import Answer, CallError, configuration, keys

_AT_ONCE = 16  # keys that are looked up before others have a turn


async def GetConfiguration(station, payload):
    """All keys, or those asked for, each once; unknown ones are named."""
    names = payload.get("key")
    if not names:
        readable = (key for key in keys.rows() if key.access != keys.SECRET)
        return {"configurationKey": _key_values(station, readable)}
    if len(names) > station.config.int("GetConfigurationMaxKeys"):
        raise CallError("OccurenceConstraintViolation", "key: at most GetConfigurationMaxKeys")
    found = []
    unknown = []
    told = set()
    for number, name in enumerate(names):
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
        key = keys.find(name)
        if not key or key.access == keys.SECRET:
            unknown.append(name)
        elif key.name not in told:
            told.add(key.name)
            found.append(key)
    answer = {"configurationKey": _key_values(station, found)}
    if unknown:
        answer["unknownKey"] = unknown
    return answer


def _key_values(station, found):
    """Generator: their KeyValues (OCPP 7.29), made as they are written."""
    for key in found:
        yield {
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
