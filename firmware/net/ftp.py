"""FTP and FTPS transfers (RFC 959, 2428, 4217): a small asynchronous client.

An ftps URL with port 990 has TLS from the first byte; where nobody listens there, AUTH TLS on port
21 is tried. Any other port has AUTH TLS. The data are always protected (PROT P). Where there is no
room for two TLS connections, the control connection goes back to clear text after the login (CCC)
if the server allows it; the data connection never does.
"""

import asyncio

from firmware.base import runtime, sockets, start_tls
from firmware.base.runtime import const
from firmware.net import dial, tls
from firmware.net.url import percent_decode

_BLOCK = const(512)  # bytes that a download reads at a time
_REPLY_BLOCK = const(256)
_REASON_S = const(2)  # real seconds that a server has to give the reason of a failure
_MAX_LINE = const(512)  # bytes of a reply's line
_MAX_LINES = const(64)  # of a reply
_MAX_REASON = const(100)  # characters of a reply in an error
# The first digits of a reply's code (RFC 959, 4.2.1).
_PRELIMINARY = const(1)  # done when another reply comes
_DONE = const(2)
_MORE_WANTED = const(3)  # another command is to follow
_TLS_SESSION_WANTED = const("522")  # RFC 4217, 10.2: no data connection without the session


class Reply(OSError):
    """A reply that is not what we need. `code`: RFC 959, 4.2."""

    def __init__(self, code: int, text: str):
        super().__init__(text)
        self.code = code


