"""Meters with Modbus RTU: from a model's registers to a reading (docs/architecture.md).

Integers all the way: the device's float has 24 bits, an energy register has more.
"""

from collections import namedtuple

from firmware.sensing.meter_table import models

# One row of the table's lists of registers; `count`: of its 16-bit registers.
Register = namedtuple("Register", ("address", "count", "field", "kind", "factor", "divisor"))

# What one request reads.
Block = namedtuple("Block", ("address", "count"))

_BAUDS = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)


def find_model(name: str):
    """The table's row of this name; case does not matter. ValueError names them all."""
    for model in models():
        if model.name.lower() == name.lower():
            return model
    names = ", ".join([model.name for model in models()])
    raise ValueError("no such meter: %s (known: %s)" % (name, names))


def line_settings(baud: str, parity: str) -> tuple:
    """(baud, parity) that a meter was set to, from text. ValueError says which there are."""
    if baud not in [str(known) for known in _BAUDS]:
        raise ValueError("baud: 1200, 2400, 4800, 9600, 19200, 38400, 57600 or 115200")
    if parity not in ("N", "E", "O"):
        raise ValueError("parity: N, E or O")
    return int(baud), parity


def divide_rounded(number: int, divisor: int) -> int:
    """The quotient rounded to the nearest integer, a half to the even one."""
    whole, rest = divmod(number, divisor)
    return whole + (2 * rest > divisor or (2 * rest == divisor and whole & 1))


def words_reversed(data: bytes) -> bytes:
    """A register's 16-bit words in the opposite order."""
    return b"".join([data[i : i + 2] for i in range(len(data) - 2, -1, -2)])


def decode_register(data: bytes, kind: str, factor: int, divisor: int) -> int | None:
    """A register's value in the reading's unit; None: not available (all ones, the sign bit
    alone, all others but the sign; NaN or infinite). `kind` as in the table."""
    if kind[-1] == "<":
        data = words_reversed(data)
    raw = int.from_bytes(data, "big")
    top = 1 << (8 * len(data) - 1)
    if kind[0] == "f":
        power = raw >> 23 & 255
        if power == 255:
            return None
        number = raw & 0x7FFFFF | (0x800000 if power else 0)
        if raw & top:
            number = -number
        power -= 150  # (a subnormal's is -149; both are far below any unit)
        if power > 0:
            factor <<= power
        else:
            divisor <<= min(-power, 64)  # below 2**-40 all is 0
        raw = number
    elif raw == (2 * top - 1 if kind[0] == "u" else top - 1) or (kind[0] == "s" and raw == top):
        return None
    elif kind[0] == "s" and raw & top:
        raw -= 2 * top
    return divide_rounded(raw * factor, divisor)


class RegisterMap:
    """One model's registers: `model` (its name), `function`, `max_registers`, `baud`, `parity`,
    `mid` (1 = MID-approved), `registers` (by address) and `blocks`, the requests that fetch them
    all."""

    def __init__(self, name: str, baud: int | None = None, parity: str | None = None):
        """`baud` and `parity` where the installer has changed them."""
        model = find_model(name)
        self.model = model.name
        self.function = model.function
        self.max_registers = model.max_registers
        self.baud, self.parity = (baud, parity) if baud and parity else (model.baud, model.parity)
        self.mid = model.mid
        self._energy_step_wh = model.energy_step_wh
        self.registers = []
        for registers in model.lists:
            for field, address, kind, factor, divisor in registers:
                count = int(kind[1])
                self.registers.append(Register(address, count, field, kind, factor, divisor))
        self.registers.sort(key=lambda register: register.address)
        self.plan_blocks(self.max_registers, self.max_registers)

    def has(self, field: str) -> bool:
        """Whether the meter measures this field of a reading."""
        return any(register.field == field for register in self.registers)

    def plan_blocks(self, max_registers: int, max_gap: int) -> None:
        """Groups the registers into requests of at most `max_registers`, over at most `max_gap`
        unused ones. Some meters refuse what others of the same name answer: then less of both."""
        self.blocks = []
        for register in self.registers:
            if self.blocks:
                first, count = self.blocks[-1]
                whole = register.address + register.count - first
                if register.address - first - count <= max_gap and whole <= max_registers:
                    self.blocks[-1] = Block(first, whole)
                    continue
            self.blocks.append(Block(register.address, register.count))

    def energy_step_wh(self, energy: int) -> int:
        """Wh between neighbouring values of the energy register at `energy` (at most)."""
        is_float = any(r.field == "energy" and r.kind == "f2" for r in self.registers)
        return self._energy_step_wh + (energy >> 23 if is_float else 0)

    def decode(self, answers: list) -> dict:
        """The reading out of the answers' bytes, in the order of `blocks`."""
        reading = {}
        at = 0
        block = self.blocks[0]
        for address, count, field, kind, factor, divisor in self.registers:
            while address >= block.address + block.count:
                at += 1
                block = self.blocks[at]
            start = 2 * (address - block.address)
            data = answers[at][start : start + 2 * count]
            number = decode_register(data, kind, factor, divisor)
            # A negative register of energy is none: nothing runs backwards through zero.
            if number is not None and (number >= 0 or field not in ("energy", "reactive")):
                reading[field] = number
        return reading
