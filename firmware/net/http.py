"""HTTP and HTTPS transfers through aiohttp: micropython-lib's on the device, PyPI's on a PC.

Both are used by the calls that they share. What micropython-lib's lacks is laid around its
`request_raw`, the one place where it connects: headers have a bound, a body goes out in blocks,
no redirect is followed behind our back, and the connection is closed whatever happens. Time-outs
are around every step. Loaded by transfer.py.
"""

import asyncio
import sys

from firmware.base import runtime
from firmware.net.transfer import BLOCK

_ADDRESS = "firmware.net.address"
_DIAL = "firmware.net.dial"

_WEBSOCKET = "_WSRequestContextManager ClientWebSocketResponse WebSocketClient WSMsgType"
_SLOWEST = 100  # bytes a second of an upload
_HEADERS = 4096  # bytes of an answer's headers at most
_REDIRECTS = 4


def _library():
    """aiohttp, without the WebSocket client that is half of micropython-lib's."""

    class Unused:
        pass

    for (
        name
    ) in "_WSRequestContextManager ClientWebSocketResponse WebSocketClient WSMsgType".split():
        setattr(Unused, name, None)
    sys.modules["aiohttp.aiohttp_ws"] = Unused  # type: ignore[assignment]
    try:
        import aiohttp
    except (ImportError, AttributeError):  # another version: all of it then
        del sys.modules["aiohttp.aiohttp_ws"]
        import aiohttp
    sys.modules.pop("aiohttp.aiohttp_ws", None)
    return aiohttp


class _Moved(Exception):
    """A redirect, stopped before it is followed."""


class _Stream:
    """What micropython-lib's aiohttp reads from: a stream whose lines have a bound."""

    def __init__(self, stream):
        self._stream = stream
        self._ahead = b""
        self._left = _HEADERS
        self.aclose = stream.aclose

    async def readline(self):
        line = b""
        while True:
            if not self._ahead:
                self._ahead = await self._stream.read(256)
                if not self._ahead:
                    raise EOFError("HTTP: the server hung up")
            at = self._ahead.find(b"\n") + 1 or len(self._ahead)
            line += self._ahead[:at]
            self._ahead = self._ahead[at:]
            self._left -= at
            if self._left < 0:
                raise OSError("HTTP: headers over %d bytes" % _HEADERS)
            if line.endswith(b"\n"):
                return line

    async def read(self, n):
        if self._ahead:
            block = self._ahead[:n]
            self._ahead = self._ahead[n:]
            return block
        return await self._stream.read(n)


