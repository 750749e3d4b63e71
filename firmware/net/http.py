"""HTTP and HTTPS transfers through aiohttp: micropython-lib's on the device, PyPI's on a PC.

This uses only calls that both have. micropython-lib's connects in one place, `request_raw`, around
which this module adds what is missing: a bound for headers, a body that is sent in blocks,
redirects that we follow ourselves, and a connection that is always closed. Every step has a
time-out.
"""

import asyncio

from firmware.base.runtime import const
from firmware.net.tls import failure
from firmware.net.url import DEFAULT_PORTS, HTTP_SCHEMES, basic_authorization, parse_url, with_path

_BLOCK = const(512)  # bytes that a download reads at a time: more may be hard to find in one piece
_LINE_BLOCK = const(256)  # bytes that headers are read by
_SLOWEST = const(100)  # bytes a second of an upload
_MAX_HEADERS = const(4096)  # bytes of an answer's headers
_MAX_REDIRECTS = const(4)
_REDIRECTS = (301, 302, 303, 307, 308)


class _Redirected(Exception):
    """A redirect. Raised before micropython-lib's aiohttp follows it; the text is the target."""


class _BoundedStream:
    """The stream from which micropython-lib's aiohttp reads an answer. It bounds the headers."""

    def __init__(self, stream):
        self._stream = stream
        self._ahead = b""  # what has been read and not been asked for yet
        self._left = _MAX_HEADERS
        self.aclose = stream.aclose

    async def readline(self):
        line = b""
        while True:
            if not self._ahead:
                self._ahead = await self._stream.read(_LINE_BLOCK)
                if not self._ahead:
                    raise EOFError("HTTP: the server hung up")
            n = self._ahead.find(b"\n") + 1 or len(self._ahead)
            line += self._ahead[:n]
            self._ahead = self._ahead[n:]
            self._left -= n
            if self._left < 0:
                raise OSError("HTTP: headers over %d bytes" % _MAX_HEADERS)
            if line.endswith(b"\n"):
                return line

    async def read(self, n):
        if self._ahead:
            block = self._ahead[:n]
            self._ahead = self._ahead[n:]
            return block
        return await self._stream.read(n)


