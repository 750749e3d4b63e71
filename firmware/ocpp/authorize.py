"""Authorize (OCPP 4.1) and what an offline station does instead (3.5.3, 3.5.4)."""

import asyncio

from firmware.ocpp import CallError, LinkDown


async def present(station, id_tag: str, remote: bool = False, on_start=None) -> None:
    """An idTag was presented that stops nothing by itself: locally, or by a RemoteStart.
    `on_start` as for Session.authorize."""
    session = station.session
    log = station.log("session")
    session.authorizing_begins()
    try:
        info = await _ask(station, id_tag)
    except (CallError, asyncio.TimeoutError) as why:
        log.warning("Authorize: %s", str(why) or "no answer")
        info = {"status": "Invalid"}
    finally:
        session.authorizing_ended()
    parent = info.get("parentIdTag")
    if info["status"] != "Accepted":
        log.info("%s may not charge: %s", id_tag, info["status"])
    elif not remote and session.id_tag_stops_transaction(id_tag, parent):
        session.stop_transaction("Local", id_tag)
    elif not remote and session.id_tag_releases_cable(id_tag, parent):
        session.release_cable()
    elif not session.authorize(id_tag, parent, on_start):
        log.info("%s may not charge here now", id_tag)


async def _ask(station, id_tag):
    if not station.config.get("SupervisionUrl"):
        return {"status": "Accepted"}
    if station.registration.online.is_set():
        try:
            return (await station.rpc.call("Authorize", {"idTag": id_tag}))["idTagInfo"]
        except LinkDown:  # the link says so; now we are offline
            pass
    elif station.connection.lost_ms is None:  # Pending and Rejected are not offline
        return {"status": "Invalid"}
    return {"status": "Accepted" if station.trusts() else "Invalid"}
