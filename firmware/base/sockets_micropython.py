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
