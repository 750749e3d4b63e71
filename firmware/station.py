"""One station: its parts and its tasks."""

import asyncio

import firmware
from firmware.base import runtime
from firmware.base.journal import Journal
from firmware.base.runtime import const
from firmware.charging.evse import Evse, Limits
from firmware.charging.faults import Faults
from firmware.charging.session import Session
from firmware.metering.meter import Meter
from firmware.ocpp import LinkDown, authorization, handlers, keys
from firmware.ocpp.configuration import Configuration
from firmware.ocpp.connection import Connection
from firmware.ocpp.registration import Registration
from firmware.ocpp.rpc import Rpc
from firmware.ocpp.sampler import Sampler
from firmware.ocpp.security import Security
from firmware.ocpp.status_notifications import StatusNotifier
from firmware.ocpp.transaction_sender import TransactionSender
from firmware.ocpp.transfers import Transfers
from firmware.sensing.modbus import Master
from firmware.sensing.tic import TicLine
from firmware.smart_charging.controller import LimitController
from firmware.smart_charging.profile_files import ProfileFiles
from firmware.smart_charging.store import ProfileStore
from firmware.transactions.transactions import Transactions

_WATCH_S = const(4)  # real seconds within which each part that is watched must have its turn
_MANY_TASKS = const(5)  # while so many tasks are under way, the station is busy
_DELIVER_S = const(10)  # how long a reset waits for its last messages to be delivered
_MOST_TASK_CRASHES = const(3)  # so many crashes of a task in a row end in the safe state
_LASTING_MS = const(60000)  # a task that ran for so long begins a new row of crashes
_LONGEST_PAUSE_S = const(30)  # before a crashed task is started again
_METER = "meter"  # in the store: the model and number of the meter whose register is known
# Tasks without which no car may charge.
_VITAL = ("control", "journal", "session")


