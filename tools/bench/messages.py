"""Messages a second through rpc and schemas on CPython, beside PyPI's `ocpp` and npm's `ocpp-rpc`
in its strict mode, in the same run.

    python -m tools.bench.messages [--fetch]    with --fetch, ocpp-rpc is installed into .cache

All take in the same calls as text, check them, have a handler answer, check (ours as its tests do,
as the others always do) and send the answer; and the other way: make a call, send it, take in its
answer. Nothing goes over a network. Without node or its package in .cache that column is empty.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import shutil
import subprocess
import sys
import time
from pathlib import Path

from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result

from firmware.ocpp.rpc import Rpc
from host_tests.both import sent_messages
from tools.runtimes import ROOT

ROUNDS = 100  # messages in a row
TURNS = 8  # of each side
STRICT_PEER = Path(__file__).resolve().parent / "strict_peer.js"
NPM = ROOT / ".cache" / "npm"
STRICT_PACKAGE = "ocpp-rpc"
NOW = "2026-01-01T00:00:00Z"
AIM = 8  # times the `ocpp` package
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


def outgoing() -> dict[str, tuple[str, dict, dict]]:
    """Calls of ours, by a title: action, payload, the answer's payload."""
    values = [
        {"value": "1234567", "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
        *(
            {"value": "16.5", "measurand": "Current.Import", "unit": "A", "phase": phase}
            for phase in ("L1", "L2", "L3")
        ),
    ]
    samples = [{"timestamp": NOW, "sampledValue": values}]
    status = {"connectorId": 1, "status": "Charging", "errorCode": "NoError", "timestamp": NOW}
    return {
        "Heartbeat out": ("Heartbeat", {}, {"currentTime": NOW}),
        "StatusNotification out": ("StatusNotification", status, {}),
        "MeterValues out, 4 values": (
            "MeterValues",
            {"connectorId": 1, "transactionId": 7, "meterValue": samples},
            {},
        ),
    }


class Link:
    """Where messages go: `sent` is called with each; by default they are kept in `answers`."""

    def __init__(self):
        self.answers = []
        self.sent = self.answers.append

    async def send(self, text) -> None:
        """Takes a message."""
        self.sent(text)

    def slow_s(self) -> float:
        """It is as fast as can be."""
        return 0


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


async def rates(links, *ways) -> list[float]:
    """Messages a second of each way, a coroutine function of one round: the best of some, which
    take turns, since a PC is not always as fast. Each round is counted as sent and answered."""
    best = [0.0] * len(ways)
    for _ in range(TURNS):
        for number, way in enumerate(ways):
            links[number].answers.clear()
            start = time.process_time()
            for _ in range(ROUNDS):
                await way()
            best[number] = max(best[number], ROUNDS / (time.process_time() - start))
            answers = links[number].answers
            wrong = [a for a in answers if json.loads("".join(a))[0] not in (2, 3)]
            if wrong or len(answers) != ROUNDS:
                raise RuntimeError(f"not answered as it should: {wrong[:1]}")
    return best


def answering(link, take_in, payload) -> None:
    """From now on each call that goes out over the link is answered so, at once."""
    tasks = set()

    def answered(text):
        link.answers.append(text)
        uid = json.loads("".join(text))[1]
        reply = json.dumps([3, uid, payload], separators=(",", ":"))
        task = asyncio.ensure_future(take_in(reply))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    link.sent = answered


def snake(value):
    """camelCase names as the `ocpp` package wants them."""
    if isinstance(value, list):
        return [snake(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        "".join("_" + c.lower() if c.isupper() else c for c in name): snake(item)
        for name, item in value.items()
    }


def strict_peer() -> dict[str, float]:
    """The strict peer's messages a second by title; empty, with the reason said, where it is not
    at hand."""
    package = NPM / "node_modules" / STRICT_PACKAGE
    if not shutil.which("node") or not package.exists():
        print(f"no {STRICT_PACKAGE} to compare with: needs node, and messages --fetch once")
        return {}
    tasks: list = []
    for title, text in calls().items():
        tasks.append([title, "in", text, ANSWERS[json.loads(text)[2]]])
    for title, (action, payload, answer) in outgoing().items():
        tasks.append([title, "out", action, payload, answer])
    command = ["node", str(STRICT_PEER), str(package), str(ROUNDS)]
    done = subprocess.run(command, input=json.dumps(tasks), capture_output=True, text=True)
    if done.returncode:
        print(f"{STRICT_PACKAGE} fails: {done.stderr[-500:]}")
        return {}
    return json.loads(done.stdout)


def fetch() -> None:
    """Installs the strict peer's package into .cache; the bench alone needs it."""
    NPM.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(NPM), STRICT_PACKAGE]
    subprocess.run(command, cwd=NPM, check=True)


def row(title, mine, other, strict) -> None:
    """Prints a row of the table; how good it is, is told by the ratios."""
    cells = f"{strict:9.0f} {mine / strict:6.2f}" if strict else f"{'-':>9} {'-':>6}"
    verdict = "good" if mine >= AIM * other else f"below {AIM} times ocpp"
    print(
        f"{title:32} {mine:10.0f} {other:8.0f} {mine / other:6.1f} {cells}  {verdict}", flush=True
    )


async def main() -> None:
    """Prints the table."""
    logging.getLogger("ocpp").setLevel(logging.ERROR)
    links = [Link(), Link()]

    async def handler(action, payload):
        sent_messages.check(action, "conf", dict(ANSWERS[action]))
        return ANSWERS[action]

    rpc = Rpc(
        handler,
        Silent(),
        lambda: 30,
        lambda: 0,
    )
    rpc.attach(links[0])
    theirs = Theirs("bench", links[1])

    async def ours(text):
        await rpc.received(memoryview(text.encode()))

    strict = strict_peer()
    print(
        "\nMessages a second on this machine's CPython. A device makes one call at a time and is"
    )
    print(f"rarely sent more than one a second; the aim is {AIM} times `ocpp`.")
    heads = f"{'wallbridge':>10} {'ocpp':>8} {'ratio':>6} {'ocpp-rpc':>9} {'ratio':>6}"
    print(f"{'call in, answer out':32} {heads}")
    for title, text in calls().items():
        mine, other = await rates(
            links, functools.partial(ours, text), functools.partial(theirs.route_message, text)
        )
        row(title, mine, other, strict.get(title))
    print("call out, answer in")
    for title, (action, payload, answer) in outgoing().items():
        answering(links[0], ours, answer)
        answering(links[1], theirs.route_message, answer)
        their_payload = snake(payload)

        async def their_call(action=action, payload=their_payload):
            await theirs.call(getattr(call, action)(**payload), suppress=False)

        mine, other = await rates(
            links,
            functools.partial(rpc.call, action, payload),
            their_call,
        )
        row(title, mine, other, strict.get(title))


if __name__ == "__main__":
    if "--fetch" in sys.argv:
        fetch()
    asyncio.run(main())
