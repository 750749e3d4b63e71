"""The pins of the boards that we know, and of the circuit around them (docs/wiring.md).

One text: a row a signal, a column a board; a board without a column in a row has the first board's
pin. The provision file's `board` picks the column and its `pins` changes single rows, so nobody
edits code: {"board": "devkit", "pins": {"permit": "32", "cp_plus_mv": "2310"}}.

A pin is its GPIO number behind marks: `!` it is active low, `^` with the chip's pull-up; `-` is
not fitted. Kinds: `c` the chip, as in `_CHIPS`, `o` output, `i` input, `a` analogue (ADC1: the
other ADC is Wi-Fi's), `u` a UART's input, `v` a value, `n` values. `?`: may be `-`.
"""

from collections import namedtuple

# ntc_ohm: an NTC of 10 kohm and B 3950 K, from -30 degC in steps of 5.
TABLE = """
signal       kind  devkit  s3             wrover
chip         c     esp32   esp32s3+psram  esp32+psram
permit       o     25      5
beat         o     26      6
cp_pwm       o     27      7
cp_break     o?    22      15
lock_close   o?    18      16
lock_open    o?    19      17
phases       o?    21      40
contactor    i     35      8
rcd          i     ^13     ^9
ground       i?    !^33    !^10
tamper       i?    ^32     ^11
lock         i?    !^23    !^12
cp           a     36      1
pp           a?    39      2
ntc          a?    34      4
meter_tx     o     17      13             5
meter_rx     u     16      14             15
tic_tx       o?    14      47
tic_rx       u?    4       21
cp_minus_mv  v     286
cp_plus_mv   v     2335
supply_mv    v     3300
pp_pull_ohm  v     1000
ntc_pull_ohm v     10000
ntc_ohm      n     200204,144317,105385,77898,58246,44026,33621,25925,20175,15837,12535,10000,\
8037,6506,5301,4348,3588,2978,2486,2086,1760,1492,1270,1087,934,805,698,606,529
"""

PSRAM = "+psram"  # behind the name of a chip that has some
_PINS = "oiau"  # the kinds that are a pin

# What a chip's pins can do (Espressif's data sheets of the ESP32 and ESP32-S3, and the GPIO pages
# of ESP-IDF). `last`: the highest number; `adc1`: the range of its first ADC; `inputs`: from here
# on they are inputs only, without pull-up; `taken`: ranges that are somebody's already.
_Chip = namedtuple("_Chip", ("last", "adc1", "inputs", "taken"))
_ESP32_TAKEN = (
    (1, 1, "the console's"),
    (3, 3, "the console's"),
    (6, 11, "the flash's"),
    (20, 20, "not there"),
    (24, 24, "not there"),
    (28, 31, "not there"),
)
_S3_TAKEN = (
    (0, 0, "the boot mode's"),  # also 3, 45, 46: at a reset their level decides how it starts
    (3, 3, "the boot mode's"),
    (19, 20, "the USB's"),
    (22, 25, "not there"),
    (26, 32, "the flash's"),
    (33, 37, "the PSRAM's"),  # where that is octal
    (43, 44, "the console's"),
    (45, 46, "the boot mode's"),
)
_CHIPS = {
    "esp32": _Chip(39, (32, 39), 34, _ESP32_TAKEN),
    "esp32+psram": _Chip(39, (32, 39), 34, _ESP32_TAKEN + ((16, 17, "the PSRAM's"),)),
    "esp32s3+psram": _Chip(48, (1, 10), 49, _S3_TAKEN),
}


def board_for(chip: str) -> str:
    """The board whose table fits a chip, named as in the table's row `chip`. Raises ValueError
    where no table does."""
    head, row = TABLE.strip().split("\n")[:2]
    columns = row.split()[2:]
    if chip not in columns:
        raise ValueError("there is no pin table for the chip %s" % chip)
    return head.split()[2 + columns.index(chip)]


def check_chip(board: str, chip: str) -> None:
    """Raises ValueError where a chip can't have this board's pins: it is another one, or has PSRAM
    which takes some of them."""
    wanted = load(board)["chip"]
    if wanted != chip and wanted != chip + PSRAM:
        raise ValueError(
            "board: %s is for the chip %s, and this is %s: take %s"
            % (board, wanted, chip, board_for(chip))
        )


def load(board: str = "devkit", changes: dict | None = None) -> dict:
    """Signal to text, checked. Raises ValueError with one line that says what is wrong."""
    head, *lines = TABLE.strip().split("\n")
    boards = head.split()[2:]
    if board not in boards:
        raise ValueError("no such board: %s (known: %s)" % (board, ", ".join(boards)))
    at = boards.index(board)
    changes = dict(changes or {})
    if "chip" in changes:
        raise ValueError("pins: the chip can't be changed: choose another board")
    table = {}
    used = {}
    for line in lines:
        name, kind, *columns = line.split()
        text = str(changes.pop(name, columns[at] if at < len(columns) else columns[0]))
        if kind == "c":
            chip = _CHIPS[text]
            table[name] = text
            continue
        why = _wrong(chip, kind, text)
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
        raise ValueError("pins: ntc_ohm must fall from value to value")
    for one, other in (("lock_close", "lock_open"), ("tic_rx", "tic_tx")):
        if (table[one] == "-") != (table[other] == "-"):
            raise ValueError("pins: %s and %s go together" % (one, other))
    return table


def _wrong(chip, kind, text):
    """What is wrong with a row's text, "" for nothing."""
    if text == "-":
        return "" if kind[-1] == "?" else "but it must be fitted"
    digits = text.lstrip("!^")
    marks = text[: len(text) - len(digits)]
    if not all(part.isdigit() for part in digits.split(",")) or ("," in text and kind != "n"):
        return "is no number"
    if kind in "vn":
        return "takes no marks" if marks else ""
    number = int(digits)
    if number > chip.last:
        return "is no pin for this: not there"
    for first, last, whose in chip.taken:
        if first <= number <= last:
            return "is no pin for this: %s" % whose
    low, high = chip.adc1
    if kind[0] == "a" and (not low <= number <= high or marks):
        return "is not on ADC1 (%d to %d), or has marks" % (low, high)
    if number >= chip.inputs and (kind[0] == "o" or "^" in marks):
        return "is an input only, without pull-up"
    return "takes no pull-up" if "^" in marks and kind[0] != "i" else ""
