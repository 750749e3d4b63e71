"""The console's `sim` commands: what a person does to the simulated world."""

_ASKS = {"ready": "C", "pause": "B", "ventilate": "D"}
_CODES = """0x100206 0x200206 0x200208 0x100213 0x100102 0x10020F
0x100215 0x100218 0x100205 0x100217 0x100208 0x10020C"""


def command(board, words: list) -> None:
    """Does it to the board. Raises ValueError saying what is wrong with the words."""
    name = words[0] if words else ""
    value = words[1] if len(words) == 2 else ""
    if name == "fault" and len(words) == 3:
        _fault(board, words[1], words[2])
    elif name in ("plug", "unplug") and not value:
        board.plugged = name == "plug"
        board.s2 = board.plugged and board.ask != "B" and not board.asleep
    elif name in _ASKS and not value:
        board.ask = _ASKS[name]
        board.s2 = board.plugged and board.ask != "B" and not board.asleep
    elif name == "sleep" and not value:
        board.asleep = True
        board.s2 = False
    elif name == "tic" and value in ("historique", "standard", "off"):
        board.tic_mode = value
    elif name == "power" and value == "off" and board.power_off:
        board.power_off()
    elif name == "draw" and value:
        board.draw = _number(value, 0, 80000)
    elif name == "house" and value:
        board.house_ma = _number(value, 0, 200000)
    elif name == "volt" and value:
        board.volt_mv = _number(value, 0, 500) * 1000
    elif name == "temp" and value:
        board.temp_ddeg = _number(value, -40, 150) * 10
    elif name == "phases" and value in ("1", "3"):
        board.car_phases = int(value)
    else:
        raise ValueError("not understood: sim %s; try help" % " ".join(words))


def _fault(board, code, state):
    known = [one for one in _CODES.split() if one.lower() == code.lower()]
    if not known:
        raise ValueError("no such code: %s; they are %s" % (code, " ".join(_CODES.split())))
    if state not in ("on", "off"):
        raise ValueError("on or off, not %s" % state)
    if state == "on":
        board.faults.add(known[0])
    else:
        board.faults.discard(known[0])
        if known[0] == "0x100205":
            board.free_lock()


def _number(text, low, high):
    digits = text[1:] if text[:1] == "-" else text
    if not digits.isdigit() or not low <= int(text) <= high:
        raise ValueError("a whole number from %d to %d, not %s" % (low, high, text))
    return int(text)
