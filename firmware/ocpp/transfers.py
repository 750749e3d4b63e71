"""The transfers that the central system asks for: the upload of diagnostics and the download of an
update (`diagnostics.py`, `update.py`), one of each at most. `net/transfer.py` moves the files.

Each transfer is a job: an object with `message`, the action of its status notification, and a
coroutine `run()`. A job notifies its statuses, waits and moves files through `Transfers`, which
keeps the notifications in order and makes room for TLS.

On a board without PSRAM, Wi-Fi stops for good when the chip's own memory is used up. Therefore,
below 20 KB the transfer under way is ended and none begins, until 30 KB are free. The central
system may ask again; a job with attempts left tries again by itself.
"""

import asyncio

from firmware.base import runtime
from firmware.base.runtime import const
from firmware.net import tls
from firmware.ocpp import CallError, LinkDown

# The actions of the two status notifications, and the status while nothing is under way.
DIAGNOSTICS_STATUS = "DiagnosticsStatusNotification"
FIRMWARE_STATUS = "FirmwareStatusNotification"
IDLE = "Idle"
# Their names in the store, while they are under way or their end is not yet notified.
STORED_DIAGNOSTICS = "diagnostics"
STORED_UPDATE = "update"

_LONGEST_S = const(3600)  # real seconds of one transfer
NOTIFIED_S = const(10)  # real seconds that a transfer, or a restart, waits for notifications
_SUFFIX = len("StatusNotification")
_LOW = const(20000)  # bytes of the chip's own memory: below, no transfer may go on
_ENOUGH = const(30000)  # bytes: from here on they may again
_NO_MEMORY = const("the chip's own memory is too low for a transfer")
_LOOK_S = const(1)  # real seconds between two looks at it


