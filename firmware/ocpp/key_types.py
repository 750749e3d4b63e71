"""The types of the configuration keys (`keys.py`).

A type is a function (text, bounds) that returns the value as it is stored and reported, or raises
ValueError saying what is wrong with it. Control characters have been refused before.
"""

from firmware.metering import measurands
from firmware.net.url import parse_url

_ROTATIONS = ("NotApplicable", "Unknown", "RST", "RTS", "SRT", "STR", "TRS", "TSR")
_SHORTEST_PASSWORD = 16
_LONGEST_ID_TAG = 20


def boolean(text: str, bounds) -> str:
    """true or false, in any case."""
    text = text.strip().lower()
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text


def integer(text: str, bounds: tuple | None) -> str:
    """A whole number; `bounds`: the lowest and the highest one, or None."""
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits and len(digits) <= 9 and all(48 <= c < 58 for c in digits.encode())):
        raise ValueError("a whole number")
    number = int(text)
    if bounds and not bounds[0] <= number <= bounds[1]:
        raise ValueError("from %d to %d" % bounds)
    return str(number)


def string(text: str, longest: int | None) -> str:
    """Any text; `longest`: how many characters it may have, or None."""
    if longest and len(text) > longest:
        raise ValueError("at most %d characters" % longest)
    return text


def url(text: str, longest: int) -> str:
    """A ws or wss URL, or nothing."""
    string(text, longest)
    if text and parse_url(text).user is not None:
        raise ValueError("no user or password")
    return text


def box_identifier(text: str, longest: int) -> str:
    """A text that is not blank."""
    string(text, longest)
    if not text.strip():
        raise ValueError("not empty")
    return text


def id_tag(text: str, longest: int) -> str:
    """What can be an idTag. The guide's key is longer than those are."""
    string(text, longest)
    if not 0 < len(text) <= _LONGEST_ID_TAG:
        raise ValueError("1 to 20 characters, as an idTag has")
    return text


def authorization_key(text: str, longest: int) -> str:
    """A password that is long enough (white paper A00.FR.204), or nothing."""
    string(text, longest)
    if text and len(text) < _SHORTEST_PASSWORD:
        raise ValueError("16 to 40 characters")
    return text


def console_password(text: str, longest: int) -> str:
    """Without blanks around it, as the console takes what is typed."""
    return string(text.strip(), longest)


def measurand_list(text: str, bounds) -> str:
    """The standard's names of measurands, with commas."""
    return measurands.normalize(text)


def phase_rotation(text: str, bounds) -> str:
    """ConnectorPhaseRotation (OCPP 9.1.7): one value, or `0.RST,1.RTS`."""
    items = []
    for item in text.split(","):
        item = item.strip()
        connector, dot, phases = item.partition(".")
        if not dot:
            connector, phases = "", item
        elif connector not in ("0", "1"):
            raise ValueError("connector 0 or 1")
        if phases not in _ROTATIONS:
            raise ValueError("NotApplicable, Unknown, RST, RTS, SRT, STR, TRS or TSR")
        items.append(connector + dot + phases)
    if len(items) > 2:
        raise ValueError("at most one for connector 0 and one for 1")
    return ",".join(items)
