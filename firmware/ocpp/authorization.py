"""Who may charge: Authorize (OCPP 4.1), and what an offline station does instead (3.5.3, 3.5.4;
guide page 16)."""

import asyncio

from firmware.base.runtime import const
from firmware.ocpp import CallError, LinkDown

_OFFLINE_MS = const(60000)  # no connection for so long means offline (docs/guide-notes.md)


def present_id_tag(station, id_tag: str) -> None:
    """An idTag is presented at the station: it stops what it may stop, or asks to start."""
    session = station.session
    waiting = session.authorization
    if session.id_tag_stops_transaction(id_tag, None):
        session.stop_transaction("Local", id_tag)
    elif session.id_tag_releases_cable(id_tag, None):
        session.release_cable()
    elif waiting and waiting.id_tag.lower() == id_tag.lower():
        session.cancel_authorization()  # presented again: never mind (OCPP 4.9, B1)
    else:
        station.spawn(authorize(station, id_tag))


async def authorize(station, id_tag: str, remote: bool = False, on_start=None) -> None:
    """Asks whether an idTag may charge, and lets it. `remote`: a RemoteStart presented it, which
    starts and never stops. `on_start` as for Session.authorize."""
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
    return {"status": "Accepted" if _accepts_unknown_id_tags(station) else "Invalid"}


def _accepts_unknown_id_tags(station):
    """Whether an unknown idTag may charge while there is no connection (OCPP 3.5.4)."""
    config = station.config
    return (
        config.on("LocalAuthorizeOffline")
        and config.on("AllowOfflineTxForUnknownId")
        and station.connection.is_accepted_endpoint()
    )


def charges_without_asking(station) -> bool:
    """Whether a car that was just plugged in is charged without an idTag (guide page 16): the
    station is standalone, or has been offline for a while and may do so."""
    if not (station.transactions.outbox.endpoint_id or station.config.get("SupervisionUrl")):
        return True  # and has been since the connection noticed
    lost_ms = station.connection.lost_ms
    return (
        lost_ms is not None
        and station.clock.ms() - lost_ms >= _OFFLINE_MS
        and _accepts_unknown_id_tags(station)
    )
