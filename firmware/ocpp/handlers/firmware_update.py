"""UpdateFirmware (OCPP 5.19, errata 3.47 to 3.49): a signed bundle into the inactive slot.

What is under way is in the store's "update", a line each: phase, URL, retrieveDate (Unix seconds),
attempts left, seconds between them, slot. It outlives restarts, and power cuts at any step:

    new         nothing is believed of what the slot holds
    wait        for the date; download follows, which writes into the slot that does not run then
    ready       the slot is complete and checked; as soon as no transaction runs, boot.txt says so
    trial       boot.py starts the slot; what reaches the central system there is Installed
    Installed, InstallationFailed, DownloadFailed      to be told, then it is over

A slot that doesn't reach it in time restarts, and boot.py goes back: InstallationFailed.
"""

from firmware.base import bundle, ota, runtime, slots
from firmware.ocpp import Answer

MESSAGE = "FirmwareStatusNotification"
_ATTEMPTS = 4  # where the central system leaves it to us
_INTERVAL_S = 60
_TRIAL_S = 600  # real seconds
_TOLD_S = 10
_MOST = 100  # attempts
_DOWNLOAD = "firmware.ocpp.download"


async def UpdateFirmware(station, payload):
    """Answered, and begun after retrieveDate. A new request takes the place of one that has not
    been installed yet."""
    store = station.config.store
    before = (store.read("update") or b"").decode().split("\n")
    if before[0] == "trial" or station.doing.get(MESSAGE) == "Installing":
        station.log("update").warning("another update is being installed: this one is not taken")
        return {}
    if station.jobs:
        station.jobs.stop("firmware.ocpp.handlers.firmware_update")
    slot = slots.find(station.files).inactive()
    job = ["new", payload["location"].replace("\n", " ")]
    job.append(str(payload["retrieveDate"]))
    job.append(str(min(payload.get("retries", _ATTEMPTS - 1) + 1, _MOST)))
    job.append(str(min(payload.get("retryInterval", _INTERVAL_S), 86400)))
    job.append(slot)
    store.write("update", "\n".join(job).encode())
    station.doing.pop(MESSAGE, None)

    def begin():
        runtime.once(
            "firmware.ocpp.jobs", "start", station, "firmware.ocpp.handlers.firmware_update"
        )

    return Answer({}, begin)


async def step(station, _):
    """See jobs.py."""
    return await _step(station)


async def _step(station):
    job = (station.config.store.read("update") or b"").decode().split("\n")
    log = station.log("update")
    phase = job[0]
    if len(job) != 6:
        return None
    if phase in ("new", "wait"):
        return _DOWNLOAD
    found = slots.find(station.files)
    if phase in ("ready", "trial"):
        words = found.read_boot()
        runs = job[5] == _running(job, found.running)
        if runs and (phase == "trial" or words.get("trial") == "1" or words.get("image")):
            return await _on_trial(station, log, job, found)
        if phase == "ready" and not runs and _there(found.files, job[5]):
            return await _install(station, log, job, found)
        if phase == "ready":
            log.warning("the slot was filled by somebody else: once more")
            job[0] = "new"
            station.jobs.keep(job)
            return _DOWNLOAD
    if phase == "trial":
        log.error("the new version did not prove itself")
        station.security_event("a firmware update was undone")
        if found.read_boot().get("trial") == "1":  # without a boot.py that goes back
            found.write_boot(slot=slots.other(job[5]), trial="0", tries="0")
        found.write_boot(failed="0")
        return _over(station, job, "InstallationFailed")
    if not station.registration.online.is_set():
        return station.registration.online.wait()
    station.jobs.say(MESSAGE, phase, True)
    await station.jobs.told()
    station.jobs.keep(job)
    station.config.store.remove("update")
    return None


def _over(station, job, status):
    """It has ended; the next step tells so."""
    station.doing.pop(MESSAGE, None)
    station.session.accept_transactions()
    job[0] = status
    station.jobs.keep(job)
    return station.registration.online.wait()


def _running(job, slot):
    """What runs of the two that a job's slot is one of."""
    return slot if len(job[5]) == 1 else ota.running_label()


def _there(flash, slot):
    """Whether the slot still holds what was unpacked: who flashes it by wire takes this away."""
    return len(slot) > 1 or bundle.is_unpacked(flash, slot)


async def _install(station, log, job, found):
    session = station.session
    if session.transaction:
        station.doing[MESSAGE] = "Downloaded"
        return station.jobs.idle()
    session.refuse_transactions()
    station.jobs.say(MESSAGE, "Installing")
    await station.jobs.told(_TOLD_S)
    if session.transaction:
        return station.jobs.idle()
    try:
        if len(job[5]) == 1:
            found.write_boot(slot=job[5], trial="1", tries="0", failed="0")
        else:
            found.write_boot(image=ota.running_label(), tries="0", failed="0")
            ota.boot_next(job[5])
    except OSError as why:
        log.error("not installed: %s", why)
        return _over(station, job, "InstallationFailed")
    job[0] = "trial"
    station.jobs.keep(job)
    log.warning("restarting into %s", job[5])
    station.end("update")
    return None


async def _on_trial(station, log, job, found):
    """In the new version."""
    if station.registration.status == "Accepted":
        log.warning("version %s has proved itself", station.version)
        if len(job[5]) == 1:
            found.write_boot(trial="0", tries="0")
        else:
            ota.confirm_running()
            found.write_boot(image="")
        return _over(station, job, "Installed")
    if MESSAGE not in station.doing:
        station.doing[MESSAGE] = "Installing"
        return runtime.wait(station.registration.online, _TRIAL_S * 1000)
    if station.session.transaction:  # let it end, and the central system answer after all
        return runtime.wait(station.registration.online, 60000)
    log.error("version %s did not reach the central system: going back", station.version)
    found.write_boot(tries="99")
    station.end("update")
    return None
