"""A message as the text that is sent (OCPP-J 4.2); loaded for it and dropped again."""

import asyncio
import json

_PIECE = 256  # characters: in a heap that is in use larger pieces are hard to find
_TURN = 6  # members of a list, then others have their turn


async def encode(message: list) -> list:
    """The text in pieces. Empties the message's lists as it goes: text and tree together might not
    fit."""
    pieces = [""]
    await _put(pieces, message)
    return pieces


async def _put(pieces, value):
    if type(value) is list:
        mark = "["
        count = 0
        while value:
            _say(pieces, mark)
            await _put(pieces, value.pop(0))
            mark = ","
            count += 1
            if count % _TURN == 0:
                await asyncio.sleep(0)
        _say(pieces, "[]" if mark == "[" else "]")
    elif type(value) is dict and any(type(member) in (dict, list) for member in value.values()):
        mark = "{"
        for name in value:
            _say(pieces, mark + json.dumps(name) + ":")
            await _put(pieces, value[name])
            mark = ","
        _say(pieces, "}")
    else:
        _say(pieces, json.dumps(value, separators=(",", ":")))


def _say(pieces, text):
    if len(pieces[-1]) + len(text) > _PIECE:
        pieces.append(text)
    else:
        pieces[-1] += text
