"""Connecting and TLS on MicroPython; loaded for a connection only, as runtime.SOCKETS."""

import asyncio
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
