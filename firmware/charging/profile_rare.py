"""What the profiles' store needs at start-up, and the console's `profiles`; loaded for them."""

from array import array
from struct import unpack_from

from firmware.base.runtime import const
from firmware.charging import profiles
from firmware.charging.profile_store import HEAD, ROW
from firmware.charging.profiles import PERIOD_SIZE, TX

_MOST = const(200)
_ROW = const(32)


def load(installed, store):
    """Fills a ProfileStore with what its Store has. TxProfiles are over, and go."""
    names = store.names()
    installed.grow(min(len(names), _MOST) - 1)
    ages = array("I", bytes(4 * _MOST))
    for name in names:
        data = store.read(name) if name.isdigit() else None
        rest = len(data) - HEAD if data else 0
        if rest < 1 or rest != data[3] * PERIOD_SIZE or data[0] == TX or int(name) >= _MOST:
            store.remove(name)
            continue
        slot = int(name)
        row = unpack_from(ROW, data)
        received, age = unpack_from("<iI", data, _ROW)
        installed.newest = max(installed.newest, received)
        installed.sequence = max(installed.sequence, age)
        # Of two that exclude each other, the older was to be removed when the power failed.
        same = installed.same(row)
        if any(ages[other] > age for other in same):
            store.remove(name)
            continue
        for other in same:
            installed.remove(other)
        installed.place(slot, row)
        ages[slot] = age


def lines(installed):
    """Yields a line for each profile."""
    for slot in installed.orders[0] + installed.orders[1]:
        row = [column[slot] for column in installed.table]
        rank, below, flags, count, _, _, _, _, _, identity = row
        yield "%d %s connector %d level %d %s, %d periods in %s" % (
            identity,
            profiles.PURPOSES[min(rank, 2)],
            rank in (1, 2),
            255 - below,
            ("Absolute", "Daily", "Weekly", "Relative")[flags & profiles.KIND],
            count,
            "W" if flags & profiles.POWER else "A",
        )
