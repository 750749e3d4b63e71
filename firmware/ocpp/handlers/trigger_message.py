"""TriggerMessage (OCPP 5.17): the answer comes first, then the message with the present values."""

import asyncio

from firmware.ocpp import Answer, CallError

_CONNECTORS = (0, 1)


async def TriggerMessage(station, payload):
    """Rejected for a connector that isn't there, and while too many messages wait already."""
    connector_ids = _CONNECTORS
    if payload.get("connectorId") is not None:
        connector_ids = (payload["connectorId"],)
    if connector_ids[0] not in _CONNECTORS or station.is_busy():
        return {"status": "Rejected"}
    message = payload["requestedMessage"]
    return Answer({"status": "Accepted"}, lambda: _send(station, message, connector_ids))


def _send(station, message, connector_ids):
    """Sends a message that was asked for, with the present values."""
    if message == "BootNotification":
        station.registration.request_boot()
    elif message == "Heartbeat":
        station.registration.request_heartbeat()
    elif message == "MeterValues":
        station.sampler.trigger()
    elif message == "StatusNotification":
        station.notifier.trigger(connector_ids)
    else:  # of a transfer
        station.spawn(_send_transfer_status(station, message))


async def _send_transfer_status(station, action):
    try:
        await station.rpc.call(action, {"status": station.transfers.status(action)})
    except (CallError, asyncio.TimeoutError) as why:
        station.log("rpc").warning("%s: %s", action, str(why) or "no answer")
