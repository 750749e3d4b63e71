"""Messages a second through rpc and schemas on CPython, beside PyPI's `ocpp` in the same run.

Both take in the same calls as text, check them, have a handler answer, check (ours in its
tests' mode, as `ocpp` always does) and send the answer. Nothing goes over a network.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time

from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result

from firmware.ocpp.rpc import Rpc
from host_tests.both import sent_messages

ROUNDS = 300
ANSWERS = {
    "TriggerMessage": {"status": "Accepted"},
    "RemoteStartTransaction": {"status": "Accepted"},
    "ChangeConfiguration": {"status": "Accepted"},
    "SetChargingProfile": {"status": "Accepted"},
}


def profile(periods: int) -> dict:
    """A SetChargingProfile of so many periods: 100 make 6 KB, the largest message there is."""
    schedule = [
        {"startPeriod": 900 * n, "limit": 6.0 + n % 27, "numberPhases": 3} for n in range(periods)
    ]
    return {
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": {
                "startSchedule": "2026-01-01T00:00:00Z",
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": schedule,
            },
        },
    }


def calls() -> dict[str, str]:
    """The calls as they arrive, by a title."""
    payloads = {
        "TriggerMessage": {"requestedMessage": "Heartbeat"},
        "RemoteStartTransaction": {"connectorId": 1, "idTag": "AB12CD34"},
        "ChangeConfiguration": {"key": "HeartbeatInterval", "value": "600"},
    }
    texts = {
        action: json.dumps([2, "id-1", action, payload], separators=(",", ":"))
        for action, payload in payloads.items()
    }
    for periods in (10, 100):
        message = [2, "id-1", "SetChargingProfile", profile(periods)]
        texts[f"SetChargingProfile, {periods} periods"] = json.dumps(message)
    return texts


class Link:
    """Where answers go; counts them."""

    def __init__(self):
        self.answers = []

    async def send(self, text) -> None:
        """Takes an answer."""
        self.answers.append(text)


class Silent:
    """A log that is not written."""

    def __getattr__(self, name):
        return lambda *args: None


class Theirs(ChargePoint):
    """The `ocpp` package's own charge-point side."""

    @on("TriggerMessage")
    def _trigger(self, **payload):
        return call_result.TriggerMessage(status="Accepted")

    @on("RemoteStartTransaction")
    def _start(self, **payload):
        return call_result.RemoteStartTransaction(status="Accepted")

    @on("ChangeConfiguration")
    def _change(self, **payload):
        return call_result.ChangeConfiguration(status="Accepted")

    @on("SetChargingProfile")
    def _profile(self, **payload):
        return call_result.SetChargingProfile(status="Accepted")


async def rate(take_in, text, link) -> float:
    """Messages a second, the best of three."""
    best = 0.0
    for _ in range(3):
        link.answers.clear()
        start = time.process_time()
        for _ in range(ROUNDS):
            await take_in(text)
        best = max(best, ROUNDS / (time.process_time() - start))
        wrong = [a for a in link.answers if json.loads("".join(a))[0] != 3]
        if wrong or len(link.answers) != ROUNDS:
            raise RuntimeError(f"not answered as it should: {wrong[:1]}")
    return best


async def main() -> None:
    """Prints the table."""
    logging.getLogger("ocpp").setLevel(logging.ERROR)
    link = Link()

    async def handler(action, payload):
        sent_messages.check(action, "conf", dict(ANSWERS[action]))
        return ANSWERS[action]

    rpc = Rpc(
        handler,
        Silent(),
        lambda: 30,
        lambda: 0,
    )
    rpc.attach(link)
    theirs = Theirs("bench", link)

    async def ours(text):
        await rpc.received(memoryview(text.encode()))

    print(f"\n{'call in, answer out; messages a second':40} {'wallbridge':>10} {'ocpp':>8}  ratio")
    for title, text in calls().items():
        mine = await rate(ours, text, link)
        other = await rate(theirs.route_message, text, link)
        print(f"{title:40} {mine:10.0f} {other:8.0f} {mine / other:6.1f}")


if __name__ == "__main__":
    asyncio.run(main())
