"""TriggerMessage (OCPP 5.17): the answer first, then the message with what is true now."""

import asyncio

from firmware.ocpp import Answer, CallError


async def TriggerMessage(station, payload):
    """Rejected for a connector that isn't there, and while too many messages wait already."""
    message = payload["requestedMessage"]
    connector = payload.get("connectorId")
    if connector not in (None, 0, 1) or station.is_busy():
        return {"status": "Rejected"}
    if message == "BootNotification":
        after = station.registration.request_boot
    elif message == "Heartbeat":
        after = station.registration.request_heartbeat
    elif message == "StatusNotification":

        def after():
            station.notifier.trigger((0, 1) if connector is None else (connector,))

    elif message == "MeterValues":
        after = station.sampler.trigger
    else:  # DiagnosticsStatusNotification, FirmwareStatusNotification

        def after():
            station.spawn(_tell(station, message))

    return Answer({"status": "Accepted"}, after)


async def _tell(station, message):
    try:
        await station.rpc.call(message, {"status": station.transfers.status(message)})
    except (CallError, asyncio.TimeoutError) as why:
        station.log("rpc").warning("%s: %s", message, str(why) or "no answer")
