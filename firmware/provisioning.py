"""Reads `provision.json`, in which tools/provision.py wrote the installer's answers, into the
options of a device's start.

    {"model": "Evh5A22N2S",
     "keys": {"IMaxUser": "16", "PhaseNumber": "1", "BoxIdentifier": "HOUSE1", ...},
     "wifi": {"ssid": "...", "key": "..."},
     "ntp": "pool.ntp.org",                   who tells the time without a central system
     "meter": "iEM3155", "unit": 1,
     "baud": 19200, "parity": "E",            of the meter; by default as it is delivered
     "meter_number": "C1702",                 its serial number: another one, another meter
     "feeds_in": false,                       whether the house feeds power into the grid
     "tic_pause_s": 600,                      after so long without TIC charging pauses; 0: never
     "switch_s": 60,                          the vehicle's rest while its phases are switched
     "ca": "ca.der", "insecure": false,
     "board": "devkit", "pins": {...},        see board/pins.py; by default as fits the chip
     "aiorepl": false}                        for developers: see console/console.py

Only `model` must be there. Without IMaxUser and PhaseNumber no current is offered.
`calibrate` measures two of the pins' values and stores them.
"""

import json
import os

from firmware.base.runtime import const
from firmware.board import pins
from firmware.charging import models
from firmware.options import Options, checked_key
from firmware.sensing import meters

FILE = "provision.json"
_ENTRIES = """model keys wifi ntp meter unit baud parity meter_number feeds_in tic_pause_s switch_s
ca insecure board pins aiorepl"""
_OBJECTS = ("keys", "wifi", "pins")
_FLAGS = ("insecure", "aiorepl", "feeds_in")
_LONGEST_METER_NUMBER = 40
_HOST = "abcdefghijklmnopqrstuvwxyz0123456789-.:"  # the characters of a host's name or address
# Of a calibration.
_MOST_OFF_MV = const(150)  # from the values as calculated: about 1.8 V of CP
_BURSTS = const(16)  # whose mean counts; as many before them let the voltage settle
_SOCKET_PINS = ("pp", "lock_close")  # a socket needs these, an attached cable does not


def check(given, chip: str = "") -> Options:
    """The options in the file's content `given`. `chip`: the chip they are for, named as
    `runtime.chip` does; "" where it is not known. Raises ValueError with one clear line."""
    if not isinstance(given, dict):
        raise ValueError("not an object")
    for name in given:
        if name not in _ENTRIES.split():
            raise ValueError("no such entry: %s" % name)
    for name in _OBJECTS:
        if not isinstance(given.get(name, {}), dict):
            raise ValueError("%s: not an object" % name)
    if "model" not in given:
        raise ValueError("no model")
    reference = models.find(str(given["model"]))
    options = Options()
    options.model = reference.name
    options.provisioned_keys = _keys(given.get("keys", {}), reference)
    _take_network(options, given)
    _take_meter(options, given)
    options.tic_pause_s = _number(given, "tic_pause_s", 600, 0, 86400)
    if 0 < options.tic_pause_s < 30:
        raise ValueError("tic_pause_s: from 30 to 86400, or 0 for never")
    options.switch_s = _number(given, "switch_s", 60, 15, 120)
    options.ca = given.get("ca")
    if options.ca is not None and not isinstance(options.ca, str):
        raise ValueError("ca: a file's name")
    for name in _FLAGS:
        if given.get(name, False) is not True and given.get(name, False) is not False:
            raise ValueError("%s: true or false, without quotes" % name)
    options.insecure = given.get("insecure", False)
    options.aiorepl = given.get("aiorepl", False)
    options.feeds_in = given.get("feeds_in", False)
    if options.aiorepl and options.provisioned_keys.get("ConsolePassword"):
        raise ValueError("aiorepl: it asks for no ConsolePassword, so not both")
    board = given.get("board") or (pins.board_for(chip) if chip else "devkit")
    if chip:
        pins.check_chip(board, chip)
    options.pins = pins.load(board, given.get("pins"))
    for name in _SOCKET_PINS if reference.socket else ():
        if options.pins[name] == "-":
            raise ValueError("pins: a socket needs %s" % name)
    return options


