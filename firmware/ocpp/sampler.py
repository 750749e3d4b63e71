"""When meter values are taken: periodic, on the clock's marks, triggered (OCPP 3.16, 4.7). What is
in them: `meter_values.py`."""

import asyncio

from firmware.ocpp import meter_values

_DAY_S = 86400


class Sampler:
    """Hands readings to the transactions' journal, which has them sent when it can."""

    alive = False  # for the station's supervisor

    def __init__(self, station):
        self.station = station
        self.wake = asyncio.Event()
        self._sampled = None  # the transaction whose periodic values are taken
        self._interval_ms = 0  # between them
        self._samples = 0  # how many of these intervals are over
        self._aligned_epoch = None  # begin of the newest clock-aligned interval

    def transaction_data(self, reading: dict | None) -> bytes:
        """The packed values that StopTransaction tells of a transaction's begin or end."""
        return meter_values.transaction_data(self.station, reading)

    async def run(self) -> None:
        """The task: takes what is due, once a second of station time or when something changed."""
        while True:
            self._take_due()
            self.alive = True
            await self.station.clock.wait(self.wake, 1000)

    def _take_due(self):
        station = self.station
        now = station.clock.ms()
        reading = station.meter.last
        self._take_aligned(now, reading)
        transaction = station.session.transaction
        if not transaction:
            return
        interval_ms = station.config.int("MeterValueSampleInterval") * 1000
        samples = (now - transaction.started_ms) // interval_ms if interval_ms else 0
        if self._sampled is not transaction or self._interval_ms != interval_ms:
            self._sampled = transaction
            self._interval_ms = interval_ms
            self._samples = samples
        if samples > self._samples:
            self._samples = samples
            self._take("Sample.Periodic", "SampledData", reading, now)
        elif reading and "energy" in reading:
            station.transactions.progress(reading["energy"], now)

    def _take_aligned(self, now, reading):
        """Takes what falls on the clock's marks, of which the first of a day is at midnight."""
        epoch = self.station.clock.epoch()
        interval_s = self.station.config.int("ClockAlignedDataInterval")
        if epoch is None or not interval_s:
            self._aligned_epoch = None
            return
        late_s = epoch % _DAY_S % interval_s
        if self._aligned_epoch and self._aligned_epoch < epoch - late_s:
            self._take("Sample.Clock", "AlignedData", reading, now - late_s * 1000)
        self._aligned_epoch = epoch - late_s

    def _take(self, context, kind, reading, at_ms):
        """`kind`: SampledData or AlignedData, as the keys' names end."""
        station = self.station
        if reading and not station.meter.error:
            station.transactions.values(
                context,
                reading,
                meter_values.measurands_of(station.config, "MeterValues" + kind),
                at_ms,
                station.evse.offered_ma,
                meter_values.measurands_of(station.config, "StopTxn" + kind),
            )

    def trigger(self) -> None:
        """TriggerMessage(MeterValues): connector 1 as it is now, never queued."""
        self.station.spawn(meter_values.send_now(self.station))
