"""The console's commands (docs/operations.md): `commands` is the table, `execute` runs a line.

To add a command, write its function and add its row.
"""

import asyncio
import json
from collections import namedtuple

from firmware.base import runtime
from firmware.base.log import LEVELS
from firmware.base.runtime import const
from firmware.console import status
from firmware.net import websocket
from firmware.ocpp import configuration, keys
from firmware.ocpp.authorization import present_id_tag
from firmware.station import Station

_LOGIN_MS = const(600000)  # a login lasts for so long after the last command
_GUESS_S = const(2)  # the answer to a wrong password takes so long
_WITHOUT_PASSWORD = ("help", "login")

# The number of arguments from which on a command changes something; then it is logged.
ALWAYS = 0
WITH_ARGUMENT = 1
WITH_VALUE = 2
NEVER = 99


class Failed(ValueError):
    """A command ran, and found something wrong. `lines` are its reply nevertheless."""

    def __init__(self, lines: list, why: str):
        super().__init__(why)
        self.lines = lines


async def execute(station: Station, line: str):
    """Runs a line that is not blank. Returns the lines of the reply, or None. Raises ValueError
    with a text that says what to do instead; `Failed` is one."""
    if not websocket.valid_utf8(memoryview(line.encode())):  # MicroPython takes surrogates
        raise ValueError("not UTF-8")
    arguments = line.split()
    name = arguments.pop(0)
    command = find(name)
    if not command:
        raise _no_such_command(name)
    _check_login(station, command.name)
    if arguments and not _takes_arguments(command):
        raise ValueError("%s takes no argument" % name)
    if len(arguments) >= command.changes_from:
        station.log("console").info("%s", _for_log(name, arguments))
    text = line.strip()[len(name) :].strip()
    return await command.run(station, arguments, text)


def find(name: str):
    """The table's row of a command; None where there is no such command."""
    if name == "?":
        name = "help"
    for command in commands():
        if command.name == name:
            return command
    return None


def _no_such_command(name):
    return ValueError("no such command: %s; try help" % name[:40])


def _check_login(station: Station, name):
    """Raises ValueError where a password is set and nobody is logged in. A command that needs the
    login also prolongs it."""
    if station.config.get("ConsolePassword") and name not in _WITHOUT_PASSWORD:
        now = station.clock.ms()
        if now >= station.login_ends_ms:
            raise ValueError("password needed: login PASSWORD")
        station.prolong_login(_LOGIN_MS)


def _takes_arguments(command):
    """Whether one of the help lines shows an argument."""
    for line in command.help.split("\n"):
        if " " in line.partition(":")[0]:
            return True
    return False


def _for_log(name, arguments):
    """The log's text for a line. It never shows a key's value, which may be a secret, nor an
    unknown key, which may be a secret typed in the wrong place."""
    if name == "config":
        key = keys.find(arguments[0])
        return "config " + (key.name if key else "of an unknown key")
    return " ".join([name] + arguments[:1])[:60]


# The functions of the table: `await run(station, arguments, text)`. `arguments` are the words
# after the name, `text` is all that follows the name. They return and raise what `execute` does.


async def _help(station: Station, arguments, text):
    if not arguments:
        return "\n".join([command.help for command in commands()]).split("\n")
    if len(arguments) > 1:
        raise ValueError("help or help COMMAND")
    command = find(arguments[0])
    if not command:
        raise _no_such_command(arguments[0])
    return command.help.split("\n")


async def _selftest(station: Station, arguments, text):
    from firmware.console import selftest  # rare: when an installer asks

    lines, failed = await selftest.run(station)
    if failed:
        raise Failed(lines, failed)
    return lines


async def _login(station: Station, arguments, text):
    password = station.config.get("ConsolePassword")
    if text != password:
        station.security_event("console: a wrong password")
        await asyncio.sleep(_GUESS_S)
        raise ValueError("a wrong password")
    station.prolong_login(_LOGIN_MS)
    if password:
        station.security_event("console: login")


async def _facts(station: Station):
    runtime.collect()
    await asyncio.sleep(0)
    memory = runtime.memory()
    await asyncio.sleep(0)
    facts = status.facts(station, memory)  # all of the same moment
    await asyncio.sleep(0)
    return facts


async def _status(station: Station, arguments, text):
    return [json.dumps(await _facts(station))]


async def _show(station: Station, arguments, text):
    return status.for_people(await _facts(station))


