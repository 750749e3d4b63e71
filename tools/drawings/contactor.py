"""What closes the contactor: the monostable, the AND, the relay's driver; and the other relays."""

from tools.drawings.sheet import Sheet


def interlock() -> Sheet:
    """From the two permit pins to the contactor's coil."""
    s = Sheet("Interlock: monostable, AND, relay driver, residual-current monitor", 1280, 830)
    pins = s.chip(
        230, 90, 150, 130, "IC3A", "half of 74HC4538", ("B", "A", "CD"), ("RC", "C", "", "Q")
    )
    a, cd = pins["A"][1], pins["CD"][1]
    s.wire(pins["A"], (120, a))
    s.net(120, a, "beat", "l")
    s.net(206, pins["B"][1], "3.3 V", "l")
    s.wire(pins["CD"], (120, cd))
    s.net(120, cd, "permit", "l")
    s.dot((180, a), (150, cd))
    s.wire((180, a), (180, 300))
    s.resistor(180, 300, "d", "R22", "10 kΩ")
    s.ground(180, 360)
    s.wire((150, cd), (150, 300))
    s.resistor(150, 300, "d", "R21", "10 kΩ", side=-1)
    s.ground(150, 360)
    top, bottom = pins["RC"][1], pins["C"][1]
    s.wire(pins["RC"], (480, top))
    s.dot((440, top), (480, top))
    s.wire((440, top), (440, 130))
    s.capacitor(440, 130, "d", "C5", "2.2 µF film")
    s.wire((440, 190), (410, 190), (410, bottom), pins["C"])
    s.wire((480, top), (480, 80))
    s.wire((480, top), (540, top))
    s.wire((480, 80), (540, 80))
    s.diode(540, 80, "r", "D4", "1N4148")
    s.resistor(540, top, "r", "R23", "1 MΩ", side=-1)
    s.wire((600, 80), (630, 80), (630, top), (600, top))
    s.dot((630, 95))
    s.wire((630, 95), (650, 95))
    s.net(650, 95, "3.3 V")
    # AND
    inputs = s.gate(720, 245, "IC5", "half of 74HC21", "&", inputs=4)
    s.wire(pins["Q"], (560, pins["Q"][1]), inputs[0])
    s.text(470, pins["Q"][1] - 6, "PERMITTED", kind="n")
    for end, name in zip(inputs[1:], ("WINDOW", "DIODE_OK", "EARTH_OK"), strict=True):
        s.wire(end, (640, end[1]))
        s.net(640, end[1], name, "l")
    # driver: Q2 by the residual-current monitor, Q1 by the AND
    s.wire((720, 245), (750, 245))
    s.resistor(750, 245, "r", "R24", "220 Ω")
    s.wire((810, 245), (1020, 245))
    s.dot((900, 245))
    s.resistor(900, 245, "d", "R25", "100 kΩ", side=-1)
    s.ground(900, 305)
    drain, source = s.nmos(1020, 245, "Q1", "AO3400A")
    s.ground(*source)
    x = drain[0]
    source2, drain2 = s.pmos(1020, 100, "Q2", "AO3401A")
    s.rail(x, 50, "12 V")
    s.wire((x, 50), source2)
    s.wire(drain2, (x, 145))
    s.coil(x, 145, "d", "K2", "12 V;power relay", side=-1)
    s.wire((x, 205), drain)
    s.dot((x, 145), (x, 205))
    s.wire((x, 205), (x + 60, 205))
    s.diode(x + 60, 205, "u", "D5", "1N4148")
    s.wire((x + 60, 145), (x, 145))
    s.wire((1020, 100), (940, 100))
    s.dot((980, 100))
    s.resistor(980, 100, "u", "R26", "10 kΩ", side=-1)
    s.rail(980, 40, "12 V")
    s.resistor(940, 100, "l", "R27", "4.7 kΩ", side=-1)
    s.wire((880, 100), (850, 100))
    s.net(850, 100, "RCM", "l")
    # residual-current monitor
    s.frame(30, 430, 560, 165, "residual-current monitor: conducts while all is well")
    s.box(60, 470, 170, 90, "U3: 6 mA DC", "(IEC 62955), around", "L1, L2, L3 and N")
    s.wire((230, 515), (310, 515))
    s.dot((270, 515))
    s.wire((270, 515), (270, 540))
    s.net(270, 540, "RCM", "d")
    s.diode(370, 515, "l", "D6", "BAT54", kind="s")
    s.wire((370, 515), (500, 515))
    s.dot((430, 515))
    s.resistor(430, 515, "u", "R28", "10 kΩ")
    s.rail(430, 455, "")
    s.text(446, 466, "3.3 V", size=12, kind="n")
    s.net(500, 515, "rcd")
    # earth
    s.frame(30, 615, 560, 150, "PE monitor: conducts while earth is there")
    s.box(60, 650, 170, 80, "U4: PE monitor", "between L1, N and PE")
    s.wire((230, 700), (400, 700))
    s.dot((290, 700), (350, 700))
    s.resistor(290, 700, "u", "R29", "10 kΩ")
    s.rail(290, 640, "")
    s.text(306, 652, "3.3 V", size=12, kind="n")
    s.wire((350, 700), (350, 725))
    s.net(350, 725, "ground", "d")
    s.gate(460, 700, "IC6", "74LVC1G04", "1", inputs=1, step=36)
    s.circle(464, 700, 4)
    s.wire((468, 700), (480, 700))
    s.net(480, 700, "EARTH_OK")
    # the contactor's coil
    s.frame(620, 430, 630, 165, "coil of the contactor, 230 V: keep 8 mm from all that is above")
    s.net(700, 490, "L1 behind F2", "u")
    s.wire((700, 494), (700, 520), (720, 520))
    s.contact(720, 520, "r", "K2", side=-1)
    s.wire((780, 520), (840, 520))
    s.dot((840, 520))
    s.coil(870, 520, "r", "K1", "230 V", count=False)
    s.wire((840, 520), (870, 520))
    s.wire((930, 520), (1010, 520))
    s.dot((960, 520))
    s.net(1010, 520, "N")
    s.wire((840, 520), (840, 565))
    s.wire((960, 520), (960, 565))
    s.wire((840, 565), (840, 565))
    s.unplaced("100 Ω + 100 nF X2", "Z1", "Z2")
    s.wire((840, 565), (868, 565))
    s.rect(868, 557, 64, 16)
    s.wire((932, 565), (960, 565))
    s.text(975, 569, "Z1 100 Ω + 100 nF X2", size=12)
    s.note(
        620,
        635,
        "beat changes every 20 to 30 ms and triggers IC3A again; 0.7 × R23 × C5 = 1.5 s (1.3 to",
        "1.9 s) after its last edge PERMITTED falls. permit low resets IC3A at once. D4 empties",
        "C5 when the supply goes off. R21 and R22 hold both pins low during a reset.",
        "K2 is on only while PERMITTED, WINDOW, DIODE_OK and EARTH_OK are high (Q1) and the",
        "monitor conducts (Q2). Two transistors in series: a shorted Q1 does not defeat it.",
        "A cut wire at U3 or U4 opens K2 and shows at rcd or ground. D5 takes K2's current.",
        "Supplies: IC5 and IC6 3.3 V, 100 nF at each (C45, C46). K5's coil has a Z2 like Z1.",
    )
    s.unplaced("100 nF", "C45", "C46")
    return s


