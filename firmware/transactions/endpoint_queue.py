"""The state of the delivery of messages to one central system."""

from firmware.transactions.records import Event, QueueState, StartRecord, StopRecord


class EndpointQueue:
    """What one endpoint is owed: `pending` messages, and what `QueueState` says. `saved_at`: the
    position of its newest STATE record, 0 without one."""

    def __init__(self, endpoint_id: int, position: int):
        self.endpoint_id = endpoint_id
        self.pending = 0
        self.saved_at = 0
        self._saved = None  # what that record says
        self.restore(QueueState(endpoint_id, position, position, 0, None))

    def state(self) -> QueueState:
        return QueueState(
            self.endpoint_id, self.first_owed, self.needed_from, self.failures, self.transaction_id
        )

    def restore(self, state: QueueState) -> None:
        _, self.first_owed, self.needed_from, self.failures, self.transaction_id = state

    def saved(self, position: int, state: QueueState) -> None:
        """A STATE record with this state was written at this position."""
        self.saved_at = position
        self._saved = state

    def is_saved(self) -> bool:
        return self._saved == self.state()

    def transaction_id_of(self, start: int | None) -> int | None:
        """The transactionId of the transaction whose START is at this position; None while it is
        not known."""
        return self.transaction_id if start == self.needed_from else None

    def add(self, event: Event) -> None:
        """An event was recorded."""
        if event.is_message():
            self.pending += 1
        elif not self.endpoint_id:  # nobody is owed anything
            self.first_owed = event.position + 1
            if isinstance(event, StopRecord):
                self.need_from(self.first_owed)

    def need_from(self, position: int) -> None:
        """No record before this one is of use any more."""
        if position != self.needed_from:
            self.needed_from = position
            self.transaction_id = None

    def owes_from(self, position: int) -> None:
        """Messages of records before this one are delivered or given up."""
        self.first_owed = max(self.first_owed, position)

    def failed(self) -> None:
        """The oldest message was refused, or not answered."""
        self.failures += 1

    def move_on(self, event: Event, transaction_id: int | None) -> None:
        """The oldest message is delivered or given up; `transaction_id`: of a START."""
        self.first_owed = event.position + 1
        self.failures = 0
        if isinstance(event, StartRecord):
            self.needed_from = event.position
            self.transaction_id = transaction_id
        elif isinstance(event, StopRecord) or event.start is None:
            self.needed_from = self.first_owed
            self.transaction_id = None

    def drop_message(self) -> None:
        """One message less is owed."""
        self.pending -= 1

    def expect_pending(self, least: int) -> None:
        """At least so many messages are owed: damage may have made the number wrong."""
        self.pending = max(least, self.pending)

    def drop_all(self) -> int:
        """Nothing is owed, since no record of it can be read. How many messages that were."""
        lost = self.pending
        self.pending = 0
        return lost
