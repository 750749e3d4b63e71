"""Decides who may charge: by Authorize (OCPP 4.1), and without it while the station is offline
(3.5.3, 3.5.4; guide page 16)."""

import asyncio

from firmware.base.runtime import const
from firmware.ocpp import CallError, LinkDown
from firmware.ocpp.registration import NONE

_OFFLINE_MS = const(60000)  # after so long without a connection we are offline (guide-notes.md)


def present_id_tag(station, id_tag: str) -> None:
    """An idTag is presented at the station. It stops the transaction, unlocks the cable or ends
    its own wait for the car, if it may; otherwise it is authorized to start a transaction."""
    session = station.session
    waiting = session.authorization
    if session.id_tag_stops_transaction(id_tag, None):
        session.stop_transaction("Local", id_tag)
    elif session.id_tag_releases_cable(id_tag, None):
        session.release_cable()
    elif waiting and waiting.id_tag.lower() == id_tag.lower():
        session.cancel_authorization()  # the driver changed his mind (OCPP 4.9, B1)
    else:
        station.spawn(authorize(station, id_tag))


async def authorize(station, id_tag: str, remote: bool = False, on_start=None) -> None:
    """Asks the central system whether an idTag may charge; if so, lets it charge, or stop what it
    may stop. `remote`: it came with a RemoteStart, which never stops a transaction. `on_start` as
    for Session.authorize."""
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
    """The idTagInfo (OCPP 7.27) of an idTag: from the central system, or from what is known of it
    here (3.5)."""
    if not station.config.get("SupervisionUrl"):
        return {"status": "Accepted"}
    full = station.full
    known = full.find(id_tag) if full else None
    if station.registration.online.is_set():
        if known and known.is_accepted() and station.config.on("LocalPreAuthorize"):
            return known.info()
        try:
            info = (await station.rpc.call("Authorize", {"idTag": id_tag}))["idTagInfo"]
            if full:
                full.heard(id_tag, info)
            return info
        except LinkDown:
            pass  # the connection has logged it, and now we are offline
    elif station.connection.lost_ms is None:  # Pending and Rejected are not offline
        return {"status": "Invalid"}
    if known and station.config.on("LocalAuthorizeOffline"):
        return known.info()
    return {"status": "Accepted" if _accepts_unknown_id_tags(station) else "Invalid"}


def _accepts_unknown_id_tags(station):
    """Whether an unknown idTag may charge while there is no connection (OCPP 3.5.4)."""
    config = station.config
    return (
        config.on("LocalAuthorizeOffline")
        and config.on("AllowOfflineTxForUnknownId")
        and _has_only_lost_its_link(station)
    )


def _has_only_lost_its_link(station):
    """Whether nothing but the link is missing: the place accepted this station before, or has
    never said anything, and it is no new place from which the station may have to go back."""
    connection = station.connection
    if connection.is_accepted_endpoint():
        return True
    return (
        connection.url() != ""
        and station.registration.status == NONE
        and not connection.is_on_trial()
    )


def charges_without_asking(station) -> bool:
    """Whether a car that was just plugged in charges without an idTag (guide page 16): the station
    is standalone, or has been offline for a minute and the keys allow it."""
    if not (station.transactions.outbox.endpoint_id or station.config.get("SupervisionUrl")):
        return True  # it is standalone, and the connection knows it too
    lost_ms = station.connection.lost_ms
    return (
        lost_ms is not None
        and station.clock.ms() - lost_ms >= _OFFLINE_MS
        and _accepts_unknown_id_tags(station)
    )


def why_it_waits(station) -> str | None:
    """Why a car that was plugged in while the station is not online waits: a sentence. None where
    it is about to charge."""
    config = station.config
    connection = station.connection
    if not config.get("SupervisionUrl"):
        return None
    if not connection.url():
        return "no central system was told: set SupervisionUrl, to an empty one for standalone"
    if connection.lost_ms is None:
        return "connected: waiting for the answer to BootNotification"
    if not _has_only_lost_its_link(station):
        return "no link to a central system that has not accepted this station: waiting for it"
    if not _accepts_unknown_id_tags(station):
        return "offline: LocalAuthorizeOffline or AllowOfflineTxForUnknownId keeps it waiting"
    return "offline: charges by itself after %d s without a link" % (_OFFLINE_MS // 1000)