async def _config(station: Station, arguments, text):
    config = station.config
    if not arguments:
        return (_key_line(config, key) for key in keys.rows(config.feature_set()))
    name, equals, _ = arguments[0].partition("=")
    key = config.find(name)
    if equals or arguments[1:2] == ["="]:  # no value is shown: it may be a secret
        if key:
            raise ValueError("config %s VALUE, with a blank and no =" % key.name)
    if len(arguments) == 1:
        if not key:
            raise ValueError("no such key: %s" % name[:50])
        return [_key_line(config, key)]
    value = text[len(arguments[0]) :].strip()
    if value == '""':
        value = ""
    change = await configuration.change_key(station, arguments[0], value)
    if change.status == "Accepted":
        configuration.apply_change(station, change)
        return [change.status]
    if change.status == "NotSupported":
        return [change.status, change.why]
    return [change.status, "%s: %s" % (change.name, change.why)]


def _key_line(config, key):
    return "%s=%s" % (key.name, config.shown(key))


async def _authorize(station: Station, arguments, text):
    if len(arguments) != 1 or len(arguments[0]) > 20:
        raise ValueError("authorize TAG, a tag of 1 to 20 characters")
    if station.is_busy():
        raise ValueError("too much at once: wait for the answers")
    present_id_tag(station, arguments[0])


async def _stop(station: Station, arguments, text):
    if not station.session.transaction and not station.session.authorization:
        raise ValueError("no transaction runs")
    station.session.stop_transaction("Local")


async def _unlock(station: Station, arguments, text):
    if not station.reference.socket:
        raise ValueError("an attached cable has no lock")
    if not await station.session.stop_transaction_and_wait("Local"):
        raise ValueError("the transaction does not end: see log")
    station.session.release_cable()
    if not await station.evse.unlock():
        raise ValueError("the lock did not open: see faults")


def _or_none(lines):
    """Generator: the lines of a list, "none" for an empty one. A line that is None is not found
    yet."""
    is_empty = True
    for line in lines:
        is_empty = is_empty and line is None
        yield line
    if is_empty:
        yield "none"


async def _faults(station: Station, arguments, text):
    return _or_none(status.faults(station))


async def _queue(station: Station, arguments, text):
    if arguments not in ([], ["clear"]):
        raise ValueError("queue or queue clear")
    if not station.transactions.is_replayed:
        raise ValueError("the journal is being read: try again in some seconds")
    if arguments:
        return ["%d forgotten" % station.transactions.outbox.clear_given_up()]
    return _or_none(station.transactions.outbox.listing())


async def _profiles(station: Station, arguments, text):
    return _or_none(station.profiles.listing())


def _full(station: Station):
    if not station.full:
        raise ValueError("only with FeatureSet full: config FeatureSet full")
    return station.full


async def _list(station: Station, arguments, text):
    full = _full(station)
    if len(arguments) > 1:
        raise ValueError("list or list TAG")
    if not arguments:
        return full.list_lines()
    known = full.local_list.find(arguments[0])
    return [full.describe(known) if known else "%s is not in it" % arguments[0][:20]]


async def _cache(station: Station, arguments, text):
    full = _full(station)
    if arguments not in ([], ["clear"]):
        raise ValueError("cache or cache clear")
    if not arguments:
        return full.cache_lines()
    if not full.cache.clear():
        raise ValueError("the flash did not take it: see log")
    return None


async def _availability(station: Station, arguments, text):
    full = _full(station)
    if not arguments:
        return full.availability_lines()
    connector, word = arguments if len(arguments) == 2 else ("0", arguments[0])
    if connector not in ("0", "1") or word not in ("operative", "inoperative"):
        raise ValueError("availability [0|1] operative or inoperative")
    return [full.change_availability(int(connector), word == "operative")]


async def _meter(station: Station, arguments, text):
    return status.meter_values(station)


async def _tic(station: Station, arguments, text):
    return status.tic_frame(station)


async def _transfers(station: Station, arguments, text):
    return status.transfers(station)


async def _log(station: Station, arguments, text):
    if not arguments:
        return list(station.log.lines)
    if arguments[0] not in LEVELS or len(arguments) > 1:
        raise ValueError("log debug, info, warning or error")
    station.log.level = LEVELS[arguments[0]]


async def _reset(station: Station, arguments, text):
    if arguments not in (["soft"], ["hard"]):
        raise ValueError("reset soft or reset hard")
    station.reset(arguments[0] == "hard")


async def _maintenance(station: Station, arguments, text):
    if not runtime.DEVICE:
        raise ValueError("only on the device")
    if station.session.transaction:
        raise ValueError("a transaction is running: stop it first")
    station.end("maintenance")


