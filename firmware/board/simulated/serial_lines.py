"""The other ends of the simulated board's serial lines: a meter that answers Modbus RTU out of a
reading, and a house meter's TIC, facts to frames and frames to bytes in time."""

from firmware.base.runtime import const
from firmware.board.simulated.world import TIC_HISTORIQUE, TIC_OFF
from firmware.sensing.meters import Register, RegisterMap, divide_rounded, words_reversed
from firmware.sensing.modbus import crc, with_crc
from firmware.sensing.tic import BAUD, HISTORIQUE, STANDARD


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


def meter_answer(meter: RegisterMap, unit: int, request: bytes, reading: dict) -> bytes:
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


_GAP_MS = const(25)  # between two frames
_LATE_MS = const(1000)  # a reader that stays away for longer does not get the frames between


def tic_group(mode: int, label: str, *fields) -> bytes:
    """LF, label, fields, checksum, CR; a horodate is the first of two fields."""
    separator = "\t" if mode == STANDARD else " "
    text = separator.join((label,) + fields)
    total = sum((text + separator if mode == STANDARD else text).encode())
    return ("\n%s%s%c\r" % (text, separator, (total & 0x3F) + 0x20)).encode()


def tic_overrun(facts: dict) -> bool:
    """Whether the meter warns: as the facts say, else by the currents."""
    return facts.get("overrun", max(facts["i"]) > facts["subscribed"])


def tic_frame(mode: int, facts: dict, short: bool = False) -> bytes:
    """The pieces of `tic_frame_pieces`, joined."""
    return b"".join(tic_frame_pieces(mode, facts, short))


def tic_frame_pieces(mode: int, facts: dict, short: bool = False) -> list:
    """STX to ETX, group by group: a frame has up to 1 KB, which is hard to find in one piece.
    Facts as `tic.house_facts` gives them: `i` and `v` mA and mV a phase (a current below 0 is fed
    in), `subscribed` mA a phase; optional `energy` Wh, `overrun`, `date` (horodate)."""
    amps = [(abs(i) + 500) // 1000 for i in facts["i"]]
    volts = [u // 1000 for u in facts["v"]]
    powers = [max(i, 0) * u // 1000 for i, u in zip(facts["i"], volts)]
    names = ("1", "2", "3") if len(amps) == 3 else ("1",) if mode == STANDARD else ("",)
    over = tic_overrun(facts)
    rows = [b"\x02"]

    def row(label, form, *values):
        rows.append(tic_group(mode, label, form % values))

    def each(label, form, values):
        for name, number in zip(names, values):
            row(label + name, form, number)

    energy = facts.get("energy", 0)
    if mode == HISTORIQUE:
        limit = facts["subscribed"] // 1000
        if over and len(amps) == 3:
            for name, i in zip(names, amps):
                if short and i >= limit:
                    row("ADIR" + name, "%03d", i)
        row("ADCO", "021861348497")
        if not short:
            row("OPTARIF", "BASE")
            row("ISOUSC", "%02d", limit)
            row("BASE", "%09d", energy)
            row("PTEC", "TH..")
        each("IINST", "%03d", amps)
        if not short:
            if over and len(amps) == 1:
                row("ADPS", "%03d", amps[0])
            each("IMAX", "%03d", [60] * 3)
            if len(amps) == 3:
                row("PMAX", "%05d", 9000)
            row("PAPP", "%05d", (sum(powers) + 5) // 10 * 10)
            row("HHPHC", "A")
            row("MOTDETAT", "000000")
            if len(amps) == 3:
                row("PPOT", "00")
    else:
        kva = facts["subscribed"] * len(amps) // 5000
        row("ADSC", "064468368739")
        row("VTIC", "02")
        rows.append(tic_group(mode, "DATE", facts.get("date", "H230301091834"), ""))
        row("NGTF", "      BASE      ")
        row("LTARF", "      BASE      ")
        row("EAST", "%09d", energy)
        for name, n in (("EASF", 10), ("EASD", 4)):
            for i in range(n):
                row("%s%02d" % (name, i + 1), "%09d", 0 if i else energy)
        each("IRMS", "%03d", amps)
        each("URMS", "%03d", volts)
        row("PREF", "%02d", kva)
        row("PCOUP", "%02d", kva)
        row("SINSTS", "%05d", sum(powers))
        if len(amps) == 3:
            each("SINSTS", "%05d", powers)
        rows.append(tic_group(mode, "SMAXSN", "H230301065253", "01024"))
        row("STGE", "%08X", 0x003A0001 | (0x80 if over else 0))
        row("MSG1", "PAS DE          MESSAGE         ")
        row("PRM", "31051967533895")
        row("NTARF", "01")
        row("PJOURF+1", "00008001" + " NONUTILE" * 10)
    rows.append(b"\x03")
    return rows


class TicPort:
    """The house meter's line: frame after frame at the baud rate of its mode, 10 bits a byte.
    Listening at another rate hears noise."""

    def __init__(self, board, baud):
        self.board = board
        self.baud = baud
        self._mode = TIC_OFF
        self._pieces = []  # of the frame, those that are not read yet
        self._size = 0  # bytes of the frame
        self._read = 0  # bytes of it already read
        self._begun_ms = 0  # when the frame began

    def write(self, data) -> None:
        pass

    def read(self, n: int) -> bytes:
        board = self.board
        mode = board.tic_mode
        if mode == TIC_OFF:
            self._mode = TIC_OFF
            return b""
        now = board.clock.ms()
        lasts_ms = self._size * 10000 // _baud(mode) + _GAP_MS
        if mode != self._mode or now - self._begun_ms >= lasts_ms:
            if self._mode == mode and self._read < self._size:
                return self._take(n, self._size)
            late_ms = now - self._begun_ms - lasts_ms
            on_time = mode == self._mode and late_ms < _LATE_MS
            self._begun_ms = now - late_ms if on_time else now
            self._mode = mode
            self._read = 0
            self._pieces = board.tic_frame()
            self._size = sum([len(piece) for piece in self._pieces])
        return self._take(n, (now - self._begun_ms) * _baud(mode) // 10000)

    def _take(self, n, sent):
        """The next bytes of the frame, of which so many were sent."""
        wanted = min(sent - self._read, n, self._size - self._read)
        part = b""
        while len(part) < wanted:
            piece = self._pieces[0]
            taken = piece[: wanted - len(part)]
            part += taken
            self._pieces[0] = piece[len(taken) :]
            if not self._pieces[0]:
                self._pieces.pop(0)
        self._read += len(part)
        if self.baud != _baud(self._mode):
            part = bytes([(byte * 5 + 0x2F) & 0x7F for byte in part])
        return part


def _baud(mode):
    return BAUD[HISTORIQUE if mode == TIC_HISTORIQUE else STANDARD]
