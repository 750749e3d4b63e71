"""A changed key, the data reset and a reservation under power cuts, on LittleFS: old or new."""

import asyncio

import pytest

from firmware.base.store import Store
from firmware.charging.session import Reservation, Session
from firmware.ocpp import configuration
from firmware.ocpp.configuration import Configuration
from host_tests.flash import Flash


class Station:
    """What `change` and the session's reservation need of a station."""

    def __init__(self, flash):
        self.store = Store(flash.mount())
        self.config = Configuration(self.store, {}, {})
        self.reference = self.log = self.transactions = self
        self.socket = True
        self.interrupted = None
        self.session = Session(
            None, None, self, self.config, self, self, lambda: False, lambda reading: b""
        )

    def ms(self):
        return 0

    def info(self, text, *args):
        pass

    def set(self, name, value):
        change = asyncio.run(configuration.change_key(self, name, value))
        assert change.status == "Accepted", change.why


def prepared():
    """A flash with some keys and a reservation, power not yet cut."""
    flash = Flash(32)
    station = Station(flash)
    station.set("CpoName", "before")
    station.set("MeterValueSampleInterval", "77")
    station.session.reserve(Reservation(1, 5, 1900000000, "TAG", ""))
    flash.unmount()
    return bytes(flash.memory)


def change(station):
    station.set("CpoName", "after " * 16)


def data_reset(station):
    station.config.reset()


def replace(station):
    station.session.reserve(Reservation(0, 6, 1900000000, "OTHER", "P"))


def cancel(station):
    station.session.end_reservation("was cancelled")


def look(memory):
    """What a station finds after the cut."""
    station = Station(Flash(memory=bytearray(memory)))
    station.session.load_reservation()
    config = station.config
    kept = station.session.reservation
    return (
        config.get("CpoName"),
        config.get("MeterValueSampleInterval"),
        kept
        and (kept.connector_id, kept.reservation_id, kept.expiry, kept.id_tag, kept.parent_id_tag),
    )


BEFORE = ("before", "77", (1, 5, 1900000000, "TAG", ""))


@pytest.mark.parametrize(
    "act, after",
    [
        (change, ("after " * 16, *BEFORE[1:])),
        (data_reset, ("", "30", BEFORE[2])),
        (replace, (*BEFORE[:2], (0, 6, 1900000000, "OTHER", "P"))),
        (cancel, (*BEFORE[:2], None)),
    ],
)
def test_old_or_new_whenever_the_power_fails(act, after, tmp_path):
    memory = prepared()
    seen = set()
    for cut in range(1, 1000):
        flash = Flash(memory=bytearray(memory), seed=cut)
        station = Station(flash)
        station.session.load_reservation()
        flash.cut_at = flash.steps + cut
        try:
            act(station)
            cut_short = flash.dead
        except (OSError, flash.PowerCut):
            cut_short = True
        found = look(flash.memory)
        assert found in (BEFORE, after), cut
        seen.add(found)
        if not cut_short:
            assert found == after
            break
    assert seen == {BEFORE, after}
