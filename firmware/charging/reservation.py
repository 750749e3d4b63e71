"""A reservation (OCPP 3.11, 5.13) as it is kept; loaded when one comes, ends or has survived.

One is the list [connectorId, reservationId, expiry in Unix seconds, idTag, parentIdTag or ""].
"""

import json

_NAME = "reservation"  # in the store


def keep(session, reservation: list) -> None:
    """From now on this one holds. Raises OSError when the flash does not take it."""
    session.config.store.write(_NAME, json.dumps(reservation).encode())
    session.reservation = reservation
    session.log.info("reserved for %s", reservation[3])


def end(session, why: str) -> None:
    """It no longer holds."""
    session.reservation = None
    session.config.store.remove(_NAME)
    session.log.info("the reservation %s", why)


def load(session) -> None:
    """After a restart: what was kept, unless a transaction has used it up."""
    kept = session.config.store.read(_NAME)
    if not kept:
        return
    session.reservation = json.loads(kept.decode())
    before = session.transactions.interrupted
    if before and before.reservation_id == session.reservation[1]:
        end(session, "was used up")
