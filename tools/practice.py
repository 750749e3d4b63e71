"""A central system to practise with: `python -m tools.practice`, and its URL for the station.

It says in plain words what the station tells it, and takes a command a line: `start`, `stop`,
`limit AMPERE`, `messages` (shows them whole), `help`, `quit`. It accepts every station and id.
For practice: it has no security and keeps nothing. docs/installing.md uses it.
"""

import argparse
import asyncio
import json
import sys
import threading

from tools.central import House

HELP = """start           starts a charge (RemoteStartTransaction)
stop            stops it (RemoteStopTransaction)
limit AMPERE    no more than so many A from now on; limit off ends that
messages        shows every message whole from now on
quit            ends the central system; the station goes on"""
LIMIT = 1  # the profile's id


def _plain(action, payload):
    """A message of the station in words; None for one that says nothing new."""
    if action == "BootNotification":
        return "the station has started: a %s" % payload["chargePointModel"]
    if action == "StatusNotification":
        where = "station" if payload["connectorId"] == 0 else "connector"
        info = payload.get("info")
        return "%s: %s%s" % (where, payload["status"], ", " + info if info else "")
    if action == "Authorize":
        return "may %s charge? Yes" % payload["idTag"]
    if action == "StartTransaction":
        return "a charge has started for %s, the meter at %d Wh" % (
            payload["idTag"],
            payload["meterStart"],
        )
    if action == "StopTransaction":
        why = payload.get("reason", "Local")
        return "the charge has ended (%s), the meter at %d Wh" % (why, payload["meterStop"])
    if action == "MeterValues":
        values = {}
        for value in payload["meterValue"][-1]["sampledValue"]:
            if "phase" not in value:
                values[value["measurand"]] = value["value"] + " " + value.get("unit", "")
        return "measured: " + ", ".join("%s %s" % item for item in sorted(values.items()))
    return None


class Practice:
    """The central system and its one station, which is the last that came."""

    def __init__(self, say=print):
        self.say = say
        self.house = House(watch=self.heard)
        self.whole = False
        self.started = []  # the ids of StartTransactions that wait for their answer
        self.transaction = None

    def heard(self, box_id, way, message):
        """Says a message in words."""
        if self.whole:
            self.say("  %s %s" % ("from" if way == "<" else "to  ", json.dumps(message)))
        if way == "<" and message[0] == 2:
            action, payload = message[2:4]
            if action == "StartTransaction":
                self.started.append(message[1])
            if action == "StopTransaction":
                self.transaction = None
            text = _plain(action, payload)
            if text:
                self.say("%s: %s" % (box_id, text))
        elif way == ">" and message[1] in self.started:
            self.started.remove(message[1])
            self.transaction = message[2]["transactionId"]

    async def typed(self, line) -> bool:
        """Does what was typed; False for `quit`."""
        word, _, value = line.strip().partition(" ")
        if word == "quit":
            return False
        if word in ("", "help"):
            self.say(HELP)
            return True
        if word == "messages":
            self.whole = not self.whole
            return True
        if not self.house.points:
            self.say("no station is connected")
            return True
        point = list(self.house.points.values())[-1]
        if word == "start":
            answer = await point.ask("RemoteStartTransaction", id_tag="PRACTICE", connector_id=1)
        elif word == "stop" and self.transaction is None:
            self.say("no charge runs")
            return True
        elif word == "stop":
            answer = await point.ask("RemoteStopTransaction", transaction_id=self.transaction)
        elif word == "limit" and value == "off":
            answer = await point.ask("ClearChargingProfile", id=LIMIT)
        elif word == "limit" and value.isdigit():
            profile = {
                "chargingProfileId": LIMIT,
                "stackLevel": 0,
                "chargingProfilePurpose": "ChargePointMaxProfile",
                "chargingProfileKind": "Relative",
                "chargingSchedule": {
                    "chargingRateUnit": "A",
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": int(value)}],
                },
            }
            answer = await point.ask(
                "SetChargingProfile", connector_id=0, cs_charging_profiles=profile
            )
        else:
            self.say("no such command; try help")
            return True
        self.say("the station answers: %s" % answer.status)
        return True


async def run(port):
    """Until `quit` or the end of the input."""
    practice = Practice(lambda text: print(text, flush=True))
    url = await practice.house.open(port=port)
    print("A central system for practice. Start the station with --supervision-url %s" % url)
    print("Commands: start, stop, limit AMPERE, messages, help, quit", flush=True)
    lines = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def pump():
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "quit")

    threading.Thread(target=pump, daemon=True).start()
    while await practice.typed(await lines.get()):
        pass
    await practice.house.close()


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=9000, help="where it listens (9000)")
    asyncio.run(run(parser.parse_args().port))


if __name__ == "__main__":
    main()
