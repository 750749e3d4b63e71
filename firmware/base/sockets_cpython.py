"""Streams, connecting and TLS on CPython; used through `sockets.py`."""

import asyncio
import socket
import ssl

_SUITES = """ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384
ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384
AES128-GCM-SHA256 AES256-GCM-SHA384"""


def new_socket(address):
    """A non-blocking socket for one of getaddrinfo's addresses."""
    sock = socket.socket(*address[:3])
    sock.setblocking(False)
    return sock


async def connected(sock, address):
    """Connects it."""
    await asyncio.get_running_loop().sock_connect(sock, address)


async def streams(sock, tls=None, host=None):
    """(reader, writer) on a connected socket; the TLS handshake is over by then."""
    return await asyncio.open_connection(sock=sock, ssl=tls, server_hostname=tls and host)


async def readinto(reader, view):
    """Reads some bytes into a memoryview; how many, 0 at the end."""
    data = await reader.read(len(view))
    view[: len(data)] = data
    return len(data)


def abort(writer):
    """Closes a stream at once."""
    writer.transport.abort()


def utf8(text):
    """A str's UTF-8 bytes."""
    return text.encode()


def native_free():
    """Unknown here."""
    return None


def tls_context(authorities, seen):
    """For net/tls.py. `authorities`: DER certificates, None to check nothing."""
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
