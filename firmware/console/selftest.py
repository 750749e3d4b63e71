"""The console's `selftest`: tests each part of the wall box, and gives advice for what fails.

A line is `part: ok, ...`, `part: FAILED, what: what to do`, or `part: -, ...` where there is
nothing to test. Nothing is switched on; the lock moves once when no cable is there. `TESTS` is the
table: to test one more part, write its function and add its row.
"""

import asyncio
from collections import namedtuple

from firmware.base import runtime, times
from firmware.base.runtime import const
from firmware.charging import faults
from firmware.ocpp.connection import ONLINE
from firmware.sensing import pilot, tic
from firmware.station import Station

_LOCK_MS = const(2000)  # what the lock may take to move
_ROOM = const(65536)  # bytes of flash that a station should have left

# What a test says of its part.
_OK = const("ok")
_FAILED = const("FAILED")
_NOTHING = const("-")  # there is nothing to test


async def run(station: Station):
    """Tests all parts. Returns the reply's lines, and a text that names the tests that failed, ""
    for none."""
    lines = []
    failed = []
    for test in TESTS:
        await asyncio.sleep(0)  # others have their turns between the tests
        try:
            result, text = await test.run(station)
        except Exception as error:  # a test must not end the others
            station.log("selftest").error(runtime.trace(error))
            result, text = _FAILED, "%s: see the log" % type(error).__name__
        if result == _FAILED:
            failed.append(test.part)
            text += ": " + test.advice
        lines.append("%s: %s, %s" % (test.part, result, text))
    if failed:
        return lines, "%d of %d failed: %s" % (len(failed), len(TESTS), ", ".join(failed))
    return lines, ""


# The functions of the table: `await run(station)` returns (_OK, _FAILED or _NOTHING, a text).


def _active(station: Station, *codes):
    """The description of the first of these vendor error codes that is active; "" for none."""
    for code in codes:
        if code in station.evse.faults.active:
            return faults.row(code).info
    return ""


