"""The download of an update: one attempt to bring a bundle into a slot."""

from firmware.base import bundle, slots
from firmware.base.manifest import BadBundle
from firmware.base.runtime import const

_LOG_BYTES = const(32768)  # between two lines of progress in the log


async def download(station, flash, url: str, slot: str, log) -> str:
    """Brings what the slot, on the files `flash`, does not have yet of the bundle at `url`.
    Returns what is to be started then: the slot's name, or the label of an OTA partition. Raises
    BadBundle where trying again won't help, or any other exception."""
    key = station.config.store.read("update_key")
    if key is None:
        raise BadBundle("this station has no key to check it with")
    if key == bundle.UNSIGNED:
        log.warning("provisioned to take any bundle: its signature is not checked")
    unpacker = bundle.Unpacker(flash, slot, key, slots.ImageWriter)
    try:
        try:
            await unpacker.resume()
        except BadBundle as why:
            log.debug("not gone on with: %s", why)
            unpacker.restart()
        if not unpacker.done:
            await station.transfers.download(url, _Sink(station.transfers, log, unpacker))
    finally:
        unpacker.close()
    log.info("version %s is there", unpacker.version)
    return unpacker.label


class _Sink:
    """The unpacker, as a sink that tells its progress."""

    def __init__(self, transfers, log, unpacker):
        self.restart = unpacker.restart
        self.finish = unpacker.finish
        self._transfers = transfers
        self._log = log
        self._unpacker = unpacker
        self._next_log = 0  # bytes at which the log gets its next line

    @property
    def received(self):
        return self._unpacker.received

    async def write(self, block):
        await self._unpacker.write(block)
        received = self._unpacker.received
        progress = "%d of %d bytes" % (received, self._unpacker.total or received)
        self._transfers.progress = progress
        if received >= self._next_log:
            self._next_log = received + _LOG_BYTES
            self._log.info("%s", progress)
