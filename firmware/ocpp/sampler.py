"""Takes meter values: periodic ones, clock-aligned ones and triggered ones (OCPP 3.16, 4.7). The
keys say when, and which measurands."""

import asyncio

from firmware.base import times
from firmware.base.runtime import Event, const
from firmware.metering import measurands
from firmware.ocpp import CallError

_DAY_S = const(86400)


class Sampler:
    """Records the values of readings in the transactions' journal, from which they are sent."""

    alive = False  # for the station's supervisor

    def __init__(self, station):
        self.station = station
        self.log = station.log("meter")
        self._wake = Event()
        self._sampled = None  # the transaction whose periodic values are taken
        self._interval_ms = 0  # between them
        self._samples = 0  # how many of these intervals are over
        self._aligned_epoch = None  # begin of the newest clock-aligned interval

    def intervals_changed(self) -> None:
        """MeterValueSampleInterval or ClockAlignedDataInterval has another value."""
        self._wake.set()

    async def run(self) -> None:
        """The task: takes what is due, once a second of station time or when something changed."""
        while True:
            await self._take_due()
            self.alive = True
            await self.station.clock.wait(self._wake, 1000)

    async def _take_due(self):
        station = self.station
        now = station.clock.ms()
        reading = station.meter.last
        await self._take_aligned(now, reading)
        transaction = station.session.transaction
        if not transaction:
            if not station.evse.contactor:  # no energy flows, and no time is lost
                station.transactions.journal.measure_room_after_changes()
            return
        interval_ms = station.config.int("MeterValueSampleInterval") * 1000
        samples = (now - transaction.started_ms) // interval_ms if interval_ms else 0
        if self._sampled is not transaction or self._interval_ms != interval_ms:
            self._sampled = transaction
            self._interval_ms = interval_ms
            self._samples = samples
        if samples > self._samples:
            self._samples = samples
            await self._take(
                "Sample.Periodic", "MeterValuesSampledData", "StopTxnSampledData", reading, now
            )
        elif reading and "energy" in reading:
            station.transactions.progress(reading["energy"], now)

    async def _take_aligned(self, now, reading):
        """Takes clock-aligned values. The intervals are counted from midnight, UTC."""
        clock = self.station.clock
        epoch = clock.epoch_at(now)
        interval_s = self.station.config.int("ClockAlignedDataInterval")
        if epoch is None or not interval_s:
            self._aligned_epoch = None
            return
        late_s = epoch % _DAY_S % interval_s
        if self._aligned_epoch and self._aligned_epoch < epoch - late_s:
            at_ms = now - late_s * 1000 - clock.fraction_at(now)
            if clock.epoch_at(at_ms) < epoch - late_s:  # while the clock is being corrected
                at_ms += 1000 - clock.fraction_at(at_ms)
            await self._take(
                "Sample.Clock", "MeterValuesAlignedData", "StopTxnAlignedData", reading, at_ms
            )
        self._aligned_epoch = epoch - late_s

    async def _take(self, context, key, stop_key, reading, at_ms):
        """Records values of a reading. `key` lists the measurands for MeterValues, `stop_key`
        those for StopTransaction. Others have turns before; if the transaction ends meanwhile,
        nothing is recorded."""
        station = self.station
        transactions = station.transactions
        if not reading or station.meter.error:
            return
        running = transactions.running
        mask = self._listed(key)
        stop_mask = self._listed(stop_key)
        await asyncio.sleep(0)
        await transactions.retention.make_room_for_values()
        if transactions.running is running:
            offered_ma = station.evse.offered_ma
            transactions.values(context, reading, mask, at_ms, offered_ma, stop_mask)

    def _listed(self, key):
        """The measurands that a key lists, as a mask (see `metering.measurands`). An empty list
        means the register for MeterValues, and nothing for StopTransaction (OCPP 3.16.5)."""
        none_listed = 0 if key.startswith("StopTxn") else measurands.ENERGY
        return measurands.parse(self.station.config.get(key)) or none_listed

    def transaction_data(self, reading: dict | None) -> bytes:
        """The packed values of a transaction's begin or end, for StopTransaction (errata
        3.14)."""
        wanted = self._listed("StopTxnSampledData") | self._listed("StopTxnAlignedData")
        return measurands.pack(reading or {}, self.station.evse.offered_ma, wanted)

    def trigger(self) -> None:
        """TriggerMessage(MeterValues): sends connector 1's values of now; they are not queued."""
        self.station.spawn(self._send_now())

    async def _send_now(self):
        station = self.station
        reading = await station.meter.read_now()
        await asyncio.sleep(0)
        wanted = self._listed("MeterValuesSampledData")
        packed = measurands.pack(reading or {}, station.evse.offered_ma, wanted)
        await asyncio.sleep(0)
        values = measurands.unpack(packed, wanted, "Trigger")
        epoch = station.clock.epoch()
        if not values or epoch is None:
            self.log.warning("no meter values to send")
            return
        fraction = station.clock.fraction_at(station.clock.ms())
        sample = {"timestamp": times.text(epoch, fraction), "sampledValue": values}
        request = {"connectorId": 1, "meterValue": [sample]}
        transaction = station.session.transaction
        if transaction and transaction.transaction_id is not None:
            request["transactionId"] = transaction.transaction_id
        try:
            await station.rpc.call("MeterValues", request)
        except (CallError, asyncio.TimeoutError) as why:
            self.log.warning("MeterValues: %s", str(why) or "no answer")
