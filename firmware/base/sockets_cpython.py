"""Sockets, streams and TLS on CPython; see `sockets.py`."""

import asyncio
import socket
import ssl

_SUITES = """ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384
ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384
AES128-GCM-SHA256 AES256-GCM-SHA384"""


def new_socket(address):
    """A non-blocking socket that fits this address."""
    sock = socket.socket(*address[:3])
    sock.setblocking(False)
    return sock


async def connect(sock, address) -> None:
    """Connects a socket to an address of its kind (the last part of getaddrinfo's tuple)."""
    await asyncio.get_running_loop().sock_connect(sock, address)


async def open_streams(sock, tls=None, host=None) -> tuple:
    """The streams of a connected socket. With `tls` the handshake is over when this returns."""
    return await asyncio.open_connection(sock=sock, ssl=tls, server_hostname=tls and host)


async def read_into(reader, view) -> int:
    """Reads some bytes into a memoryview; returns how many, 0 at the end of the stream."""
    data = await reader.read(len(view))
    view[: len(data)] = data
    return len(data)


def abort(writer) -> None:
    """Closes a stream at once, without waiting for what is still to be sent."""
    writer.transport.abort()


def utf8(text: str) -> bytes:
    """A text's UTF-8 bytes, to be written to a stream."""
    return text.encode()


def tls_context(authorities, seen):
    """A client's TLS context: TLS 1.2 or later, trusting the CA certificates in `authorities` (a
    list in DER; None: nothing is checked). `seen` is called on MicroPython only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(_SUITES.split()))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as mbedTLS: a CA need be no root
    if authorities is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        try:
            context.load_verify_locations(cadata=b"".join(authorities))
        except ssl.SSLError as error:
            raise ValueError("bad CA certificate: %s" % error)
    return context
