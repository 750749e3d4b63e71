"""The installed charging profiles: 32 bytes each in RAM, all told, the periods in flash.

A value of the store, named by its slot: ROW, when it was received, a sequence number, the periods.
The newest profiles wait in RAM, 2 KB at most, so that one replaced soon after it came costs no
write of its own: a slot is written 5 s after its profile came, and a minute after it was last
written at the earliest. Each write may cost an erase, which stops the CPU: one at a time, and
others run in between. A power cut loses what waits; the profile that it was to replace is there
then. TxProfiles are only written to make room: no transaction outlives a restart.
"""

import asyncio
from array import array
from struct import pack_into, unpack_from

from firmware.base import runtime
from firmware.base.runtime import const

ROW = "<BBBBiiiiiq"  # see charging/profiles.py
_COLUMNS = "BBBBiiiiHi"  # the same in RAM, see `place`
HEAD = 40  # bytes of a record before its periods: ROW (32), received (i), sequence (I)
NUMBER_AT = 20  # of the transaction's number in a record
# By rank (charging/profiles.py), but that DEFAULT is a TxDefaultProfile, too.
PURPOSES = ("ChargePointMaxProfile", "TxProfile", "TxDefaultProfile")
_MOST = const(200)
_ROW = const(32)
_WAITING = const(2048)
_SOON_MS = const(5000)
_APART_MS = const(60000)
_GROWTH = const(20)  # slots, at first
_NUMBER = const(65535)  # so much of a transaction's: profiles of one that is over go soon
_GONE = const(5)  # profiles that a step removes
# What profiles.py has, which is not there while nothing calls for it.
_NEVER = const(1073741823)
_ALWAYS = const(-1073741824)
_EPOCH = const(1735689600)
_TX = const(1)


def number_of(running) -> int:
    """The number of a running Transaction as it is in the table; -1 for None."""
    return running.position & _NUMBER if running else -1


