"""The fleet: many stations against one central system, and what is checked at the end."""

import asyncio
import csv
import logging
import random
import subprocess
import sys

import pytest

from firmware.base import runtime
from host_tests import virtual
from tools import runtimes
from tools.fleet import scenarios
from tools.fleet.central import Crowd, Orders
from tools.fleet.fleet import CantDoThat, Fleet, Plan
from tools.fleet.ledger import Ledger

EPOCH = 1800000000


async def run(folder, scenario, count, seconds, **plan):
    """Lives through a scenario with its own central system; returns the verdict."""

    def now():
        return EPOCH + asyncio.get_running_loop().time()

    house = Crowd(now=now)
    url = await house.open()
    try:
        orders = Orders(house)
        async with Fleet(Plan(url, scenario, **plan), folder, central=orders) as fleet:
            fleet.add(count)
            fleet.begin()
            await fleet.sleep(seconds)
            verdict = await fleet.finish(600)
            verdict["restarts"] = orders.restarts
            verdict["done"] = [list(charger.diary) for charger in fleet.chargers]
            return verdict
    finally:
        await house.close()


def virtually(monkeypatch, seed, session):
    """Runs it in virtual time, with the firmware's own chance from a seed, too. The loop is late
    by up to three seconds: it has fewer turns, and the stations must not mind."""
    monkeypatch.setattr(runtime, "urandom", random.Random(seed).randbytes)
    monkeypatch.setattr(logging.getLogger("wallbridge"), "propagate", False)
    return virtual.run(session, 3000)


def test_fifty_stations_for_an_hour_of_cuts_and_restarts(monkeypatch, tmp_path):
    verdict = virtually(monkeypatch, 1, run(tmp_path, "hard_hour", 50, 3600))
    assert verdict["violations"] == []
    assert verdict["restarts"] == 2
    assert verdict["stations"] == 50 and verdict["transactions"] > 80, verdict
    assert verdict["wh"] > 50000
    assert verdict["calls"]["BootNotification"] > 70  # all at first, and those without power again
    assert any("a bad day" in failure for failure in verdict["failures"]), verdict["failures"]
    assert any("link lost" in failure for failure in verdict["failures"]), verdict["failures"]


def test_a_seed_says_what_happens_to_whom(monkeypatch, tmp_path):
    """Sockets are real, so that two messages of the same moment may change places; what is done to
    which station, and what it bills, may not."""

    def live(number, seed):
        return virtually(
            monkeypatch, 5, run(tmp_path / str(number), "hard_hour", 4, 930, seed=seed)
        )

    first, again, other = live(1, 1), live(2, 1), live(3, 2)
    assert first["done"] == again["done"]
    assert (first["transactions"], first["wh"]) == (again["transactions"], again["wh"])
    assert other["done"] != first["done"]
    assert first["violations"] == again["violations"] == other["violations"] == []


# the ledger


def start(number, wh, at="2027-01-01T00:00:00Z"):
    return {"connectorId": 1, "idTag": "D%d" % number, "meterStart": wh, "timestamp": at}


def stop(number, wh, at="2027-01-01T01:00:00Z"):
    return {"transactionId": number, "meterStop": wh, "timestamp": at, "reason": "Local"}


def values(number, wh, at="2027-01-01T00:30:00Z"):
    sample = {"timestamp": at, "sampledValue": [{"value": str(wh)}]}
    return {"connectorId": 1, "transactionId": number, "meterValue": [sample]}


