"""URLs and what is made of them; `dial.py` connects to where they point."""

import binascii

PORTS = {"ws": 80, "wss": 443, "http": 80, "https": 443, "ftp": 21, "ftps": 990}
_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_HOST = _PLAIN[:64] + b"_"  # letters, digits, "-", "." and the underscore of some networks


def parse_url(url: str, schemes: str = "ws wss") -> tuple:
    """(scheme, user, password, host, port, path); user and password are None without "@".

    The path keeps its encoding and its query, user and password are decoded. Raises ValueError
    with a text that tells nothing of the URL, which may hold a password.
    """
    for c in url.encode():  # MicroPython would keep each character of the text for ever
        if not 33 <= c <= 126:
            raise ValueError("URL with a space, a control or a non-ASCII character")
    scheme, found, rest = url.partition("://")
    scheme = scheme.lower()
    if not found or scheme not in schemes.split():
        raise ValueError("URL must begin with %s://" % "://, ".join(schemes.split()))
    rest = rest.partition("#")[0]
    end = len(rest)
    for mark in "/?":
        at = rest.find(mark)
        end = end if at < 0 else min(end, at)
    place, path = rest[:end], rest[end:]
    if not path.startswith("/"):
        path = "/" + path
    user = password = None
    if "@" in place:
        user, _, place = place.rpartition("@")
        user, _, password = user.partition(":")
        user, password = unquote(user), unquote(password)
    if place.startswith("["):
        host, found, port = place[1:].partition("]")
        good = found and ":" in host and all(c in "0123456789abcdefABCDEF:." for c in host)
        good = good and port[:1] in ("", ":")
        port = port[1:]
    else:
        host, _, port = place.partition(":")
        good = host and len(host) < 254 and all(c in _HOST for c in host.encode())
    if not good:
        raise ValueError("URL with a bad host")
    if port and not (port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("URL with a bad port")
    return scheme, user, password, host, int(port or PORTS[scheme]), path


def unquote(text: str) -> str:
    """Decodes %XX. Raises ValueError for control characters and what is not UTF-8."""
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


def quote(text: str) -> str:
    """Percent-encodes all but the unreserved characters of RFC 3986."""
    return "".join(chr(c) if c in _PLAIN else "%%%02X" % c for c in text.encode())


def station_url(supervision_url: str, box_identifier: str) -> str:
    """The connection URL (OCPP-J 3.1.1): the identifier is the last part of the path."""
    path, mark, query = supervision_url.partition("?")
    while path.endswith("/"):
        path = path[:-1]
    return path + "/" + quote(box_identifier) + mark + query


def basic(user: str, password: bytes) -> str:
    """The value of an Authorization header (RFC 7617); the password may be any bytes."""
    return "Basic " + binascii.b2a_base64(user.encode() + b":" + password).decode().strip()
