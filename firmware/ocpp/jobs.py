"""Transfers that the central system asked for: what waits for them, tells of them, makes room.

There while one is under way, or waits for its date; `station.jobs` is None else. A job is a module
with `async step(station, job)`: it is loaded for each step, and dropped. A step returns what to
await before the next one, the name of another module for that, or None after the last. What
TriggerMessage asks for is in `station.doing`.
"""

import asyncio
import gc

from firmware.base import runtime, sockets
from firmware.net import TlsFailed
from firmware.ocpp import CallError, LinkDown

_LONGEST_S = 3600  # real seconds of a transfer
_TOLD_S = 10  # and of waiting for the central system to hear what goes before something


def start(station, name: str, job=None) -> None:
    """Begins a job, `name` its module's; a former one of that name is given up."""
    if station.jobs is None:
        station.jobs = Jobs(station)
    station.jobs.start(name, job)


class Jobs:
    """The jobs of a station. `progress`: what the transfer has done, for the console."""

    def __init__(self, station):
        self.station = station
        self.progress = ""
        self._tasks = {}
        self._busy = 0
        self._transfer = asyncio.Lock()  # one at a time
        self._untold = []  # (message, status), oldest first
        self._quiet = asyncio.Event()  # there are none
        self._quiet.set()

    def start(self, name, job) -> None:
        """See the module's `start`."""
        self.stop(name)
        self._tasks[name] = self._spawn(self._run(name, job, self._tasks.get(name)))

    def stop(self, name: str) -> None:
        """Gives a job up."""
        if name in self._tasks:
            self._tasks[name].cancel()

    def _spawn(self, work):
        self._busy += 1
        return self.station.spawn(self._counted(work))

    async def _counted(self, work):
        try:
            await work
        finally:
            self._busy -= 1
            if not self._busy:
                self.station.jobs = None

    async def _run(self, module, job, former):
        if former:
            await runtime.stop([former])  # two would share a file: not before it has ended
        former = None
        now = module
        while True:
            wait = await runtime.soon(now, "step", self.station, job)
            now = module
            if wait is None:
                return
            if isinstance(wait, str):
                now = wait
                continue
            try:
                await wait
            except asyncio.TimeoutError:
                pass  # the next step sees what has become of it

    # what steps use

    def say(self, message: str, status: str, over: bool = False) -> None:
        """Tells the central system when it can be told, in the order of the calls; the job goes on
        meanwhile. `over`: there is nothing to ask for afterwards."""
        self.station.doing[message] = status
        if over:
            self.station.doing.pop(message)
        self._untold.append((message, status))
        if self._quiet.is_set():
            self._quiet.clear()
            self._spawn(self._tell())

    async def _tell(self):
        station = self.station
        while self._untold:
            message, status = self._untold[0]
            await station.registration.online.wait()
            try:
                await station.rpc.call(message, {"status": status})
            except LinkDown:  # again on the next one
                await asyncio.sleep(1)
                continue
            except (CallError, asyncio.TimeoutError) as why:
                station.log("jobs").warning("%s: %s", message, str(why) or "no answer")
            self._untold.pop(0)
        self._quiet.set()

    async def told(self, longest_s: int = 0) -> None:
        """Waits until all is told; at most so long, else as long as it takes."""
        if not longest_s:
            await self._quiet.wait()
        elif not await runtime.wait(self._quiet, longest_s * 1000):
            self.station.log("jobs").warning("the central system has not heard all")

    def keep(self, job: list) -> None:
        """Stores what is under way of an update. Ends the job where a new request has taken its
        place: wait_for can swallow the end that `stop` asked for."""
        store = self.station.config.store
        if (store.read("update") or b"").decode().split("\n")[1:3] != job[1:3]:
            raise asyncio.CancelledError
        store.write("update", "\n".join(job).encode())

    async def idle(self) -> None:
        """Until no transaction runs."""
        while self.station.session.transaction:
            await self.station.clock.sleep_ms(1000)

    def why(self, error: Exception) -> str:
        """What a log says of a failure."""
        if isinstance(error, runtime.LINK_ERRORS):
            return str(error) or "it took too long"
        return runtime.trace(error)

    async def transfer(self, url: str, what: str, *words) -> None:
        """A job of net/transfer.py with this URL. On a board with room for one TLS connection the
        link's is given up for it. Raises one of runtime.LINK_ERRORS, or what a sink raises."""
        station = self.station
        connection = station.connection
        security = station.security
        parked = []

        def room():
            gc.collect()
            free = sockets.native_free()
            return free is None or free >= runtime.load("firmware.net.dial").TLS_ROOM

        async def secure():
            profile = station.config.int("SecurityProfile")
            secure = profile == 2 or connection.url()[:4].lower() == "wss:"
            if secure and not room() and not parked:
                station.log("jobs").info("the link gives its memory to the transfer")
                parked.append(connection)
                await connection.suspend()
            insecure = security.insecure and not security.ca
            if insecure:
                station.log("jobs").warning(
                    "TLS without a CA: anybody can pretend to be the server"
                )
            context = runtime.load("firmware.net.tls").context(security.ca, insecure)
            if not room():
                raise OSError("there is no room for a TLS connection")
            return context

        await self.told(_TOLD_S)  # telling takes memory, too
        async with self._transfer:
            module = runtime.load("firmware.net.transfer")
            try:
                place = module.Place(url, secure, station.log("transfer"), connection.addresses)
                place.log.info("%s %s", what, place)
                await asyncio.wait_for(getattr(module, what)(place, *words), _LONGEST_S)
            except TlsFailed as why:
                station.security_event("TLS: " + why.check)
                raise
            finally:
                del module
                runtime.drop("firmware.net.transfer")
                self.progress = ""
                if parked:
                    connection.resume()
