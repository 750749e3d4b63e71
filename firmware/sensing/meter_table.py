"""The meters that we know, and their registers (see meters.py).

To add a meter is to add a row to `models` and, where no list of registers fits, a list above it.

Sources: the makers' register lists (Schneider DOCA0005, Eastron, ABB 2CMC485003, Carlo Gavazzi).
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
