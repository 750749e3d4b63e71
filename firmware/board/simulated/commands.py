"""The console's `sim` commands: what a person does to the simulated world."""

from firmware.board.simulated.world import TIC_HISTORIQUE, TIC_OFF, TIC_STANDARD
from firmware.charging import faults

_CAR_ASKS = {"ready": "C", "pause": "B", "ventilate": "D"}


def command(board, arguments: list) -> None:
    """Does it to the board. Raises ValueError saying what is wrong with the arguments."""
    name = arguments[0] if arguments else ""
    value = arguments[1] if len(arguments) == 2 else ""
    if name == "fault" and len(arguments) == 3:
        _fault(board, arguments[1], arguments[2])
    elif name in ("plug", "unplug") and not value:
        board.plug(name == "plug")
    elif name in _CAR_ASKS and not value:
        board.car_asks(_CAR_ASKS[name])
    elif name == "sleep" and not value:
        board.car_sleeps()
    elif name == "tic" and value in (TIC_HISTORIQUE, TIC_STANDARD, TIC_OFF):
        board.tic_mode = value
    elif name == "power" and value == "off" and board.power_off:
        board.power_off()
    elif name == "draw" and value:
        board.draw_ma = _number(value, 0, 80000)
    elif name == "house" and value:
        board.house_ma = _number(value, 0, 200000)
    elif name == "volt" and value:
        board.volt_mv = _number(value, 0, 500) * 1000
    elif name == "temp" and value:
        board.temp_ddeg = _number(value, -40, 150) * 10
    elif name == "phases" and value in ("1", "3"):
        board.car_phases = int(value)
    else:
        raise ValueError("not understood: sim %s; try help" % " ".join(arguments))


def _fault(board, text, state):
    codes = [row.code for row in faults.rows()]
    for code in codes:
        if code.lower() == text.lower():
            break
    else:
        raise ValueError("no such code: %s; they are %s" % (text, " ".join(codes)))
    if state not in ("on", "off"):
        raise ValueError("on or off, not %s" % state)
    board.set_fault(code, state == "on")


def _number(text, low, high):
    digits = text[1:] if text[:1] == "-" else text
    if not digits.isdigit() or not low <= int(text) <= high:
        raise ValueError("a whole number from %d to %d, not %s" % (low, high, text))
    return int(text)