class Http:
    """One transfer from or to a `transfer.Place`, over as many connections as that takes."""

    def __init__(self, place):
        self._place = place
        self._origin = place.scheme, place.host, place.port
        self._at = self._origin + (place.path,)
        self._session = self._response = self._stream = None

    async def get(self, sink) -> None:
        """Streams the file into `sink`, from `sink.received` on if the server can do that."""
        have = sink.received
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = "bytes=%d-" % have
        status = await self._follow("GET", headers)
        place = self._header("content-range")
        if status == 416 and have and place == "bytes */%d" % have:
            return
        if status == 416 and have:
            self._place.restart(sink, "HTTP 416: another file than before")
            have = 0
            del headers["Range"]
            status = await self._follow("GET", headers)
            place = self._header("content-range")
        if status not in (200, 206):
            raise OSError("HTTP %d" % status)
        if self._header("transfer-encoding") or self._header("content-encoding"):
            raise OSError("HTTP: an encoded answer that was not asked for")
        if status == 206 and not place.startswith("bytes %d-" % have):
            raise OSError("HTTP 206 from elsewhere")
        if status == 200 and have:
            self._place.restart(sink, "HTTP: no part of a file")
        length = self._header("content-length")
        end = sink.received + int(length) if length.isdigit() else None
        while sink.received != end:
            n = BLOCK if end is None else min(BLOCK, end - sink.received)
            block = await self._step("reading", self._response.content.read(n))
            if not block:
                break
            await sink.write(block)
        if end is not None and sink.received != end:
            raise OSError("HTTP: %d of %d bytes came" % (sink.received, end))

    async def put(self, name: str, body) -> None:
        """Uploads with PUT, or POST where the server has none. The place is a folder, except with
        a query: such URLs are made for one file (docs/guide-notes.md)."""
        path = self._at[3]
        if "?" not in path:
            self._at = self._origin + (path + ("" if path.endswith("/") else "/") + name,)
        target = self._at
        headers = {"Content-Length": str(body.size), "Content-Type": "text/plain; charset=utf-8"}
        status = await self._follow("PUT", headers, body)
        if status in (405, 501):
            self._at = target
            status = await self._follow("POST", headers, body)
        if not 200 <= status < 300:
            raise OSError("HTTP %d" % status)

    async def close(self) -> None:
        """Closes what is open."""
        stream, session, response = self._stream, self._session, self._response
        self._stream = self._session = self._response = None
        if hasattr(response, "close"):  # PyPI's
            response.close()
        if stream:
            await stream.aclose()
        if session:
            await session.__aexit__(None, None, None)

    async def _follow(self, method, headers, body=None):
        """Asks, and follows redirects; the status that it ends with."""
        for _ in range(_REDIRECTS):
            await self.close()
            if body:
                body.rewind()
            try:
                status = await self._ask(method, headers, body)
                if status not in (301, 302, 303, 307, 308):
                    return status
                where = self._header("location")
            except _Moved as moved:
                status, where = 0, str(moved)
            if status == 303 and body:
                raise OSError("HTTP 303 to an upload")
            self._move(where)
        raise OSError("HTTP: more than %d redirects" % _REDIRECTS)

    def _move(self, where):
        scheme, host, port, path = self._url(where)
        if self._at[0] == "https" and scheme != "https":
            raise OSError("HTTP: a redirect away from TLS")
        self._at = scheme, host, port, path
        self._place.log.info("redirected to %s://%s:%d", scheme, host, port)

    def _url(self, where):
        scheme, host, port, path = self._at
        if "://" not in where:
            base = "%s://%s:%d" % (scheme, host, port)
            if where.startswith("//"):
                base = scheme + ":"
            elif not where.startswith("/"):
                base += path.partition("?")[0].rpartition("/")[0] + "/"
            where = base + where
        parts = runtime.load(_ADDRESS).parse_url(where, "http https")
        scheme, _, _, host, port, path = parts
        path, mark, query = path.partition("?")
        parts = []
        for part in path.split("/"):
            if part == "..":
                parts = parts[:-1]
            elif part != ".":
                parts.append(part)
        path = "/".join(parts)
        return scheme, host, port, (path if path[:1] == "/" else "/" + path) + mark + query

    async def _ask(self, method, headers, body):
        """One request on a connection of its own; its status."""
        scheme, host, port, path = self._at
        place = self._place
        aiohttp = _library()
        address = runtime.load(_ADDRESS)
        if ":" in host:
            raise OSError("HTTP: no IPv6 address in a URL, please: a name")
        name = host if port == address.PORTS[scheme] else "%s:%d" % (host, port)
        more = dict(headers)
        more["Host"] = name
        if self._at[:3] == self._origin and place.user is not None:
            more["Authorization"] = address.basic(place.user, place.password.encode())
        words = {"headers": more}
        if scheme == "https":
            words["ssl"] = await place.secure()
        del address
        runtime.drop(_ADDRESS)
        # What aiohttp would look up itself, holding the loop, is known by then.
        await runtime.soon(_DIAL, "resolve", host, port, place.step_s, place.known)
        options = {"version": aiohttp.HttpVersion10}
        if hasattr(aiohttp, "ClientTimeout"):  # PyPI's
            options["timeout"] = aiohttp.ClientTimeout(total=None)
            options["auto_decompress"] = False
            words["allow_redirects"] = False
            words["data"] = body
            more["Connection"] = "close"
        session = self._session = aiohttp.ClientSession(**options)
        if hasattr(session, "request_raw"):  # micropython-lib's
            session.request_raw = self._around(session.request_raw, body)
        request = session.request(method, "%s://%s%s" % (scheme, name, path), **words)
        seconds = place.step_s + (body.size // _SLOWEST if body else 0)
        self._response = await self._step("asking", request.__aenter__(), seconds)
        if not hasattr(self._response.headers, "items"):
            raise OSError("HTTP: headers that can't be read")
        return self._response.status

    def _around(self, raw, body):
        async def request_raw(method, url, data, json, ssl, params, headers):
            if self._stream:
                self._stream = None  # it has been closed
                raise _Moved(url)
            connection = await raw(method, url, None, None, ssl, None, headers)
            self._stream = _Stream(connection)
            block = body and body.read()
            while block:
                connection.write(block)
                await connection.drain()
                block = body.read()
            return self._stream

        return request_raw

    def _header(self, name):
        headers = self._response.headers
        for key in headers:
            if key.lower() == name:
                return headers[key]
        return ""

    async def _step(self, what, work, seconds=0):
        seconds = seconds or self._place.step_s
        try:
            return await asyncio.wait_for(work, seconds)
        except _Moved:
            raise
        except asyncio.TimeoutError:
            raise OSError("HTTP: %s: no answer in %d s" % (what, seconds))
        except Exception as error:  # the two libraries share no class of errors
            failed = error
        if self._at[0] == "https":
            named = runtime.load("firmware.net.tls").failure(failed)
            if named.check != "handshake":
                raise named
        text = "%s %s" % (type(failed).__name__, failed)
        hidden = self._at[3].partition("?")[2]
        raise OSError("HTTP: %s: %s" % (what, text.replace(hidden, "...") if hidden else text))
