"""What FeatureSet `full` adds to the guide's features: ChangeAvailability (OCPP 5.2), the
authorization cache with ClearCache (3.5.1, 5.4), the local authorization list with SendLocalList
and GetLocalListVersion (3.5.2, 5.15, 5.10).

It is imported with `full` only; `Station.full` is a FullCore then, else None.
"""

from firmware.base import times
from firmware.base.runtime import const
from firmware.local_authorization.cache import AuthorizationCache
from firmware.local_authorization.local_list import Changes, LocalList
from firmware.local_authorization.records import Known, pack_record
from firmware.ocpp import CallError, json_reader, schemas

# As in schemas.py; constants of this module, so that the rows stay in flash.
_REQUIRED = const(1)
_OPTIONAL = const(0)

# The rows of the calls, as in schemas.py.
_CALLS: dict = {
    "ChangeAvailability.req": (
        ("connectorId", "i0", _REQUIRED),
        ("type", "Inoperative|Operative", _REQUIRED),
    ),
    "ClearCache.req": (),
    "GetLocalListVersion.req": (),
    "SendLocalList.req": (
        ("listVersion", "i", _REQUIRED),
        ("localAuthorizationList", "l", _OPTIONAL),
        ("updateType", "Differential|Full", _REQUIRED),
    ),
}
_LIST = const("localAuthorizationList")
_AUTHORIZATION_DATA = (
    ("idTag", "s20", _REQUIRED),
    ("idTagInfo", "IdTagInfo", _OPTIONAL),
)
# Bytes of a message: a SendLocalList of 200 idTags with all that there may be of each.
_LONGEST_MESSAGE = const(40960)

_FOLDER = const("ids")
_AVAILABILITY = const("availability")  # the name in the store


# The handlers of the calls, as in __init__.py.


async def ChangeAvailability(station, payload):
    """Accepted, or Scheduled where a transaction runs. Rejected for a connector that isn't there,
    and for connector 1 to become Operative while the station is not."""
    if payload["connectorId"] > 1:
        return {"status": "Rejected"}
    operative = payload["type"] == "Operative"
    return {"status": station.full.change_availability(payload["connectorId"], operative)}


async def SendLocalList(station, payload):
    """Replaces or changes the local authorization list, whose idTags have come in a `Changes`.
    The answer comes when it is in flash."""
    if not station.config.on("LocalAuthListEnabled"):
        return {"status": "NotSupported"}
    entries = payload.get("localAuthorizationList")
    local_list = station.full.local_list
    changes = entries[0] if entries else local_list.begin()
    is_full = payload["updateType"] == "Full"
    status = await local_list.update(payload["listVersion"], changes, is_full)
    return {"status": status}


async def GetLocalListVersion(station, payload):
    """0 where the list is empty, -1 where it is not enabled."""
    if not station.config.on("LocalAuthListEnabled"):
        return {"listVersion": -1}
    return {"listVersion": station.full.local_list.version}


async def ClearCache(station, payload):
    """Accepted also where the cache is not enabled: it is empty in any case."""
    return {"status": "Accepted" if station.full.cache.clear() else "Rejected"}


_HANDLERS = {
    "ChangeAvailability": ChangeAvailability,
    "ClearCache": ClearCache,
    "GetLocalListVersion": GetLocalListVersion,
    "SendLocalList": SendLocalList,
}


