"""Sockets, streams and TLS on MicroPython; see `sockets.py`. A stream is its own reader and
writer here."""

import asyncio
import io
import select
import socket
from errno import EINPROGRESS

from micropython import const

_SUITES = """TLS1-3-AES-128-GCM-SHA256 TLS1-3-AES-256-GCM-SHA384
TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256 TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384
TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256 TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384
TLS-RSA-WITH-AES-128-GCM-SHA256 TLS-RSA-WITH-AES-256-GCM-SHA384"""
_IPPROTO_TCP = const(6)
_TCP_NODELAY = const(1)
# Requests and errors of MicroPython's stream protocol (py/stream.h).
_STREAM_POLL = const(3)
_EBADF = const(9)
_EINVAL = const(22)


def new_socket(address):
    """A non-blocking socket that fits this address; whoever asks for it closes it."""
    sock = socket.socket(*address[:3])
    sock.setblocking(False)
    return sock


async def connect(sock, address) -> None:
    """Connects a socket to an address of its kind (the last part of getaddrinfo's tuple)."""
    try:
        sock.connect(address)
    except OSError as error:
        if error.errno != EINPROGRESS:
            raise
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    events = poll.poll(0)
    while not events:
        await asyncio.sleep_ms(20)
        events = poll.poll(0)
    if events[0][1] & (select.POLLERR | select.POLLHUP):
        sock.connect(address)  # raises the reason
        raise OSError("no connection")
    sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)  # as asyncio on CPython does


async def open_streams(sock, tls=None, host=None) -> tuple:
    """The streams of a connected socket. With `tls` the handshake comes with the first write that
    is drained (on CPython it is over by now)."""
    extra = {"socket": sock}
    if tls:
        sock = tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    stream = asyncio.StreamReader(sock, extra)
    return stream, stream


def read_into(reader, view):
    """Awaitable: reads some bytes into a memoryview; returns how many, 0 at the end of the
    stream, None when there was nothing yet after all."""
    return reader.readinto(view)


class _Closed(io.IOBase):  # type: ignore[name-defined, misc]
    """What an aborted stream reads from. A task that still waits for the stream wakes up and is
    told; a closed socket in its place would end asyncio's loop, and with it the program."""

    def ioctl(self, request, flags):
        return flags if request == _STREAM_POLL else -_EINVAL  # ready for whatever is waited for

    def read(self, n):
        return b""

    def readinto(self, view):
        return 0

    def write(self, data):
        raise OSError(_EBADF)


def abort(writer) -> None:
    """Closes a stream at once; a task that waits for it wakes up. To be called once."""
    sock, raw = writer.s, writer.e["socket"]
    writer.s = _Closed()  # the file descriptor's number may soon be in use again
    sock.close()
    if sock is not raw:
        try:
            raw.setblocking(False)
            raw.close()  # a failed TLS handshake has left it open
        except OSError:
            pass  # it was closed with the TLS


def utf8(text: str):
    """A text's UTF-8 bytes, to be written to a stream; MicroPython needs no copy for that."""
    return memoryview(text)  # type: ignore[arg-type]


def tls_context(authorities, seen):
    """A client's TLS context: TLS 1.2 or later, trusting the CA certificates in `authorities` (a
    list in DER; None: nothing is checked). `seen(der, depth) -> 0` is shown each certificate of
    the server's chain; see `net/tls.py`."""
    import tls  # not at the top: a build without TLS can still use plain connections

    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    if authorities is None:
        context.verify_mode = tls.CERT_NONE  # type: ignore[attr-defined]
    else:
        context.verify_mode = tls.CERT_REQUIRED  # type: ignore[attr-defined]
        context.verify_callback = seen  # type: ignore[attr-defined]
        for der in authorities:
            context.load_verify_locations(der)
    suites = []
    for suite in _SUITES.split():
        try:
            context.set_ciphers([suite])
            suites.append(suite)
        except (OSError, ValueError):
            pass  # not in this build
    context.set_ciphers(suites)
    return context


class _KeptOpen(io.IOBase):  # type: ignore[name-defined, misc]
    """A socket that stays open when the TLS on it is closed."""

    def __init__(self, sock):
        self.sock = sock
        self.setblocking = sock.setblocking

    def readinto(self, buffer):
        try:
            return self.sock.readinto(buffer)
        except OSError as error:
            return -error.errno

    def write(self, buffer):
        try:
            return self.sock.write(buffer)
        except OSError as error:
            return -error.errno

    def ioctl(self, request, argument):
        if request == _STREAM_POLL:
            poll = select.poll()
            poll.register(self.sock, argument)
            ready = poll.poll(0)
            return ready[0][1] if ready else 0
        return 0  # closing, above all


async def start_tls(streams: tuple, tls, host: str, will_end: bool = False) -> tuple:
    """Begins TLS on open streams (FTP's AUTH TLS). Returns (reader, writer, the first bytes of
    what the peer says, if they have come). `will_end` announces that `end_tls` will be called."""
    raw = streams[0].s
    sock = tls.wrap_socket(
        _KeptOpen(raw) if will_end else raw, server_hostname=host, do_handshake_on_connect=False
    )
    stream = asyncio.StreamReader(sock, {"socket": raw})  # type: ignore[arg-type]
    # A read begins the handshake; to wait until the peer says something would not. The handshake
    # goes on with the first bytes in either direction; a quick peer may have finished it by now.
    return stream, stream, sock.read(1) or b""


def read_unasked_tls(streams: tuple) -> None:
    """Reads what the peer's TLS has sent unasked (the session tickets of TLS 1.3). A socket that
    is closed while those are unread is reset, and the peer loses what it had not read by then."""
    for _ in range(4):
        streams[0].s.read(1)


async def end_tls(streams: tuple) -> tuple:
    """(reader, writer) in clear text on streams of `start_tls(will_end=True)`, once the peer has
    said that its TLS ends. Nothing is said to the peer (curl calls this a passive CCC)."""
    stream = streams[0]
    if await stream.read(1):
        raise OSError("more TLS data after its end")
    stream.s.close()
    stream = asyncio.StreamReader(stream.e["socket"], stream.e)
    return stream, stream
