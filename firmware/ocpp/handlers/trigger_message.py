"""TriggerMessage (OCPP 5.17): the answer comes first, then the message with the present values."""

import asyncio

from firmware.ocpp import Answer, CallError
from firmware.ocpp.transfers import DIAGNOSTICS_STATUS, FIRMWARE_STATUS

_CONNECTORS = (0, 1)


async def TriggerMessage(station, payload):
    """Rejected for a connector that isn't there, and while too many messages wait already."""
    connector_ids = _CONNECTORS
    if payload.get("connectorId") is not None:
        connector_ids = (payload["connectorId"],)
    if connector_ids[0] not in _CONNECTORS or station.is_busy():
        return {"status": "Rejected"}
    send = _MESSAGES[payload["requestedMessage"]]
    return Answer({"status": "Accepted"}, lambda: send(station, connector_ids))


# The functions of the table: (station, the connectors that are asked about).


def _boot_notification(station, connector_ids):
    station.registration.request_boot()


def _heartbeat(station, connector_ids):
    station.registration.request_heartbeat()


def _status_notification(station, connector_ids):
    station.notifier.trigger(connector_ids)


def _meter_values(station, connector_ids):
    station.sampler.trigger()


def _diagnostics_status(station, connector_ids):
    station.spawn(_send_transfer_status(station, DIAGNOSTICS_STATUS))


def _firmware_status(station, connector_ids):
    station.spawn(_send_transfer_status(station, FIRMWARE_STATUS))


async def _send_transfer_status(station, action):
    try:
        await station.rpc.call(action, {"status": station.transfers.status(action)})
    except (CallError, asyncio.TimeoutError) as why:
        station.log("rpc").warning("%s: %s", action, str(why) or "no answer")


_MESSAGES = {
    "BootNotification": _boot_notification,
    DIAGNOSTICS_STATUS: _diagnostics_status,
    FIRMWARE_STATUS: _firmware_status,
    "Heartbeat": _heartbeat,
    "MeterValues": _meter_values,
    "StatusNotification": _status_notification,
}
