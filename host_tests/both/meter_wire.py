"""A serial line in memory with a scripted slave at its end, for the Modbus and meter tests."""


class Wire:
    """A port (read, write) on which `slave(request)` answers: a list of (ms later, bytes)."""

    def __init__(self, clock, slave=lambda request: []):
        self.clock = clock
        self.slave = slave
        self.sent = []  # (when, bytes)
        self.coming = []  # (when, bytes)

    def write(self, data):
        now = self.clock.ms()
        self.sent.append((now, bytes(data)))
        if len(self.sent) > 50:
            self.sent.pop(0)
        for delay, answer in self.slave(bytes(data)):
            self.say(delay, answer)

    def say(self, delay, data):
        """These bytes come by themselves."""
        self.coming.append((self.clock.ms() + delay, bytes(data)))

    def read(self, n):
        now = self.clock.ms()
        for i, (when, data) in enumerate(self.coming):
            if when <= now:
                if len(data) > n:
                    self.coming[i] = (when, data[n:])
                else:
                    self.coming.pop(i)
                return data[:n]
        return b""


class Quiet:
    """A log that keeps its lines as (level, text)."""

    def __init__(self):
        self.lines = []

    def _line(self, level, text, args):
        self.lines.append((level, text % args if args else text))
        if len(self.lines) > 50:
            self.lines.pop(0)

    def debug(self, text, *args):
        self._line("debug", text, args)

    def info(self, text, *args):
        self._line("info", text, args)

    def warning(self, text, *args):
        self._line("warning", text, args)

    def error(self, text, *args):
        self._line("error", text, args)
