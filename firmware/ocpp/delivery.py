"""Transaction messages to the central system, in order, until each is answered (OCPP 4.8, 3.7)."""

import asyncio

from firmware.ocpp import CallError

_TURNS = 3  # of the loop, in which a status that waits has loaded its code, and goes first


class Delivery:
    """Sends what the journal still owes. Retries and giving up are the journal's to count."""

    def __init__(self, station):
        self.station = station
        self.log = station.log("delivery")
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """While online. A dropped link ends it without an attempt being counted."""
        station = self.station
        transactions = station.transactions
        while True:
            await station.registration.online.wait()
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            self.wake.clear()
            message = transactions.head(station.connection.endpoint_id)
            if not message:
                await self.wake.wait()
                continue
            pause = transactions.next_attempt_ms - station.clock.ms()
            if pause > 0:
                await station.clock.sleep_ms(pause)
            try:
                answer = await station.rpc.call(message.action, message.payload)
            except (CallError, asyncio.TimeoutError) as why:
                self.log.warning("%s: %s", message.action, str(why) or "no answer")
                transactions.failed(station.clock.ms())
                continue
            running = transactions.running
            record = transactions.head_record
            mine = running and record and record[0] == running.position
            info = transactions.delivered(answer)
            if mine:  # else of a transaction that is over
                station.session.start_answered(info)

    async def emptied(self, seconds: int) -> None:
        """Waits until all is delivered, at most so long, and only while there is a link."""
        station = self.station
        for _ in range(seconds * 10):
            if not station.registration.online.is_set():
                return
            if not station.transactions.pending:
                return
            await asyncio.sleep(0.1)