class Transfers:
    """The transfers of a station. `statuses`: the status of each that is not Idle, by its message.
    `progress`: how far the present one has come, a text for the console. `memory_is_low`: the
    chip's own memory is so low that no transfer may go on."""

    def __init__(self, station):
        self.station = station
        self.log = station.log("jobs")
        self.statuses = {}
        self.progress = ""
        self.memory_is_low = False
        self._moving = None  # the task that moves a file
        self._jobs = {}  # message -> the tasks of its jobs that may not have ended
        self._one_at_a_time = asyncio.Lock()  # held while a file moves
        self._to_tell = []  # (message, status) of each notification to be sent, oldest first
        self._all_told = runtime.Event()  # set while there is none
        self._all_told.set()
        self._teller = None  # the task that sends the notifications

    # for the rest of the station

    def resume(self) -> None:
        """To be called after a restart: continues the transfers that were under way, or whose end
        is not yet notified."""
        store = self.station.config.store
        if store.read(STORED_UPDATE) is not None:
            from firmware.ocpp.update import UpdateJob  # rare

            self.start(UpdateJob(self.station))
        if store.read(STORED_DIAGNOSTICS) is not None:
            from firmware.ocpp.diagnostics import DiagnosticsJob  # rare

            self.start(DiagnosticsJob(self.station, None))

    def start(self, job) -> None:
        """Begins a job. Cancels a former one of its kind, and begins when that has ended: both use
        the same file."""
        former = [task for task in self._jobs.get(job.message, ()) if not task.done()]
        self.stop(job.message)
        task = self.station.spawn(self._run(job, former))
        self._jobs[job.message] = former + [task]

    def stop(self, message: str) -> None:
        """Cancels the job with this message, if there is one."""
        for task in self._jobs.get(message, ()):
            task.cancel()

    async def _run(self, job, former):
        await runtime.stop(former)
        await job.run()

    def status(self, message: str) -> str:
        """The present status of the job with this message."""
        return self.statuses.get(message, IDLE)

    def is_idle(self, message: str) -> bool:
        """Whether no job with this message is under way."""
        return message not in self.statuses

    def describe(self) -> list:
        """The transfers that are under way, in lines for the console."""
        tasks = [self._teller] if self._teller else []
        for jobs in self._jobs.values():
            tasks += jobs
        if all(task.done() for task in tasks):
            return ["nothing"]
        lines = [name[:-_SUFFIX] + ": " + self.statuses[name] for name in self.statuses]
        return (lines or ["waiting"]) + ([self.progress] if self.progress else [])

    async def guard_memory(self) -> None:
        """The task that watches the chip's own memory; it ends at once on a board where that can't
        get scarce."""
        while True:
            free = runtime.scarce_memory()
            if free is None:
                return
            if free < _LOW and not self.memory_is_low:
                runtime.collect()  # the garbage may hold a connection that is not closed yet
                free = runtime.scarce_memory()
                if free < _LOW:
                    self._memory_fell(free)
            elif free >= _ENOUGH and self.memory_is_low:
                self.memory_is_low = False
                self.log.info("the chip's own memory: %d KB are free again", free // 1000)
            await asyncio.sleep(_LOOK_S)

    def _memory_fell(self, free):
        self.memory_is_low = True
        self.log.error(
            "only %d KB of the chip's own memory are free: %s",
            free // 1000,
            "the transfer is ended" if self._moving else "no transfer begins",
        )
        if self._moving:
            self._moving.cancel()

    # for the jobs

    def show_progress(self, text: str) -> None:
        """Says how far the present transfer has come, for the console."""
        self.progress = text

    def set_status(self, message: str, status: str) -> None:
        """Sets a status without a notification: TriggerMessage may ask for it."""
        self.statuses[message] = status

    def clear_status(self, message: str) -> None:
        """The job is over: its status is Idle."""
        self.statuses.pop(message, None)

    def notify(self, message: str, status: str, last: bool = False) -> None:
        """Sets a status and queues its notification, which is sent in its turn while the station
        is online; the job goes on meanwhile. `last`: the status is Idle from now on."""
        if last:
            self.clear_status(message)
        else:
            self.set_status(message, status)
        self._to_tell.append((message, status))
        self._all_told.clear()
        if not self._teller or self._teller.done():
            self._teller = self.station.spawn(self._tell())

    async def _tell(self):
        station = self.station
        while self._to_tell:
            message, status = self._to_tell[0]
            await station.registration.online.wait()
            try:
                await station.rpc.call(message, {"status": status})
            except LinkDown:  # it is sent on the next connection
                await asyncio.sleep(1)
                continue
            except (CallError, asyncio.TimeoutError) as why:
                self.log.warning("%s: %s", message, str(why) or "no answer")
            self._to_tell.pop(0)
        self._all_told.set()

    async def notified(self, longest_s: int = 0) -> None:
        """Waits until all notifications are sent, at most so many real seconds; 0: without
        limit."""
        if not longest_s:
            await self._all_told.wait()
        elif not await runtime.wait(self._all_told, longest_s * 1000):
            self.log.warning("the central system has not received every status")

    async def no_transaction(self) -> None:
        """Waits until no transaction runs."""
        while self.station.session.transaction:
            await self.station.clock.sleep_ms(1000)

    def reason(self, error: Exception) -> str:
        """Why a transfer failed, for a log line."""
        if isinstance(error, runtime.LINK_ERRORS):
            return str(error) or "it took too long"
        return runtime.trace(error)

    async def download(self, url: str, sink) -> None:
        """Downloads a file into a sink (see net/transfer.py). Raises one of runtime.LINK_ERRORS,
        or what the sink raises."""
        from firmware.net import transfer  # rare, with HTTP and FTP

        await self._transfer("download", url, lambda place: transfer.download(place, sink))

    async def upload(self, url: str, name: str, body) -> None:
        """Uploads `body` (a transfer.FileBody) as a file of this name into the folder that the URL
        tells. Raises one of runtime.LINK_ERRORS."""
        from firmware.net import transfer  # rare, with HTTP and FTP

        await self._transfer("upload", url, lambda place: transfer.upload(place, name, body))

    async def _transfer(self, what, url, move):
        """Moves a file by `move(location)`, a coroutine function, once no other file moves."""
        from firmware.net import transfer  # as above

        station = self.station
        await self.notified(NOTIFIED_S)  # they need memory, too
        async with self._one_at_a_time:
            runtime.collect()  # so that the transfer's buffers lie close together
            await asyncio.sleep(0)
            memory = _TlsMemory(station, self.log)
            try:
                location = transfer.Location(
                    url, memory.tls_context, station.log("transfer"), station.connection.addresses
                )
                location.log.info("%s %s", what, location)
                await self._move(move(location))
            except tls.TlsFailed as why:
                station.security_event("TLS: " + why.check)
                raise
            finally:
                self.show_progress("")
                memory.give_back()

    async def _move(self, work):
        """Awaits the coroutine that moves a file, while there is memory for it."""
        if self.memory_is_low:
            work.close()
            raise OSError(_NO_MEMORY)
        self._moving = asyncio.create_task(work)
        try:
            await asyncio.wait_for(self._moving, _LONGEST_S)
        except asyncio.CancelledError:
            if self.memory_is_low:  # `_memory_fell` cancelled it
                raise OSError(_NO_MEMORY)
            raise
        finally:
            self._moving = None


class _TlsMemory:
    """The memory for a transfer's TLS connections. On a board with room for a single one, the
    central system's connection is suspended for the transfer."""

    def __init__(self, station, log):
        self._station = station
        self._log = log
        self._suspended = False

    async def tls_context(self):
        """The context for a TLS connection, for which there is room now. Raises ValueError without
        a CA, OSError where there is no room."""
        connection, security = self._station.connection, self._station.security
        link_has_tls = (
            self._station.config.int("SecurityProfile") == 2
            or connection.url()[:4].lower() == "wss:"
        )
        if link_has_tls and not tls.has_room() and not self._suspended:
            self._log.info("the connection makes room: the transfer needs its memory")
            self._suspended = True
            await connection.suspend()
        if security.is_unchecked():
            self._log.warning("TLS without a CA: anybody can pretend to be the server")
        context = security.tls_context()
        tls.check_room()
        return context

    def give_back(self) -> None:
        """The transfer is over: the central system's connection comes back."""
        if self._suspended:
            self._suspended = False
            self._station.connection.resume()