class FullCore:
    """The parts that `full` adds to a station: `local_list`, `cache`, and its availability."""

    handlers = _HANDLERS
    longest_message = _LONGEST_MESSAGE

    def __init__(self, station):
        self._station = station
        log = station.log("ids")
        station.files.mkdir(_FOLDER)

        def endpoint_id():
            return station.transactions.outbox.endpoint_id

        self.local_list = LocalList(station.files, _FOLDER, log, endpoint_id)
        self.cache = AuthorizationCache(station.files, _FOLDER, station.clock, log, endpoint_id)
        rpc = station.rpc
        rpc.more_calls = _CALLS
        rpc.packers = dict(json_reader.PACKERS)
        rpc.packers[_LIST] = self.pack_entry
        saved = station.config.store.read(_AVAILABILITY)
        if saved and len(saved) == 2:
            station.session.set_availability(saved[:1] == b"1", saved[1:] == b"1")

    def remove(self) -> None:
        """The station is about to have the guide's features alone: takes all this out of it."""
        rpc = self._station.rpc
        rpc.more_calls = {}
        rpc.packers = json_reader.PACKERS
        self.forget()

    def forget(self) -> None:
        """Nothing that is kept counts any more: the data are reset, or all this is removed."""
        self.local_list.forget()
        self.cache.clear()
        self._station.config.store.remove(_AVAILABILITY)
        self._station.session.set_availability(True, True)

    # availability

    def change_availability(self, connector_id: int, operative: bool) -> str:
        """A ChangeAvailability for connector 0 or 1. Returns its AvailabilityStatus (OCPP 7.3).
        What was promised is in flash then."""
        session = self._station.session
        station_operative, connector_operative = session.wanted_availability()
        if connector_id == 0:  # for the station and all its connectors (OCPP 5.2)
            station_operative = operative
        elif operative and not station_operative:
            session.log.warning("connector 1 can't be Operative while the station is not")
            return "Rejected"
        connector_operative = operative
        try:
            flags = b"%d%d" % (station_operative, connector_operative)
            if (station_operative, connector_operative) != session.wanted_availability():
                self._station.config.store.write(_AVAILABILITY, flags)
        except OSError as why:
            session.log.error("the availability stays as it is: %s", why)
            return "Rejected"
        session.set_availability(station_operative, connector_operative)
        if session.availability() == (station_operative, connector_operative):
            return "Accepted"
        return "Scheduled"

    def availability_lines(self):
        """Generator: a line for each connector."""
        session = self._station.session
        now = session.availability()
        wanted = session.wanted_availability()
        for connector_id in (0, 1):
            line = "connector %d is %s" % (connector_id, _word(now[connector_id]))
            if now[connector_id] != wanted[connector_id]:
                line += ", and %s after the transaction" % _word(wanted[connector_id])
            yield line

    # idTags

    def pack_entry(self, found: list) -> int | None:
        """The packer of localAuthorizationList (json_reader.py): the list of AuthorizationData
        (OCPP 7.1) becomes a list of one `Changes`. Raises CallError for what is none."""
        entry = found.pop()
        changes = found[0] if found else self.local_list.begin()
        if type(changes) is not Changes:
            found.append(entry)  # something else is in the list: the schemas refuse it
            return None
        try:
            schemas.check_object(_AUTHORIZATION_DATA, entry)
            changes.add(pack_record(entry["idTag"], entry.get("idTagInfo")))
        except CallError as error:
            error.description = "%s[%d]%s" % (_LIST, changes.count, error.description)
            raise
        except OSError as why:
            raise CallError("InternalError", str(why))
        if not found:
            found.append(changes)
        return changes.heap()

    def find(self, id_tag: str):
        """What the local authorization list or else the cache knows of an idTag (OCPP 3.5.3); None
        where it is in neither, or where nobody can tell whether its time is over."""
        config = self._station.config
        known = self.local_list.find(id_tag) if config.on("LocalAuthListEnabled") else None
        if not known and config.on("AuthorizationCacheEnabled"):
            known = self.cache.find(id_tag)
        if known and known.expire(self._station.clock.epoch()):
            return known
        return None

    def describe(self, known) -> str:
        """A line for people. `known` expires here where its time is over."""
        known.expire(self._station.clock.epoch())
        text = "%s %s" % (known.id_tag, known.status)
        if known.parent_id_tag:
            text += ", parent %s" % known.parent_id_tag
        if known.expiry:
            text += ", until %s" % times.text(known.expiry)
        return text

    def list_lines(self):
        """Generator: the local authorization list for people."""
        yield self.local_list.describe()
        for known in self.local_list.all():
            yield self.describe(known)

    def cache_lines(self):
        """Generator: the cache for people, what was heard of last first."""
        for record in self.cache.records():
            yield self.describe(Known(record))

    def heard(self, id_tag: str, info: dict) -> None:
        """The central system has said this of an idTag: the idTagInfo of Authorize.conf,
        StartTransaction.conf or StopTransaction.conf."""
        config = self._station.config
        listed = self.local_list.find(id_tag) if config.on("LocalAuthListEnabled") else None
        if listed:  # what is in the list is never in the cache (OCPP 3.5.3)
            listed.expire(self._station.clock.epoch())
            status = info["status"]
            if listed.status != status and "Accepted" in (listed.status, status):
                self._station.notifier.tell_local_list_conflict(id_tag)
        elif config.on("AuthorizationCacheEnabled"):
            self.cache.put(id_tag, info)


def _word(operative):
    return "Operative" if operative else "Inoperative"
