"""The configuration keys: values, layers, and what ChangeConfiguration refuses."""

from firmware.ocpp import configuration, keys
from firmware.ocpp.configuration import Configuration
from firmware.ocpp.handlers import core
from firmware.ocpp.security import Security
from host_tests.both.memory_files import MemoryStore


class Station:
    """What `change` needs of a station; no CA, but the word that TLS needs none; a socket unless
    told otherwise."""

    def __init__(self, config, socket=True):
        self.config = config
        config.attach(self)
        self.reference = self
        self.socket = socket
        self.security = Security(self, None, True)

    def log(self, part):
        return self

    def info(self, text, *args):
        pass


async def change(values, name, value, socket=True):
    """(status, the key's own name, why not)"""
    made = await configuration.change_key(Station(values, socket), name, value)
    return made[:3]


def config(run=None, provisioned=None, store=None):
    store = MemoryStore() if store is None else store
    return Configuration(store, run or {}, provisioned or {})


def test_every_row_has_a_default_that_its_own_check_accepts():
    for key in keys.rows():
        if isinstance(key.default, str):
            assert keys.check(key, key.default) == key.default, key


def test_names_match_without_regard_to_case():
    assert keys.find("heartbeatinterval").name == "HeartbeatInterval"
    assert keys.find("HEARTBEATINTERVAL").name == "HeartbeatInterval"


def test_what_is_no_name_is_no_key():
    for name in ("", "#", "# OCPP", "Nope", "HeartbeatInterval rw", "Heartbeat", "\nMeterType"):
        assert keys.find(name) is None, name


async def test_a_changed_value_is_stored_and_read_back():
    store = MemoryStore()
    first = config(store=store)
    assert (await change(first, "heartbeatinterval", "120"))[:2] == (
        "Accepted",
        "HeartbeatInterval",
    )
    again = config(store=store)
    assert again.int("HeartbeatInterval") == 120
    assert config().int("HeartbeatInterval") == 60


def test_this_run_beats_stored_beats_provisioned():
    store = MemoryStore()
    config(store=store).change("CpoName", "stored")
    assert config(provisioned={"CpoName": "first"}).get("CpoName") == "first"
    assert config(store=store, provisioned={"CpoName": "first"}).get("CpoName") == "stored"
    now = config(run={"CpoName": "run"}, store=store)
    assert now.get("CpoName") == "run"
    now.change("CpoName", "new")
    assert now.get("CpoName") == "new"


async def test_what_is_refused():
    refused = (
        ("NumberOfConnectors", "2"),
        ("HeartbeatInterval", "0"),
        ("HeartbeatInterval", "ten"),
        ("HeartbeatInterval", "1.5"),
        ("HeartbeatInterval", "99999999999"),
        ("HeartbeatInterval", ""),
        ("WebSocketPingInterval", "-1"),
        ("AuthorizeRemoteTxRequests", "yes"),
        ("MeterValuesSampledData", "Voltage,Temperature"),
        ("ConnectorPhaseRotation", "XYZ"),
        ("ConnectorPhaseRotation", "2.RST"),
        ("ConnectorPhaseRotation", "1.RST,1.RTS"),
        ("SupervisionUrl", "http://example.com"),
        ("SupervisionUrl", "ws://bad host"),
        ("SupervisionUrl", "ws://h/" + "x" * 200),
        ("BoxIdentifier", ""),
        ("BoxIdentifier", "x" * 51),
        ("BoxIdentifier", "a\nb"),
        ("DefaultIdTag", "x" * 21),
        ("TICmode", "4"),
        ("AuthorizationKey", "short"),
    )
    values = config()
    for name, value in refused:
        before = values.get(name)
        status, _, why = await change(values, name, value)
        assert status == "Rejected" and why, (name, value)
        assert values.get(name) == before
    assert (await change(values, "Nonsense", "1"))[0] == "NotSupported"


async def test_what_is_accepted_and_how_it_is_kept():
    taken = (
        ("AuthorizeRemoteTxRequests", "False", "false"),
        ("AuthorizeRemoteTxRequests", " TRUE ", "true"),
        ("MeterValueSampleInterval", "0060", "60"),
        ("MeterValuesSampledData", "", ""),
        ("MeterValuesSampledData", "Voltage; Energy.Active.Import",
         "Voltage,Energy.Active.Import.Register"),
        ("ConnectorPhaseRotation", "0.RST, 1.RTS", "0.RST,1.RTS"),
        ("ConnectorPhaseRotation", "1.RST,1.RST, 1.RST,0.RST", "1.RST,0.RST"),
        ("MeterValuesSampledData", "Voltage,Voltage", "Voltage"),
        ("SupervisionUrl", "", ""),
        ("SupervisionUrl", "wss://cs.example:8443/ocpp", "wss://cs.example:8443/ocpp"),
    )  # fmt: skip
    values = config()
    for name, value, kept in taken:
        assert (await change(values, name, value))[0] == "Accepted", (name, value)
        assert values.get(name) == kept


async def test_an_attached_cable_unlocks_nothing():
    name = "UnlockConnectorOnEVSideDisconnect"
    assert (await change(config(), name, "false", False))[0] == "Rejected"
    assert (await change(config(), name, "false", True))[0] == "Accepted"


def test_what_the_station_knows_and_what_nobody_does():
    values = config(provisioned={"PhaseNumber": "1"})
    station = Station(values)
    station.phases = 3
    assert values.get("ConnectorSwitch3to1PhaseSupported") == "true"
    assert values.get("PhaseNumber") == "1"
    try:
        config().get("Nonsense")
    except KeyError:
        return
    raise AssertionError("a key that is none")


async def test_all_keys_are_told():
    station = Station(config())
    station.meter = station.tic = station.transactions = station
    station.mid = station.last = station.phases = 1
    station.detected = False
    station.max_ma = 32000
    answer = await core.GetConfiguration(station, {})
    told = {key["key"]: key["value"] for key in answer["configurationKey"]}
    assert len(told) > 40 and told["HeartbeatInterval"] == "60" and told["CpoName"] == ""
    assert (told["IMaxUser"], told["TICdetection"], told["MeterType"]) == ("32", "false", "1")


def test_the_data_reset_keeps_the_way_back():
    values = config(provisioned={"BoxIdentifier": "BOX"})
    values.change("AuthorizationKey", "0123456789abcdef")
    values.change("BoxIdentifier", "OTHER")
    values.change("CpoName", "x")
    values.change("TriggerBackendConfigurationDataReset", "true")
    values.reset()
    assert values.get("BoxIdentifier") == "BOX" and values.get("CpoName") == ""
    assert values.get("AuthorizationKey") == "0123456789abcdef"
    assert values.get("TriggerBackendConfigurationDataReset") == "false"
