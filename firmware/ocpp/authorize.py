"""Authorize (OCPP 4.1) and what an offline station does instead (3.5.3, 3.5.4)."""

import asyncio

from firmware.ocpp.frames import CallError
from firmware.ocpp.rpc import LinkDown


async def present(station, id_tag: str) -> None:
    """An id was presented, by a RemoteStart or locally, that stops nothing by itself."""
    session = station.session
    log = station.log("session")
    try:
        info = await _ask(station, id_tag)
    except (CallError, asyncio.TimeoutError) as why:
        log.warning("Authorize: %s", why or "no answer")
        info = {"status": "Invalid"}
    parent = info.get("parentIdTag")
    if session.stops_for(id_tag, parent):
        session.stop("Local", id_tag)
    elif info["status"] != "Accepted" or not session.authorise(id_tag, parent):
        log.info("%s may not charge: %s", id_tag, info["status"])
        session.profile = None


async def _ask(station, id_tag):
    config = station.config
    if not config.get("SupervisionUrl"):
        return {"status": "Accepted"}
    try:
        if not station.registration.online.is_set():
            raise LinkDown
        return (await station.rpc.call("Authorize", {"idTag": id_tag}))["idTagInfo"]
    except LinkDown:  # an unknown id while offline
        allowed = config.on("LocalAuthorizeOffline") and config.on("AllowOfflineTxForUnknownId")
        fine = allowed and station.link.accepted_here()
        return {"status": "Accepted" if fine else "Invalid"}
