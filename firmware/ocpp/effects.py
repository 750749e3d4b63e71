"""What a key's new value does at once (guide page 15: effective instantly), and the resets."""

_FLUSH_S = 10  # how long a reset waits for its last messages to be delivered


def changed(station, name: str) -> None:
    """A key has another value, and the answer that says so is out. No name: all of them."""
    config = station.config
    if name in ("AuthorizationKey", "SecurityProfile"):
        station.security_event("%s changed" % name)  # white paper A01.FR.11
    else:
        station.log("config").info("%s changed", name or "all keys")
    if station.connection.present_endpoint_id() != station.transactions.outbox.endpoint_id:
        station.spawn(move(station))
    elif name in ("AuthorizationKey", "SecurityProfile"):
        station.connection.redial()
    station.tic.set_mode(config.int("TICmode"))
    station.keys_used()
    station.registration.interval_changed()
    station.connection.pings_changed()
    station.sampler.wake.set()
    station.limit_controller.reconsider()


async def move(station) -> None:
    """The transaction ends and is delivered as far as it goes, then the new place is dialled. Who
    waits for the car, and a reservation, are known to the old place only."""
    station.session.cancel_authorization()
    station.session.end_reservation("stays with its place")
    await _stop(station, "Other")
    station.connection.change_endpoint()


async def clear(station) -> None:
    """The rest of TriggerBackendConfigurationDataReset: what is no key."""
    station.session.end_reservation("went with the data reset")
    await station.profiles.clear(lambda slot: True)
    station.limit_controller.reconsider()


async def restart(station, hard: bool) -> None:
    """Reset: stops the transaction, delivers what can be delivered, and starts again. A
    transaction that does not end is asked ResetRetries times more; then the journal closes it
    after the restart."""
    station.security_event("%s reset" % ("hard" if hard else "soft"))
    for _ in range(1 + station.config.int("ResetRetries")):
        if await _stop(station, "HardReset" if hard else "SoftReset"):
            break
    await station.transaction_sender.wait_until_delivered(_FLUSH_S)
    station.evse.faults.reset()
    station.end("hard reset" if hard else "reset")


async def _stop(station, reason):
    """Lets nothing begin, and ends what runs; whether it has ended."""
    station.session.refuse_transactions()
    return await station.session.stop_transaction_and_wait(reason)
