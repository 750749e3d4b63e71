"""FTP and FTPS transfers (RFC 959, 2428, 4217): an asynchronous client of what they need.

ftps: TLS from the first byte on port 990, else AUTH TLS, and where nobody listens on 990, AUTH TLS
on 21. Data is always protected then (PROT P). Where there is no room for two TLS connections the
control connection goes back to clear text after the login (CCC), if the server allows it; data
never does. Loaded by transfer.py.
"""

import asyncio

from firmware.base import runtime, sockets
from firmware.net import address, dial
from firmware.net.transfer import BLOCK

_WHY_S = 2  # for the reason of a failure
_LINE = 512  # bytes of a reply's line at most
_LINES = 64  # lines of a reply at most


class Reply(OSError):
    """A reply that is not what we need. `code`: RFC 959, 4.2."""

    def __init__(self, code: int, text: str):
        super().__init__(text)
        self.code = code


class Ftp:
    """One transfer from or to a `transfer.Place`."""

    def __init__(self, place):
        self._place = place
        self._tls = None
        self._control = self._data = None
        self._ahead = self._first = b""  # of what comes on the two

    async def get(self, sink) -> None:
        """Streams the file into `sink`, from `sink.received` on if the server can do that."""
        path = await self._open()
        size = None
        try:
            size = int((await self._command("SIZE " + path))[4:])
        except (Reply, ValueError) as why:
            self._place.log.debug("no size: %s", why)
        if sink.received and sink.received == size:
            return
        if sink.received:
            try:
                await self._command("REST %d" % sink.received, 3)
            except Reply as why:  # it can't
                self._place.restart(sink, why)
        await self._transfer("RETR " + path)
        block = self._first or await self._moved("reading", self._data[0].read(BLOCK))
        while block:
            await sink.write(block)
            block = await self._moved("reading", self._data[0].read(BLOCK))
        await self._transferred()
        if size is not None and sink.received != size:
            raise OSError("FTP: %d of %d bytes came" % (sink.received, size))

    async def put(self, name: str, body) -> None:
        """Stores `body` under this name in the folder that the place is."""
        path = await self._open()
        if path and path[-1] != "/":
            path += "/"
        await self._transfer("STOR " + path + name)
        body.rewind()
        size = 0
        block = body.read()
        while block:
            await self._moved("sending", self._send(self._data, block))
            size += len(block)
            block = body.read()
        if self._tls:
            sockets.read_unasked_tls(self._data)
        await self._transferred()
        try:
            stored = int((await self._command("SIZE " + path + name))[4:])
        except (Reply, ValueError) as why:
            self._place.log.debug("no size: %s", why)
        else:
            if stored != size:
                raise OSError("FTP: %d of %d bytes arrived" % (stored, size))

    async def close(self) -> None:
        """Closes what is open."""
        for streams in (self._data, self._control):
            if streams:
                sockets.abort(streams[1])
        self._data = self._control = None

    # the control connection

    async def _open(self):
        """Connects and logs in; returns the path as the server wants it."""
        place = self._place
        path = address.unquote(place.path)[1:]
        secure = place.scheme == "ftps"
        if secure:
            self._tls = await place.secure()
        implicit = secure and place.port == place.ftps[0]
        try:
            self._control = await self._dial(place.port)
        except OSError:
            if not implicit:
                raise
            implicit = False
            self._control = await self._dial(place.ftps[1])
        if implicit:
            await self._secure_control()
        code = 1
        while code == 1:  # 120: ready in a moment
            code = int((await self._reply(1, 2))[0])
        if secure and not implicit:
            await self._command("AUTH TLS")
            await self._secure_control()
        user = "anonymous" if place.user is None else place.user
        password = place.password or ("" if place.user else "wallbridge@")
        if (await self._command("USER " + user, 2, 3))[0] == "3":
            await self._command("PASS " + password)
        if secure:
            await self._command("PBSZ 0")
            await self._command("PROT P")
            await self._room()
        await self._command("TYPE I")
        return path

    def _dial(self, port):
        place = self._place
        return dial.dial(place.host, port, None, b"", place.step_s, place.known)

    async def _room(self):
        """Makes room for the TLS of the data, if there is none."""
        free = sockets.native_free()
        if free is None or free >= dial.TLS_ROOM:
            return
        try:
            await self._command("CCC")
        except Reply as why:
            raise OSError(
                "FTPS takes two TLS connections: this board has room for one (%d bytes are free)"
                " and the server keeps both (CCC: %s): use HTTPS" % (free, why)
            )
        self._control = await self._step("ending TLS", sockets.end_tls(self._control))

    async def _secure_control(self):
        if self._ahead:  # somebody between us and the server wants to be taken for it
            raise OSError("FTP: clear text before TLS")
        *self._control, self._ahead = await self._secured(self._control, True)

    async def _secured(self, streams, keep=False):
        """(reader, writer, first bytes) with TLS on them."""
        work = sockets.start_tls(streams, self._tls, self._place.host, keep)
        return await self._step("TLS", work)

    async def _command(self, line, *good):
        """Sends a command; returns its reply, the first digit of which must be in `good`."""
        await self._step("sending", self._send(self._control, (line + "\r\n").encode()))
        return await self._reply(*(good or (2,)))

    async def _send(self, streams, data):
        streams[1].write(data)
        await streams[1].drain()

    async def _reply(self, *good):
        line = await self._line()
        begin = line[:3]
        for _ in range(_LINES):
            if line[:3] == begin and line[3:4] != "-":
                break
            line = await self._line()
        else:
            begin = ""
        if not (begin.isdigit() and len(begin) == 3):
            raise OSError("FTP: not a reply: %r" % self._quoted(line)[:40])
        if int(begin[0]) in good:
            return line
        line = self._quoted(line)
        text = "".join(chr(c) if 31 < c < 127 else "?" for c in line.encode()[:100])
        low = line.lower()
        if begin == "522" or "session" in low and ("reus" in low or "resum" in low):
            text += " (it wants TLS sessions resumed, which this station can't: use HTTPS, or"
            text += " change that in the server)"
        raise Reply(int(begin), "FTP: " + text)

    def _quoted(self, line):
        """What the server said, for a log: it may repeat the password."""
        password = self._place.password
        return line.replace(password, "...") if password else line

    async def _line(self):
        """A line of a reply, without its end."""
        while b"\n" not in self._ahead:
            if len(self._ahead) > _LINE:
                raise OSError("FTP: a line over %d bytes" % _LINE)
            data = await self._step("no reply", self._control[0].read(256))
            if not data:
                raise EOFError("FTP: the server hung up")
            self._ahead += data
        line, _, self._ahead = self._ahead.partition(b"\n")
        try:
            return str(line, "utf-8").rstrip("\r")
        except ValueError:  # UnicodeError is one
            return "".join(chr(c) for c in line if 31 < c < 127)

    # the data connection

    async def _transfer(self, command):
        """Opens the data connection, to the server that we talk to whatever address it tells, and
        gives the command."""
        try:
            reply = await self._command("EPSV")
            port = int(reply.rpartition("(")[2].rpartition(")")[0][3:-1])
        except (Reply, ValueError):  # an old server, or not after CCC
            reply = await self._command("PASV")
            numbers = reply.partition("(")[2].partition(")")[0].split(",")
            if len(numbers) != 6:
                raise OSError("FTP: PASV: %r" % self._quoted(reply)[:60])
            port = int(numbers[4]) * 256 + int(numbers[5])
        if not 0 < port < 65536:
            raise OSError("FTP: there is no port %d" % port)
        self._data = await self._dial(port)
        await self._command(command, 1)
        if self._tls:
            *self._data, self._first = await self._secured(self._data)

    async def _moved(self, what, work):
        """A step of the data connection; when it fails the server may have said why."""
        try:
            return await self._step(what, work)
        except runtime.LINK_ERRORS as error:
            failed = error
        try:
            await asyncio.wait_for(self._reply(2), min(_WHY_S, self._place.step_s))
        except Reply as why:
            failed = why
        except runtime.LINK_ERRORS as none:
            self._place.log.debug("no reason given: %s", none)
        raise failed

    async def _transferred(self):
        """Ends the data connection; the server says whether it has all."""
        writer = self._data[1]
        writer.close()
        await self._step("closing", writer.wait_closed())
        self._data = None
        await self._reply(2)

    async def _step(self, what, work):
        seconds = self._place.step_s
        try:
            return await asyncio.wait_for(work, seconds)
        except asyncio.TimeoutError:
            failed = OSError("FTP: %s: no answer in %d s" % (what, seconds))
        except runtime.LINK_ERRORS as error:
            failed = error
        if self._tls and not isinstance(failed, Reply):
            named = runtime.load("firmware.net.tls").failure(failed)
            if named.check != "handshake":
                raise named
        raise failed
