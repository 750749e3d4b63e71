"""An update (OCPP 5.19, errata 3.47 to 3.49): it brings a signed bundle into a slot and starts it.

The update under way is in the store. It outlives restarts, and power cuts at any step. Its
phases:

    NEW         nothing is believed of what the slot holds
    WAITING     for the date; then the download into the slot that does not run, in attempts: an
                image at once, files between transactions
    READY       the slot is complete and checked; as soon as no transaction runs, boot.txt says so
    TRIAL       boot.py starts the slot; what reaches the central system there is INSTALLED
    INSTALLED, INSTALLATION_FAILED, DOWNLOAD_FAILED      to be told, then it is over

A slot that does not reach the central system in time restarts, and boot.py starts the old slot
again: INSTALLATION_FAILED.
"""

import asyncio

from firmware.base import bundle, runtime, slots
from firmware.base.bundle import BadBundle
from firmware.base.runtime import const
from firmware.ocpp.transfers import FIRMWARE_STATUS, NOTIFIED_S, STORED_UPDATE

# The phases, as they are stored.
NEW = "new"
WAITING = "wait"
READY = "ready"
TRIAL = "trial"
# The last phases are the statuses that are told then (OCPP 7.25).
INSTALLED = "Installed"
INSTALLATION_FAILED = "InstallationFailed"
DOWNLOAD_FAILED = "DownloadFailed"
# The other statuses.
DOWNLOADING = "Downloading"
DOWNLOADED = "Downloaded"
INSTALLING = "Installing"

_TRIAL_S = const(600)  # real seconds that a new version has to reach the central system
_TRIAL_MORE_MS = const(60000)  # how long it then waits at a time while a transaction runs

_TRIED_OUT = const("99")  # more starts on trial than boot.py allows: it goes back


class Update:
    """What is stored of an update. `retrieve_date`: Unix seconds, not before which it may be
    downloaded; `attempts`: how many downloads are left; `retry_interval_s` between them; `slot`:
    where it goes, a slot's name or the label of an OTA partition."""

    def __init__(
        self,
        phase: str,
        url: str,
        retrieve_date: int,
        attempts: int,
        retry_interval_s: int,
        slot: str,
    ):
        self.phase = phase
        self.url = url
        self.retrieve_date = retrieve_date
        self.attempts = attempts
        self.retry_interval_s = retry_interval_s
        self.slot = slot

    def is_image(self) -> bool:
        """Whether it is a whole MicroPython, not the application's files."""
        return len(self.slot) > 1

    def store_in(self, store) -> None:
        """Replaces what is stored: a line each, in the order of `__init__`."""
        fields = (
            self.phase,
            self.url,
            str(self.retrieve_date),
            str(self.attempts),
            str(self.retry_interval_s),
            self.slot,
        )
        store.write(STORED_UPDATE, "\n".join(fields).encode())


def stored(store) -> Update | None:
    """The update that is under way; None where there is none."""
    fields = (store.read(STORED_UPDATE) or b"").decode().split("\n")
    if len(fields) != 6:
        return None
    phase, url, retrieve_date, attempts, retry_interval_s, slot = fields
    return Update(phase, url, int(retrieve_date), int(attempts), int(retry_interval_s), slot)


def request(station, url: str, retrieve_date: int, attempts: int, retry_interval_s: int) -> None:
    """Stores a new update, in the place of any other."""
    slot = slots.find(station.files).inactive()
    url = url.replace("\n", " ")  # a line each
    Update(NEW, url, retrieve_date, attempts, retry_interval_s, slot).store_in(
        station.config.store
    )
    station.transfers.clear_status(FIRMWARE_STATUS)


