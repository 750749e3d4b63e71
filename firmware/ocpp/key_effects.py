"""What a key's new value does at once (guide page 15: effective instantly).

Each is a function of the station; `keys.py` says which key has which. A key without one is read by
whoever needs its value at the moment when it is needed.
"""


def change_endpoint(station) -> None:
    """SupervisionUrl, BoxIdentifier: the station goes to another central system, or to the same
    one as somebody else."""
    if station.connection.present_endpoint_id() != station.transactions.outbox.endpoint_id:
        station.spawn(_leave_endpoint(station))


async def _leave_endpoint(station):
    """The transaction ends and is delivered as far as it goes, then the new endpoint is dialled.
    Who waits for the car, and a reservation, are known to the old one only."""
    session = station.session
    session.cancel_authorization()
    session.end_reservation("stays with its place")
    session.refuse_transactions()  # until the new endpoint is dialled
    await session.stop_transaction_and_wait("Other")
    station.connection.change_endpoint()


def reconnect(station) -> None:
    """AuthorizationKey, SecurityProfile: the next connection is made with the new ones. Where the
    endpoint is being changed, that connection is about to come."""
    if station.connection.present_endpoint_id() == station.transactions.outbox.endpoint_id:
        station.connection.redial()


def set_heartbeat(station) -> None:
    """HeartbeatInterval."""
    station.registration.interval_changed()


def set_pings(station) -> None:
    """WebSocketPingInterval, MessageTimeout."""
    station.connection.pings_changed()


def set_sampling(station) -> None:
    """MeterValueSampleInterval, ClockAlignedDataInterval: another interval begins."""
    station.sampler.intervals_changed()


def set_delivery(station) -> None:
    """TransactionMessageAttempts and -RetryInterval, StopTransactionMaxMeterValues."""
    config = station.config
    station.transactions.outbox.configure(
        config.int("TransactionMessageAttempts"),
        config.int("TransactionMessageRetryInterval"),
        config.int("StopTransactionMaxMeterValues"),
    )


def set_tic_mode(station) -> None:
    """TICmode: whether the house's limit counts is another question, too."""
    station.tic.set_mode(station.config.int("TICmode"))
    station.limit_controller.reconsider()