def _take_network(options, given):
    wifi = given.get("wifi", {})
    for name in wifi:
        if name not in ("ssid", "key"):
            raise ValueError("wifi: no such entry: %s" % name)
    options.wifi_ssid = str(wifi.get("ssid", ""))
    options.wifi_key = str(wifi.get("key", ""))
    ssid_bytes = len(options.wifi_ssid.encode())
    key_bytes = len(options.wifi_key.encode())
    if wifi and not (0 < ssid_bytes <= 32 and (key_bytes == 0 or 8 <= key_bytes <= 64)):
        raise ValueError(
            "wifi: an ssid of 1 to 32 bytes; a key of 8 to 64, none for an open network"
        )
    options.ntp = str(given.get("ntp", ""))
    if len(options.ntp) > 253 or not all(c in _HOST for c in options.ntp.lower()):
        raise ValueError("ntp: a host's name or address")


def _take_meter(options, given):
    options.meter_model = meters.find_model(str(given.get("meter", options.meter_model))).name
    options.meter_unit = _number(given, "unit", 1, 1, 247)
    options.meter_number = str(given.get("meter_number", ""))
    if len(options.meter_number) > _LONGEST_METER_NUMBER:
        raise ValueError("meter_number: at most %d characters" % _LONGEST_METER_NUMBER)
    delivered = meters.RegisterMap(options.meter_model)
    options.meter_baud, options.meter_parity = meters.line_settings(
        str(given.get("baud", delivered.baud)), str(given.get("parity", delivered.parity)).upper()
    )


def _number(given, name, default, low, high):
    text = str(given.get(name, default))
    if not (text.isdigit() and len(text) <= 5 and low <= int(text) <= high):
        raise ValueError("%s: from %d to %d" % (name, low, high))
    return int(text)


def _keys(given, reference):
    """The configuration keys, checked: exact name -> value. Where IMaxUser or PhaseNumber is
    missing, the circuit is unknown, and no current is offered."""
    checked = {}
    for name in given:
        key, value = checked_key(name, str(given[name]))
        if key in checked:
            raise ValueError("%s: given twice" % key)
        checked[key] = value
    models.check_circuit(reference, checked)
    if "PhaseNumber" not in checked or "IMaxUser" not in checked:
        checked["IMaxUser"] = "0"
        checked["PhaseNumber"] = checked.get("PhaseNumber", "1")
    return checked


def calibrate(board, chip: str) -> list:
    """Measures what the pilot's ADC pin reads at +12 and -12 V (docs/wiring.md, Levels). For a
    station that has ended: nothing else may use the board. Returns lines that say what was
    measured; `provision.json` has both levels then, for the next start. `chip`: as `runtime.chip`
    names it. Raises ValueError with a text that says what to do; then nothing was stored."""
    with open(FILE) as file:
        given = json.load(file)
    used = check(given, chip).pins
    minus_mv, plus_mv = int(used["cp_minus_mv"]), int(used["cp_plus_mv"])
    changes = dict(given.get("pins", {}))
    for name in ("cp_minus_mv", "cp_plus_mv"):
        changes.pop(name, None)
    given["pins"] = changes
    calculated = check(given, chip).pins
    board.permit(False)
    for name, permille in (("cp_plus_mv", 1000), ("cp_minus_mv", 0)):
        board.pilot(permille)
        cp_mv = _mean(board)
        if board.adc_error:
            raise ValueError(board.adc_error)
        # back to what the pin reads, by the two levels that the board counts with
        changes[name] = str(minus_mv + ((cp_mv + 12000) * (plus_mv - minus_mv) + 12000) // 24000)
    board.pilot(1000)
    for name in ("cp_plus_mv", "cp_minus_mv"):
        off = int(changes[name]) - int(calculated[name])
        if abs(off) > _MOST_OFF_MV:
            raise ValueError(
                "%s: the pin reads %s mV, %d off what docs/wiring.md says: unplug the cable; else"
                " check the supply, R1 to R8 and the driver. Nothing was stored"
                % (name, changes[name], off)
            )
    check(given, chip)
    with open(FILE + ".new", "w") as file:
        json.dump(given, file)
    os.rename(FILE + ".new", FILE)
    return ["%s=%s mV" % (name, changes[name]) for name in ("cp_plus_mv", "cp_minus_mv")]


def _mean(board):
    """The mean of CP's voltage, mV."""
    total = count = 0
    for n in range(2 * _BURSTS):
        board.read()
        if n >= _BURSTS:
            total += sum(board.burst)
            count += len(board.burst)
    return total // count