class Http:
    """One transfer from or to a `transfer.Location`, over as many connections as that takes."""

    def __init__(self, location):
        self._location = location
        self._url = location.url  # changes with each redirect
        self._session = self._response = self._stream = None

    async def get(self, sink) -> None:
        """Streams the file into `sink`, from `sink.received` on if the server can do that."""
        have = sink.received
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = "bytes=%d-" % have
        status = await self._request("GET", headers)
        content_range = self._header("content-range")
        if status == 416 and have and content_range == "bytes */%d" % have:
            return
        if status == 416 and have:
            self._location.restart(sink, "HTTP 416: another file than before")
            have = 0
            del headers["Range"]
            status = await self._request("GET", headers)
            content_range = self._header("content-range")
        if status not in (200, 206):
            raise OSError("HTTP %d" % status)
        if self._header("transfer-encoding") or self._header("content-encoding"):
            raise OSError("HTTP: an encoded answer that was not asked for")
        if status == 206 and not content_range.startswith("bytes %d-" % have):
            raise OSError("HTTP 206 from elsewhere")
        if status == 200 and have:
            self._location.restart(sink, "HTTP: no part of a file")
        length = self._header("content-length")
        await self._read(sink, sink.received + int(length) if length.isdigit() else None)

    async def _read(self, sink, end):
        """Reads the answer's body up to this byte of the file; None: as far as it goes."""
        while sink.received != end:
            n = _BLOCK if end is None else min(_BLOCK, end - sink.received)
            block = await self._step("reading", self._response.content.read(n))
            if not block:
                break
            await sink.write(block)
        if end is not None and sink.received != end:
            raise OSError("HTTP: %d of %d bytes came" % (sink.received, end))

    async def put(self, name: str, body) -> None:
        """Uploads with PUT, or POST where the server has none. The location is a folder, except
        with a query: such URLs are made for one file (docs/guide-notes.md)."""
        path = self._url.path
        if "?" not in path:
            path += ("" if path.endswith("/") else "/") + name
        target = self._url = with_path(self._url, path)
        headers = {"Content-Length": str(body.size), "Content-Type": "text/plain; charset=utf-8"}
        status = await self._request("PUT", headers, body)
        if status in (405, 501):
            self._url = target
            status = await self._request("POST", headers, body)
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

    # requests and redirects

    async def _request(self, method, headers, body=None):
        """Sends a request, and follows redirects; the status that it ends with."""
        for _ in range(_MAX_REDIRECTS):
            await self.close()
            if body:
                body.rewind()
            try:
                status = await self._send(method, headers, body)
                if status not in _REDIRECTS:
                    return status
                target = self._header("location")
            except _Redirected as redirected:
                status, target = 0, str(redirected)
            if status == 303 and body:
                raise OSError("HTTP 303 to an upload")
            self._redirect(target)
        raise OSError("HTTP: more than %d redirects" % _MAX_REDIRECTS)

    def _redirect(self, target):
        before = self._url.scheme
        self._url = self._resolve(target)
        scheme, _, _, host, port, _ = self._url
        if before == "https" and scheme != "https":
            raise OSError("HTTP: a redirect away from TLS")
        self._location.log.info("redirected to %s://%s:%d", scheme, host, port)

    def _resolve(self, target):
        """The Url that a redirect's target means, seen from the present one (RFC 3986, 5.2)."""
        scheme, _, _, host, port, path = self._url
        if "://" not in target:
            base = "%s://%s:%d" % (scheme, host, port)
            if target.startswith("//"):
                base = scheme + ":"
            elif not target.startswith("/"):
                base += path.partition("?")[0].rpartition("/")[0] + "/"
            target = base + target
        url = parse_url(target, HTTP_SCHEMES)
        path, mark, query = url.path.partition("?")
        parts = []
        for part in path.split("/"):
            if part == "..":
                parts = parts[:-1]
            elif part != ".":
                parts.append(part)
        path = "/".join(parts)
        path = (path if path[:1] == "/" else "/" + path) + mark + query
        return with_path(url, path)

    async def _send(self, method, headers, body):
        """Sends one request on a connection of its own; its status."""
        try:
            import aiohttp  # only a transfer needs it, and a PC takes long to import it
        except ImportError:  # a desktop MicroPython has none by itself
            raise OSError("HTTP: no aiohttp here: micropython -m mip install aiohttp")
        location = self._location
        scheme, _, _, host, port, path = self._url
        if ":" in host:
            raise OSError("HTTP: the URL needs a name here, not an IPv6 address")
        name = host if port == DEFAULT_PORTS[scheme] else "%s:%d" % (host, port)
        headers = dict(headers)
        headers["Host"] = name
        if self._is_first_server() and location.url.user is not None:
            user, password = location.url.user, location.url.password
            headers["Authorization"] = basic_authorization(user, password.encode())
        arguments = {"headers": headers}
        if scheme == "https":
            arguments["ssl"] = await location.tls_context()
        # aiohttp looks the host up itself and holds the loop for that; it is known by then.
        await location.addresses.resolve(host, port, location.step_s)
        options = {"version": aiohttp.HttpVersion10}
        if hasattr(aiohttp, "ClientTimeout"):  # PyPI's
            options["timeout"] = aiohttp.ClientTimeout(total=None)
            options["auto_decompress"] = False
            arguments["allow_redirects"] = False
            arguments["data"] = body
            headers["Connection"] = "close"
        session = self._session = aiohttp.ClientSession(**options)
        if hasattr(session, "request_raw"):  # micropython-lib's
            session.request_raw = self._around(session.request_raw, body)
        request = session.request(method, "%s://%s%s" % (scheme, name, path), **arguments)
        seconds = location.step_s + (body.size // _SLOWEST if body else 0)
        self._response = await self._step("asking", request.__aenter__(), seconds)
        if not hasattr(self._response.headers, "items"):
            raise OSError("HTTP: headers that can't be read")
        return self._response.status

    def _is_first_server(self):
        """Whether this is the server that the location names: only that is told the password."""
        first, now = self._location.url, self._url
        return (first.scheme, first.host, first.port) == (now.scheme, now.host, now.port)

    def _around(self, request_raw, body):
        """What stands in for the session's `request_raw`; see the top of this file."""

        async def bounded_request_raw(method, url, data, json, ssl, params, headers):
            if self._stream:  # a second connection: it follows a redirect
                self._stream = None  # it has closed the first one
                raise _Redirected(url)
            connection = await request_raw(method, url, None, None, ssl, None, headers)
            self._stream = _BoundedStream(connection)
            block = body and body.read()
            while block:
                connection.write(block)
                await connection.drain()
                block = body.read()
            return self._stream

        return bounded_request_raw

    def _header(self, name):
        """The value of a header of the answer, "" where there is none. `name` is in lower case."""
        headers = self._response.headers
        for key in headers:
            if key.lower() == name:
                return headers[key]
        return ""

    async def _step(self, what, work, seconds=0):
        """Awaits one step, so many real seconds at most, and makes an OSError of what it
        raises."""
        seconds = seconds or self._location.step_s
        try:
            return await asyncio.wait_for(work, seconds)
        except _Redirected:
            raise
        except asyncio.TimeoutError:
            raise OSError("HTTP: %s: no answer in %d s" % (what, seconds))
        except Exception as error:  # the two libraries share no class of errors
            failed = error
        if self._url.scheme == "https":
            tls_failed = failure(failed)
            if tls_failed.check != "handshake":
                raise tls_failed
        text = "%s %s" % (type(failed).__name__, failed)
        query = self._url.path.partition("?")[2]
        raise OSError("HTTP: %s: %s" % (what, text.replace(query, "...") if query else text))
