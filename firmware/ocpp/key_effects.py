"""The effects of a key's new value (guide page 15: effective instantly).

Each effect is a function of the station; the table in `keys.py` assigns them. A key without an
effect needs none: its value is read each time that it is used.
"""


def change_endpoint(station) -> None:
    """SupervisionUrl, BoxIdentifier: the station connects to another central system, or to the
    same one under another name."""
    if station.connection.present_endpoint_id() != station.transactions.outbox.endpoint_id:
        station.spawn(_leave_endpoint(station))


async def _leave_endpoint(station):
    """Stops the transaction, delivers its messages as far as possible, and dials the new endpoint.
    An authorization that waits for the car, and a reservation, belong to the old one and end."""
    session = station.session
    session.cancel_authorization()
    session.end_reservation("stays with its place")
    session.refuse_transactions()  # until the new endpoint is dialled
    await session.stop_transaction_and_wait("Other")
    station.connection.change_endpoint()


def reconnect(station) -> None:
    """AuthorizationKey, SecurityProfile: connects again, with the new values. While the endpoint
    changes this is not needed: a new connection is about to come."""
    if station.connection.present_endpoint_id() == station.transactions.outbox.endpoint_id:
        station.connection.redial()


def set_heartbeat(station) -> None:
    """HeartbeatInterval: the wait for the next Heartbeat is computed anew."""
    station.registration.interval_changed()


def set_pings(station) -> None:
    """WebSocketPingInterval, MessageTimeout: the pings begin anew."""
    station.connection.pings_changed()


def set_sampling(station) -> None:
    """MeterValueSampleInterval, ClockAlignedDataInterval: a new interval begins."""
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
    """TICmode: the mode also decides whether the house's limit counts."""
    station.tic.set_mode(station.config.int("TICmode"))
    station.limit_controller.reconsider()
