"""The guide's measurands (page 14): what each is called on the wire, and its readings packed.

A set of measurands is a bit mask, bit n for row n of the table. A reading (see the architecture's
"Meter reading") with the offered current packs into some 45 bytes for all seven on three phases.

Energy, frequency and Current.Offered are sent once; power as total and, where the meter has more
than one phase, for L1 to L3; current for L1 to L3, voltage for L1-N to L3-N. On one phase these
are the station's own L1 (docs/guide-notes.md). A frequency has no unit (OCPP 7.31).
"""

from collections import namedtuple

from firmware.base.journal import pack_ints, unpack_ints
from firmware.base.runtime import const

# `decimals`: how many the integers of a reading hold, in `unit` ("" for none); `values`: what to
# send, as pairs of the reading's field and the phase.
Measurand = namedtuple("Measurand", ("name", "unit", "decimals", "values"))

# Masks of it are in the journal: only ever append.
TABLE = (
    Measurand("Current.Import", "A", 3, (("i1", "L1"), ("i2", "L2"), ("i3", "L3"))),
    Measurand("Current.Offered", "A", 3, (("offered", ""),)),
    Measurand("Energy.Active.Import.Register", "Wh", 0, (("energy", ""),)),
    Measurand("Energy.Reactive.Import.Register", "varh", 0, (("reactive", ""),)),
    Measurand("Frequency", "", 3, (("frequency", ""),)),
    Measurand(
        "Power.Active.Import", "kW", 4, (("power", ""), ("p1", "L1"), ("p2", "L2"), ("p3", "L3"))
    ),
    Measurand("Voltage", "V", 3, (("v1", "L1-N"), ("v2", "L2-N"), ("v3", "L3-N"))),
)

# Indices into it are in the journal: only ever append.
CONTEXTS = (
    "Sample.Periodic",
    "Sample.Clock",
    "Trigger",
    "Transaction.Begin",
    "Transaction.End",
    "Other",
    "Interruption.Begin",
    "Interruption.End",
)

_ENERGY_BIT = const(16)  # of the energy register among the packed values
ENERGY = 4  # the mask of Energy.Active.Import.Register
ALL = 127


def _find(text):
    """The indices into the table of a list of measurands, each once, in the list's order."""
    names = [measurand.name for measurand in TABLE]
    found = []
    for item in text.replace(";", ",").split(","):
        name = "".join(item.split())
        if name and name not in names:
            name += ".Register"  # as the guide prints the two energies
            if name not in names:
                known = ", ".join([measurand.name for measurand in TABLE])
                raise ValueError("unknown measurand %s, not %s" % (item.strip()[:50], known))
        if name and names.index(name) not in found:
            found.append(names.index(name))
    return found


def normalize(text: str) -> str:
    """A list of measurands as it is stored and reported: the standard's names, commas. Stray
    blanks, semicolons and doubles go. Raises ValueError for an unknown one (OCPP 3.16.4)."""
    return ",".join([TABLE[number].name for number in _find(text)])


def parse(text: str) -> int:
    """The mask of a list of measurands; 0 for an empty one. Raises ValueError as `normalize`."""
    return sum([1 << number for number in _find(text)])


def _fields(mask):
    """(bit, field, phase, measurand) of each value that a mask asks for."""
    bit = 1
    for number, measurand in enumerate(TABLE):
        if mask >> number & 1:
            for field, phase in measurand.values:
                yield bit, field, phase, measurand
                bit <<= 1
        else:
            bit <<= len(measurand.values)


def pack(reading: dict, offered_ma: int | None, mask: int) -> bytes:
    """The asked values of a reading that are there; empty if none is."""
    present = 0
    values = []
    for bit, field, _, _ in _fields(mask):
        value = offered_ma if field == "offered" else reading.get(field)
        if value is not None:
            present |= bit
            values.append(value)
    return pack_ints(present, *values) if present else b""


def is_measured(reading: dict, offered_ma: int | None, mask: int) -> bool:
    """Whether any of the asked values is there."""
    for _, field, _, _ in _fields(mask):
        if field in reading or (field == "offered" and offered_ma is not None):
            return True
    return False


def _values(data, at):
    """{bit: value} of packed values."""
    if at >= len(data):
        return {}
    (present,), at = unpack_ints(data, 1, at)
    values = {}
    bit = 1
    while bit <= present:
        if present & bit:
            (values[bit],), at = unpack_ints(data, 1, at)
        bit <<= 1
    return values


def energy(data: bytes, at: int = 0) -> int | None:
    """The packed Energy.Active.Import.Register, Wh."""
    if at >= len(data):
        return None
    (present,), at = unpack_ints(data, 1, at)
    if not present & _ENERGY_BIT:
        return None
    while present & -present != _ENERGY_BIT:  # the values before it
        present &= present - 1
        _, at = unpack_ints(data, 1, at)
    return unpack_ints(data, 1, at)[0][0]


def unpack(data: bytes, mask: int, context: str, at: int = 0) -> list:
    """SampledValues (OCPP 7.43) of the packed values, from `at` on, that the mask asks for."""
    values = _values(data, at)
    on_phases = {  # the measurands that are there for more phases than one
        measurand.name
        for bit, _, phase, measurand in _fields(mask)
        if bit in values and phase[:2] > "L1"
    }
    sampled = []
    sent = None
    for bit, _, phase, measurand in _fields(mask):
        if bit not in values:
            continue  # not measured
        has_total = not measurand.values[0][1]
        by_phase = phase and (not has_total or measurand.name in on_phases)
        if phase and not by_phase and measurand.name == sent:
            continue  # the one phase's power, which the total has told
        sent = measurand.name
        item = {
            "value": decimal(values[bit], measurand.decimals),
            "context": context,
            "format": "Raw",
            "measurand": measurand.name,
            "location": "Outlet",
        }
        if measurand.unit:
            item["unit"] = measurand.unit
        if by_phase:
            item["phase"] = phase
        sampled.append(item)
    return sampled


def decimal(value: int, places: int) -> str:
    """`value` / 10**places as exact text without needless zeros: 73450 and 4 give 7.345."""
    if not places:
        return str(value)
    digits = str(abs(value))
    while len(digits) <= places:
        digits = "0" + digits
    text = (digits[:-places] + "." + digits[-places:]).rstrip("0").rstrip(".")
    return "-" + text if value < 0 else text