class UpdateJob:
    """A job for `transfers.py`: goes through the stored update's phases."""

    message = FIRMWARE_STATUS

    def __init__(self, station):
        self.station = station
        self.transfers = station.transfers
        self.store = station.config.store
        self.online = station.registration.online
        self.log = station.log("update")
        self.slots = slots.find(station.files)

    async def run(self) -> None:
        """Until the update is over, or the station restarts for it."""
        while not await self.step():
            pass

    async def step(self) -> bool:
        """Does the work of the present phase, or waits for it. Returns whether the job is
        done."""
        update = stored(self.store)
        if update is None:
            return True
        if update.phase in (NEW, WAITING):
            return await self._download(update)
        if update.phase in (READY, TRIAL):
            if self._runs_on_trial(update):
                return await self._prove(update)
            if update.phase == TRIAL:
                return await self._undone(update)
            if self._is_ready(update):
                return await self._install(update)
            self.log.warning("the slot was filled over USB meanwhile: installing again")
            update.phase = NEW
            self._keep(update)
            return False
        return await self._tell_end(update)

    def _keep(self, update):
        """Stores it. Ends the job where a new request has taken its place: asyncio's wait_for can
        swallow the end that `Transfers.stop` asked for."""
        now = stored(self.store)
        if not now or (now.url, now.retrieve_date) != (update.url, update.retrieve_date):
            raise asyncio.CancelledError
        update.store_in(self.store)

    # the download

    async def _download(self, update):
        """Waits for the date, or takes an attempt."""
        if self.store.read("update_key") is None:
            self.log.error("no update key, so nothing is fetched: make provision installs one")
            return await self._end(update, INSTALLATION_FAILED)
        now = self.station.clock.epoch()
        if now is None and not self.online.is_set():
            await self.online.wait()
            return False
        if now is not None and now < update.retrieve_date:
            await self.station.clock.sleep_ms((update.retrieve_date - now) * 1000)
            return False
        if update.attempts <= 0:
            return await self._end(update, DOWNLOAD_FAILED)
        if self.station.session.transaction and not slots.has_ota_slots():
            self.log.info("waits for the end of the transaction")  # files they would be
            await self.transfers.no_transaction()
            return False
        self._begin_attempt(update)
        try:
            update.slot = await download(
                self.station, self.slots, update.url, update.slot, self.log
            )
        except bundle.Postponed:
            self.log.info("goes on after the transaction")
            update.attempts += 1
            self._keep(update)
            await self.transfers.no_transaction()
            return False
        except BadBundle as why:
            self.log.error("not installed: %s", why)
            self.station.security_event("a firmware bundle was refused: %s" % why)
            bundle.forget(self.slots.files, update.slot)
            self.transfers.notify(self.message, DOWNLOADED)  # what was needed to refuse it
            return await self._end(update, INSTALLATION_FAILED)
        except Exception as why:  # whatever it is: it counts as an attempt
            self.log.warning("download: %s", self.transfers.reason(why))
            if update.attempts <= 0:
                return await self._end(update, DOWNLOAD_FAILED)
            await self.station.clock.sleep_ms(update.retry_interval_s * 1000)
            return False
        update.phase = READY
        self._keep(update)
        self.transfers.notify(self.message, DOWNLOADED)
        await self.transfers.no_transaction()
        return False

    def _begin_attempt(self, update):
        """Counts the attempt before it begins, so that one that ends in a crash counts too."""
        slot = self.slots.inactive()
        if update.slot != slot:  # somebody has flashed the station by wire since
            update.phase = NEW
            update.slot = slot
        if update.phase == NEW:
            bundle.forget(self.slots.files, slot)
        update.phase = WAITING
        update.attempts -= 1
        self._keep(update)
        if self.transfers.status(self.message) != DOWNLOADING:
            self.transfers.notify(self.message, DOWNLOADING)

    # the installation

    def _is_ready(self, update) -> bool:
        """Whether what was downloaded is still there, and not what runs already."""
        if self._runs(update):
            return False
        return update.is_image() or bundle.is_unpacked(self.slots.files, update.slot)

    def _runs(self, update) -> bool:
        running = slots.running_ota_slot() if update.is_image() else self.slots.running
        return update.slot == running

    async def _install(self, update):
        """Lets boot.py start the new version, once no transaction runs."""
        session = self.station.session
        if session.transaction:
            self.transfers.set_status(self.message, DOWNLOADED)
            await self.transfers.no_transaction()
            return False
        session.refuse_transactions()
        self.transfers.notify(self.message, INSTALLING)
        await self.transfers.notified(NOTIFIED_S)
        if session.transaction:
            await self.transfers.no_transaction()
            return False
        try:
            if update.is_image():
                self.slots.write_boot(image=slots.running_ota_slot(), tries="0", failed="0")
                slots.boot_ota_slot(update.slot)
            else:
                self.slots.write_boot(slot=update.slot, trial="1", tries="0", failed="0")
        except OSError as why:
            self.log.error("not installed: %s", why)
            return await self._end(update, INSTALLATION_FAILED)
        update.phase = TRIAL
        self._keep(update)
        self.log.warning("restarting into %s", update.slot)
        self.station.end("update")
        return True

    # the trial

    def _runs_on_trial(self, update) -> bool:
        """Whether this is the new version. The power may have failed before TRIAL was stored."""
        if not self._runs(update):
            return False
        settings = self.slots.read_boot()
        on_trial = settings.get("trial") == "1" or settings.get("image")
        return update.phase == TRIAL or bool(on_trial)

    async def _prove(self, update):
        """In the new version: it has to reach the central system."""
        station = self.station
        if station.registration.status == "Accepted":
            self.log.warning(
                "version %s is kept: the central system has accepted it", station.version
            )
            if update.is_image():
                slots.confirm_ota_slot()
                self.slots.write_boot(image="")
            else:
                self.slots.write_boot(trial="0", tries="0")
            return await self._end(update, INSTALLED)
        if self.transfers.is_idle(self.message):
            self.transfers.set_status(self.message, INSTALLING)
            await runtime.wait(self.online, _TRIAL_S * 1000)
            return False
        if station.session.transaction:  # let it end, and the central system answer after all
            await runtime.wait(self.online, _TRIAL_MORE_MS)
            return False
        self.log.error("version %s did not reach the central system: going back", station.version)
        self.slots.write_boot(tries=_TRIED_OUT)
        station.end("update")
        return True

    async def _undone(self, update):
        """In the old version again."""
        self.log.error("the new version was not kept: no central system accepted it")
        self.station.security_event("a firmware update was undone")
        if self.slots.read_boot().get("trial") == "1":  # there is no boot.py that goes back
            self.slots.write_boot(slot=slots.other(update.slot), trial="0", tries="0")
        self.slots.write_boot(failed="0")
        return await self._end(update, INSTALLATION_FAILED)

    # the end

    async def _end(self, update, status):
        """The update has ended; the next step notifies the status."""
        self.transfers.clear_status(self.message)
        self.station.session.accept_transactions()
        update.phase = status
        self._keep(update)
        await self.online.wait()
        return False

    async def _tell_end(self, update):
        if not self.online.is_set():
            await self.online.wait()
            return False
        self.transfers.notify(self.message, update.phase, True)
        await self.transfers.notified()
        self._keep(update)
        self.store.remove(STORED_UPDATE)
        return True


