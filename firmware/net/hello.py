"""What a WebSocket client says first (RFC 6455, 4.1); loaded for it and dropped again."""

from binascii import b2a_base64

from firmware.base import runtime
from firmware.net.url import DEFAULT_PORTS, parse_url


def hello(url: str, headers, tls, protocol: str) -> tuple:
    """(host, port, whether TLS is used, key, request) for a URL. Raises ValueError for a bad URL
    or header."""
    scheme, user, _, host, port, path = parse_url(url)
    if user is not None:
        raise ValueError("a user or password does not belong into SupervisionUrl")
    if scheme == "wss" and not tls:
        raise ValueError("wss without a CA certificate")
    key = b2a_base64(runtime.urandom(16)).decode().strip()
    name = "[%s]" % host if ":" in host else host
    if port != DEFAULT_PORTS[scheme]:
        name += ":%d" % port
    request = "GET %s HTTP/1.1\r\nHost: %s\r\n" % (path, name)
    request += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    request += "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: %s\r\n" % (key, protocol)
    for name, value in headers:
        for c in name + value:
            if not " " <= c <= "~":
                raise ValueError("control or non-ASCII character in header %r" % name)
        request += "%s: %s\r\n" % (name, value)
    return host, port, scheme == "wss", key, (request + "\r\n").encode()
