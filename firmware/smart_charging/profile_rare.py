"""What the profiles' store needs at start-up, and the console's `profiles`; loaded for them."""

from array import array
from struct import unpack_from

from firmware.base.runtime import const
from firmware.smart_charging.profile_store import HEAD, PURPOSES, ROW

_MOST = const(200)
_ROW = const(32)
# What profiles.py has, which need not be loaded for this.
_PERIOD_SIZE = const(9)
_TX = const(1)
_KIND, _POWER = 3, 4


def load(installed, store):
    """Fills a ProfileStore with what its Store has. TxProfiles are over, and go."""
    slots = _slots(store)
    installed.grow(max(slots) if slots else -1)
    ages = array("I", bytes(4 * _MOST))
    for slot in slots:
        data = store.read(str(slot))
        rest = len(data) - HEAD if data else 0
        if rest < 1 or rest != data[3] * _PERIOD_SIZE or data[0] == _TX:
            store.remove(str(slot))
            continue
        row = unpack_from(ROW, data)
        received, age = unpack_from("<iI", data, _ROW)
        installed.newest = max(installed.newest, received)
        installed.sequence = max(installed.sequence, age)
        # Of two that exclude each other, the older was to be removed when the power failed.
        same = installed.same(row)
        if any(ages[other] > age for other in same):
            store.remove(str(slot))
            continue
        for other in same:
            installed.remove(other)
        installed.place(slot, row)
        ages[slot] = age


def _slots(store):
    """The slots that have a file; what has another name goes."""
    slots = bytearray()
    for name in store.names():
        if name.isdigit() and int(name) < _MOST:
            slots.append(int(name))
        else:
            store.remove(name)
    return slots


def lines(installed):
    """Yields a line for each profile."""
    for slot in installed.orders[0] + installed.orders[1]:
        row = [column[slot] for column in installed.table]
        rank, below, flags, count = row[:4]
        yield "%d %s connector %d level %d %s, %d periods in %s" % (
            installed.identity(slot),
            PURPOSES[min(rank, 2)],
            rank in (1, 2),
            255 - below,
            ("Absolute", "Daily", "Weekly", "Relative")[flags & _KIND],
            count,
            "W" if flags & _POWER else "A",
        )
