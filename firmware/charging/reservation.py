"""A reservation of the connector (OCPP 3.11, 5.13), as it is kept over restarts."""

import json

_NAME = "reservation"  # in the store


class Reservation:
    """The idTag for which the connector is reserved. `connector_id`: 0 where the central system
    reserved any connector; `expiry`: Unix seconds; `parent_id_tag`: "" where there is none."""

    def __init__(
        self,
        connector_id: int,
        reservation_id: int,
        expiry: int,
        id_tag: str,
        parent_id_tag: str = "",
    ):
        self.connector_id = connector_id
        self.reservation_id = reservation_id
        self.expiry = expiry
        self.id_tag = id_tag
        self.parent_id_tag = parent_id_tag

    def admits(self, id_tag: str, parent_id_tag: str | None) -> bool:
        """Whether it is for this idTag, or for one with this parentIdTag (None: not known)."""
        return same_id_tag(id_tag, self.id_tag) or same_id_tag(parent_id_tag, self.parent_id_tag)

    def save(self, store) -> None:
        """Raises OSError when the flash does not take it."""
        fields = [
            self.connector_id,
            self.reservation_id,
            self.expiry,
            self.id_tag,
            self.parent_id_tag,
        ]
        store.write(_NAME, json.dumps(fields).encode())


def load(store) -> Reservation | None:
    """The reservation that was saved and not removed since; None where there is none."""
    saved = store.read(_NAME)
    return Reservation(*json.loads(saved.decode())) if saved else None


def remove(store) -> None:
    """No reservation is saved any more."""
    store.remove(_NAME)


def same_id_tag(one: str | None, other: str | None) -> bool:
    """Whether two idTags, or two parentIdTags, are known and the same. Their case does not
    matter (OCPP 7.28)."""
    return bool(one and other) and one.lower() == other.lower()
