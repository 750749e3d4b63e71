"""Transfers that the central system asked for: what waits for them, tells of them, makes room.

There while one is under way, or waits for its date; `station.jobs` is None else. A job is a module
with `async step(station, job)`: it is loaded for each step, and dropped. A step returns what to
await before the next one, None after the last. What TriggerMessage asks for is in `station.doing`.
"""

import asyncio
import gc

from firmware.base import runtime
from firmware.ocpp.frames import CallError
from firmware.ocpp.rpc import LinkDown

_LONGEST_S = 3600  # real seconds of a transfer
_TOLD_S = 10  # and of waiting for the central system to hear what goes before it


def start(station, name: str, job=None) -> None:
    """Begins a job; a former one of that name is given up."""
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
        self._told = asyncio.Lock()  # notifications go in the order of `say`

    def start(self, name, job) -> None:
        """See the module's `start`."""
        before = self._tasks.get(name)
        if before:
            before.cancel()
        self._tasks[name] = self._spawn(self._run("firmware.ocpp." + name, job))

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

    async def _run(self, module, job):
        wait = None
        while True:
            wait = await runtime.soon(module, "step", self.station, job)
            if wait is None:
                return
            try:
                await wait
            except asyncio.TimeoutError:
                pass  # the next step sees what has become of it

    # what steps use

    def say(self, message: str, status: str, over: bool = False) -> None:
        """Tells the central system when it can be told; the job goes on meanwhile. `over`: there
        is nothing to ask for afterwards."""
        self.station.doing[message] = status
        if over:
            self.station.doing.pop(message)
        self._spawn(self.tell(message, status))

    async def tell(self, message: str, status: str) -> bool:
        """Tells the central system, once there is a link and what was said before is told.
        Whether it has answered."""
        station = self.station
        async with self._told:
            while True:
                await station.registration.online.wait()
                try:
                    await station.rpc.call(message, {"status": status})
                    return True
                except LinkDown:
                    await asyncio.sleep(1)
                except (CallError, asyncio.TimeoutError) as why:
                    station.log("jobs").warning("%s: %s", message, why or "no answer")
                    return False

    async def told(self) -> None:
        """Waits until all is told, a moment at most."""
        try:
            await asyncio.wait_for(self._told.acquire(), _TOLD_S)
            self._told.release()
        except asyncio.TimeoutError:
            self.station.log("jobs").warning("the central system has not heard all")

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
        link = station.link
        parked = []

        def room():
            gc.collect()
            free = runtime.load(runtime.SOCKETS).native_free()
            return free is None or free >= runtime.load("firmware.net.address").TLS_ROOM

        async def secure():
            secure = link.url()[:4].lower() == "wss:" or station.config.int("SecurityProfile") == 2
            if secure and not room() and not parked:
                station.log("jobs").info("the link gives its memory to the transfer")
                await self.told()
                parked.append(link)
                await link.park()
            context = runtime.load("firmware.net.tls").context(link.ca, link.insecure)
            if not room():
                raise OSError("there is no room for a TLS connection")
            return context

        async with self._transfer:
            module = runtime.load("firmware.net.transfer")
            try:
                place = module.Place(url, secure, station.log("transfer"), link.known)
                place.log.info("%s %s", what, place)
                await asyncio.wait_for(getattr(module, what)(place, *words), _LONGEST_S)
            finally:
                del module
                runtime.drop("firmware.net.transfer")
                self.progress = ""
                if parked:
                    link.resume()
