"""The console's views of a station: its status, faults, meter values, TIC frame, transfers."""

from firmware.base import runtime, times
from firmware.charging import faults as vendor_codes
from firmware.ocpp import authorization
from firmware.sensing import pilot
from firmware.station import Station

_METER_UNITS = (
    ("energy", "Wh"),
    ("reactive", "varh"),
    ("power", "dW"),
    ("p1", "dW"),
    ("p2", "dW"),
    ("p3", "dW"),
    ("i1", "mA"),
    ("i2", "mA"),
    ("i3", "mA"),
    ("v1", "mV"),
    ("v2", "mV"),
    ("v3", "mV"),
    ("frequency", "mHz"),
)


def facts(station: Station, memory: runtime.Memory) -> dict:
    """The JSON object of the `status` line, whose fields docs/operations.md explains."""
    evse = station.evse
    running = station.session.transaction
    reading = station.meter.last or {}
    active = evse.faults.active
    energy = reading.get("energy", 0)
    transaction = None
    if running:
        started = station.clock.epoch_at(running.started_ms)
        transaction = {
            "id": running.transaction_id,
            "id_tag": running.id_tag,
            "started": times.text(started) if started else None,
            "energy_wh": max(0, energy - running.meter_start),
        }
    return {
        "status": station.notifier.status,
        "error": vendor_codes.row(active[0]).error_code if active else "NoError",
        "vendor_error": active[0] if active else "",
        "plugged": evse.plugged,
        "pilot": evse.pilot,
        "duty": evse.duty,
        "contactor": "closed" if evse.contactor else "open",
        "locked": evse.locked,
        "phases": evse.phases,
        "offered_ma": evse.offered_ma,
        "limits": evse.limits.all(),
        "limited_by": evse.limits.limited_by,
        "transaction": transaction,
        "energy_wh": energy,
        "power_w": reading.get("power", 0) // 10,
        "link": station.connection.state,
        "registration": station.registration.status,
        "queue": station.transactions.outbox.pending,
        "why": _why(station),
        "tic": _tic(station),
        "uptime_s": station.clock.ms() // 1000,
        "heap_free": memory.heap_free,
        "chip_free": memory.chip_free,
        "chip_largest": memory.chip_largest,
        "psram_free": memory.psram_free,
        "memory_low": station.transfers.memory_is_low,
        "safe": station.in_safe_state,
    }


