"""The installed charging profiles: their fields in RAM, their records in flash.

A record (see profile.py) is a value of the Store, named by its slot. The newest records wait in
RAM, 2 KB at most, so that one replaced soon after it came costs no write of its own: a slot is
written 5 s after its profile came, and a minute after it was last written at the earliest. Each
write may cost an erase, which stops the CPU: there is one at a time, and others run in between. A
power cut loses what waits; the profile that it was to replace is there then. TxProfiles are only
written to make room, since no transaction outlives a restart.
"""

import asyncio
from array import array

from firmware.smart_charging import profile
from firmware.smart_charging.table import MAX_PROFILES, ProfileTable, transaction_number

_WAITING_BYTES = 2048
_WRITE_AFTER_MS = 5000
_WRITE_APART_MS = 60000
_REMOVED_AT_ONCE = 5  # TxProfiles of transactions that are over
_SECONDS = 65536  # when a slot was written is kept modulo this


class ProfileStore:
    """Installs, removes and keeps profiles. `table` has their fields; `values` is a Store of its
    own, from which they are loaded."""

    def __init__(self, values, clock, log):
        self.table = ProfileTable()
        self._values = values
        self._clock = clock
        self.log = log
        self._newest = 0  # when the newest profile was received, s since EPOCH
        self._sequence = 0  # its number in the order of all
        self._waiting = {}  # slot: its record, which is not yet in flash
        self._due_ms = {}  # slot: when to write it
        self._written_s = array("H", [0] * MAX_PROFILES)  # when a slot was, modulo; 0: not yet
        self._cleaned_for = None  # the number of the transaction whose TxProfiles alone are left
        self._load()

    # at start-up

    def _load(self):
        """Fills the table with what is in flash. TxProfiles are over, and go."""
        sequences = {}
        for slot in self._slots_in_flash():
            record = self._values.read(str(slot)) or b""
            fields = profile.unpack_profile(record) if profile.is_whole(record) else None
            if fields is None or fields.rank == profile.TX:
                self._values.remove(str(slot))
                continue
            received, sequence = profile.receipt(record)
            self._newest = max(self._newest, received)
            self._sequence = max(self._sequence, sequence)
            # Of two that exclude each other, the older was to be removed when the power failed.
            replaced = self.table.replaced_by(fields)
            if any(sequences[other] > sequence for other in replaced):
                self._values.remove(str(slot))
                continue
            for other in replaced:
                self.remove(other)
            self.table.place(slot, fields)
            sequences[slot] = sequence

    def _slots_in_flash(self):
        """The slots that have a value; what has another name is removed."""
        slots = bytearray()
        for name in self._values.names():
            if name.isdigit() and int(name) < MAX_PROFILES:
                slots.append(int(name))
            else:
                self._values.remove(name)
        return slots

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
        record = self._waiting.get(slot) or self._values.read(str(slot))
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
        used = self.slots()
        slot = 0
        while slot in used:
            slot += 1
        return slot if slot < MAX_PROFILES else None

    async def install(self, record: bytearray) -> bool:
        """Installs a record of `profile.pack_record`. It replaces the profile of the same id, and
        the one of the same purpose, stack level and connector. False, and the log says so: there
        is no room."""
        fields = profile.unpack_profile(record)
        while True:
            await asyncio.sleep(0)  # a write may just have taken its time
            replaced = self.table.replaced_by(fields)
            slot = self._slot_for(replaced)
            others = [other for other in self._waiting if other != slot]
            size = len(record) + sum([len(self._waiting[other]) for other in others])
            if slot is not None and size <= _WAITING_BYTES:
                break
            if slot is None or not self._write(others[0]):
                self.log.warning("no room for one more")
                return False
        self._sequence += 1
        self._newest = max(self._newest, self.now())
        profile.set_receipt(record, self._newest, self._sequence)
        self.table.place(slot, fields)
        self._cleaned_for = None
        self._waiting[slot] = record
        if fields.rank == profile.TX:
            self._due_ms.pop(slot, None)
            self._values.remove(str(slot))  # or what it replaced would be back after a restart
        elif slot not in self._due_ms:
            self._due_ms[slot] = self._clock.ms() + self._pause_ms(slot)
        if len(replaced) > 1:
            self._write(slot)  # first there is the new one, then no more old one
            self.remove(replaced[0])
        return True

    def remove(self, slot: int) -> None:
        """Removes the profile in a slot."""
        self._waiting.pop(slot, None)
        self._due_ms.pop(slot, None)
        self.table.remove(slot)
        self._values.remove(str(slot))

    async def clear(self, matches) -> bool:
        """Removes the profiles for whose slots `matches(slot)` is true, one at a time. Returns
        whether there was one."""
        removed = False
        await asyncio.sleep(0)
        for slot in self.slots():
            if slot in self.slots() and matches(slot):  # others run in between
                self.remove(slot)
                removed = True
                await asyncio.sleep(0)
        return removed

    def maintain(self, running) -> None:
        """To be called about each second: writes a record that has waited long enough, and removes
        TxProfiles of transactions that are over, some at a time. `running` is the running
        Transaction or None."""
        number = transaction_number(running)
        if number != self._cleaned_for and self._remove_ended(number):
            self._cleaned_for = number
        now = self._clock.ms()
        for slot in self._due_ms:
            if self._due_ms[slot] <= now:
                self._write(slot)
                break

    def _remove_ended(self, number):
        """Removes TxProfiles of other transactions than this one; returns whether none is left."""
        table = self.table
        left = _REMOVED_AT_ONCE
        for slot in table.connector_order:
            if table.ranks[slot] > profile.TX:
                break
            if table.transactions[slot] != number:
                if not left:
                    return False
                self.remove(slot)
                left -= 1
        return True

    # writing

    def flush(self) -> None:
        """Writes all that waits for its time: before an orderly restart."""
        for slot in list(self._due_ms):
            if not self._write(slot):
                break

    def _write(self, slot):
        """False: the flash did not take it; it goes on waiting."""
        try:
            self._values.write(str(slot), self._waiting[slot])
        except OSError as why:
            self.log.error("the flash does not take a charging profile: %s", why)
            self._due_ms[slot] = self._clock.ms() + _WRITE_APART_MS
            return False
        self._written_s[slot] = self._now_s()
        self._waiting.pop(slot)
        self._due_ms.pop(slot, None)
        return True

    def _pause_ms(self, slot):
        """How long a new record waits for being written."""
        if not self._written_s[slot]:
            return _WRITE_AFTER_MS
        age_ms = (self._now_s() - self._written_s[slot]) % _SECONDS * 1000
        return max(_WRITE_AFTER_MS, _WRITE_APART_MS - age_ms)

    def _now_s(self):
        return max(1, self._clock.ms() // 1000 % _SECONDS)
