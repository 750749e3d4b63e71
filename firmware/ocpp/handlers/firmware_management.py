"""GetDiagnostics and UpdateFirmware (OCPP 5.9, 5.19): they begin a transfer, see
`ocpp/diagnostics.py` and `ocpp/update.py`."""

from firmware.base import times
from firmware.base.runtime import const
from firmware.ocpp import Answer
from firmware.ocpp.transfers import FIRMWARE_STATUS

_ATTEMPTS = const(4)  # where the central system leaves it to us
_MAX_ATTEMPTS = const(100)
_RETRY_INTERVAL_S = const(60)  # where the central system leaves it to us
_MAX_RETRY_INTERVAL_S = const(86400)
_MAX_BOX = const(50)  # characters of the BoxIdentifier in a file's name
_FILE_CHARACTERS = const(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


async def GetDiagnostics(station, payload):
    """Begins an upload and answers with the file's name. It replaces an upload under way."""
    from firmware.ocpp.diagnostics import DiagnosticsJob, Request  # rare

    request = Request(
        payload["location"],
        _file_name(station),
        _date_time(payload, "startTime"),
        _date_time(payload, "stopTime"),
        _attempts(payload),
        _retry_interval_s(payload),
    )

    def upload():
        station.transfers.start(DiagnosticsJob(station, request))

    return Answer({"fileName": request.file_name}, upload)


async def UpdateFirmware(station, payload):
    """Begins an update, which waits for retrieveDate. It replaces an update that is not being
    installed yet."""
    from firmware.ocpp import update  # rare

    store = station.config.store
    before = update.stored(store)
    installing = station.transfers.status(FIRMWARE_STATUS) == update.INSTALLING
    if installing or (before and before.phase == update.TRIAL):
        station.log("update").warning("another update is being installed: this one is refused")
        return {}
    station.transfers.stop(FIRMWARE_STATUS)
    update.request(
        station,
        payload["location"],
        payload["retrieveDate"],
        _attempts(payload),
        _retry_interval_s(payload),
    )

    def begin():
        station.transfers.start(update.UpdateJob(station))

    return Answer({}, begin)


def _attempts(payload) -> int:
    return min(payload.get("retries", _ATTEMPTS - 1) + 1, _MAX_ATTEMPTS)


def _retry_interval_s(payload) -> int:
    return min(payload.get("retryInterval", _RETRY_INTERVAL_S), _MAX_RETRY_INTERVAL_S)


def _date_time(payload, key: str) -> str:
    """As a text in UTC, "" where it is not given."""
    return times.text(payload[key]) if key in payload else ""


def _file_name(station) -> str:
    """The diagnostics' name: who, and when."""
    epoch = station.clock.epoch()
    when = times.text(epoch).replace("-", "").replace(":", "") if epoch else "undated"
    box = station.config.get("BoxIdentifier").encode()
    box = bytes([c if c in _FILE_CHARACTERS else ord("_") for c in box])
    return "%s-%s.txt" % (box[:_MAX_BOX].decode(), when)
