"""The installed charging profiles: their fields in RAM, their records in flash.

A record (see profile.py) is in flash before its profile counts as installed (errata 3.37), with
two exceptions. To spare the flash, a profile that replaces the one of the same id less than 10 s
after that was written waits in RAM until these 10 s are over; at most four profiles do. TxProfiles
wait too, and are written only to make room, since no transaction outlives a restart. At most 2 KB
wait. A power cut loses the records that wait; then the profiles that they were to replace are
still there.

Each write may cost an erase, which stops the CPU: there is one at a time, and other tasks run in
between.
"""

import asyncio
from array import array

from firmware.base.runtime import const
from firmware.smart_charging import profile
from firmware.smart_charging.profile import ALWAYS, CHARGE_POINT_MAX

MAX_PROFILES = 200  # the key MaxChargingProfilesInstalled
_FIRST_SLOTS = const(20)
_CODES = const("BBBBBiiiiHiiH")  # the type codes of the arrays, in the order of their names below
# A transaction's number is kept modulo this; old TxProfiles are removed soon.
_POSITIONS = const(65536)


def transaction_number(running) -> int:
    """The number of a running Transaction as it is in `ProfileTable.transactions`; -1 for None."""
    return running.position % _POSITIONS if running else -1


class ProfileTable:
    """The fields of each installed `profile.Profile` in RAM: arrays that are indexed by the
    profile's slot, 35 bytes a profile.

    `station_order` has the slots of the ChargePointMaxProfiles, `connector_order` those of all
    others, both in the order in which profiles win: by rank, then the highest stack level.
    `changes` counts how often a profile was placed or removed. `skip_until` is for the evaluation:
    until when it need not look at a profile; ALWAYS for one that was just placed. `written_s` is
    for the store: when a slot was written to flash, 0 for never.
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
            self.written_s,
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
        ranks = self.ranks
        levels = self.levels
        identities = self.identities
        identity = profile.identity
        kept = _kept_identity(identity)
        replaced = []
        for slot in self.slots():
            if levels[slot] == profile.level and ranks[slot] == profile.rank:
                replaced.append(slot)
            elif identities[slot] == kept and self.identity(slot) == identity:
                replaced.append(slot)
        return replaced

    def place(self, slot: int, profile) -> None:
        """Puts a profile into a slot, and the slot where it belongs in its order."""
        self.make_room(slot)
        self.remove(slot)
        identity = _kept_identity(profile.identity)
        if identity != profile.identity:
            self._large_identities[slot] = profile.identity
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
        """Whether the profile in a slot wins over the one in another slot."""
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
        """Makes the arrays long enough for a slot: for the few that most stations have, then for
        all, since each time they grow is a search for large pieces of memory."""
        have = len(self.ranks)
        if slot < have:
            return
        more = (_FIRST_SLOTS if slot < _FIRST_SLOTS else MAX_PROFILES) - have
        zeros = [0] * more
        for code, column in zip(_CODES, self._columns):
            column.extend(array(code, zeros))


def _kept_identity(identity):
    """What `ProfileTable.identities` has of a chargingProfileId: 0 for one beyond 32 bits."""
    return identity if -(1 << 31) <= identity < 1 << 31 else 0


_WAITING_BYTES = const(2048)
_WAITING_REPLACEMENTS = const(4)
# So long after a slot was written it is written again; `maintain` may come a second later, and may
# have to make room first.
_WRITE_APART_MS = const(8000)
_STEP_MS = const(1000)  # between two calls of `maintain`
_REMOVED_AT_ONCE = const(5)  # TxProfiles of transactions that are over
_CLEARED_AT_ONCE = const(10)
# Bytes of flash that are not tidied up: without a transaction, and with one.
_GARBAGE = const(8192)
_GARBAGE_WHILE_CHARGING = const(65536)
_SECONDS = const(65536)  # when a slot was written is kept modulo this


class ProfileStore:
    """Installs, removes and keeps profiles. `table` has their fields; `files` are the
    ProfileFiles from which they are loaded."""

    def __init__(self, files, clock, log):
        self.table = ProfileTable()
        self._files = files
        self._clock = clock
        self.log = log
        self._newest = 0  # when the newest profile was received, s since EPOCH
        self._sequence = 0  # its number in the order of all
        self._waiting = {}  # slot: its record, which is not yet in flash
        self._due_ms = {}  # slot: when to write it
        # Held while a call changes profiles, from its first step to its last: in their order.
        self.changing = asyncio.Lock()
        self._cleaned_for = None  # the number of the transaction whose TxProfiles alone are left
        self._load()

    # at start-up

    def _load(self):
        """Fills the table with what is in flash. TxProfiles are over, and go."""
        sequences = {}
        over = []
        for slot, record in self._files.records():
            if not record or not profile.is_whole(record):
                over.append(slot)
                continue
            fields = profile.unpack_profile(record)
            if fields.rank == profile.TX:
                over.append(slot)
                continue
            received, sequence = profile.receipt(record)
            self._newest = max(self._newest, received)
            self._sequence = max(self._sequence, sequence)
            # Of two that exclude each other, the older was to be removed when the power failed.
            replaced = self.table.replaced_by(fields)
            if any(sequences[other] > sequence for other in replaced):
                over.append(slot)
                continue
            for other in replaced:
                self.table.remove(other)
                over.append(other)
            self.table.place(slot, fields)
            sequences[slot] = sequence
        self._forget(over)

    # what is installed

    def now(self) -> int:
        """The time, s since EPOCH; while nobody knows it, when the newest profile was received."""
        now = self._clock.epoch()
        return self._newest if now is None else now - profile.EPOCH

    def slots(self) -> bytes:
        """The slots in use, in the order in which profiles win."""
        return self.table.slots()

    def record(self, slot: int):
        """A profile's record; None, and the log says so, when it is lost."""
        record = self._waiting.get(slot) or self._files.read(slot)
        if not record and slot in self.slots():  # else it was removed meanwhile
            identity = self.table.identity(slot)
            self.log.error("profile %d is lost: its file is damaged", identity)
        return record

    def listing(self):
        """Yields a line for each profile, in the order in which they win."""
        table = self.table
        for slot in self.slots():
            rank = table.ranks[slot]
            yield "%d %s connector %d level %d %s, %d periods in %s" % (
                table.identity(slot),
                profile.purpose(rank),
                profile.connector(rank),
                table.levels[slot],
                profile.KINDS[table.kinds[slot]],
                table.counts[slot],
                "W" if table.in_watts[slot] else "A",
            )

    # installing and removing

    def has_room(self, record: bytearray) -> bool:
        """Whether there is a slot for it, free or of a profile that it replaces."""
        return self._slot_for(self.table.replaced_by(profile.unpack_profile(record))) is not None

    def _slot_for(self, replaced):
        """Where a profile goes that replaces those in the slots `replaced`; None when all are
        taken."""
        if replaced:
            return replaced[-1]
        taken = bytearray(MAX_PROFILES)
        for slot in self.slots():
            taken[slot] = 1
        free = bytes(taken).find(b"\0")
        return None if free < 0 else free

    async def install(self, record: bytearray) -> bool:
        """Installs a record of `profile.pack_record`. It replaces the profile of the same id, and
        the one of the same purpose, stack level and connector. False, and the log says so: there
        is no room."""
        fields = profile.unpack_profile(record)
        while True:
            await asyncio.sleep(0)  # a write may just have taken its time
            changes = self.table.changes
            replaced = self.table.replaced_by(fields)
            slot = self._slot_for(replaced)
            if slot is None:
                self.log.warning("no room for one more")
                return False
            await asyncio.sleep(0)
            if changes != self.table.changes:
                continue  # others have changed the profiles meanwhile
            pause_ms = 0
            if len(replaced) == 1 and self.table.identity(slot) == fields.identity:
                pause_ms = self._pause_ms(slot)
            waits = pause_ms > 0 or fields.rank == profile.TX
            others = [other for other in self._waiting if other != slot]
            size = len(record) + sum([len(self._waiting[other]) for other in others])
            due = [other for other in self._due_ms if other != slot]
            if not waits:
                if not self._has_moved(slot, record):
                    break
            elif size <= _WAITING_BYTES and len(due) < _WAITING_REPLACEMENTS:
                break
            elif not self._write((due or others)[0]):
                return False
        received = max(self._newest, self.now())
        profile.set_receipt(record, received, self._sequence + 1)
        if not waits and not self._put(slot, record):
            return False
        self._newest = received
        self._sequence += 1
        self.table.place(slot, fields)
        self._cleaned_for = None
        if waits:
            self._waiting[slot] = record
            if fields.rank == profile.TX:
                self._due_ms.pop(slot, None)
                self._forget((slot,))  # or what it replaced would be back after a restart
            elif slot not in self._due_ms:
                self._due_ms[slot] = self._clock.ms() + pause_ms
        if len(replaced) > 1:
            if slot in self._waiting:
                self._write(slot)  # first there is the new one, then no more old one
            self.remove(replaced[0])
        return True

    def remove(self, slot: int) -> None:
        """Removes the profile in a slot."""
        self._remove((slot,))

    def _remove(self, slots):
        for slot in slots:
            self._waiting.pop(slot, None)
            self._due_ms.pop(slot, None)
            self.table.remove(slot)
        self._forget(slots)

    def _forget(self, slots):
        """Takes records out of the flash."""
        try:
            self._files.remove(slots)
        except OSError as why:
            self.log.error("charging profiles may come back after a restart: %s", why)

    async def clear(self, matches) -> bool:
        """Removes the profiles for whose slots `matches(slot)` is true, some at a time. Returns
        whether there was one."""
        removed = False
        await asyncio.sleep(0)
        slots = self.slots()
        while slots:
            left = self.slots()  # others have run in between
            some = [slot for slot in slots[:_CLEARED_AT_ONCE] if slot in left and matches(slot)]
            slots = slots[_CLEARED_AT_ONCE:]
            if some:
                self._remove(some)
                removed = True
            await asyncio.sleep(0)
        return removed

    def maintain(self, running) -> None:
        """To be called about each second: writes a record that has waited long enough or tidies
        the flash, and removes TxProfiles of transactions that are over, some at a time. `running`
        is the running Transaction or None."""
        number = transaction_number(running)
        if number != self._cleaned_for and self._remove_ended(number):
            self._cleaned_for = number
        # Where several are due soon they are written one a step, the last of them in time.
        last_ms = self._clock.ms()
        for due_ms in sorted(self._due_ms.values()):
            if due_ms <= last_ms:
                slot = min(self._due_ms, key=self._due_ms.get)
                if not self._has_moved(slot, self._waiting[slot]):
                    self._write(slot)
                return
            last_ms += _STEP_MS
        try:
            self._files.tidy(_GARBAGE_WHILE_CHARGING if running else _GARBAGE)
        except OSError as why:
            self.log.error("no room to tidy the charging profiles: %s", why)

    def _remove_ended(self, number):
        """Removes TxProfiles of other transactions than this one; returns whether none is left."""
        table = self.table
        ended = []
        for slot in table.connector_order:
            if table.ranks[slot] > profile.TX or len(ended) > _REMOVED_AT_ONCE:
                break
            if table.transactions[slot] != number:
                ended.append(slot)
        self._remove(ended[:_REMOVED_AT_ONCE])
        return len(ended) <= _REMOVED_AT_ONCE

    # writing

    def flush(self) -> None:
        """Writes all that waits for its time: before an orderly restart."""
        for slot in list(self._due_ms):
            if not self._write(slot):
                break

    def _write(self, slot):
        """Writes a record that waits. False: the flash did not take it; it goes on waiting."""
        if self._put(slot, self._waiting[slot]):
            return True
        self._due_ms[slot] = self._clock.ms() + _WRITE_APART_MS
        return False

    def _put(self, slot, record):
        """Writes a record; False, and the log says so: the flash does not take it."""
        self.table.make_room(slot)
        try:
            self._files.write(slot, record)
        except OSError as why:
            self.log.error("the flash does not take a charging profile: %s", why)
            return False
        self.table.written_s[slot] = self._now_s()
        self._waiting.pop(slot, None)
        self._due_ms.pop(slot, None)
        return True

    def _has_moved(self, slot, record):
        """Makes room for a record, where that takes a step of its own; whether it did."""
        try:
            return self._files.make_room(slot, len(record))
        except OSError:
            return False  # the write will tell

    def _pause_ms(self, slot):
        """How long a new record waits for being written; 0: it does not."""
        if not self.table.written_s[slot]:
            return 0
        age_ms = (self._now_s() - self.table.written_s[slot]) % _SECONDS * 1000
        return max(0, _WRITE_APART_MS - age_ms)

    def _now_s(self):
        return max(1, self._clock.ms() // 1000 % _SECONDS)