def for_people(told: dict) -> list:
    """What `facts` has returned, in lines that a person reads."""
    limits = ["%s %s" % (name, _ampere(ma)) for name, ma in sorted(told["limits"].items())]
    transaction = "none"
    if told["transaction"]:
        running = told["transaction"]
        transaction = "%s, for %s, since %s, %d Wh" % (
            "without an id yet" if running["id"] is None else running["id"],
            running["id_tag"],
            running["started"] or "before the clock was set",
            running["energy_wh"],
        )
    tic = told["tic"]
    minutes = told["uptime_s"] // 60
    lines = [
        "status: %s%s"
        % (told["status"], ", safe state: reset the station" if told["safe"] else ""),
        "fault: %s" % (told["vendor_error"] + " " + told["error"]).strip(),
        "car: %s, pilot %s, contactor %s, %s"
        % (
            "plugged in" if told["plugged"] else "not plugged in",
            told["pilot"],
            told["contactor"],
            "locked" if told["locked"] else "not locked",
        ),
        "offer: %s on %d phases" % (_ampere(told["offered_ma"]), told["phases"]),
        "limits: %s; the least is %s" % (", ".join(limits), told["limited_by"]),
        "transaction: " + transaction,
        "meter: %d Wh, %d W" % (told["energy_wh"], told["power_w"]),
        "link: %s, registration %s, %d messages wait"
        % (told["link"], told["registration"], told["queue"]),
        "tic: %s" % _tic_in_words(tic),
        "memory: Python has %s free"
        % ("%d KB" % (told["heap_free"] // 1024) if told["heap_free"] else "what the PC has"),
        "running for: %d h %d min" % (minutes // 60, minutes % 60),
    ]
    if told["chip_free"] is not None:
        lines[-2] += ", the chip's own has %d KB, the largest block %d KB" % (
            told["chip_free"] // 1024,
            told["chip_largest"] // 1024,
        )
    if told["memory_low"]:
        lines[-2] += ": too little for a transfer"
    if told["why"]:
        lines.insert(1, "why: " + told["why"])
    return lines


def _ampere(ma):
    return "%d.%d A" % (ma // 1000, ma % 1000 // 100)


def _why(station):
    """Why the station waits or pauses, a sentence; None where it does not."""
    if not station.transactions.is_replayed:
        percent = station.transactions.replay_percent()
        return "the journal is being read after the start: %d %% of it" % percent
    if station.in_safe_state:
        return "crashed too often: see the log, then reset the station"
    active = station.evse.faults.active
    if active:
        error = vendor_codes.row(active[0])
        return "%s: %s" % (error.info, _advice(error))
    if station.session.transaction:
        return _why_no_energy(station)
    return _why_no_transaction(station)


def _why_no_energy(station):
    """Why no energy flows in the running transaction; None where it does."""
    evse = station.evse
    session = station.session
    limit = evse.limits.least()
    by = evse.limits.limited_by
    if session.stop_ordered:
        return "the transaction is being stopped"
    if not evse.plugged:
        return "the cable was unplugged at the car: waiting for the car, or for a stop"
    if session.id_tag_refused:
        return "the central system refuses %s" % session.transaction.id_tag
    if evse.switching:
        return "the phases are being switched, and the car rests meanwhile"
    if limit < pilot.MIN_MA:
        if by == "tic" and station.tic.doubted:
            return "no frame of the TIC line can be believed: " + station.tic.why_doubted()
        if by == "tic" and not station.tic.detected:
            return "the TIC line has been silent for long: see selftest; without a line, TICmode 3"
        if by == "tic":
            return "the rest of the house leaves less than 6 A"
        if by == "profile":
            return "a charging profile allows %s, and no car charges below 6 A" % _ampere(limit)
        if by == "imax_user":
            return "IMaxUser or PhaseNumber was never told: make provision"
        return "%s allows %s, and no car charges below 6 A" % (by, _ampere(limit))
    if evse.pilot == "D":
        return "the car asks for ventilation, which there is none of here"
    if evse.pilot == "B" and evse.offered_ma:
        return "the car asks for no energy"
    return None


def _why_no_transaction(station):
    """What is missing for a transaction; None while no car is plugged in and nothing is amiss."""
    session = station.session
    registration = station.registration.status
    if session.refuses_transactions:
        return "nothing new begins: the station is about to restart, or to change its place"
    if not session.operative:
        return "Inoperative, as ChangeAvailability or the command availability said"
    if session.authorization:
        return "%s may charge: waiting for the car" % session.authorization.id_tag
    if session.is_authorizing:
        return "the central system is being asked about an id"
    if registration in ("Pending", "Rejected"):
        return "the central system answered %s: it has to accept this station first" % registration
    if not station.evse.plugged:
        return None
    if session.car_already_charged:
        return "this car has been charged: unplug it, or start with an id"
    if session.reservation:
        return "reserved for %s" % session.reservation.id_tag
    if station.registration.online.is_set():
        return "a car is plugged in: waiting for RemoteStartTransaction, or for an id"
    return authorization.why_it_waits(station)


def _advice(error):
    """What ends a vendor error code, by its row."""
    if not error.unplugging_recovers:
        return "mend the cause, then reset hard; if it comes again, call the service"
    again = "; if it comes again, call the service" if error.needs_service else ""
    return "unplug the car" + again


def _tic(station):
    """`refused`, why no frame is believed, is there only while that is so."""
    told = {
        "detected": station.tic.detected,
        "mode": station.config.int("TICmode"),
        "found": _tic_standard(station.tic),
    }
    refused = station.tic.why_doubted()
    if refused:
        told["refused"] = refused
    return told


def _tic_in_words(told):
    if "refused" in told:
        return "frames come, but can't be believed: " + told["refused"]
    return told["found"] if told["detected"] else "no frames come"


def _tic_standard(tic):
    """Which of the two TIC standards the newest frame follows; None without a frame."""
    if not (tic.detected and tic.frame):
        return None
    return "standard" if "ADSC=" in tic.frame else "historique"


def faults(station: Station) -> list:
    """A line for each active vendor error code: the code, what it means, for how long, and what to
    do."""
    lines = []
    for code in station.evse.faults.active:
        seconds = (station.clock.ms() - station.evse.faults.since(code)) // 1000
        error = vendor_codes.row(code)
        lines.append("%s %s, for %d s: %s" % (code, error.info, seconds, _advice(error)))
    return lines


def meter_values(station: Station) -> list:
    """A line for each value of the newest reading. Raises ValueError where there is none."""
    reading = station.meter.last
    if not reading:
        raise ValueError("no reading of the meter: %s" % (station.meter.error or "none yet"))
    return ["%s=%d %s" % (n, reading[n], unit) for n, unit in _METER_UNITS if n in reading]


def tic_frame(station: Station) -> list:
    """The labels of the newest good TIC frame. Raises ValueError where there is none, or none is
    believed any more."""
    refused = station.tic.why_doubted()
    if refused:
        raise ValueError("the line talks, but no frame can be believed: %s" % refused)
    if not station.tic.frame:
        raise ValueError("no good TIC frame yet")
    return station.tic.frame.split("\n")


def transfers(station: Station) -> list:
    """A line for each transfer with its OCPP status, and one for the progress of the file that
    moves."""
    return station.transfers.describe()
