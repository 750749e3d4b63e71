"""Files from and to servers over HTTP, HTTPS, FTP and FTPS, in blocks of 1 KB.

Loaded for a transfer and dropped after it, with what it loads.
"""

from firmware.base import runtime

BLOCK = 1024
_PROGRESS = 4096  # bytes that a connection must bring, for the next one to follow at once
_RESTARTS = 2  # from the beginning
_MODULES = (
    "firmware.net.http", "firmware.net.ftp", "firmware.net.address", "firmware.net.dial",
    "firmware.net.tls",
    "aiohttp.aiohttp_ws", "aiohttp",
)  # fmt: skip


class Place:
    """Where to, taken apart. `str(place)` is all of it that a log may show: neither user nor
    password, nor a query, which may be a signature.

    `secure` is awaited for net/tls.py's context before each connection with TLS: it makes room.
    `known` as for `dial.dial`. `step_s`: real seconds that a step may take, reading a block for
    one. Raises ValueError for a bad URL.
    """

    def __init__(self, url: str, secure, log, known: dict):
        parts = runtime.once("firmware.net.address", "parse_url", url, "http https ftp ftps")
        self.scheme, self.user, self.password, self.host, self.port, self.path = parts
        self.secure = secure
        self.log = log
        self.known = known
        self.step_s = 30
        self.restarts = 0
        self.ftps = 990, 21  # the ports of FTPS that is implicit and explicit

    def __str__(self):
        path = self.path.partition("?")[0]
        return "%s://%s:%d%s" % (self.scheme, self.host, self.port, path)

    def restart(self, sink, why) -> None:
        """Begins a download again, where the server can't go on with it."""
        self.restarts += 1
        if self.restarts > _RESTARTS:
            raise OSError("it begins again each time: %s" % why)
        self.log.warning("%s; from the beginning", why)
        sink.restart()

    def client(self):
        """Who speaks the scheme."""
        if self.scheme[0] == "h":
            return runtime.load("firmware.net.http").Http(self)
        return runtime.load("firmware.net.ftp").Ftp(self)


async def download(place: Place, sink) -> None:
    """Streams a file into `sink` from `sink.received` on, and goes on where a connection broke
    while each one goes further than any before. Where the server can't go on it begins again,
    twice at most.

    A sink has `received`, the bytes that it has; `async write(block)`; `restart()`, when it only
    goes from the beginning; `finish()`, which raises OSError when it is not complete. Raises one
    of runtime.LINK_ERRORS, or what the sink raises.
    """
    furthest = sink.received
    try:
        while True:
            client = place.client()
            try:
                await client.get(sink)
                sink.finish()
                return
            except runtime.LINK_ERRORS as why:
                if sink.received < furthest + _PROGRESS:
                    raise
                furthest = sink.received
                place.log.warning("%s; going on at %d", str(why) or "no answer", sink.received)
            finally:
                await client.close()
    finally:
        client = None
        runtime.drop(*_MODULES)


async def upload(place: Place, name: str, body) -> None:
    """Puts `body` as a file `name` into the folder that the place is. Raises as `download`."""
    client = place.client()
    try:
        await client.put(name, body)
    finally:
        await client.close()
        client = None
        runtime.drop(*_MODULES)
