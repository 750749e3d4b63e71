"""A PC's stdout and stderr. Writing to them never waits: when nobody reads, text is lost, and
charging goes on. On the device a UART takes whatever is written."""

import os
import select
import sys

_PIECE = 64  # characters that a pipe or a terminal takes once it takes any
_COLOURS = {"W": "33", "E": "31"}  # yellow and red


class Output:
    """`stream` is sys.stdout or sys.stderr."""

    def __init__(self, stream):
        self._stream = stream
        try:
            self._poll = select.poll()
            self._poll.register(stream, select.POLLOUT)
        except (OSError, ValueError, AttributeError):  # no file: a test's
            self._poll = None
        self._colours = _terminal(stream) and not os.getenv("NO_COLOR")
        self._torn = False  # a line of which the end was lost

    def put(self, text: str) -> int:
        """Writes as much as there is room for. Returns how many characters that was; all of them
        when the reader has hung up."""
        at = 0
        while at < len(text):
            end = text.find("\n", at)  # by itself: it may become two characters
            end = at + 1 if end == at else min(at + _PIECE, len(text) if end < 0 else end)
            ready = self._poll.poll(0) if self._poll else [(0, select.POLLOUT)]
            if not ready:
                return at
            if ready[0][1] != select.POLLOUT:
                break
            try:
                self._stream.write(text[at:end])
                self._stream.flush()
            except (OSError, ValueError):  # it hung up in between, or was closed
                break
            at = end
        return len(text)

    def write(self, text: str) -> int:
        """Writes log lines, as far as there is room: what a logging handler calls."""
        size = len(text)
        words = text.split(" ", 2)
        colour = _COLOURS.get(words[1]) if self._colours and len(words) > 2 else None
        if colour:
            text = "\x1b[%sm%s\x1b[m\n" % (colour, text.rstrip("\n"))
        if self._torn:
            text = "\n" + text
        taken = self.put(text)
        if taken:  # else it is as torn as it was
            self._torn = taken < len(text)
        return size

    def flush(self) -> None:
        """Everything is written at once."""


def _terminal(stream):
    if hasattr(stream, "isatty"):
        return stream.isatty()
    try:
        import termios  # type: ignore  # (the device's library has none)

        termios.tcgetattr(2 if stream is sys.stderr else 1)
        return True
    except (ImportError, OSError):
        return False
