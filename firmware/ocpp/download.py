"""The download of an update: on its date, in so many attempts, into the slot (update.py)."""

from firmware.base import bundle, ota, slots

_MESSAGE = "FirmwareStatusNotification"
_LINE_BYTES = 32768  # between two lines of progress in the log


async def step(station, _):
    """Waits for the date, or takes an attempt. See jobs.py."""
    job = station.config.store.read("update").decode().split("\n")
    try:
        return await _attempt(station, job, station.log("update"))
    finally:
        pass


async def _attempt(station, job, log):
    now = station.clock.epoch()
    online = station.registration.online
    if now is None and not online.is_set():
        return online.wait()
    if now is not None and now < int(job[2]):
        return station.clock.sleep_ms((int(job[2]) - now) * 1000)
    left = int(job[3])
    if left <= 0:
        return _over(station, job, "DownloadFailed")
    found = slots.find(station.files)
    flash, slot = found.files, found.inactive()
    if job[5] != slot:  # somebody has flashed the station by wire since
        job[0] = "new"
        job[5] = slot
    if job[0] == "new":
        bundle.forget(flash, job[5])
    job[0] = "wait"
    job[3] = str(left - 1)
    station.jobs.keep(job)  # an attempt that ends in a crash is one, too
    if station.doing.get(_MESSAGE) != "Downloading":
        station.jobs.say(_MESSAGE, "Downloading")
    try:
        job[5] = await _download(station, job, flash, log)
    except bundle.BadBundle as why:
        log.error("not installed: %s", why)
        station.security_event("a firmware bundle was refused: %s" % why)
        bundle.forget(flash, job[5])
        return _over(station, job, "InstallationFailed")
    except Exception as why:  # whatever it is: it counts as an attempt
        log.warning("download: %s", station.jobs.why(why))
        if left > 1:
            return station.clock.sleep_ms(int(job[4]) * 1000)
        return _over(station, job, "DownloadFailed")
    job[0] = "ready"
    station.jobs.keep(job)
    station.jobs.say(_MESSAGE, "Downloaded")
    return station.jobs.idle()


def _over(station, job, status):
    station.doing.pop(_MESSAGE, None)
    job[0] = status
    station.jobs.keep(job)
    return station.registration.online.wait()


async def _download(station, job, flash, log):
    """Brings what the slot does not have yet; what is to be started then."""
    key = station.config.store.read("update_key")
    if key is None:
        raise bundle.BadBundle("this station has no key to check it with")
    if key == bundle.UNSIGNED:
        log.warning("provisioned to take any bundle: its signature is not checked")
    unpacker = bundle.Unpacker(flash, job[5], key, _image)
    try:
        try:
            await unpacker.resume()
        except bundle.BadBundle as why:
            log.debug("not gone on with: %s", why)
            unpacker.restart()
        if not unpacker.done:
            await station.jobs.transfer(job[1], "download", _Sink(station.jobs, log, unpacker))
    finally:
        unpacker.close()
    log.info("version %s is there", unpacker.version)
    return unpacker.label


def _image(size):
    return ota.ImageWriter(size)


class _Sink:
    """The unpacker, with a line of progress now and then."""

    def __init__(self, jobs, log, unpacker):
        self.restart = unpacker.restart
        self.finish = unpacker.finish
        self._unpacker = unpacker
        self._jobs = jobs
        self._log = log
        self._next = 0

    @property
    def received(self):
        return self._unpacker.received

    async def write(self, block):
        await self._unpacker.write(block)
        done = self._unpacker.received
        text = "%d of %d bytes" % (done, self._unpacker.total or done)
        self._jobs.progress = text
        if done >= self._next:
            self._next = done + _LINE_BYTES
            self._log.info("%s", text)
