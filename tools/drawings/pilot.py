"""The control pilot: its driver, the vehicle at its end, and the window that watches it."""

from tools.drawings.sheet import Sheet

# The driver: low = -3.3 V * RF / R1, high = 3.3 V * (1 + RF / R2).
FEEDBACK_OHM, TO_3V3_OHM, TO_GROUND_OHM = 100_000, 27_400, 38_300
# The window's references, from 3.3 V to ground.
LADDER_OHM = (8_870, 10_000, 14_300)
# The low side's divider: to 3.3 V, to the detector.
LOW_UP_OHM, LOW_DOWN_OHM = 37_400, 221_000


def driver() -> Sheet:
    """The pilot's driver, the divider of the ADC, the break, and what a vehicle looks like."""
    s = Sheet("Control pilot: driver, measurement, vehicle (IEC 61851-1, annex A)", 1280, 640)
    # driver
    upper, lower = s.amplifier(330, 190, "IC1A", "TL072H", plus_up=True, label_y=62)
    s.wire((100, upper[1]), upper)
    s.net(100, upper[1], "cp_pwm", "l")
    s.dot((160, upper[1]))
    s.resistor(160, upper[1] - 60, "d", "R4", "10 kΩ")
    s.rail(160, upper[1] - 60, "3.3 V")
    s.wire(lower, (200, lower[1]), (200, 300))
    s.dot((200, 260))
    s.wire((120, 260), (200, 260))
    s.resistor(120, 260, "u", "R1", "27.4 kΩ", side=1)
    s.rail(120, 200, "3.3 V")
    s.resistor(200, 300, "d", "R2", "38.3 kΩ", side=-1)
    s.ground(200, 360)
    s.dot((200, 300))
    s.wire((200, 300), (235, 300))
    s.resistor(235, 300, "r", "R3", "100 kΩ", side=-1)
    s.wire((295, 300), (370, 300), (370, 190))
    s.wire((290, 170), (290, 150))
    s.rail(290, 150, "+15 V")
    s.wire((290, 210), (290, 222))
    s.text(290, 236, "–15 V", size=12, anchor="middle", kind="n")
    s.dot((370, 190))
    # 1 kohm, node, break, TVS, vehicle
    s.wire((330, 190), (400, 190))
    s.resistor(400, 190, "r", "R5", "1 kΩ 1 % 0.5 W")
    s.wire((460, 190), (580, 190))
    s.dot((520, 190), (580, 190))
    s.net(520, 130, "CP_NODE to the window", "u")
    s.wire((520, 190), (520, 134))
    s.contact(580, 190, "r", "K4 at rest: closed", closed=True)
    s.wire((640, 190), (820, 190))
    s.dot((720, 190))
    s.wire((720, 190), (720, 230))
    s.diode(720, 230, "d", "D1", "SMAJ15CA", kind="t")
    s.ground(720, 290)
    s.text(745, 180, "CP", kind="n")
    # the socket and the vehicle
    s.circle(824, 190, 5)
    s.text(824, 170, "socket", size=12, anchor="middle")
    s.frame(870, 110, 380, 300, "in the vehicle")
    s.wire((829, 190), (900, 190))
    s.diode(900, 190, "r", "", "diode")
    s.wire((960, 190), (1190, 190))
    s.dot((1000, 190), (1090, 190))
    s.wire((1000, 190), (1000, 290))
    s.resistor(1000, 290, "d", "", "2.74 kΩ", side=-1)
    s.contact(1090, 190, "d", "S2: C", side=1)
    s.wire((1090, 250), (1090, 290))
    s.resistor(1090, 290, "d", "", "1.3 kΩ", side=-1)
    s.contact(1190, 190, "d", "D", side=1)
    s.wire((1190, 250), (1190, 290))
    s.resistor(1190, 290, "d", "", "270 Ω", side=-1)
    s.wire((824, 380), (1190, 380), (1190, 350))
    s.wire((1000, 350), (1000, 380))
    s.wire((1090, 350), (1090, 380))
    s.dot((1000, 380), (1090, 380))
    s.circle(824, 380, 5)
    s.text(800, 376, "PE", kind="n", anchor="end")
    s.wire((819, 380), (760, 380), (760, 390))
    s.ground(760, 390)
    # divider
    s.wire((580, 190), (580, 280))
    s.resistor(580, 280, "d", "R6", "200 kΩ", side=-1)
    s.wire((580, 340), (580, 400))
    s.dot((580, 400))
    s.resistor(580, 400, "d", "R8", "33 kΩ", side=-1)
    s.ground(580, 460)
    s.wire((580, 400), (330, 400))
    s.dot((470, 400))
    s.resistor(470, 400, "u", "R7", "43 kΩ", side=-1)
    s.rail(470, 340, "3.3 V")
    s.capacitor(470, 400, "d", "C1", "470 pF", side=-1)
    s.ground(470, 460)
    s.net(330, 400, "cp (ADC)", "l")
    # notes
    s.note(
        40,
        540,
        "Driver: low = –3.3 V × R3/R1 = –12.0 V, high = 3.3 V × (1 + R3/R2) = +11.9 V, edges"
        " 2 µs. At a reset R4 holds +12 V: nothing is offered.",
        "States at CP_NODE, high side: A 12 V, B 9 V (2.74 kΩ), C 6 V (2.74 ‖ 1.3 kΩ = 882 Ω),"
        " D 3 V (2.74 ‖ 0.27 kΩ = 246 Ω), E 0 V. Low side –12 V: the vehicle's diode is there.",
        "At the ADC's pin: 286 mV at –12 V, 1311 mV at 0 V, 2335 mV at +12 V. K4 opens CP beyond"
        " the divider, so that both ends can be measured with nothing connected.",
        "0 V of the circuit is PE, joined at one point. All resistors 1 %.",
    )
    return s


