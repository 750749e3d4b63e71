"""The station's TIC input: it takes next to no memory while no meter is connected."""

from firmware.sensing.tic import BAUD, FIND_OUT, HISTORIQUE, OFF, TicLine

_PAUSE_MS = 500  # between looks at a silent port


class TicInput:
    """A port that may be a TIC line. Its reader is made when the first byte comes.

    `mode` is the key TICmode. `on_frame(facts)` is called with the facts
    (`sensing.tic.house_facts`) of each plausible frame. `tune(baud)` sets the port's speed and
    returns the port. `clock`: the station's for a simulated line, else real time.
    """

    def __init__(self, tune, clock, log):
        self.clock = clock
        self.mode = FIND_OUT
        self.on_frame = None
        self._tune = tune
        self._log = log
        self._line = None

    @property
    def heard(self) -> bool:
        """Whether a byte ever came."""
        return self._line is not None

    @property
    def detected(self) -> bool:
        """Whether a good frame came within the last 10 s (key TICdetection)."""
        return self._line is not None and self._line.detected

    @property
    def frame(self) -> str | None:
        """The newest good frame, a line LABEL=VALUE for each of its groups; None before."""
        return self._line.frame if self._line else None

    def set_mode(self, mode: int) -> None:
        """The key TICmode has this value."""
        self.mode = mode
        if self._line:
            self._line.set_mode(mode)

    async def run(self) -> None:
        """The reader's task."""
        port = self._tune(BAUD[HISTORIQUE])  # at a wrong speed a line is noise, but it is there
        while self.mode == OFF or not port.read(16):
            await self.clock.sleep_ms(_PAUSE_MS)
        self._line = TicLine(self._tune, self.clock, self._log, self.on_frame, self.mode)
        await self._line.run()
