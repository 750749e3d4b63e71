"""When meter values are taken: periodic, on the clock's marks, triggered (OCPP 3.16, 4.7)."""

import asyncio

from firmware.base import runtime


class Sampler:
    """Hands readings to the journal, which sends them when it can."""

    alive = False  # for the station's supervisor

    def __init__(self, station):
        self.station = station
        self.log = station.log("meter")
        self.wake = asyncio.Event()
        self._sampled = (None, 0)  # the transaction, and the interval, ms
        self._count = 0  # how many of these are over
        self._mark = None  # the newest clock-aligned interval

    def stop_data(self, reading: dict | None) -> bytes:
        """What StopTransaction tells of a transaction's begin or end (errata 3.14)."""
        return self._cold("stop_data", self.station, reading)

    def _cold(self, what, *words):
        try:
            return runtime.once("firmware.ocpp.meter_values", what, *words)
        finally:
            runtime.drop("firmware.metering.measurands")

    async def run(self) -> None:
        """The task. Looks once a second of station time, or when something changed."""
        while True:
            self._look()
            self.alive = True
            await self.station.clock.wait(self.wake, 1000)

    def _look(self):
        station = self.station
        running = station.session.transaction
        ms = station.clock.ms()
        reading = station.meter.last
        self._align(ms, reading)
        if running:
            every = station.config.int("MeterValueSampleInterval") * 1000
            count = (ms - running.started_ms) // every if every else 0
            if self._sampled != (running, every):
                self._sampled = (running, every)
                self._count = count
            if count > self._count:
                self._count = count
                self._take("Sample.Periodic", "SampledData", reading, ms)
            elif reading and "energy" in reading:
                station.transactions.progress(reading["energy"], ms)

    def _align(self, ms, reading):
        """Takes what falls on the clock's marks, of which the first of a day is at midnight."""
        epoch = self.station.clock.epoch()
        every = self.station.config.int("ClockAlignedDataInterval")
        if epoch is None or not every:
            self._mark = None
            return
        late = epoch % 86400 % every
        if self._mark and self._mark < epoch - late:
            self._take("Sample.Clock", "AlignedData", reading, ms - late * 1000)
        self._mark = epoch - late

    def _take(self, context, kind, reading, ms):
        station = self.station
        if reading and not station.meter.error:
            sent, kept = self._cold("masks", station, kind)
            offered = station.evse.offered_ma
            station.transactions.values(context, reading, sent, ms, offered, kept)

    def trigger(self) -> None:
        """TriggerMessage(MeterValues): connector 1 as it is now, never queued."""
        self.station.spawn(runtime.soon("firmware.ocpp.meter_values", "trigger", self.station))
