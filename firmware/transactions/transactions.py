"""Records transactions in the journal (OCPP 3.5, 4.8, 4.10).

The journal in flash is the truth. Events (records.py) are written there before anybody hears of
them, and the messages to the central system are built from them (outbox.py, messages.py). Records
that nobody needs any more are removed (retention.py). The time of an event may become known only
later (event_times.py).
"""

import asyncio

from firmware.base.journal import pack_ints, unpack_ints
from firmware.base.runtime import const
from firmware.metering import measurands
from firmware.transactions.event_times import EventTimes
from firmware.transactions.outbox import Outbox
from firmware.transactions.records import Stamp, StartRecord, StopRecord, ValuesRecord
from firmware.transactions.replay import Replay
from firmware.transactions.transaction import Transaction

_ENOSPC = const(28)
_PROGRESS = "progress"  # in the store: the register between two records


class Transactions:
    """`running`: the transaction or None. `interrupted`: the one that a power cut or restart left
    open; `recover` closes it. `outbox`: what central systems are owed because of them;
    `retention`: which makes room.
    `is_replayed`: whether the journal has been read, see `replay`. `build`: Unix seconds before
    which no clock is believed."""

    alive = False  # for the station's supervisor, while the journal is read

    def __init__(self, journal, store, clock, log, build: int = 0):
        self.journal = journal
        self.store = store
        self._log = log
        self.event_times = EventTimes(journal, clock, log, build)
        self.outbox = Outbox(journal, self.event_times, clock, log)
        self.retention = self.outbox.retention
        self.running = None
        self.interrupted = None
        self.is_replayed = False
        self._replay = None

    # after a restart

    async def replay(self) -> None:
        """Brings what is held in RAM to where the journal is; nothing else but `outbox.configure`
        and `outbox.set_endpoint` may be called before this has returned. Others have their turns.
        It may be called again where it has failed."""
        self._replay = replay = Replay(self.journal, self.event_times)
        for _ in replay.steps():
            self.alive = True
            await asyncio.sleep(0)
        self.event_times.begin_boot()
        self.interrupted = replay.open
        if self.interrupted:
            self._replay_progress(self.interrupted)
        self.outbox.replayed(replay)
        self._replay = None
        self.is_replayed = True

    def replay_percent(self) -> int:
        """How much of the journal is read."""
        if self.is_replayed:
            return 100
        return self._replay.percent() if self._replay else 0

    def _replay_progress(self, transaction):
        """The register may have been written to the store after the last record."""
        progress = self.store.read(_PROGRESS)
        if progress:
            (position, boot, seconds, energy), _ = unpack_ints(progress, 4)
            last = transaction.stamp
            is_later = (boot == 0, seconds) >= (last.boot == 0, last.seconds)
            if position == transaction.position and is_later:
                transaction.add_register(energy, Stamp(boot, seconds), None)

    def recover(self, reason: str, energy: int = -1, reach: int = 400) -> bool:
        """Closes the transaction that was left open, if one was: with the register read after the
        boot (`energy`, Wh; -1: the meter did not answer in time) if that is not below the last
        record nor more than `reach` Wh above, the most that a minute could have delivered; else
        with the last record's. The time is the last record's."""
        transaction = self.interrupted
        if not transaction:
            return False
        last = transaction.energy
        if not last <= energy <= last + reach:
            self._log.warning(
                "the register reads %d after the restart: taking the last record", energy
            )
            energy = last
        self._record_stop(transaction, transaction.stamp, reason, energy, None, b"")
        self._log.warning(
            "the transaction of %s was closed: %s, %d Wh", transaction.id_tag, reason, energy
        )
        return True

    # what happens

    def start(
        self,
        connector: int,
        id_tag: str,
        meter_start: int,
        reservation_id: int | None,
        at_ms: int,
        data: bytes = b"",
    ) -> Transaction:
        """Records a StartTransaction; `retention.make_room_for_transaction` goes before. `data`:
        the Begin values for StopTransaction, packed (`measurands.pack`), empty where it shall
        carry none. Raises OSError when the flash could not take the transaction's end: then
        nothing may start."""
        self.recover("PowerLoss")
        if self.running:
            raise ValueError("a transaction is running")
        if not self.retention.has_room_for_transaction():
            raise OSError(_ENOSPC, "the flash is full of undelivered transactions")
        outbox = self.outbox
        begin_values = data if outbox.endpoint_id else b""
        body = StartRecord.pack(connector, meter_start, reservation_id, id_tag, begin_values)
        event = outbox.record(StartRecord, self.event_times.stamp(at_ms), None, body)
        self.running = Transaction(event, outbox.queue(event.endpoint_id, event.position), at_ms)
        return self.running

    def values(
        self,
        context: str,
        reading: dict,
        mask: int,
        at_ms: int,
        offered_ma: int | None = None,
        stop_mask: int = 0,
    ) -> bool:
        """Records values; `retention.make_room_for_values` goes before. `mask` for a MeterValues
        message, `stop_mask` for the running transaction's StopTransaction. False when nothing
        was: no such value in the reading, no central system, or the flash is full."""
        transaction = self.running
        endpoint_id = transaction.endpoint_id if transaction else self.outbox.endpoint_id
        if not endpoint_id or not measurands.pack(reading, offered_ma, mask):
            mask = 0
        if not (stop_mask and transaction and transaction.takes_sample()):
            stop_mask = 0
        if (mask or stop_mask) and self.retention.has_room_for_values():
            wanted = mask | stop_mask | (measurands.ENERGY if transaction else 0)
            values = measurands.pack(reading, offered_ma, wanted)
            connector = transaction.connector if transaction else 1
            body = ValuesRecord.pack(connector, context, mask, stop_mask, values)
            stamp = self._stamp(at_ms)
            try:
                event = self.outbox.record(ValuesRecord, stamp, transaction, body, False)
            except OSError as why:
                self._log.error("no meter values are kept: %s", why)
            else:
                if transaction:
                    transaction.add_values(event, at_ms)
                return True
        if transaction and "energy" in reading:
            self.progress(reading["energy"], at_ms)
        return False

    def progress(self, energy: int, at_ms: int) -> None:
        """To be called with each reading of the register (Wh): keeps it once a minute while energy
        flows, whatever else is recorded."""
        transaction = self.running
        if transaction and transaction.progressed(energy, at_ms):
            stamp = self._stamp(at_ms)
            progress = pack_ints(transaction.position, stamp.boot, stamp.seconds, energy)
            try:
                self.store.write(_PROGRESS, progress)
            except OSError as why:
                self._log.error("the register could not be kept: %s", why)
            transaction.add_register(energy, stamp, at_ms)

    def stop(
        self,
        reason: str,
        meter_stop: int,
        at_ms: int,
        id_tag: str | None = None,
        data: bytes = b"",
    ) -> None:
        """Records the StopTransaction of the running transaction; `retention.tidy_after_stop`
        follows. `data`: its End values for
        StopTransaction, packed. Raises OSError when the flash is full."""
        stamp = self._stamp(at_ms)
        self._record_stop(self.running, stamp, reason, meter_stop, id_tag, data)

    def _record_stop(self, transaction, stamp, reason, meter_stop, id_tag, data):
        if not transaction.has_stop_data:
            data = b""
        elif not data:
            data = measurands.pack({"energy": meter_stop}, None, measurands.ENERGY)
        body = StopRecord.pack(meter_stop, reason, transaction.sample_count, id_tag, data)
        event = self.outbox.record(StopRecord, stamp, transaction, body)
        self.running = self.interrupted = None
        self.retention.transaction_stopped(event)

    def _stamp(self, at_ms):
        """The stamp of a moment; never back within a transaction."""
        return self.event_times.stamp(at_ms, self.running.stamp if self.running else None)
