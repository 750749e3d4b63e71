"""GetDiagnostics (OCPP 5.9, errata 3.31, 3.50): a text about the station, uploaded."""

import gc
import sys

from firmware.base import runtime, sockets, times
from firmware.charging import faults
from firmware.ocpp import Answer, keys

MESSAGE = "DiagnosticsStatusNotification"
_FILE = "diagnostics.txt"
_MARK = "diagnostics"  # in the store while the central system waits for how it ends
_ATTEMPTS = 4  # where the central system leaves it to us
_INTERVAL_S = 60
_MOST = 100  # attempts
_BLOCK = 1024
_PARTS = "station connector transactions configuration memory network"
_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


async def GetDiagnostics(station, payload):
    """Answered with the file's name. A new request takes the place of one under way."""
    epoch = station.clock.epoch()
    when = times.text(epoch).replace("-", "").replace(":", "") if epoch else "undated"
    box = bytes([c if c in _PLAIN else 95 for c in station.config.get("BoxIdentifier").encode()])
    name = "%s-%s.txt" % (box[:50].decode(), when)
    span = [times.text(payload[key]) if key in payload else ""
            for key in ("startTime", "stopTime")]  # fmt: skip
    attempts = min(payload.get("retries", _ATTEMPTS - 1) + 1, _MOST)
    pause_s = min(payload.get("retryInterval", _INTERVAL_S), 86400)
    job = [payload["location"], name, span, attempts, pause_s]

    def upload():
        runtime.once(
            "firmware.ocpp.jobs", "start", station, "firmware.ocpp.handlers.diagnostics", job
        )

    return Answer({"fileName": name}, upload)


class Body:
    """A file to upload: `size` bytes of a binary file. Also what PyPI's aiohttp takes."""

    def __init__(self, file, size: int):
        self.file = file
        self.size = size

    def read(self) -> bytes:
        """The next block, b"" at the end."""
        return self.file.read(_BLOCK)

    def rewind(self) -> None:
        self.file.seek(0)

    def __aiter__(self):
        return self

    async def __anext__(self):
        block = self.read()
        if not block:
            raise StopAsyncIteration
        return block


async def step(station, job):
    """See jobs.py. `job`: see GetDiagnostics; its URL is None while the end is told. An empty job
    is of an upload that a restart has ended."""
    if not job:
        job.append(None)
        return _end(station, job, "UploadFailed")
    if job[0] is None:
        station.config.store.remove(_MARK)
        return None
    return await _attempt(station, station.log("diagnostics"), job)


async def _attempt(station, log, job):
    files = station.files
    url, name, span = job[:3]
    job[3] -= 1
    try:
        runtime.load("firmware.net.address").parse_url(url, "http https ftp ftps")
    except ValueError:
        job[3] = 0  # it will not get better
    if station.doing.get(MESSAGE) != "Uploading":
        try:
            station.config.store.write(_MARK, b"1")
        except OSError as why:
            log.warning("no end will be told of after a restart: %s", why)
        station.jobs.say(MESSAGE, "Uploading")
    status = "Uploaded"
    try:
        write(station, span)
        with files.open(_FILE, "rb") as f:
            await station.jobs.transfer(url, "upload", name, Body(f, files.size(_FILE)))
        log.info("%s is there", name)
    except Exception as why:  # whatever it is: it counts as an attempt
        log.warning("upload: %s", station.jobs.why(why))
        if job[3] > 0:
            return station.clock.sleep_ms(job[4] * 1000)
        status = "UploadFailed"
    return _end(station, job, status)


def _end(station, job, status):
    station.jobs.say(MESSAGE, status, True)
    job[0] = None
    try:
        station.files.remove(_FILE)
    except OSError:
        pass  # the power failed before it was there
    return station.jobs.told()


def write(station, span: list) -> None:
    """Makes the file. `span`: the first and last date-time of log lines that are wanted, or ""."""
    station.logbook.save()
    with station.files.open(_FILE, "wb") as f:
        parts = _station, _connector, _transactions, _configuration, _memory, _network
        for number in range(len(parts)):
            f.write(("[%s]\n" % _PARTS.split()[number]).encode())
            try:
                for line in parts[number](station):
                    f.write((line + "\n").encode())
            except Exception as error:  # what is broken must not keep the rest from being told
                f.write(runtime.trace(error).encode())
            f.write(b"\n")
        f.write(b"[log]\n")
        first, last = [text.encode() for text in span]
        for line in station.logbook.lines():
            date = line[:20]
            if date[:1] == b"+" or (date >= first and (not last or date <= last)):
                f.write(line + b"\n")


def _station(station):
    epoch = station.clock.epoch()
    yield "time=" + (times.text(epoch) if epoch else "unknown")
    yield "uptime_s=%d" % (station.clock.ms() // 1000)
    yield "started_after=" + station.session.restart_reason
    yield "version=" + station.version
    yield "python=" + sys.version
    yield "model=" + station.reference.name
    yield "meter=%s, %s" % (station.meter.model or "unknown", station.meter.error or "answers")
    yield "registration=" + station.registration.status
    yield "safe_state=%s" % station.in_safe_state
    rtc = getattr(station.board, "rtc", None)
    if rtc:  # crashes in a row and the last one's cause: see boot.py
        yield "crashes=" + str(rtc.memory(), "utf-8")
    for part in sorted(station.log.counts):  # since the start
        yield "warnings.%s=%d" % (part, station.log.counts[part])
    for message in station.doing:
        yield "%s=%s" % (message, station.doing[message])


def _connector(station):
    evse = station.evse
    yield "status=%s %s" % (station.notifier.status, station.notifier.info)
    yield "operative=%s" % station.session.operative
    yield "reserved=%s" % (station.session.reservation is not None)
    for name in "pilot plugged contactor locked duty phases offered_ma".split():
        yield "%s=%s" % (name, getattr(evse, name))
    for name, ma in sorted(evse.limits.all().items()):
        yield "limit.%s_ma=%s" % (name, ma)
    for code in evse.faults.active:
        since = (station.clock.ms() - evse.faults.since(code)) // 1000
        yield "fault=%s %s, for %d s" % (code, faults.row(code).info, since)
    reading = station.meter.last or {}
    for name in sorted(reading):
        yield "meter.%s=%s" % (name, reading[name])
    yield "tic=%s" % ("detected" if station.tic.detected else "not detected")


def _transactions(station):
    running = station.session.transaction
    if running:
        yield "running=%s, meter_start=%d" % (running.transaction_id, running.meter_start)
    yield "pending=%d" % station.transactions.outbox.pending
    for line in station.transactions.outbox.listing():
        yield line
    for line in station.profiles.listing():
        yield "profile: " + line


def _configuration(station):
    for key in keys.TABLE:
        yield "%s=%s" % (key.name, station.config.shown(key))


def _memory(station):
    yield "heap_free=%d" % runtime.heap_free()
    gc.collect()
    yield "native_free=%s" % sockets.native_free()
    yield "flash_free=%d" % station.files.free()
    yield "journal_bytes=%d" % station.transactions.journal.size


def _network(station):
    connection = station.connection
    yield "link=" + connection.state
    yield "connections=%d" % connection.connections
    if runtime.DEVICE:
        yield "wifi=%s" % runtime.once("firmware.net.wifi_state", "look")[1]
    if connection.lost_ms is not None:
        yield "lost_for_s=%d" % ((station.clock.ms() - connection.lost_ms) // 1000)
    yield "silent_for_s=%d" % ((station.clock.ms() - station.rpc.active_ms) // 1000)
    for place in connection.addresses:
        if isinstance(place, tuple):
            yield "reached=%s:%s" % place
