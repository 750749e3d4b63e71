"""OCPP's table 4.9: only the transitions that it allows are told, and nothing twice."""

import asyncio
import random

import pytest

from host_tests.station import Rig, play
from host_tests.talk import change, notes, settled, statuses, told

# The rows of the table; B6 by errata 3.20. From Faulted everything.
TABLE = {
    "Available": "Preparing Charging SuspendedEV SuspendedEVSE Reserved Unavailable Faulted",
    "Preparing": "Available Charging SuspendedEV SuspendedEVSE Finishing Faulted",
    "Charging": "Available SuspendedEV SuspendedEVSE Finishing Unavailable Faulted",
    "SuspendedEV": "Available Charging SuspendedEVSE Finishing Unavailable Faulted",
    "SuspendedEVSE": "Available Charging SuspendedEV Finishing Unavailable Faulted",
    "Finishing": "Available Preparing Unavailable Faulted",
    "Reserved": "Available Preparing Unavailable Faulted",
    "Unavailable": "Available Preparing Charging SuspendedEV SuspendedEVSE Faulted",
}


class Watch:
    """Reads everything that a station tells, and what must interrupt the order of it."""

    def __init__(self):
        self.last = None
        self.zero = 0
        self.seen = set()
        self.wrong = []

    def __call__(self, box, way, message):
        if way != "<" or message[0] != 2 or message[2] != "StatusNotification":
            return
        note = message[3]
        what = tuple(note.get(key) for key in ("status", "errorCode", "vendorErrorCode", "info"))
        if note["connectorId"] == 0:
            if what[0] not in ("Available", "Unavailable", "Faulted") or what[1] != "NoError":
                self.wrong.append(what)
            self.zero += 1
            self.last = None  # accepted, or connected again: all is told again
            return
        if what[0] != "Faulted" and (what[1] != "NoError" or what[2]):
            self.wrong.append(what)
        if self.last:
            before, after = self.last[0], what[0]
            if self.last == what:
                self.wrong.append(("twice", what))
            elif before != after:
                self.seen.add((before, after))
                if before != "Faulted" and after not in TABLE[before].split():
                    self.wrong.append((self.last, what))
        self.last = what


async def act(rig, choice, dice):
    """One random thing that happens to a station."""
    point = next(iter(rig.house.points.values()), None)
    ask = point.ask if point else None
    if choice == "remote start" and ask:
        await ask("RemoteStartTransaction", id_tag=dice.choice(["A", "BAD"]))
    elif choice == "remote stop" and ask:
        number = rig.house.next_transaction - 1
        await ask("RemoteStopTransaction", transaction_id=number)
    elif choice == "unlock" and ask:
        await ask("UnlockConnector", connector_id=1)
    elif choice == "reserve" and ask:
        from tools.central import iso

        expiry = iso(rig.house.now() + dice.choice([20, 3600]))
        await ask("ReserveNow", connector_id=dice.choice([0, 1]), id_tag="A",
                  reservation_id=dice.choice([1, 2]), expiry_date=expiry)  # fmt: skip
    elif choice == "cancel" and ask:
        await ask("CancelReservation", reservation_id=dice.choice([1, 2]))
    elif choice == "limit" and ask:
        profile = {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "ChargePointMaxProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": dice.choice([0, 16])}],
            },
        }
        await ask("SetChargingProfile", connector_id=0, cs_charging_profiles=profile)
    elif choice == "key" and ask:
        name = dice.choice(["StopTransactionOnEVSideDisconnect", "StopTransactionOnInvalidId"])
        await change(point, name, dice.choice(["true", "false"]))
    elif choice.startswith(("sim", "authorize")):
        await rig.ask(choice)
    if choice == "sim link down":
        await asyncio.sleep(dice.choice([1, 30, 90]))
        await rig.ask("sim link up")
        await rig.until(timeout=200, link="online")


THINGS = (
    ["sim plug"] * 8
    + ["sim unplug"] * 4
    + ["sim ready"] * 5
    + ["sim pause"] * 3
    + ["remote start"] * 10
    + ["remote stop"] * 4
    + ["reserve", "cancel"] * 2
    + ["limit"] * 3
    + ["unlock", "sim ventilate", "authorize A", "authorize C", "key", "sim link down"]
    + ["sim fault 0x10020C on", "sim fault 0x100206 on"]
    + ["sim fault 0x10020C off", "sim fault 0x100206 off"] * 4
)


@pytest.mark.parametrize("part", range(3))
def test_random_sessions_tell_only_what_the_table_allows(part, tmp_path):
    seen = set()

    async def session(seed):
        dice = random.Random(seed)
        words = ("--key", "ConnectionTimeOut=20")
        async with Rig("cpython", tmp_path / str(seed), *words, start=False) as rig:
            watch = rig.house.watch = Watch()
            rig.house.refused["BAD"] = "Invalid"
            await rig.start()
            await rig.online()
            for _ in range(100):
                await act(rig, dice.choice(THINGS), dice)
                await asyncio.sleep(dice.choice([0, 0.03, 0.3, 1, 4, 25]))
            assert not watch.wrong and watch.zero
            # at rest, what was told last is what is
            state = await settled(rig, 30)
            assert statuses(rig.house)[-1] == state["status"]
            assert rig.house.errors() == []
            seen.update(watch.seen)

    for seed in range(4 * part, 4 * part + 4):
        (tmp_path / str(seed)).mkdir()
        play("cpython", session(seed))
    assert len(seen) > 12, seen


