"""One station: its parts, what connects them, and the tasks that keep it going."""

import asyncio

import firmware
from firmware.base import runtime
from firmware.charging.session import Session
from firmware.ocpp import CallError, LinkDown, Unanswered, key_effects
from firmware.ocpp.connection import Connection
from firmware.ocpp.handlers import dispatch
from firmware.ocpp.registration import Registration
from firmware.ocpp.rpc import Rpc
from firmware.ocpp.sampler import Sampler
from firmware.ocpp.security import Security
from firmware.ocpp.status_notifications import StatusNotifier
from firmware.ocpp.transaction_sender import TransactionSender

_OFFLINE_MS = 60000  # no link for so long means offline (docs/guide-notes.md, guide page 16)
_FLUSH_S = 10  # how long a reset waits for its last messages to be delivered
_WATCH_S = 4  # real seconds in which each part has a turn
_AT_ONCE = 5  # pieces of work under way, for others to be told that this is enough
_CRASHES = 3  # so many in a row end in the safe state


class Station:
    """A charging station. `app.py` builds the parts that depend on where it runs.

    `run` returns what ended it: "reset", "hard reset" or "quit".
    """

    def __init__(
        self,
        board,
        clock,
        log,
        config,
        reference,
        evse,
        meter,
        tic,
        transactions,
        limit_controller,
        restart_reason,
    ):
        self.board = board
        self.clock = clock
        self.log = log
        self.config = config
        config.attach(self)
        self.reference = reference
        self.evse = evse
        self.meter = meter
        self.tic = tic
        self.transactions = transactions
        self.limit_controller = limit_controller
        self.profiles = limit_controller.profiles
        self.profile_limit = limit_controller.profile_limit
        self.version = firmware.VERSION
        self.build_epoch = firmware.BUILD
        self.safe = False
        self.trusted_ms = 0  # until when the console takes commands, where it has a password
        self.doing = {}  # what TriggerMessage asks of transfers: message -> status, else Idle
        self.jobs = None  # the transfers under way (ocpp/jobs.py)
        self.files = None  # the flash, for what is too large for the store
        self.rpc = Rpc(self._handle, log("rpc"), self.message_timeout, clock.ms)
        self.registration = Registration(self)
        self.notifier = StatusNotifier(self)
        self.transaction_sender = TransactionSender(self)
        self.sampler = Sampler(self)
        self.session = Session(
            evse,
            meter,
            transactions,
            config,
            clock,
            log("session"),
            self._starts_by_itself,
            self.sampler.transaction_data,
            restart_reason,
        )
        self.security = Security(self)
        self.connection = Connection(self)
        self._reading = None
        self._tasks = []
        self._ended = asyncio.Event()
        self._outcome = ""
        self.transactions.outbox.on_message = self.transaction_sender.wake.set
        self.transactions.outbox.set_endpoint(self.connection.present_endpoint_id())
        key_effects.set_tic_mode(self)
        key_effects.set_delivery(self)

    # what connects the parts

    async def _handle(self, action, payload):
        """A call of the central system. At most 2 * _AT_ONCE of them, and of what they have
        caused, are under way: one more is refused."""
        if self.registration.status == "Rejected":
            raise Unanswered  # OCPP 4.2
        if self.busy(2 * _AT_ONCE):
            raise CallError("GenericError", "too much at once")
        return await dispatch.handler_of(action)(self, payload)

    def busy(self, most: int = _AT_ONCE) -> bool:
        """Whether so much is under way, besides the task that asks, that no more is taken on: each
        piece of work takes memory while it waits its turn to send. A peer that waits for its
        answers causes a few."""
        asking = asyncio.current_task()
        count = 0
        for tasks in (self._tasks, self.rpc.tasks):
            for task in tasks:
                count += task is not asking
        return count >= most

    def message_timeout(self) -> int:
        """MessageTimeout, s. A lambda in `__init__` would keep all that is cold in memory."""
        return self.config.int("MessageTimeout")

    def _starts_by_itself(self):
        """Whether a car just plugged in is charged without asking (guide page 16)."""
        if not (self.transactions.outbox.endpoint_id or self.config.get("SupervisionUrl")):
            return True  # and has been since the link noticed
        lost = self.connection.lost_ms
        return lost is not None and self.clock.ms() - lost >= _OFFLINE_MS and self.trusts()

    def trusts(self) -> bool:
        """Whether an unknown id may charge while there is no link (OCPP 3.5.4)."""
        config = self.config
        return (
            config.on("LocalAuthorizeOffline")
            and config.on("AllowOfflineTxForUnknownId")
            and self.connection.is_accepted_endpoint()
        )

    def present(self, id_tag: str) -> None:
        """An id is presented locally: stops, or asks and starts."""
        session = self.session
        waiting = session.authorization
        if session.id_tag_stops_transaction(id_tag, None):
            session.stop_transaction("Local", id_tag)
        elif session.id_tag_releases_cable(id_tag, None):
            session.release_cable()
        elif waiting and waiting.id_tag.lower() == id_tag.lower():
            session.cancel_authorization()  # presented again: never mind (OCPP 4.9, B1)
        else:
            self.spawn(runtime.soon("firmware.ocpp.authorize", "present", self, id_tag))

    def set_host_clock(self, epoch: int) -> None:
        """It is at least so late: for looking at certificates, not for dating anything."""
        runtime.set_host_epoch(epoch)

    def security_event(self, text: str) -> None:
        """What the operator of a security log wants to see (white paper 8)."""
        self.log("security").warning("%s", text)

    def booted(self) -> None:
        """The central system accepted the station."""
        self.connection.accepted()
        self.transactions.event_times.date_boots()
        self.transaction_sender.wake.set()

    @property
    def max_ma(self) -> int:
        """The station's own maximum on each phase, mA."""
        return self.config.int("IMaxUser") * 1000

    def reset(self, hard: bool) -> None:
        """Stops the transaction, delivers what can be delivered, and starts again."""
        self.spawn(self._reset(hard))

    async def _reset(self, hard):
        """A transaction that does not end is asked ResetRetries times more; then the journal
        closes it after the restart."""
        self.security_event("%s reset" % ("hard" if hard else "soft"))
        for _ in range(1 + self.config.int("ResetRetries")):
            self.session.refuse_transactions()
            if await self.session.stop_transaction_and_wait("HardReset" if hard else "SoftReset"):
                break
        await self.transaction_sender.wait_until_delivered(_FLUSH_S)
        self.evse.faults.reset()
        self.end("hard reset" if hard else "reset")

    # the tasks

    def end(self, outcome: str) -> None:
        """The tasks end. After a restart the car is not to be taken for one that has just come."""
        if outcome == "quit" or not self._outcome:  # typed while a reset is under way, too
            self._outcome = outcome
        self._ended.set()
        if outcome != "quit":
            self.session.save_for_restart()

    def spawn(self, work):
        """A piece of work of its own, as a task; what goes wrong in it is logged and no more."""
        return runtime.spawn(self._tasks, work, self._spoiled)

    def _spoiled(self, error):
        if not isinstance(error, LinkDown):  # the link says why
            self.log("station").error("%s", runtime.trace(error))

    async def _keep(self, name, work):
        """A task that must live: logged and started again; the control task three times at most,
        then the permit stays off and the console says why."""
        crashes = 0
        while True:
            begun = self.clock.ms()
            try:
                return await work()
            except Exception as error:
                try:
                    self.log(name).error("%s", runtime.trace(error))
                except MemoryError:  # not even for that: the task is to live all the same
                    runtime.collect()
            if self.clock.ms() - begun > 60000 * self.clock.speed:
                crashes = 0
            crashes += 1
            if name in ("control", "session"):
                self.board.permit(False)
                if crashes >= _CRASHES:
                    self.safe = True
                    self.log(name).error("crashed %d times: no more charging; reset me", crashes)
                    return None
            await asyncio.sleep(min(crashes, 30))

    async def _control(self):
        while not self.safe:
            pause = self.evse.step()
            self._metered()
            self.notifier.update()
            if self.evse.has_changed():
                self.session.evse_changed()
            await self.board.wait(pause)

    def _metered(self):
        """Hands each new reading on: the evse watches its voltages and currents."""
        reading = self.meter.last
        if reading is not self._reading:
            self._reading = reading
            self.evse.reading(reading)
        self.evse.meter_error(self.meter.error is not None)

    async def _supervise(self):
        """The watchdog is fed only while each part that must not stop takes its turns."""
        parts = {"control": self.evse, "session": self.session}
        parts.update({"meter": self.meter, "sampler": self.sampler})
        while True:
            await asyncio.sleep(_WATCH_S)
            silent = " ".join(sorted([name for name in parts if not parts[name].alive]))
            for part in parts.values():
                part.alive = False
            if silent and not self.safe:
                self.log("watchdog").error("silent: %s", silent)
            self.board.feed("" if self.safe else silent)

    def _resume(self):
        """What is under way, or to be told of."""
        works = (
            ("update", "firmware.ocpp.handlers.firmware_update"),
            ("diagnostics", "firmware.ocpp.handlers.diagnostics"),
        )
        for name, module in works:
            if self.config.store.read(name) is not None:
                runtime.once("firmware.ocpp.jobs", "start", self, module, [])

    async def run(self, extra=()) -> str:
        """Runs until a reset or the end. `extra`: (name, part): its `run(station)` is kept too."""
        works = (
            ("control", self._control),
            ("session", self.session.run),
            ("link", self.connection.run),
            ("meter", self.meter.run),
            ("sampler", self.sampler.run),
            ("limits", self.limit_controller.run),
            ("tic", self.tic.run),
            ("watchdog", self._supervise),
        )
        for name, part in extra:
            works += ((name, lambda part=part: part.run(self)),)
        tasks = [asyncio.create_task(self._keep(name, work)) for name, work in works]
        self._resume()
        try:
            await self._ended.wait()
        finally:
            self.board.permit(False)
            await runtime.stop(tasks + self._tasks)
            await runtime.stop(list(self.rpc.tasks))  # of what came until now
            await self.connection.close()
            self.profiles.flush()
            self.transactions.outbox.save()
            if self.files:
                runtime.once("firmware.base.logbook", "save", self.files, self.log)
        return self._outcome
