"""Who limits: the installer, the house (TIC) and the charging profiles, as the clock goes on."""

import asyncio
from struct import pack_into

from firmware.base import runtime
from firmware.smart_charging.profile_store import NUMBER_AT

_LIMIT = "firmware.smart_charging.profile_limit"


class TicInput:
    """A TIC line that costs next to nothing while it is silent: the decoder comes with the first
    byte. `mode` is the key TICmode, `on_frame(facts)` gets each plausible frame's facts.

    `tune(baud)` sets the port's speed and returns it; `clock` is the time in which the line lives.
    """

    def __init__(self, tune, clock, log):
        self.tune = tune
        self.clock = clock
        self.log = log
        self.mode = 0
        self.on_frame = None
        self.line = None

    @property
    def detected(self) -> bool:
        """Whether a good frame came within the last 10 s (key TICdetection)."""
        return self.line is not None and self.line.detected

    @property
    def frame(self) -> str | None:
        """The newest good frame: LABEL=VALUE lines."""
        return self.line.frame if self.line else None

    def set_mode(self, mode: int) -> None:
        self.mode = mode
        if self.line:
            self.line.mode = mode

    async def run(self) -> None:
        port = self.tune(1200)  # at a wrong speed it is noise, but it is there
        while self.mode == 3 or not port.read(16):
            await self.clock.sleep_ms(500)
        tic = runtime.load("firmware.sensing.tic")
        self.line = tic.TicLine(self.tune, self.clock, self.log, self.on_frame, self.mode)
        await self.line.run()


class Governor:
    """Keeps the limits true. `wake` is set when profiles or the transaction changed; else it
    looks once a second of station time."""

    def __init__(
        self, evse, meter, tic, profile_store, transactions, config, clock, store, pause_s=600
    ):
        self.evse = evse
        self.meter = meter
        self.tic = tic
        self.profiles = profile_store
        self.transactions = transactions
        self.config = config
        self.clock = clock
        self.store = store
        self.pause_s = pause_s  # without TIC, until there is a pause
        self.wake = asyncio.Event()
        self.balance = None
        tic.on_frame = self._house
        if store.read("tic-seen") is not None:
            self._balance()

    def _balance(self):
        """This station has once seen a good frame: from now on it wants to see them."""
        Balance = runtime.load("firmware.metering.load_balancing").Balance
        seen = self.store.read("tic-seen") is not None
        self.balance = Balance(self.tic.clock, seen, self.pause_s)

    def _house(self, facts):
        """A good TIC frame: what the house leaves for the car."""
        if not self.balance:
            self._balance()
            self.store.write("tic-seen", b"1")
        evse = self.evse
        reading = self.meter.last or {}
        alike = evse.offered_ma
        if "power" in reading:  # a meter that knows no current
            alike = min(alike, reading["power"] * 10 // 23 // evse.phases)
        car = [reading.get("i%d" % n, alike) for n in range(1, evse.phases + 1)]
        balance = runtime.load("firmware.metering.load_balancing")
        order = balance.rotation(self.config.get("ConnectorPhaseRotation"))
        self.balance.frame(facts, car, order)
        self.look()

    async def run(self) -> None:
        while True:
            if not self.look():
                await runtime.soon(_LIMIT, "look", self)
            await self.clock.wait(self.wake, 1000)

    async def take(self, record, running):
        """The profile that came with a RemoteStart holds before any energy flows."""
        pack_into("<i", record, NUMBER_AT, running.position)
        if not await self.profiles.install(record):
            self.profiles.log.error("the remote start goes without its profile")
        if not self.look():
            await runtime.soon(_LIMIT, "look", self)

    def look(self, found=None):
        """Sets the limits. None where that of the profiles is not known: it has to be found."""
        evse = self.evse
        limits = evse.limits
        running = self.transactions.running
        top = self.config.int("IMaxUser") * 1000
        limits.set("imax_user", top)
        limits.set("tic", self.balance.step() if self.balance and self.tic.mode != 3 else None)
        store = self.profiles
        if not found:
            store.step(running)
            found = store.known(running, evse.phases, top)
        if found:
            ma, watts, wish, _ = found
            limits.set("profile", ma if ma < top else None)
            most = self.config.int("PhaseNumber")
            evse.want_phases = want_phases(watts, wish, evse.phases, most)
        return found


def want_phases(watts: int, wish: int, connected: int, most: int) -> int:
    """The phases to connect, 1 or 3: one where the profile wishes so, or where its W limit (0.1 W)
    is too little for 6 A on three; back on three at 6.6 A. Too little for one, too: no change."""
    if most < 3 or wish < 3:
        return 1
    if watts < 13800:
        return connected
    return 1 if watts < (41400 if connected > 1 else 45540) else 3
