"""The simulated board's ends of its serial lines: a meter and the house meter's TIC line."""

from firmware.board.simulated.world import TIC_HISTORIQUE, TIC_OFF
from firmware.sensing.tic import BAUD, HISTORIQUE, STANDARD

_GAP_MS = 25  # between two frames
_LATE_MS = 1000  # a reader that stays away for longer does not get the frames between


class MeterPort:
    """The meter's RS-485 line: what is written is asked of the meter."""

    def __init__(self, board):
        self.board = board
        self._answer = b""

    def write(self, data) -> None:
        self._answer = self.board.answer_meter(bytes(data))

    def read(self, n: int) -> bytes:
        part = self._answer[:n]
        self._answer = self._answer[n:]
        return part


class TicPort:
    """The house meter's line: frame after frame at the baud rate of its mode, 10 bits a byte.
    Listening at another rate hears noise."""

    def __init__(self, board, baud):
        self.board = board
        self.baud = baud
        self._mode = TIC_OFF
        self._frame = b""
        self._read = 0  # bytes of the frame already read
        self._begun_ms = 0  # when the frame began

    def write(self, data) -> None:
        pass

    def read(self, n: int) -> bytes:
        board = self.board
        mode = board.tic_mode
        if mode == TIC_OFF:
            self._mode = TIC_OFF
            return b""
        now = board.clock.ms()
        lasts_ms = len(self._frame) * 10000 // _baud(mode) + _GAP_MS
        if mode != self._mode or now - self._begun_ms >= lasts_ms:
            if self._mode == mode and self._read < len(self._frame):
                return self._take(n, len(self._frame))
            late_ms = now - self._begun_ms - lasts_ms
            on_time = mode == self._mode and late_ms < _LATE_MS
            self._begun_ms = now - late_ms if on_time else now
            self._mode = mode
            self._read = 0
            self._frame = board.tic_frame()
        return self._take(n, (now - self._begun_ms) * _baud(mode) // 10000)

    def _take(self, n, sent):
        """The next bytes of the frame, of which so many were sent."""
        part = self._frame[self._read : min(sent, self._read + n)]
        self._read += len(part)
        if self.baud != _baud(self._mode):
            part = bytes([(byte * 5 + 0x2F) & 0x7F for byte in part])
        return part


def _baud(mode):
    return BAUD[HISTORIQUE if mode == TIC_HISTORIQUE else STANDARD]
