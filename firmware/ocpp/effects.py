"""What a key's new value does at once (guide page 15: effective instantly), and the resets."""

from firmware.ocpp.configuration import reset as reset_keys

_FLUSH_S = 10  # how long a reset waits for its last messages to be delivered


def changed(station, name: str) -> None:
    """A key has another value, and the answer that says so is out."""
    config = station.config
    station.log("config").info("%s changed", name)
    if name in ("SupervisionUrl", "BoxIdentifier"):
        station.spawn(move(station))
    elif name in ("AuthorizationKey", "SecurityProfile"):
        station.link.redial()
    elif name == "TriggerBackendConfigurationDataReset" and config.on(name):
        station.spawn(data_reset(station))
    elif name == "TICmode":
        station.tic.set_mode(config.int(name))
    station.keys_used()
    station.registration.wake()
    station.link.ping_changed()
    station.sampler.wake.set()
    station.governor.wake.set()


async def move(station) -> None:
    """The transaction ends and is delivered as far as it goes, then the new place is dialled."""
    await station.session.stopped("Other")
    station.link.move()


async def data_reset(station) -> None:
    """TriggerBackendConfigurationDataReset (docs/guide-notes.md)."""
    before = station.endpoint()
    reset_keys(station.config)
    station.profiles.clear()
    station.session.reservation = None
    changed(station, "")
    if station.endpoint() != before:
        await move(station)


async def restart(station, hard: bool) -> None:
    """Reset: stops the transaction, delivers what can be delivered, and starts again."""
    station.log("station").warning("%s reset", "hard" if hard else "soft")
    station.session.operative = False
    await station.session.stopped("HardReset" if hard else "SoftReset")
    await station.delivery.emptied(_FLUSH_S)
    station.evse.faults.reset()
    station.end("hard reset" if hard else "reset")