class Ftp:
    """One transfer from or to a `transfer.Location`."""

    def __init__(self, location):
        self._location = location
        self._url = location.url
        self._tls = None  # the context, of ftps
        self._control = self._data = None  # (reader, writer) of the two connections
        self._control_ahead = self._data_ahead = b""  # bytes that came while their TLS began

    async def get(self, sink) -> None:
        """Streams the file into `sink`, from `sink.received` on if the server can do that."""
        path = await self._log_in()
        size = await self._size(path)
        if sink.received and sink.received == size:
            return
        if sink.received:
            try:
                await self._command("REST %d" % sink.received, _MORE_WANTED)
            except Reply as why:  # it can't
                self._location.restart(sink, why)
        await self._begin_transfer("RETR " + path)
        block = self._data_ahead or await self._read_data()
        while block:
            await sink.write(block)
            block = await self._read_data()
        await self._end_transfer()
        if size is not None and sink.received != size:
            raise OSError("FTP: %d of %d bytes came" % (sink.received, size))

    async def put(self, name: str, body) -> None:
        """Stores `body` under this name in the folder that the location is."""
        path = await self._log_in()
        if path and path[-1] != "/":
            path += "/"
        path += name
        await self._begin_transfer("STOR " + path)
        body.rewind()
        sent = 0
        block = body.read()
        while block:
            await self._data_step("sending", self._send(self._data, block))
            sent += len(block)
            block = body.read()
        if self._tls:
            await start_tls.read_unasked_tls(self._data)
        await self._end_transfer()
        size = await self._size(path)
        if size is not None and size != sent:
            raise OSError("FTP: %d of %d bytes arrived" % (size, sent))

    async def close(self) -> None:
        """Closes what is open."""
        for streams in (self._data, self._control):
            if streams:
                sockets.abort(streams[1])
        self._data = self._control = None

    # the control connection

    async def _log_in(self):
        """Connects and logs in; returns the path as the server wants it."""
        path = percent_decode(self._url.path)[1:]
        secure = self._url.scheme == "ftps"
        if secure:
            self._tls = await self._location.tls_context()
        implicit = await self._connect()
        if implicit:
            await self._secure_control()
        code = _PRELIMINARY
        while code == _PRELIMINARY:  # 120: ready in a moment
            code = int((await self._reply(_PRELIMINARY, _DONE))[0])
        if secure and not implicit:
            await self._command("AUTH TLS")
            await self._secure_control()
        user = "anonymous" if self._url.user is None else self._url.user
        password = self._url.password or ("" if self._url.user else "wallbridge@")
        reply = await self._command("USER " + user, _DONE, _MORE_WANTED)
        if int(reply[0]) == _MORE_WANTED:
            await self._command("PASS " + password)
        if secure:
            await self._command("PBSZ 0")
            await self._command("PROT P")
            await self._make_room()
        await self._command("TYPE I")
        return path

    async def _connect(self):
        """Opens the control connection; whether its TLS begins with the first byte."""
        location = self._location
        implicit = self._tls and self._url.port == location.implicit_ftps_port
        try:
            self._control = await self._dial(self._url.port)
        except OSError:
            if not implicit:
                raise
            implicit = False
            self._control = await self._dial(location.explicit_ftps_port)
        return implicit

    def _dial(self, port):
        """Awaitable: the streams of a connection in clear text."""
        location = self._location
        return dial.dial(self._url.host, port, None, b"", location.step_s, location.addresses)

    async def _make_room(self):
        """Makes room for the TLS of the data connection, if there is none."""
        if tls.has_room():
            return
        try:
            await self._command("CCC")
        except Reply as why:
            raise OSError(
                "FTPS takes two TLS connections: this board has room for one, and the server"
                " keeps both (CCC: %s): use HTTPS" % why
            )
        self._control = await self._step("ending TLS", start_tls.end_tls(self._control))

    async def _secure_control(self):
        if self._control_ahead:  # an attacker may have put it in before TLS begins
            raise OSError("FTP: clear text before TLS")
        reader, writer, self._control_ahead = await self._secure(self._control, True)
        self._control = reader, writer

    async def _secure(self, streams, will_end=False):
        """(reader, writer, first bytes) with TLS on them."""
        host = self._url.host
        return await self._step("TLS", start_tls.start_tls(streams, self._tls, host, will_end))

    async def _command(self, line, *good):
        """Sends a command; returns its reply, whose code must begin with one of `good`, or with
        _DONE where none is given."""
        await self._step("sending", self._send(self._control, (line + "\r\n").encode()))
        return await self._reply(*(good or (_DONE,)))

    async def _send(self, streams, data):
        streams[1].write(data)
        await streams[1].drain()

    async def _reply(self, *good):
        """The last line of a reply. Raises Reply where its code does not begin with one of
        `good`."""
        line = await self._line()
        code = line[:3]
        for _ in range(_MAX_LINES):
            if line[:3] == code and line[3:4] != "-":
                break
            line = await self._line()
        else:
            code = ""
        if not (code.isdigit() and len(code) == 3):
            raise OSError("FTP: not a reply: %r" % self._without_password(line)[:40])
        if int(code[0]) in good:
            return line
        line = self._without_password(line)
        text = "".join(chr(c) if 31 < c < 127 else "?" for c in line.encode()[:_MAX_REASON])
        low = line.lower()
        if code == _TLS_SESSION_WANTED or "session" in low and ("reus" in low or "resum" in low):
            text += " (it wants TLS sessions resumed, which this station can't: use HTTPS, or"
            text += " change that in the server)"
        raise Reply(int(code), "FTP: " + text)

    def _without_password(self, line):
        """A reply for the log, without the password, which the server may have repeated."""
        password = self._url.password
        return line.replace(password, "...") if password else line

    async def _line(self):
        """A line of a reply, without its end."""
        while b"\n" not in self._control_ahead:
            if len(self._control_ahead) > _MAX_LINE:
                raise OSError("FTP: a line over %d bytes" % _MAX_LINE)
            data = await self._step("no reply", self._control[0].read(_REPLY_BLOCK))
            if not data:
                raise EOFError("FTP: the server hung up")
            self._control_ahead += data
        line, _, self._control_ahead = self._control_ahead.partition(b"\n")
        try:
            return str(line, "utf-8").rstrip("\r")
        except ValueError:  # UnicodeError is one
            return "".join(chr(c) for c in line if 31 < c < 127)

    async def _size(self, path):
        """The size of a file on the server, None where it does not tell."""
        try:
            return int((await self._command("SIZE " + path))[4:])
        except (Reply, ValueError) as why:
            self._location.log.debug("no size: %s", why)
            return None

    # the data connection

    async def _begin_transfer(self, command):
        """Opens the data connection and gives the command."""
        self._data = await self._dial(await self._passive_port())
        await self._command(command, _PRELIMINARY)
        if self._tls:
            reader, writer, self._data_ahead = await self._secure(self._data)
            self._data = reader, writer

    async def _passive_port(self):
        """The port for the data connection. Its address is always that of the control connection,
        whatever the server says."""
        try:
            reply = await self._command("EPSV")
            port = int(reply.rpartition("(")[2].rpartition(")")[0][3:-1])  # (|||6446|)
        except (Reply, ValueError):  # an old server, or not after CCC
            reply = await self._command("PASV")
            numbers = reply.partition("(")[2].partition(")")[0].split(",")
            if len(numbers) != 6:
                raise OSError("FTP: PASV: %r" % self._without_password(reply)[:60])
            port = int(numbers[4]) * 256 + int(numbers[5])
        if not 0 < port < 65536:
            raise OSError("FTP: there is no port %d" % port)
        return port

    async def _read_data(self):
        return await self._data_step("reading", self._data[0].read(_BLOCK))

    async def _data_step(self, what, work):
        """Awaits a step of the data connection. When it fails, the server may give the reason on
        the control connection."""
        try:
            return await self._step(what, work)
        except runtime.LINK_ERRORS as error:
            failed = error
        try:
            await asyncio.wait_for(self._reply(_DONE), min(_REASON_S, self._location.step_s))
        except Reply as why:
            failed = why
        except runtime.LINK_ERRORS as none:
            self._location.log.debug("no reason given: %s", none)
        raise failed

    async def _end_transfer(self):
        """Ends the data connection, and checks the server's reply that the transfer is
        complete."""
        writer = self._data[1]
        writer.close()
        await self._step("closing", writer.wait_closed())
        self._data = None
        await self._reply(_DONE)

    async def _step(self, what, work):
        """Awaits one step, so many real seconds at most; TLS failures get their name."""
        seconds = self._location.step_s
        try:
            return await asyncio.wait_for(work, seconds)
        except asyncio.TimeoutError:
            failed = OSError("FTP: %s: no answer in %d s" % (what, seconds))
        except runtime.LINK_ERRORS as error:
            failed = error
        if self._tls and not isinstance(failed, Reply):
            tls_failed = tls.failure(failed)
            if tls_failed.check != "handshake":
                raise tls_failed
        raise failed
