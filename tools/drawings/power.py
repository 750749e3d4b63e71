"""The mains: protection, meter, contactor, socket; and the supply of the circuit."""

from tools.drawings.sheet import Sheet


def mains() -> Sheet:
    """One line for all conductors, from the board's breaker to the socket."""
    s = Sheet("Mains: protection upstream, meter, contactor, residual-current monitor", 1280, 620)
    y = 190
    s.frame(30, 80, 430, 380, "distribution board, its own circuit for this station")
    s.frame(490, 80, 760, 380, "wall box")
    s.text(50, y - 12, "L1 L2 L3 N", kind="n")
    s.wire((50, y), (150, y), kind="m")
    s.box(150, y - 40, 130, 80, "Q10: breaker", "curve C,", "20 or 40 A", kind="h")
    s.wire((280, y), (310, y), kind="m")
    s.box(310, y - 40, 130, 80, "Q11: RCD 30 mA", "type A or F,", "all poles", kind="h")
    s.wire((440, y), (560, y), kind="m")
    s.box(560, y - 40, 110, 80, "P1: meter", "iEM3155", "(RS-485)")
    s.wire((670, y), (720, y), kind="m")
    s.box(720, y - 40, 120, 80, "K1: contactor", "4 poles, 40 A,", "mirror contact")
    s.wire((840, y), (880, y), kind="m")
    s.box(880, y - 40, 110, 80, "K5: L2, L3", "2 poles, 40 A")
    s.wire((990, y), (1030, y), kind="m")
    s.box(1030, y - 40, 80, 80, "U3: RCM", "6 mA DC", kind="h")
    s.wire((1110, y), (1140, y), kind="m")
    s.box(1140, y - 40, 90, 80, "X1: socket", "type 2, or", "its cable")
    s.unplaced("breaker", "Q10")
    s.unplaced("RCD", "Q11")
    s.unplaced("energy meter", "P1")
    s.unplaced("contactor 4 poles", "K1")
    s.unplaced("contactor 2 poles", "K5")
    s.unplaced("RCM 6 mA DC", "U3")
    s.unplaced("PE monitor", "U4")
    s.unplaced("socket", "X1")
    # auxiliary
    s.wire((520, y), (520, 300))
    s.dot((520, y))
    s.wire((520, 300), (560, 300))
    s.fuse(560, 300, "r", "F2", "1 A slow")
    s.wire((620, 300), (760, 300))
    s.dot((690, 300))
    s.wire((690, 300), (690, 350), (760, 350))
    s.text(775, 304, "to the coils of K1 (by K2) and K5 (by K3)", size=12)
    s.text(775, 354, "to the supply, and to U4 (PE monitor)", size=12)
    s.wire((50, 420), (1180, 420), (1180, y + 40), kind="m")
    s.text(50, 410, "PE", kind="n")
    s.dot((900, 420))
    s.wire((900, 420), (900, 430))
    s.ground(900, 430)
    s.text(925, 444, "0 V of the circuit, joined here only", size=12)
    s.wire((95, y), (95, 300))
    s.dot((95, y))
    s.box(60, 300, 120, 60, "F1: surge", "arrester type 2", kind="h")
    s.unplaced("surge arrester", "F1")
    s.wire((120, 360), (120, 420))
    s.dot((120, 420))
    s.note(
        30,
        490,
        "Each station has a circuit of its own (IEC 60364-7-722; in France NF C 15-100): Q10 20 A"
        " for IMaxUser 16, 40 A for 32; conductors and let-through energy to match K1 and X1.",
        "Q11 opens all live conductors. U3 sees 6 mA DC (IEC 62955), so that type A or F will do;"
        " without U3, Q11 must be type B. F1 where the rules ask for it.",
        "On one phase: L1 and N, and neither K5 nor K3. K5 is switched without load only; K1 opens"
        " all four poles. P1 counts what the vehicle takes, not what the box itself takes.",
        "An electrician builds, checks and answers for this part.",
    )
    return s


def supply() -> Sheet:
    """12 V from the mains; 5 V, 3.3 V and +-15 V from that."""
    s = Sheet("Supply of the circuit", 1280, 560)
    s.net(50, 150, "L1 behind F2", "r")
    s.wire((50, 154), (50, 170), (130, 170))
    s.fuse(130, 170, "r", "F4", "500 mA slow", side=-1)
    s.wire((190, 170), (330, 170))
    s.dot((250, 170), (250, 270))
    s.wire((250, 170), (250, 190))
    s.rect(242, 200, 16, 40)
    s.wire((250, 190), (250, 200))
    s.wire((250, 240), (250, 270))
    s.wire((240, 246), (246, 240), (256, 200), (262, 196))
    s.text(230, 216, "RV1", size=12, anchor="end")
    s.text(230, 231, "S10K275", size=12, anchor="end")
    s.unplaced("S10K275", "RV1")
    s.net(50, 290, "N", "d")
    s.wire((50, 286), (50, 270), (330, 270))
    s.box(330, 140, 150, 160, "U1", "IRM-20-12", "230 V to 12 V, 20 W,", "isolated", kind="h")
    s.unplaced("IRM-20-12", "U1")
    s.wire((480, 170), (1020, 170))
    s.wire((480, 270), (520, 270), (520, 280))
    s.ground(520, 280)
    s.dot((560, 170), (620, 170), (880, 170))
    s.wire((560, 170), (560, 150))
    s.rail(560, 150, "12 V")
    s.capacitor(620, 170, "d", "C20", "470 µF;25 V")
    s.ground(620, 230)
    s.net(1020, 170, "12 V of relays and lock")
    # 5 V
    s.wire((740, 170), (740, 330), (780, 330))
    s.dot((740, 170))
    s.box(780, 300, 130, 60, "U5", "R-78E5.0-1.0")
    s.unplaced("R-78E5.0-1.0", "U5")
    s.wire((845, 360), (845, 370))
    s.ground(845, 370)
    s.wire((910, 330), (980, 330))
    s.dot((950, 330))
    s.wire((950, 330), (950, 316))
    s.rail(950, 316, "5 V")
    s.diode(980, 330, "r", "D11", "1N5819", kind="s")
    s.net(1044, 330, "5V of U2, the ESP32")
    s.capacitor(950, 330, "d", "C21", "100 µF;10 V")
    s.ground(950, 390)
    # 15 V
    s.wire((880, 170), (880, 200))
    s.box(815, 200, 130, 56, "U6", "TEL 3-1223")
    s.unplaced("TEL 3-1223", "U6")
    s.wire((945, 215), (1020, 215))
    s.net(1020, 215, "+15 V")
    s.wire((945, 243), (1020, 243))
    s.net(1020, 243, "–15 V")
    s.unplaced("10 µF 25 V", "C22", "C23")
    s.unplaced("ESP32 board", "U2")
    s.note(
        30,
        450,
        "The 3.3 V of all other drawings come from the ESP32's own board (its pin 3V3, at most"
        " 100 mA). C22, C23: 10 µF from +15 V and –15 V to 0 V.",
        "U1, F2, F4 and RV1 carry mains: 8 mm from everything else. 0 V is PE, so the circuit is"
        " PELV. D11 keeps the board's 5 V out of U5.",
        "USB: Espressif allows the board one supply at a time. While the mains is on, connect USB"
        " only through an isolator that does not pass its 5 V on.",
        "Otherwise switch the mains off first.",
    )
    return s
