"""One StatusNotification (OCPP 4.9), and which may follow which; loaded for it."""

import asyncio

from firmware.base import times
from firmware.charging import faults
from firmware.ocpp import CallError
from firmware.ocpp.registration import VENDOR

_TRIES = 3
_AGAIN_MS = 15000

# The table of OCPP 4.9 with B6 (errata 3.20): from, to. From Faulted and to Faulted goes always.
_ALLOWED = """
Available Preparing Charging SuspendedEV SuspendedEVSE Reserved Unavailable
Preparing Available Charging SuspendedEV SuspendedEVSE Finishing
Charging Available SuspendedEV SuspendedEVSE Finishing Unavailable
SuspendedEV Available Charging SuspendedEVSE Finishing Unavailable
SuspendedEVSE Available Charging SuspendedEV Finishing Unavailable
Finishing Available Preparing Unavailable
Reserved Available Preparing Unavailable
Unavailable Available Preparing Charging SuspendedEV SuspendedEVSE
"""


def between(before: str, after: str) -> str:
    """The status to tell between two, "" where one may follow the other: a step that was too
    short to be seen."""
    if "Faulted" in (before, after) or before == after:
        return ""
    at = _ALLOWED.find("\n" + before + " ")
    if after in _ALLOWED[at + 1 : _ALLOWED.find("\n", at + 1)].split(" "):
        return ""
    if after == "Preparing":  # during a transaction
        return "Finishing"
    return "Available" if after in ("Reserved", "Unavailable") else "Preparing"


async def send(notifier, note: tuple) -> None:
    """`note`: connectorId, status, info, vendor error code or None, when (ms), the status that was
    told before or "". The step between the two goes first, where there has to be one."""
    connector_id, status, info, fault, ms, before = note
    step = between(before, status) if before else ""
    if step:
        await _send(notifier, connector_id, step, "", None, ms)
    await _send(notifier, connector_id, status, info, fault, ms)


async def _send(notifier, connector_id, status, info, fault, ms):
    """What is refused, or not answered on a link that lives, is told again a few times: nothing
    else would tell it."""
    station = notifier.station
    request = {"connectorId": connector_id, "status": status, "errorCode": "NoError"}
    epoch = station.clock.epoch_at(ms)
    if epoch:
        request["timestamp"] = times.text(epoch)
    if fault:
        row = faults.row(fault)
        request["errorCode"] = row.error_code
        request["info"] = row.info
        request["vendorId"] = VENDOR
        request["vendorErrorCode"] = fault
    elif info:
        request["info"] = info
    for left in range(_TRIES - 1, -1, -1):
        try:
            await station.rpc.call("StatusNotification", dict(request))  # which is emptied
            return
        except (CallError, asyncio.TimeoutError) as why:
            notifier.log.warning("StatusNotification: %s", str(why) or "no answer")
        if left:
            await station.clock.sleep_ms(_AGAIN_MS)