class Station:
    """A charging station from its start to a Reset.

    `parts` are those that outlive it (program.py). `restart_reason`: OCPP's reason for the end of
    a transaction that was still open at the last restart.
    """

    def __init__(self, parts, restart_reason: str):
        options = parts.options
        self.board = parts.board
        self.clock = clock = parts.clock
        self.log = log = parts.log
        self.logbook = parts.logbook
        self.files = parts.files  # the flash, for what is too large for the store
        self.network_joined = parts.network_joined
        self.parts = parts
        self.reference = reference = parts.reference
        self.version = firmware.VERSION
        self.build_epoch = firmware.BUILD
        self.in_safe_state = False  # after too many crashes: no more charging until a reset
        self.login_ends_ms = 0  # until when the console takes commands, where it has a password
        self._tasks = []
        self._running = []  # the tasks that are kept running
        self._crashes = {}  # of those, by name: (how many in a row, when the newest was, ms)
        self._ended = runtime.Event()
        self._outcome = ""
        self._reading = None  # the newest reading that the evse has checked
        self._watched = {}  # the parts that must take their turns, by name
        self.config = config = Configuration(
            parts.store, options.run_keys, options.provisioned_keys
        )
        config.attach(self)

        # the charger
        self.evse = Evse(
            self.board,
            clock.ms,
            log("evse"),
            Limits(),
            Faults(log("faults"), parts.store),
            reference.socket,
            reference.phases,
            options.switch_s * 1000,
        )
        self.meter = Meter(
            Master(parts.meter_port, parts.registers.baud, parts.meter_clock),
            parts.registers,
            options.meter_unit,
            parts.meter_clock,
            log("meter"),
            max_ma=self.max_ma,
            phases=config.int("PhaseNumber"),
        )
        self.meter.warn_of_missing_values()
        self.tic = TicLine(parts.tic_tune, parts.tic_clock, log("tic"), feeds_in=options.feeds_in)
        self.transactions = Transactions(
            Journal(self.files, log("journal")), parts.store, clock, log("journal"), firmware.BUILD
        )
        self.profiles = ProfileStore(ProfileFiles(self.files), clock, log("profiles"))
        self.limit_controller = LimitController(
            self.evse,
            self.meter,
            self.tic,
            self.profiles,
            self.transactions,
            config,
            clock,
            parts.store,
            options.tic_pause_s,
        )
        self.profile_limit = self.limit_controller.profile_limit

        # OCPP
        self.rpc = Rpc(
            lambda action, payload: handlers.handle(self, action, payload),
            log("rpc"),
            lambda: config.int("MessageTimeout"),
            clock.ms,
        )
        self.registration = Registration(self)
        self.notifier = StatusNotifier(self)
        self.transaction_sender = TransactionSender(self)
        self.sampler = Sampler(self)
        self.transfers = Transfers(self)
        self.session = Session(
            self.evse,
            self.meter,
            self.transactions,
            config,
            clock,
            log("session"),
            lambda: authorization.charges_without_asking(self),
            self.sampler.transaction_data,
            restart_reason,
        )
        self.security = Security(self, parts.ca, options.insecure)
        self.connection = Connection(self)
        self.transactions.outbox.on_message = self.transaction_sender.wake.set
        self.transactions.outbox.set_endpoint(self.connection.present_endpoint_id())
        self.full = None  # what FeatureSet `full` adds, a FullCore
        self.take_features()
        self._watch("control", self.evse)
        self._watch("journal", self.transactions)
        keys.set_tic_mode(self)
        keys.set_delivery(self)

    # what the parts ask the station for

    def set_time(self, epoch: int, ms: int = 0, asked_ms: int | None = None) -> int:
        """Sets the clocks to the time that a central system or time server told (Unix seconds and
        ms; it was asked at `asked_ms` of the station's clock), and dates the events before.
        Returns by how many ms the clock was wrong."""
        moved_ms = self.clock.set(epoch, ms, asked_ms, self.transactions.running is None)
        self.set_host_clock(epoch)
        self.transactions.event_times.date_boots()
        return moved_ms

    def set_host_clock(self, epoch: int) -> None:
        """It is at least so late (Unix seconds). Sets only the clock by which TLS checks
        certificates."""
        runtime.set_host_epoch(epoch)

    def security_event(self, text: str) -> None:
        """Logs an event that matters for security (white paper 8)."""
        self.log("security").warning("%s", text)

    @property
    def max_ma(self) -> int:
        """The station's own maximum on each phase, mA."""
        return self.config.int("IMaxUser") * 1000

    def take_features(self) -> bool:
        """Takes on the features that FeatureSet names. Returns whether they are others than
        before."""
        is_full = self.config.feature_set() == keys.FULL
        if is_full == (self.full is not None):
            return False
        if is_full:
            from firmware.ocpp.handlers import full_core  # only where somebody wants it

            self.full = full_core.FullCore(self)
        else:
            self.full.remove()
            self.full = None
        return True

    def prolong_login(self, ms: int) -> None:
        """The console takes commands for so much longer, where it has a password."""
        self.login_ends_ms = self.clock.ms() + ms

    # the tasks

    def end(self, outcome: str) -> None:
        """Ends the tasks and lets `run` return the outcome: "reset", "hard reset", "update",
        "quit", "maintenance" or "calibrate". Over a restart it is kept whether the car has
        already charged."""
        if outcome == "quit" or not self._outcome:  # typed while a reset is under way, too
            self._outcome = outcome
        self._ended.set()
        if outcome != "quit":
            self.session.save_for_restart()

    def reset(self, hard: bool) -> None:
        """Stops the transaction, delivers its messages as far as possible, and ends the
        station."""
        self.spawn(self._reset(hard))

    async def _reset(self, hard):
        """The task of a Reset. Tries ResetRetries times more to stop a transaction that does not
        end; after the restart it is closed from the journal."""
        self.security_event("%s reset" % ("hard" if hard else "soft"))
        for _ in range(1 + self.config.int("ResetRetries")):
            self.session.refuse_transactions()
            if await self.session.stop_transaction_and_wait("HardReset" if hard else "SoftReset"):
                break
        await self.transaction_sender.wait_until_delivered(_DELIVER_S)
        self.evse.faults.reset()
        self.end("hard reset" if hard else "reset")

    def spawn(self, work):
        """Runs a coroutine as a task of its own and returns the task. An exception in it is only
        logged."""
        return runtime.spawn(self._tasks, work, self._task_failed)

    def _task_failed(self, error):
        if not isinstance(error, LinkDown):  # the connection has logged that
            self.log("station").error(runtime.trace(error))

    def is_busy(self) -> bool:
        """Whether too many tasks are under way, besides the caller's, to begin another one that
        will send a message. Each takes memory while it waits for its turn to send. A central
        system that waits for its answers causes few of them."""
        return self._others_under_way() >= _MANY_TASKS

    def is_overloaded(self) -> bool:
        """Whether twice as many are under way: then every CALL is refused."""
        return self._others_under_way() >= 2 * _MANY_TASKS

    def _others_under_way(self):
        asking = asyncio.current_task()
        count = 0
        for tasks in (self._tasks, self.rpc.tasks):
            for task in tasks:
                count += task is not asking
        return count

    async def run(self, more=()) -> str:
        """Runs until `end` is called, and returns its outcome. `more`: a (name, part) for each
        further part whose `run(station)` is kept running."""
        self._start("control", self._control)
        self._start("journal", self._read_journal)
        self._start("limits", self.limit_controller.run)
        self._start("tic", self.tic.run)
        self._start("memory", self.transfers.guard_memory)
        self._start("watchdog", self._supervise)
        for name, part in more:
            self._start(name, lambda part=part: part.run(self))  # type: ignore[misc]
        self.transfers.resume()
        try:
            await self._ended.wait()
        finally:
            self.board.permit(False)
            await runtime.stop(self._running + self._tasks)
            await runtime.stop(list(self.rpc.tasks))  # of what came until now
            await self.connection.close()
            self.profiles.flush()
            if self.full:
                self.full.cache.flush()
            self.transactions.outbox.save()
            self.logbook.save()
        return self._outcome

    def _start(self, name, work):
        """Keeps `work()` running in a task of this name."""
        self._running.append(asyncio.create_task(self._keep_running(name, work)))

    async def _keep_running(self, name, work):
        """Runs `work()` again and again, until it ends without a crash."""
        while not (self.in_safe_state and name in _VITAL):
            try:
                return await work()
            except Exception as error:
                self._task_crashed(name, error)
            await asyncio.sleep(min(self._crashes[name][0], _LONGEST_PAUSE_S))

    def _task_crashed(self, name, error):
        """Logs a crash and counts it. After three in a row of a vital task the station is in its
        safe state: the permit stays off."""
        try:
            self.log(name).error(runtime.trace(error))
        except MemoryError:  # there is not even room for the log: go on all the same
            runtime.collect()
        now = self.clock.ms()
        count, newest_ms = self._crashes.get(name, (0, 0))
        if now - newest_ms > (_LASTING_MS + count * 1000) * self.clock.speed:
            count = 0
        count += 1
        self._crashes[name] = (count, now)
        if name in _VITAL:
            self.board.permit(False)
            if count >= _MOST_TASK_CRASHES:
                self.in_safe_state = True
                self.log(name).error("crashed %d times: no charging until a reset", count)

    async def _read_journal(self):
        """A full journal takes a while: the control loop works meanwhile, and what needs the
        journal begins afterwards."""
        await self.transactions.replay()
        self._watched.pop("journal")
        self._expect_register()
        self._watch("meter", self.meter)
        self._watch("session", self.session)
        self._watch("sampler", self.sampler)
        self.connection.dialling_begins()
        self._start("meter", self.meter.run)
        self._start("session", self.session.run)
        self._start("link", self.connection.run)
        self._start("sampler", self.sampler.run)

    def _expect_register(self):
        """Tells the meter what the journal knows of its register, unless it is another meter than
        before, by its model or by the number that the installer gave."""
        store = self.parts.store
        identity = ("%s %s" % (self.meter.model, self.parts.options.meter_number)).encode()
        before = store.read(_METER)
        register = self.transactions.last_register()
        if before != identity:
            try:
                store.write(_METER, identity)
            except OSError as why:
                self.log("meter").error("it can't be kept which meter this is: %s", why)
        if before and before != identity:
            self.log("meter").warning("another meter than before: its register is believed")
        elif register is not None:
            self.meter.expect(register)

    async def _control(self):
        """The control loop: a step of the evse for each sample of the board."""
        while not self.in_safe_state:
            pause_ms = self.evse.step()
            self._watch_meter()
            self.notifier.update()
            if self.evse.has_changed():
                self.session.evse_changed()
            await self.board.wait(pause_ms)

    def _watch_meter(self):
        """Hands each new reading of the meter to the evse, which checks it for faults."""
        reading = self.meter.last
        if reading is not self._reading:
            self._reading = reading
            self.evse.check_reading(reading)
        self.evse.set_meter_error(self.meter.error is not None)

    async def _supervise(self):
        """Feeds the watchdog while every part that must not stop has had its turn: each sets its
        `alive`, which is cleared here."""
        while True:
            await asyncio.sleep(_WATCH_S)
            watched = self._watched
            silent = " ".join(sorted([name for name in watched if not watched[name].alive]))
            for part in watched.values():
                part.alive = False
            if silent and not self.in_safe_state:
                self.log("watchdog").error("silent: %s", silent)
            if self.full:
                self.full.cache.maintain()
            self.board.feed("" if self.in_safe_state else silent)

    def _watch(self, name, part):
        """From now on the part must be alive in each of the supervisor's periods but this one."""
        part.alive = True
        self._watched[name] = part
