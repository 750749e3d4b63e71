"""Makes the lines of an ESP32's board; loaded at start-up and dropped."""

from array import array

from machine import ADC, PWM, RTC, UART, WDT, Pin, Signal

from firmware.board.esp32 import Board, nothing

_WATCHDOG_MS = 30000
_FACTS = (
    ("contactor", "contactor"),
    ("residual_trip", "rcd"),
    ("ground_ok", "ground"),
    ("tamper", "tamper"),
    ("lock_closed", "lock"),
)


def fit(table: dict, log, dev: bool = False) -> Board:
    """`table` is from `pins.load`. The permit comes first, and off. Starts the watchdog;
    for `dev` so patient that it is none."""
    made = Board(log)
    made.permit_line = _line(table["permit"], True)
    made.beat = _line(table["beat"], True)
    made.rtc = RTC()
    made.watchdog = WDT(timeout=86400000 if dev else _WATCHDOG_MS)
    made.cp_break = _line(table["cp_break"], True)
    made.lock_close = _line(table["lock_close"], True)
    made.lock_open = _line(table["lock_open"], True)
    made.three = _line(table["phases"], True)
    made.inputs = tuple(
        (fact, _line(table[name], False)) for fact, name in _FACTS if table[name] != "-"
    )
    made.cp = _adc(table["cp"])
    made.pp = _adc(table["pp"])
    made.ntc = _adc(table["ntc"])
    low, high = int(table["cp_minus_mv"]), int(table["cp_plus_mv"])
    made.cp_zero = (low + high) * 500
    made.cp_gain = (24 * 65536 // (high - low) + 1) // 2  # rounded
    made.cp_flip = 65535 if "!" in table["cp_pwm"] else 0
    made.wave = array("h", bytes(2 * 112))
    made.steady = array("h", bytes(2 * 16))
    made.supply = int(table["supply_mv"])
    made.pp_pull = int(table["pp_pull_ohm"])
    made.ntc_pull = int(table["ntc_pull_ohm"])
    made.ntc_ohm = tuple(int(part) for part in table["ntc_ohm"].split(","))
    made.cp_pwm = PWM(Pin(_number(table["cp_pwm"])), freq=1000, duty_u16=65535 ^ made.cp_flip)
    made.pilot(1000)
    made.uarts = {"meter": _uart(2, table, "meter"), "tic": _uart(1, table, "tic")}
    return made


def _number(text):
    return int(text.lstrip("!^"))


def _line(text, out):
    """A digital line that reads and takes 1 for what its name says, off at first."""
    if text == "-":
        return nothing
    low = "!" in text
    if out:
        pin = Pin(_number(text), Pin.OUT, value=int(low))
    else:
        pin = Pin(_number(text), Pin.IN, Pin.PULL_UP if "^" in text else -1)
    return Signal(pin, invert=low)


def _adc(text):
    return None if text == "-" else ADC(Pin(int(text)), atten=ADC.ATTN_11DB)


def _uart(number, table, name):
    tx, rx = table[name + "_tx"], table[name + "_rx"]
    if rx == "-":
        return None
    invert = (UART.INV_TX if "!" in tx else 0) | (UART.INV_RX if "!" in rx else 0)
    return number, _number(tx), _number(rx), invert
