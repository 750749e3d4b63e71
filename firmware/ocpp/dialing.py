"""Where to dial and as whom; loaded for a connection and dropped again (OCPP-J 3, errata 3.4)."""

from firmware.base import runtime
from firmware.net import websocket
from firmware.ocpp import security


async def dial(link) -> websocket.WebSocket:
    """Opens the connection that the keys ask for."""
    box = link.station.config.get("BoxIdentifier")
    url = runtime.once("firmware.net.address", "station_url", link.url(), box)
    link.log.info("dialling %s", url)
    return await security.connect(link, url)


def worked(link) -> None:
    """The central system has answered BootNotification."""
    security.worked(link)


def remember(link) -> None:
    """This place accepted us, if it is still the keys'."""
    config = link.station.config
    here = link.place()
    if link.endpoint == link.station.endpoint() and config.store.read("place") != here:
        config.store.write("place", here)


def failed(link, attempts: int) -> None:
    """So many attempts in a row did not connect."""
    security.failed(link, attempts)


def go_back(link) -> None:
    """The new place did not accept us: back to the last that did, and the keys say so."""
    config = link.station.config
    url, _, box = config.store.read("place").decode().partition("\n")
    link.log.error("%s did not answer this station: back to %s", link.url(), url)
    config.put("SupervisionUrl", url)
    config.put("BoxIdentifier", box)
