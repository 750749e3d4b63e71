"""The serial lines: the energy meter's RS-485 and the house meter's TIC."""

from tools.drawings.sheet import Sheet


def lines() -> Sheet:
    """RS-485 with automatic direction, and the TIC optocoupler."""
    s = Sheet("Serial lines: energy meter (RS-485) and house meter (TIC)", 1280, 720)
    s.frame(
        30,
        50,
        1220,
        310,
        "RS-485: the direction changes by itself, as the ESP32 has no pin for it",
    )
    pins = s.chip(
        260, 120, 150, 150, "IC8", "THVD1426", ("D", "R", "/SHDN", "/RE"), ("VCC", "A", "B", "GND")
    )
    s.wire(pins["D"], (180, pins["D"][1]))
    s.net(180, pins["D"][1], "meter_tx", "l")
    s.wire(pins["R"], (180, pins["R"][1]))
    s.net(180, pins["R"][1], "meter_rx", "l")
    s.wire(pins["/SHDN"], (220, pins["/SHDN"][1]))
    s.net(220, pins["/SHDN"][1], "3.3 V", "l")
    s.wire(pins["/RE"], (230, pins["/RE"][1]), (230, 260))
    s.ground(230, 260)
    y = pins["VCC"][1]
    s.wire(pins["VCC"], (470, y), (470, y - 20))
    s.rail(470, y - 20, "3.3 V")
    s.wire(pins["GND"], (440, pins["GND"][1]), (440, 260))
    s.ground(440, 260)
    a, b = pins["A"][1], pins["B"][1]
    a_line, b_line = 170, 270
    s.wire(pins["A"], (540, a), (540, a_line), (960, a_line))
    s.wire(pins["B"], (540, b), (540, b_line), (960, b_line))
    s.dot((600, a_line), (600, b_line), (700, a_line), (700, b_line), (840, a_line), (840, b_line))
    s.resistor(600, a_line, "u", "R60", "390 Ω", side=-1)
    s.rail(600, a_line - 60, "")
    s.text(616, a_line - 48, "3.3 V", size=12, kind="n")
    s.resistor(600, b_line, "d", "R61", "390 Ω", side=-1)
    s.ground(600, b_line + 60)
    s.wire((700, a_line), (700, 190))
    s.resistor(700, 190, "d", "R62", "120 Ω")
    s.wire((700, 250), (700, b_line))
    s.box(790, 195, 100, 50, "D10", "SM712")
    s.unplaced("SM712", "D10")
    s.wire((840, a_line), (840, 195))
    s.wire((840, 245), (840, b_line))
    s.wire((890, 220), (910, 220), (910, 225))
    s.ground(910, 225)
    s.net(960, a_line, "A (+) of the meter")
    s.net(960, b_line, "B (–) of the meter")
    s.note(
        760,
        310,
        "R62 and another 120 Ω at the far end: for long lines only.",
        "R60 and R61 hold the idle line at 1. C17: 100 nF at IC8.",
    )
    s.unplaced("100 nF", "C17")
    # TIC
    s.frame(
        30, 380, 1220, 310, "TIC: a 0 is a carrier of 50 kHz, a 1 is none; the meter's side floats"
    )
    s.rect(390, 470, 200, 140)
    s.net(190, 500, "I1 of the meter", "l")
    s.wire((194, 500), (240, 500))
    s.resistor(240, 500, "r", "R63", "1.2 kΩ")
    s.net(190, 580, "I2 of the meter", "l")
    s.wire((194, 580), (430, 580))
    s.wire((300, 500), (430, 500))
    s.text(490, 630, "IC9 SFH620A-3", size=12, anchor="middle")
    s.unplaced("SFH620A-3", "IC9")
    s.wire((430, 500), (430, 510))
    s.wire((430, 580), (430, 570))
    s.diode(430, 510, "d", "", "")
    s.wire((430, 500), (470, 500), (470, 510))
    s.wire((430, 580), (470, 580), (470, 570))
    s.diode(470, 570, "u", "", "")
    s.wire((495, 530), (510, 530))
    s.arrow(514, 530, "r")
    s.wire((495, 550), (510, 550))
    s.arrow(514, 550, "r")
    s.wire((530, 515), (530, 565))
    s.wire((530, 530), (560, 505), (560, 490), (640, 490))
    s.wire((530, 550), (560, 575), (560, 590), (640, 590))
    s.arrow(556, 572, "r")
    s.wire((640, 490), (860, 490))
    s.dot((690, 490), (770, 490))
    s.resistor(690, 490, "u", "R64", "3.3 kΩ", side=-1)
    s.rail(690, 430, "")
    s.text(706, 442, "3.3 V", size=12, kind="n")
    s.capacitor(770, 490, "d", "C18", "1 nF")
    s.wire((770, 550), (770, 590))
    s.wire((640, 590), (770, 590))
    s.dot((700, 590))
    s.ground(700, 590)
    s.net(860, 490, "tic_rx")
    s.note(
        830,
        560,
        "Two LEDs take both half-waves. The carrier",
        "pulls tic_rx low, which is a 0: no inversion.",
        "Never connect I1 or I2 without IC9.",
        "tic_tx goes nowhere: the UART asks for a pin.",
    )
    return s