class ProfileStore:
    """`store`: a Store of its own. `table`: the columns, indexed by slot; `orders`: the slots of
    the ChargePointMaxProfiles and of the others, as they win."""

    def __init__(self, store, clock, log):
        self.values = store
        self.clock = clock
        self.log = log
        self.table = tuple(array(code) for code in _COLUMNS)
        self._large = {}  # slot: an id beyond 32 bits
        self.orders = (b"", b"")
        self.wake = array("i")  # for `profiles.limits`, as of `looked`
        self.looked = 0
        self.looked_for = None  # which transaction
        self.found = None  # what `limit` was asked and found, see profile_limit.find
        self.waiting = {}  # slot: record
        self._due = {}  # slot: when to write it, ms; of those that wait
        self._written = array("H")  # when a slot was written, s modulo 65536; 0: not yet
        self.sequence = 0
        self.newest = 0  # when the newest was received
        self._served = None  # the transaction for which TxProfiles may be there
        runtime.once("firmware.smart_charging.profile_rare", "load", self, store)

    def slots(self) -> bytes:
        """The slots in use, in the order in which profiles win."""
        return self.orders[0] + self.orders[1]

    def same(self, row):
        """The slots of what a row replaces: the same id; the same purpose, level and connector."""
        ranks, below = self.table[:2]
        rank, level, identity = row[0], row[1], row[9]
        same = []
        for slot in self.slots():
            if self.identity(slot) == identity or (below[slot] == level and ranks[slot] == rank):
                same.append(slot)
        return same

    def grow(self, slot):
        """Makes room in the table up to a slot, each time twice as much: each growing may tear
        holes into the heap."""
        have = len(self.wake)
        more = _GROWTH
        while more <= slot:
            more *= 2
        more = min(more, _MOST) - have
        if more > 0:
            for code, column in zip(_COLUMNS + "iH", self.table + (self.wake, self._written)):
                column.extend(array(code, [0] * more))

    def place(self, slot, row):
        """Puts a row into the table, and the slot where it belongs in its order."""
        self.grow(slot)
        self._leave(slot)
        identity = row[9]
        if not -(1 << 31) <= identity < 1 << 31:
            self._large[slot] = identity
            identity = 0
        values = row[:8] + (row[8] & _NUMBER, identity, _ALWAYS)
        for column, value in zip(self.table + (self.wake,), values):
            column[slot] = value
        ranks, below = self.table[:2]
        orders = list(self.orders)
        which = 1 if row[0] else 0
        order = orders[which]
        low = 0
        high = len(order)
        while low < high:
            middle = (low + high) // 2
            if (ranks[order[middle]], below[order[middle]]) < row[:2]:
                low = middle + 1
            else:
                high = middle
        orders[which] = order[:low] + bytes([slot]) + order[low:]
        self.orders = tuple(orders)
        self._served = None

    def identity(self, slot: int) -> int:
        """The chargingProfileId of a slot that is in use."""
        return self._large.get(slot, self.table[9][slot])

    def _leave(self, slot):
        self._large.pop(slot, None)
        gone = bytes([slot])
        self.orders = tuple(order.replace(gone, b"") for order in self.orders)
        self.found = None

    def _wait(self, slot, record):
        """Puts a record among those that wait for flash, or takes it out."""
        self.waiting.pop(slot, None)
        if record is None:
            self._due.pop(slot, None)
            return
        self.waiting[slot] = record
        if slot not in self._due:
            pause = _SOON_MS
            if self._written[slot]:
                age = (self._second() - self._written[slot]) % 65536 * 1000
                pause = max(pause, _APART_MS - age)
            self._due[slot] = self.clock.ms() + pause

    def _second(self):
        return max(1, self.clock.ms() // 1000 % 65536)

    def _slot(self, same):
        """Where a profile goes that replaces those of `same`; _MOST when all are taken."""
        slot = same[-1] if same else 0
        if not same:
            used = self.slots()
            while slot in used:
                slot += 1
        return slot

    def has_room(self, record: bytearray) -> bool:
        """Whether there is a slot for it, free or of a profile that it replaces."""
        return self._slot(self.same(unpack_from(ROW, record))) < _MOST

    async def install(self, record: bytearray) -> bool:
        """Installs a record: HEAD bytes, of which `install` fills those after the row, and
        periods. Replaces the profile of the same id, and the one of the same purpose, stack level
        and connector. False, and the log says so: there is no room."""
        row = unpack_from(ROW, record)
        while True:
            await asyncio.sleep(0)  # loading this took its time, as a write does
            same = self.same(row)
            slot = self._slot(same)
            others = [other for other in self.waiting if other != slot]
            size = sum([len(self.waiting[other]) for other in others])
            if slot < _MOST and size + len(record) <= _WAITING:
                break
            if slot >= _MOST or not self._write(others[0]):
                self.log.warning("no room for one more")
                return False
        self.sequence += 1
        now = self.clock.epoch()
        self.newest = max(self.newest, 0 if now is None else now - _EPOCH)
        pack_into("<iI", record, _ROW, self.newest, self.sequence)
        self.place(slot, row)
        self._wait(slot, record)
        if row[0] == _TX:
            self._due.pop(slot)
            self.values.remove(str(slot))  # or what it replaced would be back after a restart
        if len(same) > 1:
            self._write(slot)  # first there is the new one, then no more old one
            self.remove(same[0])
        return True

    def remove(self, slot: int) -> None:
        """Removes the profile in a slot."""
        self._wait(slot, None)
        self._leave(slot)
        self.values.remove(str(slot))

    async def clear(self, fits) -> bool:
        """Removes the profiles for whose slots `fits(slot)` says so, one at a time. Whether there
        was one."""
        some = False
        await asyncio.sleep(0)
        for slot in self.slots():
            if fits(slot) and slot in self.slots():  # others ran meanwhile
                self.remove(slot)
                some = True
                await asyncio.sleep(0)
        return some

    def step(self, running) -> None:
        """To be called about each second: writes one that has waited long enough, and removes the
        TxProfiles of transactions that are over, some at a time. `running`: the running
        Transaction or None."""
        number = number_of(running)
        if number != self._served and self._over(number):
            self._served = number
        if self._due:
            now = self.clock.ms()
            for slot in self._due:
                if self._due[slot] <= now:
                    self._write(slot)
                    break

    def _over(self, number):
        """Removes TxProfiles of other transactions than this one; whether no more are left."""
        left = _GONE
        for slot in self.orders[1]:
            if self.table[0][slot] > _TX:
                break
            if self.table[8][slot] != number:
                if not left:
                    return False
                self.remove(slot)
                left -= 1
        return True

    def flush(self) -> None:
        """Writes all that waits: before an orderly restart."""
        for slot in list(self._due):
            if not self._write(slot):
                break

    def _write(self, slot):
        """False: the flash did not take it; it goes on waiting."""
        try:
            self.values.write(str(slot), self.waiting[slot])
        except OSError as why:
            self.log.error("the flash does not take a charging profile: %s", why)
            self._due[slot] = self.clock.ms() + _APART_MS
            return False
        self._written[slot] = self._second()
        self._wait(slot, None)
        return True

    def known(self, running, phases: int, top: int):
        """What `limit` found, None when it has to look again. While nobody knows what time it is,
        a transaction's profiles are looked at each time."""
        if not self.orders[0] and not self.orders[1]:
            return top, _NEVER, 3, None
        now = self.clock.epoch() or 0
        began = self.clock.epoch_at(running.started_ms) if running else 0
        found = self.found
        if found and found[0] == (running, began, phases, top) and found[1] <= now < found[2]:
            return found[3]
        return None

    def limit(self, running, phases: int, top: int) -> tuple:
        """(mA on each phase, W limit in 0.1 W or profiles.NEVER, phases wished, Unix time when
        this changes by itself or None). `top`: the station's own maximum, mA."""
        known = self.known(running, phases, top)
        name = "firmware.smart_charging.profile_limit"
        return known or runtime.once(name, "find", self, running, phases, top)

    def listing(self):
        """Yields a line for each profile, as they win."""
        yield from runtime.load("firmware.smart_charging.profile_rare").lines(self)
        runtime.drop("firmware.smart_charging.profile_rare")
