"""The device's start and end, loaded for each and dropped.

`provision.json` (tools/provision.py writes it) holds what the installer said:

    {"model": "Evh5A22N2S",
     "keys": {"IMaxUser": "16", "PhaseNumber": "1", "BoxIdentifier": "HOUSE1", ...},
     "wifi": {"ssid": "...", "key": "..."},
     "ntp": "pool.ntp.org",                   who tells the time without a central system
     "meter": "iEM3155", "unit": 1,
     "baud": 19200, "parity": "E",            of the meter; else as it is delivered
     "tic_pause_s": 600,                      so long without TIC: a pause; 0 for never
     "switch_s": 60,                          the vehicle's rest when its phases are switched
     "ca": "ca.der", "insecure": false,
     "board": "devkit", "pins": {...},        see board/pins.py
     "aiorepl": false}                        for developers: see repl.py

Only `model` must be there. Without IMaxUser and PhaseNumber no current is offered. What boot.py
leaves in RTC memory, and reads there, is in its docstring.
"""

import firmware
from firmware.base import runtime

_WORDS = """model keys wifi ntp meter unit baud parity tic_pause_s switch_s
ca insecure board pins aiorepl"""
FILE = "provision.json"
_HOST = "abcdefghijklmnopqrstuvwxyz0123456789-.:"  # what the name of one is made of
_CRASHES = 3
_DAY_MS = 86400000
_PIECE = 512
HELP = """status: what is wrong, as JSON
reset hard: tries again
maintenance: Python's own console, for repairs
help: this"""


def check(given, options) -> None:
    """From the provision file's content to the options that the command line gives elsewhere
    (options.py). Raises ValueError with one clear line."""
    from firmware.board import pins
    from firmware.charging import models
    from firmware.sensing import meters

    if not isinstance(given, dict):
        raise ValueError("not an object")
    for name in given:
        if name not in _WORDS.split():
            raise ValueError("no such entry: %s" % name)
    for name in ("keys", "wifi", "pins"):
        if not isinstance(given.get(name, {}), dict):
            raise ValueError("%s: not an object" % name)
    if "model" not in given:
        raise ValueError("no model")
    reference = models.find(str(given["model"]))
    options.model = reference.name
    options.provisioned = _keys(given.get("keys", {}), reference)
    wifi = given.get("wifi", {})
    for name in wifi:
        if name not in ("ssid", "key"):
            raise ValueError("wifi: no such entry: %s" % name)
    options.wifi = (str(wifi.get("ssid", "")), str(wifi.get("key", "")))
    ssid, key = [len(word.encode()) for word in options.wifi]
    if wifi and not (0 < ssid <= 32 and (key == 0 or 8 <= key <= 64)):
        raise ValueError(
            "wifi: an ssid of 1 to 32 bytes; a key of 8 to 64, none for an open network"
        )
    options.ntp = str(given.get("ntp", ""))
    if len(options.ntp) > 253 or not all(c in _HOST for c in options.ntp.lower()):
        raise ValueError("ntp: a host's name or address")
    options.registers = meters.known(str(given.get("meter", "iEM3155")))
    options.unit = _number(given, "unit", 1, 1, 247)
    made = meters.Map(options.registers)
    options.baud, options.parity = meters.line(
        str(given.get("baud", made.baud)), str(given.get("parity", made.parity)).upper()
    )
    del made
    options.tic_pause_s = _number(given, "tic_pause_s", 600, 0, 86400)
    if 0 < options.tic_pause_s < 30:
        raise ValueError("tic_pause_s: from 30 to 86400, or 0 for never")
    options.switch_s = _number(given, "switch_s", 60, 15, 120)
    options.ca = given.get("ca")
    if options.ca is not None and not isinstance(options.ca, str):
        raise ValueError("ca: a file's name")
    for name in ("insecure", "aiorepl"):
        if given.get(name, False) is not True and given.get(name, False) is not False:
            raise ValueError("%s: true or false, without quotes" % name)
    options.insecure = given.get("insecure", False)
    options.aiorepl = given.get("aiorepl", False)
    if options.aiorepl and options.provisioned.get("ConsolePassword"):
        raise ValueError("aiorepl: it asks for no ConsolePassword, so not both")
    options.pins = pins.load(given.get("board", "devkit"), given.get("pins"))
    for name in ("pp", "lock_close") if reference.socket else ():
        if options.pins[name] == "-":
            raise ValueError("pins: a socket needs %s" % name)
    options.run = {}
    options.state = "state"
    options.meter = options.tic = None
    options.speed = 1


def _number(given, name, default, low, high):
    text = str(given.get(name, default))
    if not (text.isdigit() and len(text) <= 5 and low <= int(text) <= high):
        raise ValueError("%s: from %d to %d" % (name, low, high))
    return int(text)


