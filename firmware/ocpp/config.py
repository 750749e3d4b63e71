"""The values of the configuration keys (the keys themselves: `keys.py`)."""

from firmware.base import runtime

_KEYS = "firmware.ocpp.keys"


class Configuration:
    """The values: this run's, else stored, else provisioned, else the default or what the station
    itself knows.

    `store` keeps what ChangeConfiguration set, `run` is what the command line set for this run,
    `provisioned` the installer's answers; `known(name)` tells what the station itself knows.
    """

    def __init__(self, store, run: dict, provisioned: dict, known):
        self.store = store
        self.run = run
        self.provisioned = provisioned
        self.known = known
        self.stored = {}
        self._defaults = {}  # of the keys asked for so far
        for line in (store.read("keys") or b"").decode().split("\n"):
            name, sign, value = line.partition("=")
            if sign:
                self.stored[name] = value

    def given(self, name: str) -> str | None:
        """What somebody set a key to, by its exact name."""
        for layer in (self.run, self.stored, self.provisioned):
            if name in layer:
                return layer[name]
        return None

    def get(self, name: str) -> str:
        """The value of a key by its exact name, as text. Raises KeyError for a wrong name."""
        value = self.given(name)
        if value is None:
            value = self._defaults.get(name)
        if value is None:
            keys = runtime.load(_KEYS)
            row = keys.row(name)
            value = keys.default(row, self.known) if row else None
            keys = None
            runtime.drop(_KEYS)
            if value is None:
                raise KeyError(name)
            if name not in ("TICdetection", "MeterType"):  # they change while we run
                self._defaults[name] = value
        return value

    def int(self, name: str) -> int:
        return int(self.get(name))

    def on(self, name: str) -> bool:
        return self.get(name) == "true"

    def put(self, name: str, value: str) -> None:
        """Stores a checked value, old or new after a power cut. Raises OSError when it can't."""
        if self.stored.get(name) != value:
            stored = dict(self.stored)
            stored[name] = value
            self.save(stored)
        self.run.pop(name, None)

    def save(self, stored: dict) -> None:
        """Writes what is to be stored from now on; it counts once it is written."""
        lines = ["%s=%s" % item for item in stored.items()]
        self.store.write("keys", "\n".join(lines).encode())
        self.stored = stored