def _relay(s, x, y, signal, gate, pull, transistor, coil, kind, diode, what):
    """A relay's driver whose signal comes in at (x, y)."""
    s.net(x, y, signal, "l")
    s.wire((x + 4, y), (x + 30, y))
    s.resistor(x + 30, y, "r", gate, "220 Ω")
    s.wire((x + 90, y), (x + 160, y))
    s.dot((x + 120, y))
    s.resistor(x + 120, y, "d", pull, "10 kΩ", side=-1)
    s.ground(x + 120, y + 60)
    drain, source = s.nmos(x + 160, y, transistor, "AO3400A")
    s.ground(*source)
    at = drain[0]
    s.coil(at, y - 100, "d", coil, kind, side=-1)
    s.wire((at, y - 40), drain)
    s.rail(at, y - 120, "12 V")
    s.wire((at, y - 120), (at, y - 100))
    s.dot((at, y - 100), (at, y - 40))
    s.wire((at, y - 40), (at + 60, y - 40))
    s.diode(at + 60, y - 40, "u", diode, "1N4148")
    s.wire((at + 60, y - 100), (at, y - 100))
    s.note(x - 70, y + 110, *what)


def relays() -> Sheet:
    """The relays of the phases and of the pilot's break, and the lock's motor."""
    s = Sheet("Relays and lock", 1280, 680)
    _relay(
        s,
        110,
        210,
        "phases",
        "R40",
        "R41",
        "Q3",
        "K3",
        "12 V;power relay",
        "D7",
        ("K3 switches the 230 V coil of K5, which connects", "L2 and L3: on = three phases."),
    )
    _relay(
        s,
        110,
        520,
        "cp_break",
        "R42",
        "R43",
        "Q4",
        "K4",
        "12 V;signal relay",
        "D8",
        ("K4 breaks CP (its contact is in the", "drawing of the pilot): on = broken off."),
    )
    pins = s.chip(
        760, 120, 170, 140, "IC7", "DRV8871", ("IN1", "IN2", "ILIM", "GND"), ("VM", "OUT1", "OUT2")
    )
    for name, signal, x, ref in (
        ("IN1", "lock_close", 600, "R44"),
        ("IN2", "lock_open", 640, "R45"),
    ):
        y = pins[name][1]
        s.wire(pins[name], (560, y))
        s.net(560, y, signal, "l")
        s.dot((x, y))
        s.wire((x, y), (x, 330))
        s.resistor(x, 330, "d", ref, "10 kΩ", side=-1 if x == 600 else 1)
        s.ground(x, 390)
    y = pins["ILIM"][1]
    s.wire(pins["ILIM"], (710, y), (710, 330))
    s.resistor(710, 330, "d", "R46", "43 kΩ")
    s.ground(710, 390)
    s.wire(pins["GND"], (735, pins["GND"][1]), (735, 270))
    s.ground(735, 270)
    y = pins["VM"][1]
    s.wire(pins["VM"], (1190, y))
    s.rail(1190, y - 20, "12 V")
    s.wire((1190, y), (1190, y - 20))
    s.dot((1060, y))
    s.capacitor(1060, y, "u", "C10", "100 nF", side=-1)
    s.wire((1060, y - 60), (1090, y - 60), (1090, y - 50))
    s.ground(1090, y - 50)
    s.wire((1190, y), (1190, y + 10))
    s.dot((1190, y))
    s.capacitor(1190, y + 10, "d", "C11", "470 µF;25 V", side=-1)
    s.ground(1190, y + 70)
    y1, y2 = pins["OUT1"][1], pins["OUT2"][1]
    s.wire(pins["OUT2"], (990, y2), (990, 330))
    s.fuse(990, 330, "d", "F3", "MF-R050")
    s.wire((990, 390), (990, 440), (1000, 440))
    s.circle(1025, 440, 25)
    s.text(1025, 446, "M", size=16, anchor="middle")
    s.text(1025, 490, "the lock's motor", size=12, anchor="middle")
    s.wire((1050, 440), (1080, 440), (1080, y1), pins["OUT1"])
    s.note(
        560,
        560,
        "IC7 gives 64 / R46 = 1.5 A at most. The program gives pulses of 300 ms. F3 (0.5 A)",
        "protects the motor where a pulse does not end: up to 30 s, until the watchdog resets.",
        "With an attached cable leave IC7 out. The lock's switch is in the drawing of the inputs.",
        "R41, R43, R44 and R45 hold everything off during a reset.",
    )
    return s
