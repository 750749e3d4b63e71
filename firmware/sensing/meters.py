"""Meters with Modbus RTU: the models that we know, and how their registers become a reading
(docs/architecture.md).

To add a meter, add a row to `models` and, where no list of registers fits, a list above it.
Sources: the makers' register lists (Schneider DOCA0005, Eastron, ABB 2CMC485003, Carlo Gavazzi).

Integers all the way: the device's float has 24 bits, an energy register has more.
"""

from collections import namedtuple

# `function`: Modbus' code that reads its registers (3 or 4); `max_registers` in one request;
# `baud` and `parity` as delivered; `mid`: 1 if MID-approved (0 also where it is sold both ways:
# the installer knows); `energy_step_wh`: what the energy register counts (a float32 in kWh grows
# coarser, see RegisterMap.energy_step_wh); `lists`: of registers. As delivered, its address is 1.
Model = namedtuple(
    "Model",
    (
        "name",
        "function",
        "max_registers",
        "baud",
        "parity",
        "mid",
        "energy_step_wh",
        "lists",
    ),
)

# A register: field of the reading, 0-based address, type (f float32, u unsigned, s signed, with
# its number of 16-bit registers, < for the low word first), and the factor and the divisor that
# make it an integer in the reading's unit.

_IEM = (
    ("i1", 0xBB7, "f2", 1000, 1),
    ("i2", 0xBB9, "f2", 1000, 1),
    ("i3", 0xBBB, "f2", 1000, 1),
    ("v1", 0xBD3, "f2", 1000, 1),
    ("v2", 0xBD5, "f2", 1000, 1),
    ("v3", 0xBD7, "f2", 1000, 1),
    ("p1", 0xBED, "f2", 10000, 1),
    ("p2", 0xBEF, "f2", 10000, 1),
    ("p3", 0xBF1, "f2", 10000, 1),
    ("power", 0xBF3, "f2", 10000, 1),
    ("frequency", 0xC25, "f2", 1000, 1),
    ("energy", 0xC83, "s4", 1, 1),
)
_IEM_REACTIVE = (("reactive", 0xC93, "s4", 1, 1),)

_SDM_ONE_PHASE = (
    ("v1", 0x0, "f2", 1000, 1),
    ("i1", 0x6, "f2", 1000, 1),
    ("power", 0xC, "f2", 10, 1),
    ("frequency", 0x46, "f2", 1000, 1),
    ("energy", 0x48, "f2", 1000, 1),
    ("reactive", 0x4C, "f2", 1000, 1),
)
_SDM_TOTAL = (
    ("power", 0x34, "f2", 10, 1),
    ("energy", 0x48, "f2", 1000, 1),
)
_SDM_THREE_PHASES = (
    ("v1", 0x0, "f2", 1000, 1),
    ("v2", 0x2, "f2", 1000, 1),
    ("v3", 0x4, "f2", 1000, 1),
    ("i1", 0x6, "f2", 1000, 1),
    ("i2", 0x8, "f2", 1000, 1),
    ("i3", 0xA, "f2", 1000, 1),
    ("p1", 0xC, "f2", 10, 1),
    ("p2", 0xE, "f2", 10, 1),
    ("p3", 0x10, "f2", 10, 1),
    ("frequency", 0x46, "f2", 1000, 1),
)
_SDM_REACTIVE = (("reactive", 0x4C, "f2", 1000, 1),)

_B23 = (
    ("energy", 0x5000, "u4", 10, 1),
    ("reactive", 0x500C, "u4", 10, 1),
    ("v1", 0x5B00, "u2", 100, 1),
    ("v2", 0x5B02, "u2", 100, 1),
    ("v3", 0x5B04, "u2", 100, 1),
    ("i1", 0x5B0C, "u2", 10, 1),
    ("i2", 0x5B0E, "u2", 10, 1),
    ("i3", 0x5B10, "u2", 10, 1),
    ("power", 0x5B14, "s2", 1, 10),
    ("p1", 0x5B16, "s2", 1, 10),
    ("p2", 0x5B18, "s2", 1, 10),
    ("p3", 0x5B1A, "s2", 1, 10),
    ("frequency", 0x5B2C, "u1", 10, 1),
)

_EM340 = (
    ("v1", 0x0, "s2<", 100, 1),
    ("v2", 0x2, "s2<", 100, 1),
    ("v3", 0x4, "s2<", 100, 1),
    ("i1", 0xC, "s2<", 1, 1),
    ("i2", 0xE, "s2<", 1, 1),
    ("i3", 0x10, "s2<", 1, 1),
    ("p1", 0x12, "s2<", 1, 1),
    ("p2", 0x14, "s2<", 1, 1),
    ("p3", 0x16, "s2<", 1, 1),
    ("power", 0x28, "s2<", 1, 1),
    ("frequency", 0x33, "s1", 100, 1),
    ("energy", 0x34, "s2<", 100, 1),
    ("reactive", 0x36, "s2<", 100, 1),
)


def models() -> tuple:
    """The rows. They are made when somebody looks one up: a station needs one of them, once."""
    return (
        Model("iEM3150", 3, 125, 19200, "E", 0, 1, (_IEM,)),
        Model("iEM3155", 3, 125, 19200, "E", 1, 1, (_IEM, _IEM_REACTIVE)),
        Model("iEM3250", 3, 125, 19200, "E", 0, 1, (_IEM,)),
        Model("iEM3255", 3, 125, 19200, "E", 1, 1, (_IEM, _IEM_REACTIVE)),
        Model("iEM3350", 3, 125, 19200, "E", 0, 1, (_IEM,)),
        Model("iEM3355", 3, 125, 19200, "E", 1, 1, (_IEM, _IEM_REACTIVE)),
        Model("SDM120", 4, 80, 2400, "N", 0, 1, (_SDM_ONE_PHASE,)),
        Model("SDM72DM", 4, 80, 9600, "N", 0, 1, (_SDM_TOTAL,)),
        Model("SDM72DM-V2", 4, 80, 9600, "N", 0, 1, (_SDM_TOTAL, _SDM_THREE_PHASES)),
        Model("SDM630", 4, 80, 9600, "N", 0, 1, (_SDM_TOTAL, _SDM_THREE_PHASES, _SDM_REACTIVE)),
        Model("B23", 3, 125, 19200, "E", 1, 10, (_B23,)),
        Model("EM340", 4, 50, 9600, "N", 0, 100, (_EM340,)),
    )


# One row of the table's lists of registers; `count`: of its 16-bit registers.
Register = namedtuple("Register", ("address", "count", "field", "kind", "factor", "divisor"))

# The registers that one request reads.
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
    if not raw:
        return 0  # usual: no current, no power
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
            # A negative register of energy is wrong: it can't run backwards through zero.
            if number is not None and (number >= 0 or field not in ("energy", "reactive")):
                reading[field] = number
        return reading
