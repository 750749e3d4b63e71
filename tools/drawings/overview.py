"""The block diagram."""

from tools.drawings.sheet import Sheet


def blocks() -> Sheet:
    """All blocks, the signals between them and the interlock around the contactor."""
    s = Sheet("Wallbridge: the blocks, and the interlock that opens the contactor", 1280, 800)
    # mains
    s.text(40, 90, "mains", kind="n")
    s.wire((40, 110), (1240, 110), kind="m")
    for x, width, lines, kind in (
        (90, 150, ("breaker, RCD", "(upstream)"), "h"),
        (290, 130, ("energy meter", "Modbus RTU"), "b"),
        (470, 150, ("K1: contactor", "4 poles"), "h"),
        (670, 130, ("K5: L2 and L3", "one or 3 phases"), "b"),
        (850, 130, ("residual current", "6 mA DC"), "h"),
        (1030, 170, ("socket with lock,", "or attached cable"), "b"),
    ):
        s.box(x, 80, width, 60, *lines, kind=kind)
    # interlock
    s.rect(300, 200, 700, 240, kind="i", round=8)
    s.text(316, 222, "interlock: works without the ESP32; each input alone opens K1", kind="v")
    s.box(330, 240, 200, 40, "PE monitor: earth", kind="s")
    s.box(330, 300, 200, 50, "pilot window: state C,", "the vehicle's diode", kind="s")
    s.box(330, 370, 200, 50, "monostable 1.5 s:", "the program runs", kind="s")
    s.box(620, 290, 70, 70, "AND", kind="s")
    s.box(750, 300, 90, 50, "driver Q1", kind="s")
    s.box(890, 300, 90, 50, "switch Q2", kind="s")
    s.wire((530, 260), (575, 260), (575, 305), (620, 305))
    s.wire((530, 325), (620, 325))
    s.wire((530, 395), (575, 395), (575, 345), (620, 345))
    s.wire((690, 325), (750, 325))
    s.wire((840, 325), (890, 325))
    for x, y in ((620, 305), (620, 325), (620, 345), (750, 325)):
        s.arrow(x, y, "r")
    s.wire((795, 300), (795, 175), (545, 175), (545, 140))
    s.arrow(545, 140, "u")
    s.text(805, 190, "coil, by K2", size=12)
    s.wire((935, 140), (935, 300))
    s.arrow(935, 300, "d")
    s.text(945, 190, "trips", size=12)
    # the ESP32 below
    s.rect(300, 520, 700, 100, kind="b", round=8)
    s.text(650, 565, "ESP32 with MicroPython: this firmware", size=16, anchor="middle")
    s.text(650, 590, "OCPP, metering, load balancing, charging profiles, faults", anchor="middle")
    for x, name in ((380, "permit"), (470, "beat")):
        s.wire((x, 520), (x, 420))
        s.arrow(x, 420, "u")
        s.text(x + 8, 480, name, size=12)
    # the pilot, on the left
    s.box(30, 530, 180, 80, "pilot driver ±12 V,", "1 kΩ, break by K4")
    s.wire((300, 555), (210, 555))
    s.arrow(210, 555, "l")
    s.text(255, 548, "cp_pwm", size=12, anchor="middle")
    s.wire((210, 590), (300, 590))
    s.arrow(300, 590, "r")
    s.text(255, 606, "cp", size=12, anchor="middle")
    s.wire((120, 530), (120, 325), (330, 325))
    s.arrow(330, 325, "r")
    s.text(130, 318, "level of CP", size=12)
    s.wire((60, 610), (60, 660))
    s.arrow(60, 660, "d")
    s.text(72, 652, "CP to the vehicle", size=12)
    # sensors, on the right
    s.box(
        1060,
        490,
        190,
        160,
        "mirror contact of K1,",
        "residual current, earth,",
        "cover, lock,",
        "proximity PP,",
        "temperature",
    )
    s.wire((1060, 570), (1000, 570))
    s.arrow(1000, 570, "l")
    # what it drives, below
    for x, width, lines, name, way in (
        (170, 150, ("lock's motor", "by IC7"), "lock_close, lock_open", "out"),
        (350, 130, ("K5 by K3", "L2 and L3"), "phases", "out"),
        (510, 150, ("RS-485", "energy meter"), "meter_tx, _rx", "both"),
        (690, 140, ("optocoupler", "TIC, house meter"), "tic_rx", "in"),
        (860, 120, ("USB", "console"), "", "both"),
        (1030, 190, ("Wi-Fi", "central system (OCPP)"), "", "both"),
    ):
        middle = x + width / 2
        s.box(x, 710, width, 60, *lines)
        top = 620
        if middle < 300:
            s.wire((330, 620), (330, 665), (middle, 665), (middle, 710))
            s.text(middle + 8, 698, name, size=12)
        elif middle > 1000:
            s.wire((980, 620), (980, 665), (middle, 665), (middle, 710))
            s.arrow(980, 620, "u")
        else:
            s.wire((middle, top), (middle, 710))
            s.text(middle + 8, 670, name, size=12)
            if way in ("in", "both"):
                s.arrow(middle, top, "u")
        if way in ("out", "both"):
            s.arrow(middle, 710, "d")
    return s
