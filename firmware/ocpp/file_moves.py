"""Downloads and uploads for `transfers.py`, and the memory that TLS needs for them."""

from firmware.base import runtime
from firmware.net import tls, transfer
from firmware.ocpp.transfers import NOTIFIED_S


async def download(transfers, url: str, sink) -> None:
    """See `Transfers.download`."""
    await _transfer(transfers, "download", url, lambda place: transfer.download(place, sink))


async def upload(transfers, url: str, name: str, body) -> None:
    """See `Transfers.upload`."""
    await _transfer(transfers, "upload", url, lambda place: transfer.upload(place, name, body))


async def _transfer(transfers, what, url, move):
    """Moves a file by `move(location)`, a coroutine function, once no other file moves."""
    station = transfers.station
    await transfers.notified(NOTIFIED_S)  # they need memory, too
    async with transfers.one_at_a_time:
        runtime.collect()  # so that the transfer's buffers lie close together
        memory = _TlsMemory(station, transfers.log)
        try:
            location = transfer.Location(
                url, memory.tls_context, station.log("transfer"), station.connection.addresses
            )
            location.log.info("%s %s", what, location)
            await transfers.move(move(location))
        except tls.TlsFailed as why:
            station.security_event("TLS: " + why.check)
            raise
        finally:
            transfers.show_progress("")
            memory.give_back()


class _TlsMemory:
    """The memory for a transfer's TLS connections. On a board with room for a single one, the
    central system's connection is suspended for the transfer."""

    def __init__(self, station, log):
        self._station = station
        self._log = log
        self._suspended = False

    async def tls_context(self):
        """The context for a TLS connection, for which there is room now. Raises ValueError without
        a CA, OSError where there is no room."""
        connection, security = self._station.connection, self._station.security
        link_has_tls = (
            self._station.config.int("SecurityProfile") == 2
            or connection.url()[:4].lower() == "wss:"
        )
        if link_has_tls and not tls.has_room() and not self._suspended:
            self._log.info("the connection makes room: the transfer needs its memory")
            self._suspended = True
            await connection.suspend()
        if security.is_unchecked():
            self._log.warning("TLS without a CA: anybody can pretend to be the server")
        context = security.tls_context()
        tls.check_room()
        return context

    def give_back(self) -> None:
        """The transfer is over: the central system's connection comes back."""
        if self._suspended:
            self._suspended = False
            self._station.connection.resume()
