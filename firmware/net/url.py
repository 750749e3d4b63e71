"""Parses and builds URLs, and the Authorization header from a URL's user and password."""

import binascii
from collections import namedtuple

from firmware.base.runtime import const

DEFAULT_PORTS = {"ws": 80, "wss": 443, "http": 80, "https": 443, "ftp": 21, "ftps": 990}
WEBSOCKET_SCHEMES = ("ws", "wss")
HTTP_SCHEMES = ("http", "https")
TRANSFER_SCHEMES = ("http", "https", "ftp", "ftps")

_MAX_HOST = const(253)  # characters (RFC 1035, 2.3.4)
_UNRESERVED = const(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_HOST = _UNRESERVED[:64] + b"_"  # letters, digits, "-", "." and the underscore of some networks

# `user` and `password` are decoded, and None where the URL has no "@". `path` begins with "/",
# and keeps its encoding and its query. `port` is the scheme's own where the URL has none.
Url = namedtuple("Url", ("scheme", "user", "password", "host", "port", "path"))


def parse_url(text: str, schemes: tuple = WEBSOCKET_SCHEMES) -> Url:
    """Parses a URL with one of these schemes. Raises ValueError, whose text shows nothing of the
    URL, since that may hold a password."""
    if any(not 33 <= c <= 126 for c in text.encode()):
        raise ValueError("URL with a space, a control or a non-ASCII character")
    scheme, found, rest = text.partition("://")
    scheme = scheme.lower()
    if not found or scheme not in schemes:
        raise ValueError("URL must begin with %s://" % "://, ".join(schemes))
    rest = rest.partition("#")[0]
    end = len(rest)
    for mark in "/?":
        at = rest.find(mark)
        end = end if at < 0 else min(end, at)
    authority, path = rest[:end], rest[end:]
    if not path.startswith("/"):
        path = "/" + path
    user = password = None
    if "@" in authority:
        user, _, authority = authority.rpartition("@")
        user, _, password = user.partition(":")
        user, password = percent_decode(user), percent_decode(password)
    if authority.startswith("["):  # an IPv6 address
        host, found, port = authority[1:].partition("]")
        good = found and ":" in host and all(c in "0123456789abcdefABCDEF:." for c in host)
        good = good and port[:1] in ("", ":")
        port = port[1:]
    else:
        host, _, port = authority.partition(":")
        good = host and len(host) <= _MAX_HOST and all(c in _HOST for c in host.encode())
    if not good:
        raise ValueError("URL with a bad host")
    if port and not (port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("URL with a bad port")
    return Url(scheme, user, password, host, int(port or DEFAULT_PORTS[scheme]), path)


def with_path(url: Url, path: str) -> Url:
    """The same URL with another path."""
    return Url(url.scheme, url.user, url.password, url.host, url.port, path)


def percent_decode(text: str) -> str:
    """Decodes %XX. Raises ValueError for control characters and for bytes that are not UTF-8."""
    parts = text.split("%")
    data = bytearray(parts[0].encode())
    good = True
    for part in parts[1:]:
        try:
            data.append(int(part[:2], 16) if len(part) > 1 else -1)
        except ValueError:
            good = False
        data.extend(part[2:].encode())
    try:
        text = str(data, "utf-8")
    except ValueError:  # UnicodeError is one
        good = False
    if not good or any(c < 32 or c == 127 for c in data):
        raise ValueError("URL with bad characters in user or password")
    return text


def percent_encode(text: str) -> str:
    """Encodes all but the unreserved characters of RFC 3986."""
    return "".join(chr(c) if c in _UNRESERVED else "%%%02X" % c for c in text.encode())


def station_url(supervision_url: str, box_identifier: str) -> str:
    """The connection URL (OCPP-J 3.1.1): the identifier is the last part of the path."""
    path, mark, query = supervision_url.partition("?")
    while path.endswith("/"):
        path = path[:-1]
    return path + "/" + percent_encode(box_identifier) + mark + query


def basic_authorization(user: str, password: bytes) -> str:
    """The value of an Authorization header (RFC 7617); the password may be any bytes."""
    return "Basic " + binascii.b2a_base64(user.encode() + b":" + password).decode().strip()