def test_a_session_in_the_order_of_the_table(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            house = rig.house
            point = await rig.online()
            await rig.console("sim plug")
            await told(rig, "Preparing")
            await point.ask("RemoteStartTransaction", id_tag="T")
            await told(rig, "SuspendedEV")  # the car asks for nothing yet
            await rig.console("sim ready")
            await told(rig, "Charging")
            await rig.console("sim pause")
            await told(rig, "SuspendedEV")
            await rig.console("sim ventilate")
            await told(rig, "SuspendedEVSE")
            await rig.console("sim ready")
            await told(rig, "Charging")
            await point.ask("RemoteStopTransaction", transaction_id=1001)
            await told(rig, "Finishing")
            await rig.console("sim unplug")
            await told(rig, "Available")
            assert [s for s in statuses(house) if s != "SuspendedEVSE"] == [
                "Available",
                "Preparing",
                "SuspendedEV",
                "Charging",
                "SuspendedEV",
                "Charging",
                "Finishing",
                "Available",
            ]
            for note in notes(house):
                assert note["errorCode"] == "NoError" and "vendorErrorCode" not in note
                assert note["timestamp"].endswith("Z")

    play(runtime, session())


def test_the_minimum_status_duration(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, "--key", "MinimumStatusDuration=10") as rig:
            house = rig.house
            point = await rig.online()
            await told(rig, "Available")
            await rig.console("sim ready")
            await rig.console("sim plug")
            await settled(rig, 5)
            assert statuses(house) == ["Available"]
            await told(rig, "Preparing")
            await point.ask("RemoteStartTransaction", id_tag="T")
            await rig.until(status="Charging")
            await rig.console("sim pause")
            await rig.until(status="SuspendedEV")
            await rig.console("sim ready")
            await told(rig, "Charging")
            await rig.console("sim fault 0x10020C on")
            await told(rig, "Faulted", timeout=5)  # a fault does not wait
            assert statuses(house) == ["Available", "Preparing", "Charging", "Faulted"]

    play(runtime, session())


def test_finishing_is_told_before_available(tmp_path):
    """An unplugging ends it: Finishing with the reason, however short it is."""

    async def session():
        async with Rig("cpython", tmp_path) as rig:
            await rig.charge()
            await told(rig, "Charging")
            await rig.console("sim unplug")
            await told(rig, "Available")
            last = [(n["status"], n.get("info")) for n in notes(rig.house)][-3:]
            assert last == [
                ("Charging", None),
                ("Finishing", "EV side disconnected"),
                ("Available", None),
            ]

    play("cpython", session())


@pytest.mark.parametrize("pause", [0, 0.02, 0.05, 0.1, 0.5])
def test_a_transaction_that_ends_as_soon_as_it_has_begun(pause, tmp_path):
    async def session():
        async with Rig("cpython", tmp_path) as rig:
            point = await rig.online()
            await rig.console("sim ready")
            await rig.console("sim plug")
            await rig.until(status="Preparing")
            await point.ask("RemoteStartTransaction", id_tag="T")
            while (await rig.status())["contactor"] == "open":
                await asyncio.sleep(0.01)
            await asyncio.sleep(pause)
            await rig.console("stop")
            await rig.house.heard_of("StopTransaction")
            await settled(rig, 5)
            told = [s for s in statuses(rig.house) if s not in ("Charging", "SuspendedEVSE")]
            assert told == ["Available", "Preparing", "Finishing"]

    play("cpython", session())


def test_a_status_that_is_refused_or_not_answered_is_told_again(tmp_path):
    async def session():
        async with Rig("cpython", tmp_path) as rig:
            await rig.online()
            await told(rig, "Available")
            rig.house.refused_statuses = 2
            await rig.console("sim plug")
            await settled(rig, 60)
            assert statuses(rig.house) == ["Available"] + ["Preparing"] * 3
            rig.house.refused_statuses = 1000  # it never takes one: that has an end
            await rig.console("sim unplug")
            await settled(rig, 600)
            assert statuses(rig.house)[4:] == ["Available"] * 3

    play("cpython", session())


def test_nothing_is_told_before_the_pilot_has_shown_whether_a_car_is_there(runtime, tmp_path):
    """A car that stays through a Reset was Available at first where the link was quick."""

    async def session():
        async with Rig(runtime, tmp_path) as rig:
            point = await rig.charge()
            assert (await point.ask("Reset", type="Soft")).status == "Accepted"
            await rig.house.heard_of("BootNotification", count=2, timeout=60)
            start = len(rig.house.calls("StatusNotification"))
            await told(rig, "Finishing")
            await settled(rig, 5)
            assert statuses(rig.house, 1, start) == ["Finishing"]
            assert statuses(rig.house, 0, start) == ["Available"]

    play(runtime, session())


@pytest.mark.parametrize("runtime", ["cpython", "micropython32"])
def test_a_status_goes_before_the_transaction_s_message_of_the_same_moment(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path) as rig:
            await rig.charge()
            await rig.until(queue=0)
            await rig.console("sim unplug")
            await rig.until(transaction=None, queue=0)
            said = [
                message[3].get("status", message[2])
                for _, way, message in rig.house.messages
                if way == "<" and message[0] == 2 and message[2] != "MeterValues"
            ]
            stop = said.index("StopTransaction")
            assert said[stop - 1] == "Finishing", said
            assert said[said.index("StartTransaction") - 1] != "Charging", said

    play(runtime, session())
