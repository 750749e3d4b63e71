"""Who limits: the house (TIC) and the charging profiles, as the clock goes on."""

import asyncio

from firmware.charging.balance import Balance, rotation


class Governor:
    """Keeps the limits "tic" and "profile" true. `wake` is set when profiles or the transaction
    changed; else it looks once a second of station time, or when the next period begins."""

    def __init__(self, evse, meter, profiles, transactions, config, clock, line, store):
        # `line` is the time in which the TIC line lives: a real one knows no --speed
        self.evse = evse
        self.meter = meter
        self.profiles = profiles
        self.transactions = transactions
        self.config = config
        self.clock = clock
        self.store = store
        self.wake = asyncio.Event()
        self.balance = Balance(line, store.read("tic-seen") is not None)

    def house(self, facts: dict) -> None:
        """A good TIC frame: what the house leaves for the car."""
        if not self.balance.seen:
            self.store.write("tic-seen", b"1")
        evse = self.evse
        reading = self.meter.last or {}
        car = []
        for n in range(1, evse.phases + 1):
            ma = reading.get("i%d" % n)
            car.append(evse.offered_ma if ma is None else ma)
        order = rotation(self.config.get("ConnectorPhaseRotation"))
        self.balance.frame(facts, car, order)
        evse.limits.set("tic", self.balance.step())

    async def run(self) -> None:
        while True:
            self._look()
            self.wake.clear()
            try:
                await asyncio.wait_for(self.wake.wait(), 1 / self.clock.speed)
            except asyncio.TimeoutError:
                pass

    def _look(self):
        off = self.config.get("TICmode") == "3"
        self.evse.limits.set("tic", None if off else self.balance.step())
