"""Values of keys that the station itself knows: its reference, its meter, its TIC line."""

from binascii import hexlify

from firmware.base import runtime


def value(station, name: str) -> str:
    """The value of a key whose default is `*` in the keys' table."""
    if name == "MeterType":
        meter = station.meter
        return str(meter.mid if meter.last or not meter.error else 0)  # none was ever there
    if name == "TICdetection":
        return "true" if station.tic.detected else "false"
    if name == "StopTransactionMaxMeterValues":
        return str(station.transactions.outbox.max_stop_values)
    reference = station.reference
    if name == "BoxIdentifier":
        return _box(station.config.store)
    if name == "IMaxUser":
        return str(reference.max_ma // 1000)
    if name == "PhaseNumber":
        return str(reference.phases)
    if name == "ConnectorSwitch3to1PhaseSupported":
        return "true" if reference.phases == 3 else "false"
    if name == "UnlockConnectorOnEVSideDisconnect":
        return "true" if reference.socket else "false"
    raise KeyError(name)


def _box(store):
    """A BoxIdentifier of its own for a station that was told none (guide: unique), the same ever
    after; kept in the store."""
    kept = store.read("box")
    if kept is None:
        kept = hexlify(runtime.urandom(4))
        try:
            store.write("box", kept)
        except OSError:  # no room: another one after the next start, then
            pass
    return "WALLBRIDGE-" + kept.decode()
