"""The authorization cache and the local authorization list with FeatureSet `full` (OCPP 3.5)."""

import subprocess
import sys

import pytest

from host_tests.behaviours.test_full_core import (
    FULL,
    PRE_AUTHORIZE,
    a_charge,
    asked,
    entry,
    send_list,
    start,
    version,
)
from host_tests.station import RUNTIMES, Rig, play
from host_tests.talk import change, notes, settled, told
from tools.runtimes import ROOT

STRICT = ("--key", "AllowOfflineTxForUnknownId=false")


async def offline(rig):
    await rig.console("sim link down")
    await rig.until(link="off")


async def starts(rig, tag):
    """Whether presenting the idTag to a plugged-in car starts a charge; it is ended then."""
    await rig.console("sim ready")
    await rig.console("sim plug")
    await settled(rig, 3)
    await rig.console(f"authorize {tag}")
    began = (await settled(rig, 10))["transaction"] is not None
    await rig.console("sim unplug")
    await rig.until(status="Available", transaction=None)
    return began


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_offline_those_that_are_known_charge(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, *FULL, *STRICT) as rig:
            point = await rig.online()
            entries = (entry("LISTED"), entry("BLOCKED", "Blocked"), entry("GONE", "Expired"))
            assert await send_list(point, 1, "Full", *entries) == "Accepted"
            await a_charge(rig, "CACHED")
            await offline(rig)
            for tag, charges in (
                ("listed", True),
                ("CACHED", True),
                ("BLOCKED", False),
                ("GONE", False),
                ("NOBODY", False),
            ):
                assert await starts(rig, tag) == charges, tag
            assert asked(rig.house) == ["CACHED"]

    play(runtime, session())


def test_offline_with_other_keys(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, *FULL) as rig:
            point = await rig.online()
            assert await send_list(point, 1, "Full", entry("BLOCKED", "Blocked")) == "Accepted"
            await a_charge(rig, "CACHED")
            await offline(rig)
            # who is unknown may, but not who is known to be blocked
            assert await starts(rig, "NOBODY") and not await starts(rig, "BLOCKED")
            assert await rig.console("config LocalAuthListEnabled false") == ["Accepted"]
            assert await starts(rig, "BLOCKED")  # an unknown one now
            assert await rig.console("config AllowOfflineTxForUnknownId false") == ["Accepted"]
            assert await starts(rig, "CACHED") and not await starts(rig, "BLOCKED")
            assert await rig.console("config AuthorizationCacheEnabled false") == ["Accepted"]
            assert not await starts(rig, "CACHED")
            assert await rig.console("config AuthorizationCacheEnabled true") == ["Accepted"]
            assert await rig.console("config LocalAuthorizeOffline false") == ["Accepted"]
            assert not await starts(rig, "CACHED")

    play("cpython", session())


def test_who_is_refused_later_stops_charging(tmp_path):
    """LocalPreAuthorize starts at once; StartTransaction.conf may still refuse."""

    async def session():
        async with Rig("cpython", tmp_path, *FULL, *PRE_AUTHORIZE) as rig:
            house = rig.house
            await rig.online()
            await a_charge(rig, "CARD")
            house.refused["CARD"] = "Blocked"
            await rig.console("sim plug")
            await rig.console("authorize CARD")
            stopped = await house.heard_of("StopTransaction", count=2)
            assert stopped["reason"] == "DeAuthorized" and asked(house) == ["CARD"]
            assert await rig.console("cache") == ["CARD Blocked"]
            await rig.console("sim unplug")
            # a power cut brings it not back, and the central system is asked from now on
            await rig.kill()
            await rig.start()
            await rig.online()
            assert await rig.console("cache") == ["CARD Blocked"]
            assert not await starts(rig, "CARD")
            del house.refused["CARD"]
            assert await starts(rig, "CARD")
            assert asked(house) == ["CARD"] * 3
            assert await rig.console("cache") == ["CARD Accepted"]

    play("cpython", session())


def test_what_stop_transaction_says(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, *FULL, *PRE_AUTHORIZE) as rig:
            house = rig.house
            await rig.online()
            await a_charge(rig, "CARD")
            await rig.console("sim plug")
            await rig.console("authorize CARD")
            await house.heard_of("StartTransaction", count=2)
            await told(rig, "Charging")
            house.tells_of_stops = True
            house.refused["CARD"] = "Expired"
            await rig.console("authorize CARD")
            await house.heard_of("StopTransaction", count=2)
            await settled(rig, 2)
            assert await rig.console("cache") == ["CARD Expired"]

    play("cpython", session())


