"""One transaction, as far as the journal knows it."""

from firmware.base.runtime import const
from firmware.transactions.records import Stamp, StartRecord, ValuesRecord

_PROGRESS_MS = const(59000)
_STRIDE = const(32)  # values for StopTransaction, before each further one is twice as far away


class Transaction:
    """A transaction. `position`: of its START record, its name in the journal; `meter_start` and
    `energy`: the register at its start and the newest that is recorded, Wh; `stamp`: of its newest
    record; `started_ms`: on the station's clock, None where a restart came between;
    `sample_count`: its values for StopTransaction."""

    def __init__(self, start: StartRecord, queue, started_ms: int | None):
        self._queue = queue
        self.position = start.position
        self.endpoint_id = start.endpoint_id
        self.connector = start.connector
        self.id_tag = start.id_tag
        self.reservation_id = start.reservation_id
        self.meter_start = start.meter_start
        self.has_stop_data = bool(start.begin_values)  # its StopTransaction carries values
        self.started_ms = started_ms
        self.energy = start.meter_start
        self.stamp = start.stamp
        self.sample_count = 0
        self._samples_offered = 0
        self._recorded_ms = started_ms

    @property
    def transaction_id(self) -> int | None:
        """None until the central system told it, -1 when it never will (errata 3.18)."""
        return self._queue.transaction_id_of(self.position)

    def count_sample(self) -> None:
        """Values of it for StopTransaction are in the journal."""
        self.sample_count += 1

    def add_values(self, values: ValuesRecord, at_ms: int) -> None:
        """These values of it were recorded at a moment of the station's clock."""
        if values.stop_mask:
            self.count_sample()
        energy = values.energy()
        self.add_register(self.energy if energy is None else energy, values.stamp, at_ms)

    def add_register(self, energy: int, stamp: Stamp, at_ms: int | None) -> None:
        """The register (Wh) was written down."""
        self.energy = energy
        self.stamp = stamp
        self._recorded_ms = at_ms

    def takes_sample(self) -> bool:
        """Whether the values that are offered now for its StopTransaction are recorded: further
        and further apart, so that any length of charging fits."""
        if not self.has_stop_data:
            return False
        taken = self._samples_offered % (1 << self.sample_count // _STRIDE) == 0
        self._samples_offered += 1
        return taken

    def progressed(self, energy: int, at_ms: int) -> bool:
        """Whether this reading of the register (Wh) is to be kept: energy flows, and a minute has
        passed."""
        return energy != self.energy and at_ms - self._recorded_ms >= _PROGRESS_MS
