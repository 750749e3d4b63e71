"""Writes OCPP-J messages: lists and dicts become the text that is sent (OCPP-J 4.2). A long list
may be a generator, whose members are made one by one while they are written."""

import asyncio

from firmware.base import runtime
from firmware.base.runtime import const

_PIECE = const(192)  # characters: about so much is masked and sent at a time
_AT_ONCE = const(2)  # members that are written in one go, if none of them is large
_LARGE = const(12)  # members

_GENERATOR = type(member for member in ())


async def write(message: list) -> list:
    """The text of a message, in pieces. Lets other tasks run after each piece. Raises TypeError
    for what JSON can't express."""
    if not any(_is_large(member) for member in message):  # as in most messages
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


def _is_large(value) -> bool:
    """Whether it has many members, or members that have members themselves."""
    kind = type(value)
    if kind is _GENERATOR:
        return True
    if kind is not dict and kind is not list:
        return False
    if len(value) > _LARGE:
        return True
    for member in value.values() if kind is dict else value:
        kind = type(member)
        if kind is dict or kind is list or kind is _GENERATOR:
            return True
    return False


def _parts(value):
    """Generator: the text of a list, a generator or an object, some members at a time."""
    is_object = type(value) is dict
    mark = "{" if is_object else "["
    some = {} if is_object else []  # members that come next and are not large
    for name in value:  # or the member itself
        member = value[name] if is_object else name
        is_large = _is_large(member)
        if not is_large:
            if is_object:
                some[name] = member  # type: ignore[index]
            else:
                some.append(member)  # type: ignore[attr-defined]
            if len(some) < _AT_ONCE:
                continue
        if some:
            yield mark + runtime.json_text(some)[1:-1]
            mark = ","
            some = {} if is_object else []
        if is_large:
            yield mark + runtime.json_text(name) + ":" if is_object else mark
            yield from _parts(member)
            mark = ","
    if some:
        yield mark + runtime.json_text(some)[1:-1]
        mark = ","
    if mark != ",":  # there was no member
        yield mark
    yield "}" if is_object else "]"