def window() -> Sheet:
    """The comparators that let the contactor close in state C only."""
    s = Sheet("Pilot window: state C and a vehicle's diode, seen without the ESP32", 1280, 760)
    # buffer
    upper, lower = s.amplifier(310, 190, "IC1B", "TL072H", plus_up=True, label_y=62, count=False)
    s.net(90, upper[1], "CP_NODE", "l")
    s.wire((94, upper[1]), (130, upper[1]))
    s.resistor(130, upper[1], "r", "R9", "10 kΩ")
    s.wire((190, upper[1]), upper)
    s.wire(lower, (210, lower[1]), (210, 275), (340, 275), (340, 190))
    s.wire((310, 190), (360, 190))
    s.dot((340, 190))
    s.resistor(360, 190, "r", "R10", "100 Ω")
    s.wire((420, 190), (450, 190))
    s.wire((450, 110), (450, 290))
    s.dot((450, 190))
    # high side
    s.diode(460, 110, "r", "D2", "BAT54", kind="s")
    s.wire((450, 110), (460, 110))
    s.wire((520, 110), (640, 110))
    s.dot((570, 110))
    s.capacitor(570, 110, "d", "C2", "100 nF", side=-1)
    s.ground(570, 170)
    s.resistor(640, 110, "d", "R11", "66.5 kΩ")
    s.resistor(640, 170, "d", "R12", "33.2 kΩ")
    s.ground(640, 230)
    s.dot((640, 170))
    s.wire((640, 170), (730, 170))
    s.net(730, 170, "HIGH")
    # low side
    s.wire((450, 290), (460, 290))
    s.diode(520, 290, "l", "D3", "BAT54", side=-1, kind="s")
    s.wire((520, 290), (590, 290))
    s.dot((570, 290))
    s.capacitor(570, 290, "d", "C3", "100 nF")
    s.ground(570, 350)
    s.resistor(590, 290, "r", "R17", "221 kΩ")
    s.wire((650, 290), (730, 290))
    s.dot((690, 290))
    s.net(730, 290, "LOW")
    s.resistor(690, 290, "d", "R16", "37.4 kΩ")
    s.rail_below(690, 350, "3.3 V")
    # references
    s.rail(120, 380, "3.3 V")
    s.resistor(120, 380, "d", "R13", "8.87 kΩ", side=-1)
    s.resistor(120, 440, "d", "R14", "10 kΩ", side=-1)
    s.resistor(120, 500, "d", "R15", "14.3 kΩ", side=-1)
    s.ground(120, 560)
    s.dot((120, 440), (120, 500))
    s.wire((120, 440), (170, 440))
    s.wire((120, 500), (170, 500))
    s.net(170, 440, "REF_7V5, 2.42 V")
    s.net(170, 500, "REF_4V5, 1.42 V")
    # comparators: their outputs are open collectors
    for y, ref, plus, minus in (
        (120, "IC2A", "REF_7V5", "HIGH"),
        (250, "IC2B", "HIGH", "REF_4V5"),
        (430, "IC2C", "REF_4V5", "LOW"),
    ):
        up, down = s.amplifier(
            1000, y, ref, "LM339", plus_up=True, label_y=50, count=ref == "IC2A"
        )
        for end, name in ((up, plus), (down, minus)):
            s.wire(end, (905, end[1]))
            s.net(905, end[1], name, "l")
    s.wire((1000, 120), (1050, 120), (1050, 250), (1000, 250))
    s.dot((1050, 190), (1100, 190))
    s.wire((1050, 190), (1140, 190))
    s.resistor(1100, 190, "u", "R18", "10 kΩ")
    s.rail(1100, 130, "3.3 V")
    s.net(1140, 190, "WINDOW")
    s.wire((1000, 430), (1060, 430))
    s.dot((1030, 430))
    s.resistor(1030, 430, "u", "R19", "10 kΩ", side=-1)
    s.rail(1030, 370, "3.3 V")
    inputs = s.gate(1160, 445, "IC4", "74LVC1G32", "≥1")
    s.wire((1060, 430), inputs[0])
    s.wire(inputs[1], (1080, 460), (1080, 500))
    s.net(1080, 500, "NO_PWM", "d")
    s.wire((1160, 445), (1180, 445))
    s.net(1180, 445, "DIODE_OK")
    # PWM runs
    pins = s.chip(
        520, 460, 150, 130, "IC3B", "half of 74HC4538", ("A", "B", "CD"), ("RC", "C", "", "/Q")
    )
    s.wire(pins["A"], (480, pins["A"][1]))
    s.net(480, pins["A"][1], "cp_pwm", "l")
    s.wire(pins["B"], (480, pins["B"][1]), (480, pins["CD"][1]), pins["CD"])
    s.wire((480, pins["CD"][1]), (460, pins["CD"][1]))
    s.dot((480, pins["CD"][1]))
    s.net(460, pins["CD"][1], "3.3 V", "l")
    top, bottom = pins["RC"][1], pins["C"][1]
    s.resistor(740, top, "r", "R20", "20 kΩ")
    s.wire(pins["RC"], (740, top))
    s.net(804, top, "3.3 V")
    s.dot((730, top))
    s.wire((730, top), (730, 500))
    s.capacitor(730, 500, "d", "C4", "100 nF film")
    s.wire((730, 560), (700, 560), (700, bottom), pins["C"])
    s.wire(pins["/Q"], (760, pins["/Q"][1]))
    s.net(760, pins["/Q"][1], "NO_PWM")
    s.unplaced("100 nF", "C40", "C41", "C42", "C43", "C44")
    s.note(
        40,
        655,
        "WINDOW is high while the peak of the high side lies between 4.5 and 7.5 V: state C. Each"
        " comparator pulls it low otherwise. The detectors follow within 10 ms.",
        "DIODE_OK is high while the low side is below –10 V, or while no PWM runs: a steady pilot"
        " has no low side. IC3B runs 0.7 × R20 × C4 = 1.4 ms from each rising",
        "edge of cp_pwm. It ends before the detector has left –10 V (R16, R17 and C3: 3.7 ms). R16"
        " and R17 lift –10 V to REF_4V5; D2 and D3 drop 0.25 V, which is in the values.",
        "Supplies: IC1 ±15 V, IC2 5 V, IC3 and IC4 3.3 V, each with 100 nF at the part (C40 to"
        " C44). Inputs that are not used go to 0 V.",
    )
    return s
