"""The simulated meter: answers Modbus RTU out of a reading, and the line to it."""

from firmware.sensing.meters import Register, RegisterMap, divide_rounded, words_reversed
from firmware.sensing.modbus import crc, with_crc


def _float32(number, divisor):
    """The bits of the float32 nearest to number/divisor."""
    if not number:
        return 0
    sign = number < 0
    number = abs(number)
    power = len(bin(number)) - len(bin(divisor)) - 24  # leaves 24 or 25 bits
    while True:
        mantissa = divide_rounded(number << max(-power, 0), divisor << max(power, 0))
        if mantissa < 1 << 24:
            break
        power += 1
    if mantissa < 1 << 23 or power + 150 < 1:
        raise ValueError("no normal float32")
    if power + 150 > 254:
        return sign << 31 | 0x7F800000
    return sign << 31 | (power + 150) << 23 | mantissa & 0x7FFFFF


def encode_register(number: int | None, register: Register) -> bytes:
    """A register's bytes; None, and what does not fit, as not available."""
    _, count, _, kind, factor, divisor = register
    top = 1 << (16 * count - 1)
    if kind[0] == "f":
        raw = 0x7FC00000 if number is None else _float32(number * divisor, factor)
    else:
        low, high = (0, 2 * top - 1) if kind[0] == "u" else (1 - top, top - 1)
        raw = high if number is None else divide_rounded(number * divisor, factor)
        raw = (raw if low <= raw < high else high) & (2 * top - 1)
    data = raw.to_bytes(2 * count, "big")
    if kind[-1] == "<":
        data = words_reversed(data)
    return data


def answer(meter: RegisterMap, unit: int, request: bytes, reading: dict) -> bytes:
    """The answer's frame; b"" where a slave keeps silent: a damaged frame, or another's."""
    if len(request) != 8 or crc(request):
        return b""
    asked, function, first_high, first_low, count_high, count_low = request[:6]
    if asked != unit:
        return b""
    first = first_high << 8 | first_low
    count = count_high << 8 | count_low
    if function != meter.function:
        return with_crc(bytes((unit, function | 128, 1)))
    if not 1 <= count <= meter.max_registers:
        return with_crc(bytes((unit, function | 128, 3)))
    data = None
    for register in meter.registers:
        if first <= register.address and register.address + register.count <= first + count:
            data = data or bytearray(2 * count)
            at = 2 * (register.address - first)
            number = reading.get(register.field)
            data[at : at + 2 * register.count] = encode_register(number, register)
    if data is None:
        return with_crc(bytes((unit, function | 128, 2)))
    return with_crc(bytes((unit, function, 2 * count)) + data)


class Asked:
    """A request, and the `frame` of its answer for as long as the meter `shows` the same.
    `has_counters`: it asks for registers of energy too."""

    def __init__(self, meter: RegisterMap, request: bytes):
        first = request[2] << 8 | request[3] if len(request) == 8 else 0
        last = first + (request[4] << 8 | request[5]) if len(request) == 8 else 0
        fields = [row.field for row in meter.registers if first <= row.address < last]
        self.has_counters = "energy" in fields or "reactive" in fields
        self.shows = None
        self.frame = b""


class MeterPort:
    """The meter's RS-485 line: what is written is asked of the meter."""

    def __init__(self, board):
        self.board = board
        self._answer = b""

    def write(self, data) -> None:
        self._answer = self.board.answer_meter(bytes(data))

    def read(self, n: int) -> bytes:
        part = self._answer[:n]
        self._answer = self._answer[n:]
        return part
