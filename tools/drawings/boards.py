"""The pins of the boards' headers, from the table in firmware/board/pins.py."""

from firmware.board import pins
from tools.drawings.sheet import Sheet

# The headers from the antenna's end down, seen from above with the antenna up (Espressif's user
# guides). Where a number is missing in the firmware's table the pin is free or the board's own.
_DEVKIT = (
    "3V3 EN 36/VP 39/VN 34 35 32 33 25 26 27 14 12 GND 13 9 10 11 5V",
    "GND 23 22 1 3 21 GND 19 18 5 17 16 4 0 2 15 8 7 6",
)
_S3 = (
    "3V3 3V3 RST 4 5 6 7 15 16 17 18 8 3 46 9 10 11 12 13 14 5V GND",
    "GND 43 44 1 2 42 41 40 39 38 37 36 35 0 45 48 47 21 20 19 GND GND",
)
_STEP = 26


def _board(title, board, headers):
    s = Sheet(title, 900, 150 + _STEP * len(headers[0].split()))
    table = pins.load(board)
    signals = {}
    for name, kind in (line.split()[:2] for line in pins.TABLE.strip().split("\n")[1:]):
        text = table[name]
        if kind[0] in "oiau" and text != "-":
            signals[text.lstrip("!^")] = name
    height = _STEP * len(headers[0].split())
    s.rect(330, 60, 240, height + 30, kind="b", round=10)
    s.rect(390, 66, 120, 34)
    s.text(450, 88, "antenna", anchor="middle")
    s.text(450, 80 + height, "USB", anchor="middle")
    for side, header in enumerate(headers):
        x, way, anchor = ((330, -1, "end"), (570, 1, "start"))[side]
        for number, pin in enumerate(header.split()):
            y = 82 + _STEP * number
            s.rect(x - 7, y - 7, 14, 14)
            s.text(x - way * 14, y + 5, pin, anchor="start" if side == 0 else "end")
            signal = signals.get(pin.split("/")[0])
            if signal:
                s.wire((x + way * 7, y), (x + way * 60, y))
                s.text(x + way * 70, y + 5, signal, anchor=anchor, kind="n")
            elif pin in _SUPPLY:
                s.wire((x + way * 7, y), (x + way * 30, y))
                s.text(x + way * 38, y + 5, _SUPPLY[pin], size=12, anchor=anchor)
    s.text(
        20,
        128 + height,
        "Seen from above. Pins without a name are free, or the board needs them itself.",
        size=12,
    )
    return s


_SUPPLY = {
    "3V3": "3.3 V of the circuit",
    "5V": "from D11",
    "GND": "0 V",
    "EN": "reset, not connected",
    "RST": "reset, not connected",
}


def devkit() -> Sheet:
    """ESP32-DevKitC V4 with a WROOM-32."""
    return _board("Pins: devkit, ESP32-DevKitC V4 with WROOM-32", "devkit", _DEVKIT)


def wrover() -> Sheet:
    """ESP32-DevKitC V4 with a WROVER-E."""
    return _board("Pins: wrover, ESP32-DevKitC-VE with WROVER-E", "wrover", _DEVKIT)


def s3() -> Sheet:
    """ESP32-S3-DevKitC-1."""
    return _board("Pins: s3, ESP32-S3-DevKitC-1-N8R8", "s3", _S3)
