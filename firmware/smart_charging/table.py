"""The fields of all installed charging profiles in RAM: 32 bytes for each."""

from array import array

from firmware.smart_charging.profile import ALWAYS, CHARGE_POINT_MAX

MAX_PROFILES = 200  # the key MaxChargingProfilesInstalled
_FIRST_SLOTS = 20
_CODES = "BBBBBiiiiHii"  # of the arrays, in the order in which they are named below
_POSITIONS = 65536  # a transaction's number is kept modulo this: old profiles are removed soon


def transaction_number(running) -> int:
    """The number of a running Transaction as it is in `ProfileTable.transactions`; -1 for None."""
    return running.position % _POSITIONS if running else -1


class ProfileTable:
    """The fields of `profile.Profile`, each of them an array indexed by the profile's slot.

    `station_order` has the slots of the ChargePointMaxProfiles, `connector_order` those of all
    others, both in the order in which profiles win: by rank, then the highest stack level.
    `changes` counts what was placed and removed. `skip_until` belongs to the evaluation: until
    when a profile need not be looked at, ALWAYS for one that was just placed.
    """

    def __init__(self):
        self._columns = tuple([array(code) for code in _CODES])
        (
            self.ranks,
            self.levels,
            self.kinds,
            self.in_watts,
            self.counts,
            self.valid_from,
            self.valid_to,
            self.starts,
            self.durations,
            self.transactions,
            self.identities,
            self.skip_until,
        ) = self._columns
        self._large_identities = {}  # slot: a chargingProfileId beyond 32 bits
        self.station_order = b""
        self.connector_order = b""
        self.changes = 0

    def slots(self) -> bytes:
        """The slots in use, in the order in which profiles win."""
        return self.station_order + self.connector_order

    def is_empty(self) -> bool:
        """Whether no profile is installed."""
        return not self.station_order and not self.connector_order

    def identity(self, slot: int) -> int:
        """The chargingProfileId of a slot that is in use."""
        return self._large_identities.get(slot, self.identities[slot])

    def replaced_by(self, profile) -> list:
        """The slots whose profiles a new one replaces: the one with its id, and the one with its
        purpose, connector and stack level (OCPP 5.16, 3.13.2)."""
        replaced = []
        for slot in self.slots():
            if self.identity(slot) == profile.identity or (
                self.levels[slot] == profile.level and self.ranks[slot] == profile.rank
            ):
                replaced.append(slot)
        return replaced

    def place(self, slot: int, profile) -> None:
        """Puts a profile into a slot, and the slot where it belongs in its order."""
        self.make_room(slot)
        self.remove(slot)
        identity = profile.identity
        if not -(1 << 31) <= identity < 1 << 31:
            self._large_identities[slot] = identity
            identity = 0
        self.ranks[slot] = profile.rank
        self.levels[slot] = profile.level
        self.kinds[slot] = profile.kind
        self.in_watts[slot] = profile.in_watts
        self.counts[slot] = profile.count
        self.valid_from[slot] = profile.valid_from
        self.valid_to[slot] = profile.valid_to
        self.starts[slot] = profile.start
        self.durations[slot] = profile.duration
        self.transactions[slot] = profile.transaction % _POSITIONS
        self.identities[slot] = identity
        self.skip_until[slot] = ALWAYS
        if profile.rank == CHARGE_POINT_MAX:
            self.station_order = self._inserted(self.station_order, slot)
        else:
            self.connector_order = self._inserted(self.connector_order, slot)

    def _inserted(self, order, slot):
        """An order with one slot more."""
        low = 0
        high = len(order)
        while low < high:
            middle = (low + high) // 2
            if self._wins(order[middle], slot):
                low = middle + 1
            else:
                high = middle
        return order[:low] + bytes([slot]) + order[low:]

    def _wins(self, slot, other):
        """Whether the profile in a slot comes before another one."""
        ranks = self.ranks
        if ranks[slot] == ranks[other]:
            return self.levels[slot] > self.levels[other]
        return ranks[slot] < ranks[other]

    def remove(self, slot: int) -> None:
        """Empties a slot."""
        self.changes += 1
        self._large_identities.pop(slot, None)
        removed = bytes([slot])
        self.station_order = self.station_order.replace(removed, b"")
        self.connector_order = self.connector_order.replace(removed, b"")

    def make_room(self, slot: int) -> None:
        """Makes the arrays long enough for a slot: each time twice as long, up to the most."""
        have = len(self.ranks)
        want = _FIRST_SLOTS
        while want <= slot:
            want *= 2
        more = min(want, MAX_PROFILES) - have
        if more <= 0:
            return
        for code, column in zip(_CODES, self._columns):
            column.extend(array(code, [0] * more))
