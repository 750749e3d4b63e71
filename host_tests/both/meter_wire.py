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
