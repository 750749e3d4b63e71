"""The upload of diagnostics (OCPP 5.9, errata 3.31, 3.50): a file about the station.

While the central system waits to hear how it ends, the store has a mark: after a restart it is
told UploadFailed.
"""

from collections import namedtuple

from firmware.net.url import TRANSFER_SCHEMES, parse_url
from firmware.ocpp import diagnostics_file
from firmware.ocpp.transfers import DIAGNOSTICS_STATUS, STORED_DIAGNOSTICS

# Its statuses (OCPP 7.24).
UPLOADING = "Uploading"
UPLOADED = "Uploaded"
UPLOAD_FAILED = "UploadFailed"

_FILE = "diagnostics.txt"  # in flash, until it is uploaded

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
            self.log.warning("no end will be told of after a restart: %s", why)
        self.transfers.notify(self.message, UPLOADING)

    async def _attempt(self, request):
        from firmware.net.transfer import FileBody  # with HTTP and FTP: only a transfer needs them

        files = self.station.files
        await diagnostics_file.write(self.station, _FILE, request.first, request.last)
        with files.open(_FILE, "rb") as f:
            body = FileBody(f, files.size(_FILE))
            await self.transfers.upload(request.url, request.file_name, body)
