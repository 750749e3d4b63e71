"""The console's `selftest`: each part of the wall box looked at once, with advice for what fails.

A line is `part: ok, ...`, `part: FAILED, what: what to do`, or `part: -, ...` where there is
nothing to test. Nothing is switched on; the lock moves once when no cable is there. Loaded for the
command and dropped.
"""

from firmware.base import runtime, times
from firmware.charging import faults
from firmware.sensing import pilot

_LOCK_MS = 2000
_ROOM = 65536  # bytes of flash that a station should have left
_ADVICE = """
pilot measure CP against PE: 12 V without a car; calibrate cp_plus_mv, cp_minus_mv (docs/wiring.md)
proximity measure PP against PE without a cable: it must be open; look at pp_pull_ohm
contactor it says closed while the permit is off: welded, or a wrong wire. Don't use the wall box
ground the PE monitor sees no earth: have the installation checked
residual reset the residual-current monitor, or connect it; then look for the leak
tamper the enclosure's switch is open: close the cover
lock check the lock's plug and supply, and the polarity of lock_close and lock_open
meter are A and B swapped? Check the address (`unit`), and baud and parity at the meter itself
tic check the wires to I1 and I2 of the house meter, and TICmode (0 finds the speed itself)
flash make room with `queue clear`, or erase the flash and start over (docs/operations.md)
tls provision the operator's CA (tools/provision.py), or use a lower SecurityProfile
wifi check the network's name and key, and the signal at this place
network see `log` for the reason; check SupervisionUrl, BoxIdentifier and AuthorizationKey
"""


async def run(station):
    """The lines, and what to put after them: ("", or how many failed)."""
    lines = []
    failed = []
    for name, test in _TESTS:
        try:
            good, text = await test(station)
        except Exception as error:  # a test must not end the others
            station.log("selftest").error("%s", runtime.trace(error))
            good, text = False, "%s: see the log" % type(error).__name__
        if good is False:
            failed.append(name)
            at = _ADVICE.find("\n" + name + " ") + len(name) + 2
            text = "FAILED, %s: %s" % (text, _ADVICE[at : _ADVICE.find("\n", at)])
        else:
            text = ("ok, " if good else "-, ") + text
        lines.append(name + ": " + text)
    if failed:
        return lines, "%d of %d failed: %s" % (len(failed), len(_TESTS), ", ".join(failed))
    return lines, ""


def _active(station, *codes):
    """The description of the first of these that is an active fault."""
    for code in codes:
        if code in station.evse.faults.active:
            return faults.row(code).info
    return ""


async def _pilot(station):
    high, low = pilot.levels(station.board.burst)
    text = "%d.%02d V" % (high // 1000, abs(high) % 1000 // 10)
    state = station.evse.pilot
    wrong = _active(station, "0x100217")
    if wrong or not state:
        return False, "%s at %s" % (wrong or "no state", text)
    return True, "state %s, %s" % (state, text)


async def _proximity(station):
    if not station.reference.socket:
        return None, "an attached cable has none"
    ohm = station.board.pp_ohm
    limit = pilot.pp_limit(ohm)
    wrong = _active(station, "0x100218")
    if wrong or ohm < 75:
        return False, "%s, %d ohm" % (wrong or "a short", ohm)
    if station.evse.pilot == "A" and ohm > 2200:
        return True, "no cable"
    return True, "%d ohm%s" % (ohm, ", %d A" % (limit // 1000) if limit else "")


async def _contactor(station):
    wrong = _active(station, "0x100208")
    closed = station.board.contactor
    charging = bool(station.evse.enabled)
    if wrong or (closed and not charging):
        return False, wrong or "closed"
    return True, "closed, a car is charged" if closed else "open"


async def _ground(station):
    return bool(station.board.ground_ok), "earth" if station.board.ground_ok else "no earth"


async def _residual(station):
    return (False, "tripped") if station.board.residual_trip else (True, "not tripped")


async def _tamper(station):
    return (False, "open") if station.board.tamper else (True, "closed")


async def _lock(station):
    if not station.reference.socket:
        return None, "an attached cable has none"
    wrong = _active(station, "0x100205")
    if wrong:
        return False, wrong
    evse = station.evse
    if evse.plugged or evse.enabled or station.session.transaction:
        return True, "%s, not moved now" % ("closed" if evse.locked else "open")
    station.board.lock(True)  # the evse wants it open, and opens it again
    if not await _until(station, lambda: station.board.lock_closed):
        return False, "it does not close"
    if not await _until(station, lambda: not station.board.lock_closed):
        return False, "it does not open"
    return True, "closed and opened"


async def _until(station, true):
    end = station.clock.ms() + _LOCK_MS
    while not true():
        if station.clock.ms() > end:
            return False
        await station.clock.sleep_ms(20)
    return True


async def _meter(station):
    reading = await station.meter.read_now()
    if station.meter.error or not reading:
        return False, station.meter.error or "no reading"
    return True, "%d Wh, %d W" % (reading.get("energy", 0), reading.get("power", 0) // 10)


async def _tic(station):
    mode = station.config.int("TICmode")
    if mode == 3:
        return None, "switched off by TICmode"
    if station.tic.detected:
        return True, "%d labels" % len(station.tic.frame.split("\n"))
    if mode or station.tic.line:
        return False, "no good frame"
    return None, "no line is heard"


async def _flash(station):
    store = station.config.store
    store.write("selftest", b"selftest")
    good = store.read("selftest") == b"selftest"
    store.remove("selftest")
    if not good:
        return False, "what was written does not read back"
    free = station.files.free()
    return free >= _ROOM, "%d KB free" % (free // 1024)


async def _clock(station):
    epoch = station.clock.epoch()
    return (True, times.text(epoch)) if epoch else (None, "not set yet: a central system tells it")


async def _wifi(station):
    if not runtime.DEVICE:
        return None, "only on the device"
    return runtime.once("firmware.net.wifi_state", "look")


async def _tls(station):
    security = station.security
    connection = station.connection
    if station.config.int("SecurityProfile") < 2 and connection.url()[:6].lower() != "wss://":
        return None, "not asked for"
    if connection.state == "online":
        return True, "the connection stands" + ("" if security.ca else ", but unchecked: no CA")
    try:
        security.tls_context()
    except ValueError as why:
        return False, str(why)
    return True, "ready" if security.ca else "ready, but unchecked: no CA"


async def _network(station):
    connection = station.connection
    url = connection.url()
    if not url:
        return None, "standalone: no SupervisionUrl is set"
    status = station.registration.status
    if connection.state != "online" or status != "Accepted":
        return False, "%s, registration %s, %s" % (connection.state, status, url)
    return True, "registered at %s" % url


_TESTS = (
    ("pilot", _pilot),
    ("proximity", _proximity),
    ("contactor", _contactor),
    ("ground", _ground),
    ("residual", _residual),
    ("tamper", _tamper),
    ("lock", _lock),
    ("meter", _meter),
    ("tic", _tic),
    ("flash", _flash),
    ("clock", _clock),
    ("wifi", _wifi),
    ("tls", _tls),
    ("network", _network),
)