_LOG_BYTES = const(32768)  # between two lines of progress in the log


async def download(station, found, url: str, slot: str, log) -> str:
    """Brings what the slot, one of `found` (a slots.Slots), does not have yet of the bundle at
    `url`. Returns what is to be started then: the slot's name, or the label of an OTA partition.
    Raises BadBundle where trying again won't help, Postponed where a transaction has begun and the
    bundle is one of files, or any other exception."""
    key = station.config.store.read("update_key")
    if key == bundle.UNSIGNED:
        log.warning("provisioned to take any bundle: its signature is not checked")
    unpacker = bundle.Unpacker(
        found.files,
        slot,
        key,
        slots.ImageWriter,
        runtime.board_name(),
        bool(found.running),
        lambda: not station.session.transaction,
    )
    try:
        try:
            await unpacker.resume()
        except BadBundle as why:
            log.debug("not gone on with: %s", why)
            unpacker.restart()
        if not unpacker.done:
            await station.transfers.download(url, _Sink(station.transfers, log, unpacker))
    finally:
        unpacker.close()
    log.info("version %s is there", unpacker.version)
    return unpacker.label


class _Sink:
    """The unpacker, as a sink that tells its progress."""

    def __init__(self, transfers, log, unpacker):
        self.restart = unpacker.restart
        self.finish = unpacker.finish
        self._transfers = transfers
        self._log = log
        self._unpacker = unpacker
        self._next_log = 0  # bytes at which the log gets its next line

    @property
    def received(self):
        return self._unpacker.received

    async def write(self, block):
        await self._unpacker.write(block)
        received = self._unpacker.received
        progress = "%d of %d bytes" % (received, self._unpacker.total or received)
        self._transfers.show_progress(progress)
        if received >= self._next_log:
            self._next_log = received + _LOG_BYTES
            self._log.info("%s", progress)
