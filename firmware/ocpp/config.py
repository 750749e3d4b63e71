"""The values of the configuration keys (the keys themselves: `keys.py`)."""

from firmware.base import runtime

_KEYS = "firmware.ocpp.keys"


class Configuration:
    """The values: this run's, else stored, else provisioned, else known, else the default.

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

    def get(self, name: str) -> str:
        """The value of a key by its exact name, as text. Raises KeyError for a wrong name."""
        for layer in (self.run, self.stored, self.provisioned, self._defaults):
            value = layer.get(name)
            if value is not None:
                break
        else:
            row = runtime.load(_KEYS).row(name)
            runtime.drop(_KEYS)
            if not row:
                raise KeyError(name)
            value = self._defaults[name] = "" if row[3] == "-" else row[3]
        return self.known(name) if value == "*" else value

    def int(self, name: str) -> int:
        return int(self.get(name))

    def on(self, name: str) -> bool:
        return self.get(name) == "true"

    def put(self, name: str, value: str) -> None:
        """Stores a checked value, old or new after a power cut."""
        self.run.pop(name, None)
        if self.stored.get(name) != value:
            self.stored[name] = value
            self.save()

    def save(self) -> None:
        lines = ["%s=%s" % item for item in self.stored.items()]
        self.store.write("keys", "\n".join(lines).encode())
