"""What can be typed at the console (docs/operations.md). Each command returns its reply's lines
and raises ValueError with what to do instead."""

import asyncio

from firmware.base import runtime
from firmware.net import websocket

_LOGIN_MS = 600000
# These change nothing as they stand; with a word more, but `config KEY`, they do.
_LOOKS = "help status faults profiles meter tic transfers selftest config queue log"
_ALONE = "help status faults profiles meter tic transfers selftest stop unlock maintenance quit"


async def execute(station, line: str):
    """Runs a line; returns the reply's lines, or (lines, what went wrong)."""
    if not websocket.valid_utf8(memoryview(line.encode())):  # MicroPython takes surrogates
        raise ValueError("not UTF-8")
    words = line.split()
    name = words[0]
    command = _COMMANDS.get(name)
    if not command:
        raise ValueError("no such command: %s; try help" % name[:40])
    now = station.clock.ms()
    if station.config.get("ConsolePassword") and name not in ("help", "login"):
        if now >= station.trusted_ms:
            raise ValueError("password needed: login PASSWORD")
        station.trusted_ms = now + _LOGIN_MS
    if len(words) > 1 and name in _ALONE.split():
        raise ValueError("%s stands alone" % name)
    if name not in _LOOKS.split() or len(words) > (2 if name == "config" else 1):
        text = " ".join(words[:2])[:60]
        if name == "login":
            text = ""  # it logs that itself
        elif name == "config":  # no value, and no key that there is none of: it may be a secret
            key = runtime.once("firmware.ocpp.keys", "row", words[1])
            text = "config " + (key[0] if key else "of an unknown key")
        if text:
            station.log("console").info("%s", text)
    return await command(station, words, line)


async def _login(station, words, line):
    if line.strip()[6:].strip() != station.config.get("ConsolePassword"):
        station.security_event("console: a wrong password")
        await asyncio.sleep(2)  # for whoever tries many
        raise ValueError("a wrong password")
    station.trusted_ms = station.clock.ms() + _LOGIN_MS
    if station.config.get("ConsolePassword"):
        station.security_event("console: login")


async def _selftest(station, words, line):
    return await runtime.soon("firmware.console.selftest", "run", station)


async def _help(station, words, line):
    return runtime.once("firmware.console.usage", "lines")


async def _status(station, words, line):
    return [runtime.once("firmware.console.status", "status", station)]


async def _config(station, words, line):
    from firmware.ocpp import keys
    from firmware.ocpp.handlers import configuration

    config = station.config
    if len(words) == 1:
        return ["%s=%s" % (name, _shown(config, name)) for name in keys.names()]
    if len(words) == 2:
        key = keys.row(words[1])
        if not key:
            raise ValueError("no such key: %s" % words[1][:50])
        return ["%s=%s" % (key[0], _shown(config, key[0]))]
    value = line.split(None, 2)[2].strip()
    if value == '""':
        value = ""
    result, name, why = configuration.change(station, words[1], value)
    if result == "Accepted":
        if not name:  # the data reset
            await runtime.soon("firmware.ocpp.effects", "clear", station)
        station.key_changed(name)
    elif why:
        station.log("config").info("%s %s: %s", result, name, why)
    return [result]


def _shown(config, name):
    from firmware.ocpp import keys

    if keys.row(name)[1] == "w":
        return "(set)" if config.get(name) else "(not set)"
    return config.get(name)


async def _authorize(station, words, line):
    if len(words) != 2 or len(words[1]) > 20:
        raise ValueError("authorize TAG, a tag of 1 to 20 characters")
    if station.busy():
        raise ValueError("too much at once: wait for the answers")
    station.present(words[1])


async def _stop(station, words, line):
    if not station.session.transaction and not station.session.authorised:
        raise ValueError("no transaction runs")
    station.session.stop("Local")


async def _unlock(station, words, line):
    if not station.reference.socket:
        raise ValueError("an attached cable has no lock")
    if not await station.session.stopped("Local"):
        raise ValueError("the transaction does not end: see log")
    station.session.free()
    if not await station.evse.unlock():
        raise ValueError("the lock did not open: see faults")


async def _faults(station, words, line):
    from firmware.charging import faults

    lines = []
    for code in station.evse.faults.active:
        since = (station.clock.ms() - station.evse.faults.since(code)) // 1000
        lines.append("%s %s, for %d s" % (code, faults.row(code)[1], since))
    return lines


async def _queue(station, words, line):
    if words[1:] not in ([], ["clear"]):
        raise ValueError("queue or queue clear")
    if len(words) > 1:
        return ["%d forgotten" % station.transactions.clear_given_up()]
    return list(station.transactions.listing())


async def _profiles(station, words, line):
    return station.profiles.listing()


_UNITS = (
    "energy Wh,reactive varh,power dW,p1 dW,p2 dW,p3 dW,i1 mA,i2 mA,i3 mA,"
    "v1 mV,v2 mV,v3 mV,frequency mHz"
)


async def _meter(station, words, line):
    reading = station.meter.last
    if not reading:
        raise ValueError("no reading of the meter: %s" % (station.meter.error or "none yet"))
    lines = []
    for item in _UNITS.split(","):
        name, unit = item.split(" ")
        if name in reading:
            lines.append("%s=%d %s" % (name, reading[name], unit))
    return lines


async def _tic(station, words, line):
    if not station.tic.frame:
        raise ValueError("no good TIC frame yet")
    return station.tic.frame.split("\n")


async def _transfers(station, words, line):
    jobs = station.jobs
    if not jobs:
        return ["nothing"]
    lines = [message[:-18] + ": " + station.doing[message] for message in station.doing]
    return (lines or ["waiting"]) + ([jobs.progress] if jobs.progress else [])


async def _log(station, words, line):
    from firmware.base import log

    if len(words) == 1:
        return list(station.log.lines)
    if words[1] not in log.LEVELS or len(words) > 2:
        raise ValueError("log debug, info, warning or error")
    station.log.level = log.LEVELS[words[1]]


async def _reset(station, words, line):
    if words[1:] not in (["soft"], ["hard"]):
        raise ValueError("reset soft or reset hard")
    station.reset(words[1] == "hard")


async def _quit(station, words, line):
    if runtime.DEVICE:
        raise ValueError("only on a PC; the device has maintenance")
    station.end("quit")


async def _sim(station, words, line):
    if words[1:2] == ["link"] and words[2:] in (["down"], ["up"]):
        station.link.sever(words[2] == "down")
        return None
    if not hasattr(station.board, "command"):
        raise ValueError("this board is real: sim is for the simulated one")
    return station.board.command(words[1:])


async def _maintenance(station, words, line):
    if not runtime.DEVICE:
        raise ValueError("only on the device")
    if station.session.transaction:
        raise ValueError("a transaction is running: stop it first")
    station.end("maintenance")


_COMMANDS = {
    "help": _help,
    "login": _login,
    "selftest": _selftest,
    "status": _status,
    "config": _config,
    "authorize": _authorize,
    "stop": _stop,
    "unlock": _unlock,
    "faults": _faults,
    "queue": _queue,
    "profiles": _profiles,
    "meter": _meter,
    "tic": _tic,
    "transfers": _transfers,
    "log": _log,
    "reset": _reset,
    "quit": _quit,
    "sim": _sim,
    "maintenance": _maintenance,
}