async def _pilot(station: Station):
    high, low = pilot.levels(station.board.burst)
    text = "%d.%02d V" % (high // 1000, abs(high) % 1000 // 10)
    state = station.evse.pilot
    wrong = _active(station, faults.PILOT)
    if wrong or not state:
        return _FAILED, "%s at %s" % (wrong or "no state", text)
    return _OK, "state %s, %s" % (state, text)


async def _adc(station: Station):
    wrong = station.board.adc_error
    return (_FAILED, wrong) if wrong else (_OK, "it can be read")


async def _proximity(station: Station):
    if not station.reference.socket:
        return _NOTHING, "an attached cable has none"
    ohm = station.board.pp_ohm
    limit = pilot.pp_limit(ohm)
    wrong = _active(station, faults.CABLE)
    if wrong or ohm < 75:
        return _FAILED, "%s, %d ohm" % (wrong or "a short", ohm)
    if station.evse.pilot == "A" and ohm > 2200:
        return _OK, "no cable"
    return _OK, "%d ohm%s" % (ohm, ", %d A" % (limit // 1000) if limit else "")


async def _contactor(station: Station):
    wrong = _active(station, faults.RELAY)
    closed = station.board.contactor
    charging = bool(station.evse.enabled)
    if wrong or (closed and not charging):
        return _FAILED, wrong or "closed"
    return _OK, "closed, a car is charged" if closed else "open"


async def _ground(station: Station):
    return (_OK, "earth") if station.board.ground_ok else (_FAILED, "no earth")


async def _residual(station: Station):
    return (_FAILED, "tripped") if station.board.residual_trip else (_OK, "not tripped")


async def _tamper(station: Station):
    return (_FAILED, "open") if station.board.tamper else (_OK, "closed")


async def _lock(station: Station):
    if not station.reference.socket:
        return _NOTHING, "an attached cable has none"
    wrong = _active(station, faults.LOCK)
    if wrong:
        return _FAILED, wrong
    evse = station.evse
    if evse.plugged or evse.enabled or station.session.transaction:
        return _OK, "%s, not moved now" % ("closed" if evse.locked else "open")
    station.board.lock(True)  # the evse wishes it open, and opens it again by itself
    if not await _until(station, lambda: station.board.lock_closed):
        return _FAILED, "it does not close"
    if not await _until(station, lambda: not station.board.lock_closed):
        return _FAILED, "it does not open"
    return _OK, "closed and opened"


async def _until(station: Station, is_so):
    """Waits until `is_so()` is true, at most 2 s. Returns whether it is."""
    end = station.clock.ms() + _LOCK_MS
    while not is_so():
        if station.clock.ms() > end:
            return False
        await station.clock.sleep_ms(20)
    return True


async def _meter(station: Station):
    reading = await station.meter.read_now()
    if station.meter.error or not reading:
        return _FAILED, station.meter.error or "no reading"
    return _OK, "%d Wh, %d W" % (reading.get("energy", 0), reading.get("power", 0) // 10)


async def _tic(station: Station):
    mode = station.config.int("TICmode")
    if mode == tic.OFF:
        return _NOTHING, "switched off by TICmode"
    if station.tic.detected:
        return _OK, "%d labels" % len(station.tic.frame.split("\n"))
    if mode or station.tic.heard:
        return _FAILED, "no good frame"
    return _NOTHING, "nothing comes on the line"


async def _flash(station: Station):
    store = station.config.store
    store.write("selftest", b"selftest")
    good = store.read("selftest") == b"selftest"
    store.remove("selftest")
    if not good:
        return _FAILED, "a value does not read back as it was written"
    if station.evse.contactor:  # to count what is free takes a chip longer than a stop may last
        return _OK, "the free space is not counted while a car is charged"
    await asyncio.sleep(0)
    free = station.files.free()
    return (_OK if free >= _ROOM else _FAILED), "%d KB free" % (free // 1024)


async def _clock(station: Station):
    epoch = station.clock.epoch()
    if epoch is None:
        return _NOTHING, "not set yet: a central system tells it"
    return _OK, times.text(epoch)


async def _wifi(station: Station):
    if not runtime.DEVICE:
        return _NOTHING, "only on the device"
    from firmware.net import wifi  # only a device has it

    good, text = wifi.describe()
    return (_OK if good else _FAILED), text


async def _tls(station: Station):
    security = station.security
    connection = station.connection
    if station.config.int("SecurityProfile") < 2 and connection.url()[:6].lower() != "wss://":
        return _NOTHING, "not needed"
    if connection.state == ONLINE:
        return _OK, "connected" + ("" if security.ca else ", but unchecked: no CA")
    try:
        security.tls_context()
    except ValueError as why:
        return _FAILED, str(why)
    return _OK, "ready" if security.ca else "ready, but unchecked: no CA"


async def _network(station: Station):
    connection = station.connection
    url = connection.url()
    if not url:
        return _NOTHING, "standalone: no SupervisionUrl is set"
    status = station.registration.status
    if connection.state != ONLINE or not station.registration.is_accepted():
        return _FAILED, "%s, registration %s, %s" % (connection.state, status, url)
    return _OK, "registered at %s" % url


# A row: the part's name, its test, and the advice for where it fails.
Test = namedtuple("Test", ("part", "run", "advice"))

TESTS = (
    Test(
        "pilot",
        _pilot,
        (
            "measure CP against PE: 12 V without a car; calibrate cp_plus_mv, cp_minus_mv"
            " (docs/wiring.md)"
        ),
    ),
    Test(
        "adc",
        _adc,
        "this chip has no reference voltage in its eFuse, or a bad pin: use another ESP32 board",
    ),
    Test(
        "proximity",
        _proximity,
        "measure PP against PE without a cable: it must be open; look at pp_pull_ohm",
    ),
    Test(
        "contactor",
        _contactor,
        "it reports closed while the permit is off: welded or miswired. Don't use the wall box",
    ),
    Test("ground", _ground, "the PE monitor sees no earth: have the installation checked"),
    Test(
        "residual",
        _residual,
        "reset the residual-current monitor, or connect it; then look for the leak",
    ),
    Test("tamper", _tamper, "the enclosure's switch is open: close the cover"),
    Test(
        "lock",
        _lock,
        "check the lock's plug and supply, and the polarity of lock_close and lock_open",
    ),
    Test(
        "meter",
        _meter,
        "check that A and B are not swapped, the address (`unit`), baud and parity",
    ),
    Test(
        "tic",
        _tic,
        "check the wires to I1 and I2 of the house meter, and TICmode (0 finds the speed itself)",
    ),
    Test(
        "flash",
        _flash,
        "make room with `queue clear`, or erase the flash and start over (docs/operations.md)",
    ),
    Test("clock", _clock, ""),
    Test("wifi", _wifi, "check the network's name and key, and the signal at this place"),
    Test(
        "tls",
        _tls,
        "provision the operator's CA (tools/provision.py), or use a lower SecurityProfile",
    ),
    Test(
        "network",
        _network,
        "see `log` for the reason; check SupervisionUrl, BoxIdentifier and AuthorizationKey",
    ),
)
