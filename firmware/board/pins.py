"""The pins of the boards that we know, and of the circuit around them (docs/wiring.md).

One text: a row a signal, a column a board (one column alone is for all). The provision file's
`board` picks the column and its `pins` changes single rows, so nobody edits code:
{"board": "devkit", "pins": {"permit": "32", "cp_plus_mv": "2310"}}.

A pin is its GPIO number behind marks: `!` it is active low, `^` with the chip's pull-up; `-` is
not fitted. Kinds: `o` output, `i` input, `a` analogue (ADC1: the other ADC is Wi-Fi's), `u` a
UART's input, `v` a value, `n` values. `?`: may be `-`.
"""

# ntc_ohm: an NTC of 10 kohm and B 3950 K, from -30 degC in steps of 5.
TABLE = """
signal       kind  devkit  wrover
permit       o     25
beat         o     26
cp_pwm       o     27
cp_break     o?    22
lock_close   o?    18
lock_open    o?    19
phases       o?    21
contactor    i     35
rcd          i     ^13
ground       i?    !^33
tamper       i?    ^32
lock         i?    !^23
cp           a     36
pp           a?    39
ntc          a?    34
meter_tx     o     17      5
meter_rx     u     16      15
tic_tx       o?    14
tic_rx       u?    4
cp_minus_mv  v     286
cp_plus_mv   v     2335
supply_mv    v     3300
pp_pull_ohm  v     1000
ntc_pull_ohm v     10000
ntc_ohm      n     200204,144317,105385,77898,58246,44026,33621,25925,20175,15837,12535,10000,\
8037,6506,5301,4348,3588,2978,2486,2086,1760,1492,1270,1087,934,805,698,606,529
"""

_PINS = "oiau"  # the kinds that are a pin
_NEVER = (1, 3, 6, 7, 8, 9, 10, 11, 20, 24, 28, 29, 30, 31)  # the console, the flash, not there


def load(board: str = "devkit", changes: dict | None = None) -> dict:
    """Signal to text, checked. Raises ValueError with one line that says what is wrong."""
    head, *lines = TABLE.strip().split("\n")
    boards = head.split()[2:]
    if board not in boards:
        raise ValueError("no such board: %s (known: %s)" % (board, ", ".join(boards)))
    changes = dict(changes or {})
    table = {}
    used = {}
    for line in lines:
        name, kind, *columns = line.split()
        pin = columns[boards.index(board)] if len(columns) > 1 else columns[0]
        text = str(changes.pop(name, pin))
        why = _wrong(kind, text)
        if not why and kind[0] in _PINS and text != "-":
            number = int(text.lstrip("!^"))
            if number in used:
                why = "is %s's already" % used[number]
            used[number] = name
        if why:
            raise ValueError("pins: %s: %s %s" % (name, text, why))
        table[name] = text
    for name in changes:
        raise ValueError("pins: no such signal: %s" % name)
    if not 500 <= int(table["cp_plus_mv"]) - int(table["cp_minus_mv"]) <= 3300:
        raise ValueError("pins: cp_plus_mv must be 500 to 3300 above cp_minus_mv")
    ohm = [int(part) for part in table["ntc_ohm"].split(",")]
    if len(ohm) < 2 or any(a <= b for a, b in zip(ohm, ohm[1:])):
        raise ValueError("pins: ntc_ohm must fall")
    for one, other in (("lock_close", "lock_open"), ("tic_rx", "tic_tx")):
        if (table[one] == "-") != (table[other] == "-"):
            raise ValueError("pins: %s and %s go together" % (one, other))
    return table


def _wrong(kind, text):
    """What is wrong with a row's text, "" for nothing."""
    if text == "-":
        return "" if kind[-1] == "?" else "but it must be fitted"
    number = text.lstrip("!^")
    marks = text[: len(text) - len(number)]
    if not all(part.isdigit() for part in number.split(",")) or ("," in text and kind != "n"):
        return "is no number"
    if kind in "vn":
        return "takes no marks" if marks else ""
    if int(number) > 39 or int(number) in _NEVER:
        return "is no pin for this"
    if kind[0] == "a" and (int(number) < 32 or marks):
        return "is not on ADC1 (32 to 39), or has marks"
    if int(number) > 33 and (kind[0] == "o" or "^" in marks):
        return "is an input only, without pull-up"
    return "takes no pull-up" if "^" in marks and kind[0] != "i" else ""
