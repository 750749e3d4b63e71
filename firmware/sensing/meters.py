"""Meters with Modbus RTU: from a model's registers to a reading (docs/architecture.md).

Integers all the way: the device's float has 24 bits, an energy register has more.
"""

from firmware.base import runtime

_TABLE = "firmware.sensing.meter_table"


def known(name: str) -> str:
    """The model's name as the table spells it; case does not matter. ValueError names them all."""
    names = [row.split()[0] for row in runtime.load(_TABLE).MODELS.strip().split("\n")]
    runtime.drop(_TABLE)
    for row in names:
        if row.lower() == name.lower():
            return row
    raise ValueError("no such meter: %s (known: %s)" % (name, ", ".join(names)))


def line(baud: str, parity: str) -> tuple:
    """(baud, parity) that a meter was set to, from text. ValueError says which there are."""
    if baud not in "1200 2400 4800 9600 19200 38400 57600 115200".split():
        raise ValueError("baud: 1200, 2400, 4800, 9600, 19200, 38400, 57600 or 115200")
    if parity not in ("N", "E", "O"):
        raise ValueError("parity: N, E or O")
    return int(baud), parity


def nearest(number: int, divisor: int) -> int:
    """The quotient rounded to the nearest integer, a half to the even one."""
    whole, rest = divmod(number, divisor)
    return whole + (2 * rest > divisor or (2 * rest == divisor and whole & 1))


def value(data: bytes, kind: str, factor: int, divisor: int) -> int | None:
    """A register's value in the reading's unit; None: not available (all ones, the sign bit
    alone, all others but the sign; NaN or infinite). `kind` as in the table."""
    if kind[-1] == "<":
        data = b"".join([data[i : i + 2] for i in range(len(data) - 2, -1, -2)])
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
    return nearest(raw * factor, divisor)


class Map:
    """One model's registers: `model`, `function`, `most` (registers a read), `baud`, `parity`,
    `mid` (1 = MID-approved), `rows` (address, registers, field, type, factor, divisor) and
    `reads`, the (address, count) of the requests that fetch them all."""

    def __init__(self, name: str, baud: int | None = None, parity: str | None = None):
        self.model = known(name)
        table = runtime.load(_TABLE)
        for row in table.MODELS.split("\n"):
            row = row.split()
            if row and row[0] == self.model:
                break
        self.function, self.most, self.baud = int(row[1]), int(row[2]), int(row[3])
        self.parity, self.mid, self._step = row[4], int(row[5]), int(row[6])
        if baud and parity:  # the installer's
            self.baud, self.parity = baud, parity
        self.rows = []
        kinds = {}  # one string for all rows of a type: each would take 32 bytes
        for line in table.ROWS.strip().split("\n"):
            part, field, address, kind, factor = line.split()
            if part in row[7:]:
                over = int(factor[1:]) if factor[0] == "/" else 1
                factor = 1 if factor[0] == "/" else int(factor)
                kind = kinds.setdefault(kind, kind)
                self.rows.append((int(address, 16), int(kind[1]), field, kind, factor, over))
        self.rows.sort()
        del table
        runtime.drop(_TABLE)
        self.plan(self.most, self.most)

    def plan(self, most: int, gap: int) -> None:
        """Groups the rows into reads of at most `most` registers, over at most `gap` unused
        ones. Some meters refuse what others of the same name answer: then less of both."""
        self.reads = []
        for row in self.rows:
            address, count = row[:2]
            if self.reads:
                first, had = self.reads[-1]
                if address - first - had <= gap and address + count - first <= most:
                    self.reads[-1] = (first, address + count - first)
                    continue
            self.reads.append((address, count))

    def step(self, energy: int) -> int:
        """Wh between neighbouring values of the energy register at `energy` (at most)."""
        floats = any(row[2] == "energy" and row[3] == "f2" for row in self.rows)
        return self._step + (energy >> 23 if floats else 0)

    def decode(self, blocks: list) -> dict:
        """The reading out of the answers' bytes, in the order of `reads`."""
        reading = {}
        at = 0
        for address, count, field, kind, factor, divisor in self.rows:
            while address >= self.reads[at][0] + self.reads[at][1]:
                at += 1
            start = 2 * (address - self.reads[at][0])
            number = value(blocks[at][start : start + 2 * count], kind, factor, divisor)
            # A negative register of energy is none: nothing runs backwards through zero.
            if number is not None and (number >= 0 or field not in ("energy", "reactive")):
                reading[field] = number
        return reading