async def _calibrate(station: Station, arguments, text):
    if not runtime.DEVICE:
        raise ValueError("only on the device")
    if station.session.transaction:
        raise ValueError("a transaction is running: stop it first")
    if station.evse.plugged:
        raise ValueError("unplug the car and its cable first")
    station.end("calibrate")


async def _quit(station: Station, arguments, text):
    if runtime.DEVICE:
        raise ValueError("only on a PC; the device has maintenance")
    station.end("quit")


async def _sim(station: Station, arguments, text):
    if arguments[:1] == ["link"] and arguments[1:] in (["down"], ["up"]):
        station.connection.sever(arguments[1] == "down")
        return None
    if not hasattr(station.board, "command"):
        raise ValueError("this board is real: sim is for the simulated one")
    station.board.command(arguments)
    return None


# A row: the command's name, its lines in `help`, the function that runs it, and from how many
# arguments on it changes something. A command whose help shows no argument takes none. All but
# `_WITHOUT_PASSWORD` need the login where a ConsolePassword is set.
Command = namedtuple("Command", ("name", "help", "run", "changes_from"))


def commands():
    """Generator: the rows. They are made when somebody looks one up."""
    yield Command(
        "help", "help [COMMAND], or ?: lists the commands, or explains one", _help, NEVER
    )
    yield Command(
        "selftest",
        "selftest: tests each part of the wall box, with advice for what fails",
        _selftest,
        NEVER,
    )
    yield Command(
        "login",
        "login PASSWORD: needed with a ConsolePassword; lasts ten minutes after the last command",
        _login,
        NEVER,  # it writes its own log line, without the password
    )
    yield Command("status", "status: the state as one line of JSON", _status, NEVER)
    yield Command("show", "show: the state in lines for people", _show, NEVER)
    yield Command(
        "config",
        "config [KEY [VALUE]]: shows the keys, or sets one as ChangeConfiguration would",
        _config,
        WITH_VALUE,
    )
    yield Command(
        "authorize",
        "authorize TAG: presents an id, which starts or stops a charge",
        _authorize,
        ALWAYS,
    )
    yield Command("stop", "stop: stops the transaction", _stop, ALWAYS)
    yield Command("unlock", "unlock: ends a transaction and unlocks the socket", _unlock, ALWAYS)
    yield Command("faults", "faults: the active vendor error codes", _faults, NEVER)
    yield Command(
        "queue",
        """queue: the transaction messages still to deliver
queue clear: drops those that were given up""",
        _queue,
        WITH_ARGUMENT,
    )
    yield Command("profiles", "profiles: the installed charging profiles", _profiles, NEVER)
    yield Command(
        "list",
        "list [TAG]: the local authorization list, or one entry (FeatureSet full)",
        _list,
        NEVER,
    )
    yield Command(
        "cache",
        """cache: the authorization cache (FeatureSet full)
cache clear: empties it""",
        _cache,
        WITH_ARGUMENT,
    )
    yield Command(
        "availability",
        """availability: whether the connectors are operative (FeatureSet full)
availability [0|1] operative|inoperative: as ChangeAvailability would; 0 is the station""",
        _availability,
        WITH_ARGUMENT,
    )
    yield Command("meter", "meter: the newest meter values", _meter, NEVER)
    yield Command("tic", "tic: the newest good TIC frame", _tic, NEVER)
    yield Command("transfers", "transfers: the file transfers under way", _transfers, NEVER)
    yield Command(
        "log",
        "log [debug|info|warning|error]: shows the last lines, or sets the level",
        _log,
        WITH_ARGUMENT,
    )
    yield Command(
        "reset", "reset soft|hard: ends a transaction and restarts the station", _reset, ALWAYS
    )
    yield Command(
        "maintenance",
        "maintenance: stops the station and opens Python's prompt (device only)",
        _maintenance,
        ALWAYS,
    )
    yield Command(
        "calibrate",
        "calibrate: measures and stores the pilot's two levels, then starts again (device only)",
        _calibrate,
        ALWAYS,
    )
    yield Command("quit", "quit: ends the process (PC only)", _quit, ALWAYS)
    yield Command(
        "sim",
        """sim plug|unplug|ready|pause|ventilate|sleep: the simulated car
sim phases 1|3: how many phases the car uses
sim draw MA|house MA|volt V|temp C: the car's and house's current, mains, cable
sim fault CODE on|off: the physical cause of a vendor error code
sim link down|up: cuts the network, or restores it
sim tic historique|standard|off: the simulated TIC line
sim power off: the power fails, and the process ends at once""",
        _sim,
        ALWAYS,
    )