class Talk:
    """A station's side of a conversation, told to a ledger."""

    def __init__(self):
        self.ledger = Ledger()
        self.count = 0

    def __call__(self, action, payload, answer=None, lost=False, refused=False):
        self.count += 1
        uid = str(self.count)
        self.ledger.told(uid, action, payload)
        if refused:
            self.ledger.refused(uid)
        elif lost:
            self.ledger.unanswered(uid)
        else:
            self.ledger.answered(uid, answer or {})

    def session(self, number=7, begin=100, end=900):
        self("StartTransaction", start(number, begin), {"transactionId": number})
        self("MeterValues", values(number, (begin + end) // 2))
        self("StopTransaction", stop(number, end))


def test_a_ledger_of_sessions_that_are_whole():
    talk = Talk()
    talk.session(7, 100, 900)
    talk("StartTransaction", start(8, 900), lost=True)
    talk("StartTransaction", start(8, 900), {"transactionId": 8})
    talk("MeterValues", values(8, 950), refused=True)
    talk("MeterValues", values(8, 950))
    talk("StopTransaction", stop(8, 1000))
    talk.ledger.boot()  # it forgot that this was answered
    talk("StopTransaction", stop(8, 1000))
    talk.ledger.close(0, 900)
    assert talk.ledger.violations == []
    assert (talk.ledger.transactions, talk.ledger.wh, talk.ledger.given_up) == (2, 900, 0)


def test_what_is_refused_for_good_is_no_violation():
    talk = Talk()
    for _ in range(3):
        talk("StartTransaction", start(7, 0), refused=True)
    talk("StopTransaction", stop(-1, 50))
    talk.ledger.close(0, 50)
    assert talk.ledger.violations == [] and talk.ledger.given_up == 1


def lies():
    """What can't be, each with the words of its violation."""

    def two_starts(talk):
        talk("StartTransaction", start(1, 0), {"transactionId": 1})
        talk("StartTransaction", start(2, 0), {"transactionId": 2})

    def no_start(talk):
        talk("StopTransaction", stop(1, 5))

    def doubled(talk):
        talk.session()
        talk("StopTransaction", stop(7, 900))

    def out_of_turn(talk):
        talk.session()
        talk("StartTransaction", start(7, 100), {"transactionId": 7})

    def overtaken(talk):
        talk("StartTransaction", start(7, 100), {"transactionId": 7})
        talk.ledger.boot()
        talk("StartTransaction", start(7, 100), {"transactionId": 7})
        talk.session(8, 200, 300)

    def another_number(talk):
        talk("StartTransaction", start(7, 100), {"transactionId": 7})
        talk("StopTransaction", stop(8, 900))

    def counts_down(talk):
        talk("StartTransaction", start(7, 100), {"transactionId": 7})
        talk("MeterValues", values(7, 50))

    def time_goes_back(talk):
        talk("StartTransaction", start(7, 100), {"transactionId": 7})
        talk("StopTransaction", stop(7, 900, "2026-12-31T23:00:00Z"))

    def lost(talk):
        talk.session()
        talk("StartTransaction", start(8, 900), lost=True)

    def too_little(talk):
        talk.session(7, 100, 800)

    def still_owed(talk):
        talk.session()
        talk.ledger.close(3, 800)

    return (
        (two_starts, "no stop before"),
        (no_start, "of no transaction"),
        (doubled, "though it was answered"),
        (out_of_turn, "out of turn"),
        (overtaken, "no stop before"),
        (another_number, "transactionId is 7"),
        (counts_down, "register went back"),
        (time_goes_back, "time goes back"),
        (lost, "never answered"),
        (too_little, "700 Wh were billed, 800 flowed"),
        (still_owed, "3 messages are still"),
    )


@pytest.mark.parametrize("lie, words", lies(), ids=lambda part: getattr(part, "__name__", ""))
def test_a_ledger_finds(lie, words):
    talk = Talk()
    lie(talk)
    talk.ledger.close(0, 800)
    assert any(words in text for text in talk.ledger.violations), talk.ledger.violations


def test_a_station_that_loses_a_message_is_found(monkeypatch, tmp_path):
    """The whole way, from a station's flash to the verdict."""

    async def lose_one():
        house = Crowd(now=lambda: EPOCH + asyncio.get_running_loop().time())
        plan = Plan(url=await house.open(), scenario="all_charge", faults=0)
        async with Fleet(plan, tmp_path) as fleet:
            fleet.add(2)
            fleet.begin()
            await fleet.sleep(60)
            await house.close()
            await fleet.cars_leave()
            await fleet.sleep(60)
            outbox = fleet.chargers[0].station.transactions.outbox
            assert outbox.pending
            while outbox.pending:
                outbox.head()
                outbox.delivered({"transactionId": 1, "idTagInfo": {"status": "Accepted"}})
            await house.open(port=house.port)
            verdict = await fleet.finish(600)
        await house.close()
        return verdict

    verdict = virtually(monkeypatch, 1, lose_one())
    assert {name for name, _ in verdict["violations"]} == {"FLEET-S-00001"}, verdict


# scenarios, and locust


def test_who_cannot_give_orders_says_so(tmp_path):
    async def without_central():
        async with Fleet(Plan(url="ws://127.0.0.1:9/ocpp", scenario="call_errors"), tmp_path) as f:
            with pytest.raises(CantDoThat, match="takes orders"):
                await scenarios.call_errors(f)

    virtual.run(without_central())
    with pytest.raises(ValueError, match="they are quiet_night"):
        scenarios.find("loud_night")


def test_bad_links(monkeypatch, tmp_path):
    verdict = virtually(monkeypatch, 1, run(tmp_path, "bad_links", 6, 1200))
    assert verdict["violations"] == []
    assert verdict["transactions"] >= 3
    assert any("link lost" in failure for failure in verdict["failures"]), verdict["failures"]


def test_locusts_master_and_worker(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tools.fleet", "--headless", "--users", "20", "--ramp", "1",
         "--run-time", "10s", "--scenario", "all_charge", "--speed", "10", "--processes", "1",
         "--csv", str(tmp_path / "fleet")],
        cwd=runtimes.ROOT, capture_output=True, text=True, timeout=150,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 stations" in done.stderr and "fleet: 0 violations" in done.stderr, done.stderr
    with open(tmp_path / "fleet_stats.csv") as file:
        counts = {row["Name"]: int(row["Request Count"]) for row in csv.DictReader(file)}
    assert counts["BootNotification"] == 20 and counts["StatusNotification"] >= 40, counts
    assert counts["loop lag"] > 5, counts
