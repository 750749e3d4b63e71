"""Writes OCPP-J messages: lists and dicts to the text that is sent (OCPP-J 4.2)."""

import asyncio

from firmware.base import runtime
from firmware.base.runtime import const

_PIECE = const(256)  # characters: about so much is masked and sent at a time
_VALUES = const(12)  # so many are written in one go, then others have their turn
_MEMBERS = const(4)  # of a list, which are written together if they are no more than _VALUES


async def write(message: list) -> list:
    """The text of a message, in pieces. Lets other tasks run while it writes a long one. Raises
    TypeError for what JSON can't express."""
    if not _is_long(message):  # as most are
        return [runtime.json_text(message)]
    text = ""
    pieces = []
    for part in _parts(message):
        if text and len(text) + len(part) > _PIECE:
            pieces.append(text)
            text = part
            await asyncio.sleep(0)
        else:
            text += part
    pieces.append(text)
    return pieces


def _parts(value):
    """Generator: the text of a value, some values at a time."""
    if not _is_long(value):
        yield runtime.json_text(value)
    elif type(value) is dict:
        mark = "{"
        for name in value:
            yield mark + runtime.json_text(name) + ":"
            yield from _parts(value[name])
            mark = ","
        yield "}"
    else:
        mark = "["
        for first in range(0, len(value), _MEMBERS):
            members = value[first : first + _MEMBERS]
            if not _is_long(members):
                yield mark + runtime.json_text(members)[1:-1]
                mark = ","
                continue
            for member in members:
                yield mark
                yield from _parts(member)
                mark = ","
        yield "]"


def _is_long(value) -> bool:
    return _count(value) > _VALUES


def _count(value):
    """How many values there are in a value; it counts no further than it needs to be long."""
    kind = type(value)
    if kind is not dict and kind is not list:
        return 1
    count = 0
    for member in value.values() if kind is dict else value:
        kind = type(member)
        count += _count(member) if kind is dict or kind is list else 1
        if count > _VALUES:
            break
    return count
