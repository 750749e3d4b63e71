"""A message as the text that is sent (OCPP-J 4.2); loaded for it and dropped again."""

import json

_PIECE = 256  # characters: in a heap that is in use larger pieces are hard to find


def encode(message: list) -> list:
    """The text in pieces. Empties the message's lists as it goes: text and tree together might not
    fit."""
    pieces = [""]
    _put(pieces, message)
    return pieces


def _put(pieces, value):
    if type(value) is list:
        mark = "["
        while value:
            _say(pieces, mark)
            _put(pieces, value.pop(0))
            mark = ","
        _say(pieces, "[]" if mark == "[" else "]")
    elif type(value) is dict and any(type(member) in (dict, list) for member in value.values()):
        mark = "{"
        for name in value:
            _say(pieces, mark + json.dumps(name) + ":")
            _put(pieces, value[name])
            mark = ","
        _say(pieces, "}")
    else:
        _say(pieces, json.dumps(value, separators=(",", ":")))


def _say(pieces, text):
    if len(pieces[-1]) + len(text) > _PIECE:
        pieces.append(text)
    else:
        pieces[-1] += text
