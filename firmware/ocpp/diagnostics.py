"""The upload of diagnostics (OCPP 5.9, errata 3.31, 3.50): a file about the station.

While the central system waits to hear how it ends, the store has a mark: after a restart it is
told UploadFailed.
"""

import asyncio
import sys
from collections import namedtuple

from firmware.base import runtime, times
from firmware.base.runtime import const
from firmware.charging import faults
from firmware.net.url import TRANSFER_SCHEMES, parse_url
from firmware.ocpp import keys
from firmware.ocpp.transfers import DIAGNOSTICS_STATUS, STORED_DIAGNOSTICS

# Its statuses (OCPP 7.24).
UPLOADING = "Uploading"
UPLOADED = "Uploaded"
UPLOAD_FAILED = "UploadFailed"

_FILE = const("diagnostics.txt")  # in flash, until it is uploaded

# What the central system asked for. `url`: of the folder where the file goes, under `file_name`;
# `first` and `last`: the date-times between which log lines are wanted, "" for no limit;
# `attempts`: how many at most; `retry_interval_s` between them.
Request = namedtuple(
    "Request", ("url", "file_name", "first", "last", "attempts", "retry_interval_s")
)


class DiagnosticsJob:
    """A job for `transfers.py`. `request`: a Request; None after a restart, which has ended the
    upload."""

    message = DIAGNOSTICS_STATUS

    def __init__(self, station, request: Request | None):
        self.station = station
        self.request = request
        self.transfers = station.transfers
        self.log = station.log("diagnostics")

    async def run(self) -> None:
        """Uploads, and tells how it ended."""
        status = await self._upload() if self.request else UPLOAD_FAILED
        self.transfers.notify(self.message, status, True)
        try:
            self.station.files.remove(_FILE)
        except OSError:
            pass  # the power failed before it was there
        await self.transfers.notified()
        self.station.config.store.remove(STORED_DIAGNOSTICS)

    async def _upload(self):
        """Takes up to so many attempts; the status that it ends with."""
        request = self.request
        self._begin()
        left = request.attempts
        try:
            parse_url(request.url, TRANSFER_SCHEMES)
        except ValueError:
            left = 1  # it will not get better
        while True:
            left -= 1
            try:
                await self._attempt(request)
                self.log.info("%s is there", request.file_name)
                return UPLOADED
            except Exception as why:  # whatever it is: it counts as an attempt
                self.log.warning("upload: %s", self.transfers.reason(why))
            if left <= 0:
                return UPLOAD_FAILED
            await self.station.clock.sleep_ms(request.retry_interval_s * 1000)

    def _begin(self):
        """Tells that the upload begins, unless a former request's has begun already."""
        if self.transfers.status(self.message) == UPLOADING:
            return
        try:
            self.station.config.store.write(STORED_DIAGNOSTICS, b"1")
        except OSError as why:
            self.log.warning("a restart now would hide how this upload ends: %s", why)
        self.transfers.notify(self.message, UPLOADING)

    async def _attempt(self, request):
        from firmware.net.transfer import FileBody  # with HTTP and FTP: only a transfer needs them

        files = self.station.files
        await write(self.station, _FILE, request.first, request.last)
        with files.open(_FILE, "rb") as f:
            body = FileBody(f, files.size(_FILE))
            await self.transfers.upload(request.url, request.file_name, body)


async def write(station, name: str, first: str, last: str) -> None:
    """Makes the file `name` in the station's flash. `first` and `last`: the date-times between
    which log lines are wanted, "" for no limit. Others run after each
    line."""
    await asyncio.sleep(0)
    station.logbook.save()
    await asyncio.sleep(0)  # each write to the flash takes long
    sections = (
        ("station", _station),
        ("connector", _connector),
        ("transactions", _transactions),
        ("configuration", _configuration),
        ("memory", _memory),
        ("network", _network),
    )
    with station.files.open(name, "wb") as f:
        for title, lines in sections:
            f.write(("[%s]\n" % title).encode())
            try:
                for line in lines(station):
                    if line is not None:
                        f.write((line + "\n").encode())
                    await asyncio.sleep(0)
            except Exception as error:  # the other sections follow all the same
                f.write(runtime.trace(error).encode())
            f.write(b"\n")
            await asyncio.sleep(0)
        f.write(b"[log]\n")
        await station.logbook.copy(f, first, last)


# Generators of a section's lines; None is none, and only a turn for others.


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
    crashes = station.board.crash_record()
    if crashes:
        yield "crashes=" + crashes
    for part in sorted(station.log.counts):  # since the start
        yield "warnings.%s=%d" % (part, station.log.counts[part])
    for message in sorted(station.transfers.statuses):
        yield "%s=%s" % (message, station.transfers.status(message))


def _connector(station):
    evse = station.evse
    yield "status=%s %s" % (station.notifier.status, station.notifier.info)
    yield "operative=%s" % station.session.operative
    if station.full:
        for line in station.full.availability_lines():
            yield "availability: " + line
        yield "local list: " + station.full.local_list.describe()
        yield "cache: %d idTags" % station.full.cache.count
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
    for key in keys.rows(station.config.feature_set()):
        yield "%s=%s" % (key.name, station.config.shown(key))


def _memory(station):
    runtime.collect()
    yield None  # others have a turn
    memory = runtime.memory()
    yield "heap_free=%d" % memory.heap_free
    if memory.chip_free is not None:
        yield "chip_free=%d, the largest block %d" % (memory.chip_free, memory.chip_largest)
        yield "memory_low=%s" % station.transfers.memory_is_low
    if memory.psram_free is not None:
        yield "psram_free=%d" % memory.psram_free
    if station.evse.contactor:  # to count it takes a chip longer than a stop may last
        yield "flash_free=not counted while a car is charged"
    else:
        yield "flash_free=%d" % station.files.free()
    yield "journal_bytes=%d" % station.transactions.journal.size


def _network(station):
    connection = station.connection
    yield "link=" + connection.state
    yield "connections=%d" % connection.connections
    if runtime.DEVICE:
        from firmware.net import wifi  # only the device has MicroPython's `network`

        yield "wifi=%s" % wifi.describe()[1]
    if connection.lost_ms is not None:
        yield "lost_for_s=%d" % ((station.clock.ms() - connection.lost_ms) // 1000)
    yield "silent_for_s=%d" % ((station.clock.ms() - station.rpc.active_ms) // 1000)
    for host, port in connection.addresses.reached():
        yield "reached=%s:%s" % (host, port)
