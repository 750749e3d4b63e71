"""When meter values are taken: periodic, on the clock's marks, triggered (OCPP 3.16, 4.7)."""

import asyncio

from firmware.base import times
from firmware.charging import measurands
from firmware.ocpp.frames import CallError


class Sampler:
    """Hands readings to the journal, which sends them when it can."""

    alive = False  # for the station's supervisor

    def __init__(self, station):
        self.station = station
        self.log = station.log("meter")
        self.wake = asyncio.Event()
        self._sampled = (None, 0)  # the transaction, and how many intervals of it are over
        self._mark = None  # the newest clock-aligned interval

    def mask(self, key: str) -> int:
        """The measurands of a key. An empty list means the register for MeterValues, and nothing
        for StopTransaction (OCPP 3.16.5)."""
        empty = 0 if key.startswith("StopTxn") else measurands.ENERGY
        return measurands.parse(self.station.config.get(key)) or empty

    def stop_data(self, reading: dict | None) -> bytes:
        """What StopTransaction tells of a transaction's begin or end (errata 3.14)."""
        mask = self.mask("StopTxnSampledData") | self.mask("StopTxnAlignedData")
        return measurands.pack(reading or {}, self.station.evse.offered_ma, mask)

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
        if running:
            every = station.config.int("MeterValueSampleInterval") * 1000
            count = (ms - running.started_ms) // every if every else 0
            if self._sampled[0] is not running:
                self._sampled = (running, 0)
            if count > self._sampled[1]:
                self._sampled = (running, count)
                self._take("Sample.Periodic", "SampledData", reading)
            elif reading and "energy" in reading:
                station.transactions.progress(reading["energy"], ms)
        epoch = station.clock.epoch()
        every = station.config.int("ClockAlignedDataInterval")
        if epoch is None or not every:
            self._mark = None
            return
        mark = (epoch // 86400, epoch % 86400 // every)
        if self._mark and mark != self._mark:
            self._take("Sample.Clock", "AlignedData", reading)
        self._mark = mark

    def _take(self, context, kind, reading):
        station = self.station
        if not reading or station.meter.error:
            return
        station.transactions.values(
            context,
            reading,
            self.mask("MeterValues" + kind),
            station.clock.ms(),
            station.evse.offered_ma,
            self.mask("StopTxn" + kind),
        )

    def trigger(self) -> None:
        """TriggerMessage(MeterValues): connector 1 as it is now, never queued."""
        self.station.spawn(self._triggered())

    async def _triggered(self):
        station = self.station
        reading = await station.meter.read_now()
        mask = self.mask("MeterValuesSampledData")
        data = measurands.pack(reading or {}, station.evse.offered_ma, mask)
        values = measurands.unpack(data, mask, "Trigger")
        epoch = station.clock.epoch()
        if not values or epoch is None:
            self.log.warning("no meter values to send")
            return
        sample = {"timestamp": times.text(epoch), "sampledValue": values}
        request = {"connectorId": 1, "meterValue": [sample]}
        running = station.session.transaction
        if running and running.transaction_id is not None:
            request["transactionId"] = running.transaction_id
        try:
            await station.rpc.call("MeterValues", request)
        except (CallError, asyncio.TimeoutError) as why:
            self.log.warning("MeterValues: %s", why or "no answer")
