"""Transaction messages to the central system, in order, until each is answered (OCPP 4.8, 3.7)."""

import asyncio

from firmware.base.runtime import Event
from firmware.ocpp import CallError


class TransactionSender:
    """Sends what the outbox of the transactions owes, which counts the retries and gives up.
    `wake`: to be set when there may be something new to send."""

    def __init__(self, station):
        self._station = station
        self._outbox = station.transactions.outbox
        self._log = station.log("delivery")
        self.wake = Event()

    async def run(self) -> None:
        """While online. A dropped link ends it without an attempt being counted."""
        station = self._station
        while True:
            await station.registration.online.wait()
            await asyncio.sleep(0)  # what has woken us may go on to tell a status
            while station.notifier.goes_first:
                await asyncio.sleep(0)
            self.wake.clear()
            await self._outbox.look_up_head(station.connection.endpoint_id)
            message = self._outbox.head()
            if message:
                await self._send(message)
                await self._outbox.tidy()
            else:
                await self.wake.wait()

    async def _send(self, message):
        """Sends a message once it may be, and notes its answer."""
        station = self._station
        outbox = self._outbox
        pause_ms = outbox.next_attempt_ms - station.clock.ms()
        if pause_ms > 0:
            await station.clock.sleep_ms(pause_ms)
        try:
            answer = await station.rpc.call(message.action, message.payload)
        except (CallError, asyncio.TimeoutError) as why:
            self._log.warning("%s: %s", message.action, str(why) or "no answer")
            outbox.failed()
            return
        running = station.transactions.running
        starts_running = running is not None and message.position == running.position
        info = outbox.delivered(answer)
        if station.full and info and message.id_tag:
            station.full.heard(message.id_tag, info)
        if starts_running:  # else of a transaction that is over
            station.session.start_answered(info)

    async def wait_until_delivered(self, seconds: int) -> None:
        """Waits until all is delivered, at most so long, and only while there is a link."""
        for _ in range(seconds * 10):
            if not self._station.registration.online.is_set() or not self._outbox.pending:
                return
            await asyncio.sleep(0.1)
