"""Proximity, the cable's temperature, and the contacts that the station reads."""

from tools.drawings.sheet import Sheet

# Coding resistors of the plug (IEC 61851-1, table B.2): ohm and A.
CODING = ((1500, 13), (680, 20), (220, 32), (100, 63))


def _analogue(s, y, signal, pull, series, capacitor, value):
    """A resistor to the supply, the way to the ADC; returns where the sensor goes."""
    s.rail(330, y - 70, "3.3 V")
    s.wire((330, y - 70), (330, y - 60))
    s.resistor(330, y - 60, "d", *pull)
    s.dot((330, y))
    s.wire((330, y), (250, y))
    s.resistor(250, y, "l", *series)
    s.wire((190, y), (120, y))
    s.dot((160, y))
    s.capacitor(160, y, "d", capacitor, value)
    s.ground(160, y + 60)
    s.net(120, y, signal, "l")
    s.wire((330, y), (430, y))
    return 430, y


def sensors() -> Sheet:
    """The inputs of the ESP32 but the pilot's."""
    s = Sheet("Proximity, temperature, contacts", 1280, 700)
    # proximity
    s.frame(30, 50, 600, 250, "proximity: a socket only")
    x, y = _analogue(s, 170, "pp", ("R50", "1 kΩ 1 %"), ("R51", "1 kΩ"), "C12", "10 nF")
    s.wire((x, y), (490, y))
    s.circle(494, y, 5)
    s.text(494, y - 14, "PP of the socket", size=12, anchor="middle")
    s.wire((499, y), (540, y))
    s.resistor(540, y, "d", "", "plug", side=1)
    s.ground(540, y + 60)
    s.dot((400, y))
    s.diode(400, y, "d", "D9", "PESD5V0S1BA", kind="t")
    s.ground(400, y + 60)
    told = ", ".join(f"{ampere} A {ohm} Ω" for ohm, ampere in CODING)
    s.text(40, 285, told + "; the pin reads 3.3 V × R / (R + R50)", size=12)
    # temperature
    s.frame(30, 320, 600, 250, "temperature of the contacts")
    x, y = _analogue(s, 440, "ntc", ("R52", "10 kΩ 1 %"), ("R53", "1 kΩ"), "C13", "100 nF")
    s.wire((x, y), (480, y))
    s.thermistor(480, y, "d", "RT1", "NTC 10 kΩ")
    s.ground(480, y + 60)
    s.text(
        40, 555, "B 3950 K, isolated, at the contacts: 0.57 V at 65 °C, 0.43 V at 75 °C", size=12
    )
    # contacts
    s.frame(660, 50, 590, 520, "contacts: each to 0 V, 1 kΩ in series, 100 nF at the pin")
    rows = (
        ("contactor", "R54", "C14", "mirror contact of K1", True),
        ("tamper", "R55", "C15", "switch of the cover", False),
        ("lock", "R56", "C16", "switch of the lock", False),
    )
    for number, (signal, series, capacitor, what, closed) in enumerate(rows):
        y = 170 + number * 135
        s.net(780, y, signal, "l")
        s.wire((784, y), (880, y))
        s.dot((820, y))
        s.capacitor(820, y, "d", capacitor, "100 nF")
        s.ground(820, y + 60)
        s.resistor(880, y, "r", series, "1 kΩ")
        s.wire((940, y), (1000, y))
        s.contact(1000, y, "r", what, closed=closed)
        s.wire((1060, y), (1100, y), (1100, y + 20))
        s.ground(1100, y + 20)
    s.dot((850, 170))
    s.resistor(850, 170, "u", "R58", "10 kΩ", side=-1)
    s.rail(850, 110, "3.3 V")
    s.text(930, 365, "tamper, lock: with the chip's own pull-up", size=12)
    s.note(
        30,
        610,
        "A cut wire is a fault at each. The mirror contact (IEC 60947-4-1, annex F) is closed"
        " while K1 is open; the cover's switch is closed while",
        "the cover is on, the lock's while the bolt is out. rcd and ground are in the drawing of"
        " the interlock. The ESP32's pins 34 to 39 have no pull-up: hence R58.",
    )
    return s
