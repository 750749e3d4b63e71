"""Where to dial and as whom; loaded for a connection and dropped again (OCPP-J 3, errata 3.4)."""

from firmware.net import address, tls, websocket


async def dial(link) -> websocket.WebSocket:
    """Opens the connection that the keys ask for."""
    station = link.station
    url = address.station_url(link.url(), station.config.get("BoxIdentifier"))
    link.log.info("dialling %s", url)
    secure = tls.context(link.ca) if url.lower().startswith("wss:") else None
    buffer = link.buffer
    return await websocket.connect(url, (), secure, known=link.known, limit=buffer)


def place(config) -> str:
    """Where and as whom, in one text: the store's "place" is where we were accepted last."""
    return config.get("SupervisionUrl") + "\n" + config.get("BoxIdentifier")


def remember(config) -> None:
    """This place accepted us."""
    here = place(config).encode()
    if config.store.read("place") != here:
        config.store.write("place", here)


def go_back(link) -> None:
    """The new place did not accept us: back to the last that did, and the keys say so."""
    config = link.station.config
    url, _, box = config.store.read("place").decode().partition("\n")
    link.log.error("%s did not accept this station: back to %s", link.url(), url)
    config.put("SupervisionUrl", url)
    config.put("BoxIdentifier", box)