def test_what_is_known_ends_with_its_expiry_date(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, *FULL, *PRE_AUTHORIZE, *STRICT) as rig:
            house = rig.house
            await rig.online()
            house.expiries["CARD"] = house.now() + 600
            await a_charge(rig, "CARD")
            assert await starts(rig, "CARD") and asked(house) == ["CARD"]
            await offline(rig)
            assert await starts(rig, "CARD")
            await settled(rig, 700)
            assert (await rig.console("cache"))[0].startswith("CARD Expired, until 20")
            assert not await starts(rig, "CARD")
            await rig.console("sim link up")
            await rig.online()
            house.expiries["CARD"] = house.now() + 10000
            assert await starts(rig, "CARD")
            assert asked(house) == ["CARD"] * 2

    play("cpython", session())


def test_the_list_goes_before_the_cache(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, *FULL, *PRE_AUTHORIZE, *STRICT) as rig:
            house = rig.house
            point = await rig.online()
            await a_charge(rig, "CARD")
            assert await send_list(point, 1, "Full", entry("CARD", "Blocked")) == "Accepted"
            await rig.console("sim link down")
            await rig.until(link="off")
            assert not await starts(rig, "CARD")
            await rig.console("sim link up")
            point = await rig.online()
            # online the central system is asked; that it says something else is a conflict
            before = len(notes(house, 0))
            assert await starts(rig, "CARD")
            conflicts = [n for n in notes(house, 0)[before:] if n["errorCode"] != "NoError"]
            assert {n["errorCode"] for n in conflicts} == {"LocalListConflict"}
            assert conflicts[0]["status"] == "Available" and conflicts[0]["info"] == "CARD"
            # what is in the list is not put into the cache
            assert await send_list(point, 2, "Full", entry("OTHER")) == "Accepted"
            await a_charge(rig, "OTHER", 3)
            assert await rig.console("cache") == ["CARD Accepted"]
            assert house.errors() == []

    play("cpython", session())


def test_the_parent_is_known_too(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path, *FULL, *PRE_AUTHORIZE) as rig:
            point = await rig.online()
            entries = (entry("MOTHER", parentIdTag="P"), entry("SON", parentIdTag="p"))
            assert await send_list(point, 1, "Full", *entries, entry("ELSE")) == "Accepted"
            await rig.console("sim plug")
            await rig.console("sim ready")
            await rig.console("authorize MOTHER")
            await told(rig, "Charging")
            await rig.console("authorize ELSE")
            assert (await settled(rig, 3))["status"] == "Charging"
            await rig.console("authorize SON")
            stopped = await rig.house.heard_of("StopTransaction")
            assert stopped["idTag"] == "SON" and asked(rig.house) == []

    play("cpython", session())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_five_hundred_in_messages_of_two_hundred(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, *FULL, *PRE_AUTHORIZE, *STRICT) as rig:
            point = await rig.online()
            more = {"parentIdTag": "FAMILY-OF-TWENTY-CHR", "expiryDate": "2099-01-01T00:00:00Z"}
            kind = "Full"
            for first in range(0, 500, 200):
                numbers = range(first, min(500, first + 200))
                entries = [entry("CARD-%015d" % (n * 7 % 500), **more) for n in numbers]
                assert await send_list(point, first + 1, kind, *entries) == "Accepted"
                kind = "Differential"
            assert await version(point) == 401
            assert len(await rig.console("list")) == 501
            assert await send_list(point, 402, kind, entry("ONE-MORE")) == "Failed"
            await rig.console("sim plug")
            assert await start(point, "card-%015d" % 499) == "Accepted"
            begun = await rig.house.heard_of("StartTransaction")
            assert begun["idTag"] == "card-%015d" % 499 and asked(rig.house) == []
            assert rig.house.errors() == []

    play(runtime, session())


def test_another_central_system_knows_nobody(tmp_path):
    """What one central system said counts for no other."""

    async def session():
        async with Rig("cpython", tmp_path, *FULL, *PRE_AUTHORIZE) as rig:
            point = await rig.online()
            assert await send_list(point, 5, "Full", entry("LISTED")) == "Accepted"
            await a_charge(rig, "CARD")
            assert await change(point, "BoxIdentifier", "ANOTHER") == "Accepted"
            rig.box = "ANOTHER"
            await rig.house.heard_of("BootNotification", count=2)
            point = await rig.online()
            assert await version(point) == 0
            await a_charge(rig, "CARD", 2)
            await a_charge(rig, "LISTED", 3)
            assert asked(rig.house) == ["CARD", "CARD", "LISTED"]

    play("cpython", session())


def test_with_guide_nothing_of_it_is_imported(tmp_path):
    code = """
import sys
from firmware import options, program
from firmware.station import Station

def names():
    return [name for name in sys.modules if "local_auth" in name or "full_core" in name]

words = ["--state", sys.argv[1], "--supervision-url", ""]
station = Station(program.Parts(options.parse(words)), "PowerLoss")
assert station.full is None and names() == [], names()
words += ["--key", "FeatureSet=full"]
station = Station(program.Parts(options.parse(words)), "PowerLoss")
assert station.full and len(names()) == 5, names()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "state")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
