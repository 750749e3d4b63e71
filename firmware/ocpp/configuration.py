"""The values of the configuration keys, and how one is changed. Which keys there are, and what a
new value does, is in `keys.py`."""

import asyncio
from binascii import hexlify
from collections import namedtuple

from firmware.base import runtime
from firmware.base.runtime import const
from firmware.ocpp import keys

_STORED = const("keys")  # the store's name for the values that were changed
_OWN_BOX = const("box")  # and for the identifier that the station gave itself
_DATA_RESET = const("TriggerBackendConfigurationDataReset")
_NEVER_RESET = ("SecurityProfile", keys.FEATURE_SET)

# The result of a change: `status` for ChangeConfiguration.conf; the key's own `name`; `why` it was
# not accepted, "" if it was; `keys`, the rows of the keys whose value has changed.
Change = namedtuple("Change", ("status", "name", "why", "keys"))


class Configuration:
    """The values of all keys. A value comes from the first of these that has one: this run's
    command line, the changes, the provisioning, the default.

    `store` keeps the changes. `run` and `provisioned` are dicts, from a key's own name to its
    checked value, of the command line and of the installer's answers.
    """

    def __init__(self, store, run: dict, provisioned: dict):
        self.store = store
        self._station = None
        self._run = run
        self._provisioned = provisioned
        self._changed = {}
        self._own_box = ""
        for line in (store.read(_STORED) or b"").decode().split("\n"):
            name, sign, value = line.partition("=")
            if sign:
                self._changed[name] = value
        self._values = {}
        self._gather()

    def attach(self, station) -> None:
        """Takes the station, which knows the defaults of some keys."""
        self._station = station

    def _gather(self):
        """Every key's value, or the function that knows it."""
        values = {key.name: key.default for key in keys.rows()}
        for layer in (self._provisioned, self._changed, self._run):
            values.update(layer)
        self._values = values

    # reading

    def get(self, name: str) -> str:
        """The value of a key by its own name, as text. Raises KeyError for a wrong name."""
        value = self._values[name]
        return value if isinstance(value, str) else value(self._station)

    def int(self, name: str) -> int:
        return int(self.get(name))

    def on(self, name: str) -> bool:
        return self.get(name) == "true"

    def feature_set(self) -> str:
        """keys.GUIDE or keys.FULL: which keys and operations there are."""
        return self.get(keys.FEATURE_SET)

    def find(self, name: str) -> keys.Key | None:
        """The key of a name, in any case; None where there is none with this FeatureSet."""
        return keys.find(name, self.feature_set())

    def shown(self, key: keys.Key) -> str:
        """The value for people to see; for a secret only whether it is set."""
        value = self.get(key.name)
        if key.access == keys.SECRET:
            return "(set)" if value else "(not set)"
        return value

    def without_default(self, name: str) -> str:
        """The value of a key that was set by anybody; "" where the default holds."""
        for layer in (self._run, self._changed, self._provisioned):
            if name in layer:
                return layer[name]
        return ""

    def is_for_this_run(self, name: str) -> bool:
        """Whether the command line has set this key."""
        return name in self._run

    def own_box_identifier(self) -> str:
        """A BoxIdentifier for a station that was given none (guide: unique). It is made once and
        then stays."""
        if not self._own_box:
            number = self.store.read(_OWN_BOX)
            if number is None:
                number = hexlify(runtime.urandom(4))
                try:
                    self.store.write(_OWN_BOX, number)
                except OSError:  # no room: another one after the next start, then
                    pass
            self._own_box = "WALLBRIDGE-" + number.decode()
        return self._own_box

    # changing

    def change(self, name: str, value: str) -> None:
        """Stores a checked value. After a power cut it is the old one or the new one. Raises
        OSError when the flash is full."""
        if self._changed.get(name) != value:
            changed = dict(self._changed)
            changed[name] = value
            self._store(changed)
        self._run.pop(name, None)
        self._values[name] = value

    def _store(self, changed):
        lines = ["%s=%s" % item for item in changed.items()]
        self.store.write(_STORED, "\n".join(lines).encode())
        self._changed = changed

    def reset(self) -> list:
        """TriggerBackendConfigurationDataReset: restores the provisioned values and the defaults.
        Secrets, the security profile and the FeatureSet stay (docs/guide-notes.md), and so does a
        key of the command line that ChangeConfiguration can't set. All happens in one step.
        Returns the rows of the keys whose value has changed. Raises OSError when the flash is
        full; then nothing has changed."""
        kept = {}
        gone = []
        for layer in (self._changed, self._run):
            for name in layer:
                key = keys.find(name)
                if key and (key.access == keys.SECRET or name in _NEVER_RESET):
                    kept[name] = layer[name]
                elif layer is self._run and key and key.access != keys.R:
                    gone.append(name)
        self._store(kept)
        for name in gone:
            del self._run[name]
        before = self._values
        self._gather()
        return [key for key in keys.rows() if before[key.name] != self._values[key.name]]


async def change_key(station, name: str, text: str) -> Change:
    """Changes a key, as ChangeConfiguration does, or says why not. `apply_change` must follow,
    once the answer has been sent."""
    key = station.config.find(name)
    if not key:  # the name is not logged: it may be a secret typed in the wrong place
        return _refused(station, "NotSupported", "a key", "no such key; `config` lists them")
    try:
        value = _acceptable(station, key, text)
    except ValueError as why:
        return _refused(station, "Rejected", key.name, str(why))
    await asyncio.sleep(0)  # before the flash is written
    if key.name == _DATA_RESET and value == "true":
        changed = station.config.reset()
        station.session.end_reservation("went with the data reset")
        await station.profiles.clear(lambda slot: True)
        if station.full:
            station.full.forget()
        station.limit_controller.reconsider()
        return Change("Accepted", "all keys", "", changed)
    station.config.change(key.name, value)
    return Change("Accepted", key.name, "", (key,))


def _refused(station, status, name, why):
    station.log("config").info("%s %s: %s", status, name, why)
    return Change(status, name, why, ())


def _acceptable(station, key: keys.Key, text: str):
    """The value as it is to be stored. Raises ValueError where it can't be accepted."""
    if keys.is_read_only(key, station.reference.socket):
        raise ValueError(keys.why_read_only(key))
    value = keys.check(key, text)
    if key.name in keys.SECURITY_KEYS:
        station.security.prepare_change(key.name, value)
    elif key.name in keys.ENDPOINT_KEYS:
        station.security.check_endpoint(key.name, value)
    return value


def apply_change(station, change: Change) -> None:
    """Makes the new values of an accepted change take effect; each effect happens once."""
    if change.name in keys.SECURITY_KEYS:
        station.security_event("%s changed" % change.name)  # white paper A01.FR.11
    else:
        station.log("config").info("%s changed", change.name)
    done = []
    for key in change.keys:
        if key.effect and key.effect not in done:
            done.append(key.effect)
            key.effect(station)
