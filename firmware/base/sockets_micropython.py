"""Streams, connecting and TLS on MicroPython; used through `sockets.py`."""

import asyncio
import io
import select
import socket
from errno import EINPROGRESS

_SUITES = """TLS1-3-AES-128-GCM-SHA256 TLS1-3-AES-256-GCM-SHA384
TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256 TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384
TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256 TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384
TLS-RSA-WITH-AES-128-GCM-SHA256 TLS-RSA-WITH-AES-256-GCM-SHA384"""


def new_socket(address):
    """A socket for one of getaddrinfo's addresses; whoever asks for it closes it."""
    sock = socket.socket(*address[:3])
    sock.setblocking(False)
    return sock


async def connected(sock, address):
    """Connects a `new_socket`."""
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
        sock.connect(address)  # tells why
        raise OSError("no connection")
    sock.setsockopt(6, 1, 1)  # TCP_NODELAY, as asyncio on CPython has it


async def streams(sock, tls=None, host=None):
    """(reader, writer) on a connected socket. The TLS handshake comes with the first write
    that is drained (on CPython it is over by now)."""
    extra = {"socket": sock}
    if tls:
        sock = tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    stream = asyncio.StreamReader(sock, extra)
    return stream, stream


class _Closed(io.IOBase):  # type: ignore[name-defined, misc]
    """A stream for who comes late. One that asyncio can't wait for ends the whole program."""

    def ioctl(self, request, flags):
        return flags if request == 3 else -22  # MP_STREAM_POLL: ready for anything; EINVAL

    def read(self, n):
        return b""

    def readinto(self, view):
        return 0

    def write(self, data):
        raise OSError(9)  # EBADF


def readinto(reader, view):
    """Awaitable: reads some bytes into a memoryview; how many, 0 at the end of the stream,
    None when there was nothing yet after all."""
    return reader.readinto(view)


def abort(writer) -> None:
    """Closes a stream of `streams` at once; who waits for it wakes up. To be called once."""
    sock, raw = writer.s, writer.e["socket"]
    writer.s = _Closed()  # the file descriptor's number may soon be in use again
    sock.close()
    if sock is not raw:
        try:
            raw.setblocking(False)
            raw.close()  # a failed TLS handshake has left it open
        except OSError:
            pass  # no, it was closed


def utf8(text: str):
    """A str's UTF-8 bytes, without a copy where that can be."""
    return memoryview(text)  # type: ignore[arg-type]


def native_free():
    """Free bytes of the memory outside of Python's heap, where TLS lives; None if unknown."""
    try:
        import esp32
    except ImportError:
        return None
    return sum(region[1] for region in esp32.idf_heap_info(esp32.HEAP_DATA))


def tls_context(authorities, seen):
    """For net/tls.py. `authorities`: DER certificates, None to check nothing."""
    import tls

    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    if authorities is None:
        context.verify_mode = tls.CERT_NONE  # type: ignore[attr-defined]
    else:
        context.verify_mode = tls.CERT_REQUIRED  # type: ignore[attr-defined]
        # A name that stands in a text is not shortened on the way to the compiler.
        setattr(context, "verify_callback", seen)  # noqa: B010
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