def _keys(given, reference):
    from firmware.charging import models
    from firmware.ocpp import keys
    from firmware.ocpp.handlers import configuration

    checked = {}
    for name in given:
        key = keys.row(name)
        if not key:
            raise ValueError("no such key: %s" % name)
        if key[0] in checked:
            raise ValueError("%s: given twice" % key[0])
        try:
            checked[key[0]] = configuration.check(key, str(given[name]))
        except ValueError as why:
            raise ValueError("%s: %s" % (key[0], why))
    models.check_circuit(reference, checked)
    if "PhaseNumber" not in checked or "IMaxUser" not in checked:  # both, or nothing
        checked["IMaxUser"] = "0"
        checked["PhaseNumber"] = checked.get("PhaseNumber", "1")
    return checked


def options(parts, made, words=()):
    """The options; None when the safe state has ended, or a person's soft reset asks for Python.
    `parts.outcome` says how. `words` may hold `--dev` (tools/dev.py): no watchdog, and
    Ctrl-C works."""
    import json

    import machine
    import micropython

    made.dev = "--dev" in words
    if made.dev:
        machine.RTC().memory(b"0 ok")  # what crashes now is the developer's
    elif machine.reset_cause() == machine.SOFT_RESET:  # Ctrl-D in maintenance; else it's the chip
        parts.outcome = "maintenance"
        return None
    else:
        micropython.kbd_intr(-1)
    memory = machine.RTC().memory().split(None, 2)
    why = str(memory[2], "utf-8") if len(memory) > 2 else ""
    power = machine.reset_cause() == machine.PWRON_RESET
    made.cause = "PowerLoss" if power else "Reboot"
    made.started = "the power came" if power else why or "a reset"
    count = int(memory[0]) if memory and memory[0].isdigit() else 0
    wrong = ""
    if count >= _CRASHES:
        wrong = "crashed %d times in a row: %s" % (count, why)
    else:
        try:
            name = FILE
            with open(name) as file:
                check(json.load(file), made)
            name = made.ca
            if name:
                open(name, "rb").close()
        except OSError as error:
            wrong = "not provisioned: %s: %s" % (name, error)
        except (ValueError, TypeError) as error:
            wrong = "provision.json: %s" % error
    if wrong:
        parts.outcome = None
        runtime.run(_safe(parts, wrong))
        return None
    if runtime.host_epoch() < firmware.BUILD:
        runtime.set_host_epoch(firmware.BUILD)
    _claim()
    return made


def _claim():
    """Makes Python's heap grow to its second area before Wi-Fi takes the memory. An area that is
    empty is given back: modules that stay are loaded while the first one is full."""
    import esp32

    def free():
        return sum([region[1] for region in esp32.idf_heap_info(esp32.HEAP_DATA)])

    before = free()
    ballast = []
    try:
        while free() > before - 16384:
            ballast.append(bytearray(_PIECE))
    except MemoryError:
        return  # nothing to be had: the link says so before each TLS connection
    for name in ("firmware.charging.evse", "firmware.transactions.transactions"):
        runtime.load(name)


def fit(made) -> None:
    """The board and what else only the device has, for build.py."""
    from firmware.sensing.meters import Map

    given = made.options
    made.board = runtime.once(
        "firmware.board.esp32_fit", "fit", given.pins, made.log("board"), given.dev
    )
    given.pins = None
    made.registers = Map(given.registers, given.baud, given.parity)
    made.meter_unit = given.unit
    made.provisioned = given.provisioned
    if given.aiorepl:
        from firmware.console.repl import Repl

        made.console = Repl()
    made.log("station").warning("started: %s", given.started)
    if made.provisioned["IMaxUser"] == "0":
        made.log("station").error(
            "IMaxUser or PhaseNumber was never told: no current is offered (tools/provision.py)"
        )
    if given.wifi[0]:
        from firmware.net.wifi import Wifi

        ssid, key = given.wifi
        made.tasks = (("wifi", Wifi(ssid, key, made.log("wifi"), given.ntp)),)
    else:
        made.log("wifi").warning("not provisioned: no network")


def ended(parts, failed) -> None:
    """After the station: Python's own console, or a new start. `failed`: what it died of."""
    import machine
    import micropython

    memory = machine.RTC().memory
    if failed:
        text = runtime.trace(failed)
        print(text)
        why = text.strip().split("\n")[-1][:200]
        memory((memory()[:1] or b"0") + b" bad " + why.encode())
        machine.reset()
    memory(b"0 ok")
    if parts.outcome != "maintenance":
        machine.reset()
    micropython.kbd_intr(3)
    machine.WDT(timeout=_DAY_MS)
    print("maintenance: the permit is off; reset when done")


async def _safe(parts, why):
    """The safe state: the permit is off, nothing but the console runs."""
    import json

    stdin = runtime.Stdin()
    line = ""
    print("safe state: %s" % why)
    while not parts.outcome:
        data = await stdin.read()
        if data not in (b"\r", b"\n"):
            line = (line + str(data, "utf-8"))[-80:] if data < b"\x80" else line
            continue
        words, line = line.split(), ""
        if words == ["status"]:
            print(json.dumps({"safe": True, "error": why, "contactor": "open"}))
        elif words == ["help"]:
            print(HELP)
        elif words in (["reset", "hard"], ["reset", "soft"], ["maintenance"]):
            parts.outcome = words[0]
        elif words:
            print("error: safe state: %s; try help" % why)
            continue
        if words:
            print("ok")
