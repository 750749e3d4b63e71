"""Moves files from and to servers over HTTP, HTTPS, FTP and FTPS, for `ocpp/transfers.py`."""

from firmware.base import runtime
from firmware.base.runtime import const
from firmware.net.url import DEFAULT_PORTS, HTTP_SCHEMES, TRANSFER_SCHEMES, parse_url

_PROGRESS = const(4096)  # bytes that a connection must bring, for the next one to follow at once
_MAX_RESTARTS = const(2)  # of a download, from its beginning
_UPLOAD_BLOCK = const(256)  # bytes: more may be hard to find in one piece


class Location:
    """The place that a file comes from or goes to, with all that a transfer needs.

    `str(location)` is the part of the URL that a log may show: without user, password and query,
    which may be a signature. `await tls_context()` makes room for a connection with TLS and
    returns its context (net/tls.py). `addresses`: a dial.Addresses. `step_s`: real seconds that
    one step may take, for example reading a block. Raises ValueError for a bad URL.
    """

    def __init__(self, url: str, tls_context, log, addresses):
        self.url = parse_url(url, TRANSFER_SCHEMES)
        self.tls_context = tls_context
        self.log = log
        self.addresses = addresses
        self.step_s = 30
        # The ports of FTPS with TLS from the first byte, and with AUTH TLS.
        self.implicit_ftps_port = DEFAULT_PORTS["ftps"]
        self.explicit_ftps_port = DEFAULT_PORTS["ftp"]
        self._restarts = 0

    def __str__(self):
        url = self.url
        return "%s://%s:%d%s" % (url.scheme, url.host, url.port, url.path.partition("?")[0])

    def restart(self, sink, why) -> None:
        """Begins a download again, where the server can't go on with it. Raises OSError the third
        time."""
        self._restarts += 1
        if self._restarts > _MAX_RESTARTS:
            raise OSError("it begins again each time: %s" % why)
        self.log.warning("%s; from the beginning", why)
        sink.restart()

    def client(self):
        """A client for one attempt to move the file; it speaks the URL's scheme."""
        if self.url.scheme in HTTP_SCHEMES:
            from firmware.net.http import Http  # rare: a transfer needs one of the two

            return Http(self)
        from firmware.net.ftp import Ftp  # rare, as well

        return Ftp(self)


class FileBody:
    """What is uploaded: `size` bytes of a binary file. PyPI's aiohttp iterates over it."""

    def __init__(self, file, size: int):
        self.file = file
        self.size = size

    def read(self) -> bytes:
        """The next block, b"" at the end."""
        return self.file.read(_UPLOAD_BLOCK)

    def rewind(self) -> None:
        """The next block is the first one again."""
        self.file.seek(0)

    def __aiter__(self):
        return self

    async def __anext__(self):
        block = self.read()
        if not block:
            raise StopAsyncIteration
        return block


async def download(location: Location, sink) -> None:
    """Streams a file into `sink`, from byte `sink.received` on. When a connection breaks, the
    download continues on another one, as long as each gets further than those before. Where the
    server can't continue a file, it begins again, twice at most.

    A sink has `received`, the number of bytes that it has; `async write(block)`; `restart()`,
    after which it takes the file from its beginning; `finish()`, which raises OSError when the
    file is not complete. Raises one of runtime.LINK_ERRORS, or what the sink raises.
    """
    furthest = sink.received
    while True:
        client = location.client()
        try:
            await client.get(sink)
            sink.finish()
            return
        except runtime.LINK_ERRORS as why:
            if sink.received < furthest + _PROGRESS:
                raise
            furthest = sink.received
            location.log.warning("%s; going on at %d", str(why) or "no answer", sink.received)
        finally:
            await client.close()


async def upload(location: Location, name: str, body: FileBody) -> None:
    """Puts `body` as a file of this name into the folder that the location is. Raises one of
    runtime.LINK_ERRORS."""
    client = location.client()
    try:
        await client.put(name, body)
    finally:
        await client.close()
