"""What must be true of all that a central system heard of one station's transactions."""

import datetime
import json

ATTEMPTS = 3  # TransactionMessageAttempts
RECORD_S = 60  # while energy flows a record is written at least so often
ACTIONS = ("StartTransaction", "MeterValues", "StopTransaction")


def seconds(text):
    return datetime.datetime.fromisoformat(text).timestamp()


def when(payload):
    return seconds(payload.get("timestamp") or payload["meterValue"][0]["timestamp"])


class Heard:
    """The transaction messages of `house`, in the order of the wire: `events`, each (action,
    payload, how often it was refused) once; `reasons` of the stops; `given_up`, those that were
    refused as often as the station tries."""

    def __init__(self, house):
        self.events = []
        self.reasons = []
        self._listen(house)
        self.given_up = [
            (action, payload) for action, payload, refused in self.events if refused >= ATTEMPTS
        ]

    def _listen(self, house):
        """Nothing is told in another order, and nothing again but what the answer was lost of: the
        newest, or after a restart from somewhere on."""
        texts = []  # of the events
        ids = {}  # a call's id to its event
        refused = {}
        answered = set()
        restarts = 0
        at = -1  # the event that was told last
        again = False
        for _, way, message in house.messages:
            if way == ">" and message[1] in ids:
                place = ids[message[1]]
                if message[0] == 4:
                    refused[place] = refused.get(place, 0) + 1
                else:
                    answered.add(place)
            if way != "<" or message[0] != 2:
                continue
            if message[2] == "BootNotification":
                again = True
                restarts += 1
            if message[2] not in ACTIONS:
                continue
            text = json.dumps(message[2:], sort_keys=True)
            if text in texts:
                place = texts.index(text, 0 if again else max(at, 0))
                assert place in (at, at + 1) or again, f"told again out of turn: {text}"
                again = False if place == len(texts) - 1 else again
            else:
                assert at == len(texts) - 1, f"before what came before it was told: {text}"
                again = False
                texts.append(text)
                self.events.append((message[2], message[3]))
                place = len(texts) - 1
            ids[message[1]] = at = place
        self.events = [(*event, refused.get(place, 0)) for place, event in enumerate(self.events)]
        for place, (action, payload, count) in enumerate(self.events):
            assert place in answered or count >= ATTEMPTS, f"lost: {action} {payload}"
            assert count <= ATTEMPTS + restarts, f"{count} attempts: {action} {payload}"
            assert not (place in answered and count >= ATTEMPTS), f"not given up: {payload}"


def judge(house, interval=None, cuts=(), register=None, slack=2):
    """What was heard; raises AssertionError for what can't be.

    `interval`: MeterValueSampleInterval, if each value is to be looked for; `cuts`: when the power
    failed; `register`: the meter's, before the first and after the last transaction: no energy
    flowed outside of them; `slack`: s that anything may be late.
    """
    heard = Heard(house)
    running = None  # (number, newest time, meterStart)
    wh = total = 0
    cuts = list(cuts)

    def in_time(payload, gap):
        assert not interval or gap <= interval + slack, f"values are missing: {payload}"

    for action, payload, refused in heard.events:
        time = when(payload)
        if action == "StartTransaction":
            assert running is None, f"no stop before {payload}"
            key = (payload["idTag"], payload["timestamp"], payload["meterStart"])
            numbers = [n for (_, *known), n in house.transactions.items() if tuple(known) == key]
            number = -1 if refused >= ATTEMPTS else numbers[0]
            running = number, time, payload["meterStart"]
            assert payload["meterStart"] >= wh
            wh = payload["meterStart"]
            continue
        assert running, f"of no transaction: {action} {payload}"
        number, last, begun = running
        assert payload["transactionId"] == number, (number, payload)
        assert time >= last, f"time goes back: {payload}"
        running = number, time, begun
        if action == "MeterValues":
            in_time(payload, time - last)
            continue
        assert payload["meterStop"] >= wh
        wh = payload["meterStop"]
        total += wh - begun
        running = None
        heard.reasons.append(payload["reason"])
        if payload["reason"] != "PowerLoss":
            in_time(payload, time - last)
        elif cuts:
            cut = cuts.pop(0)
            assert cut - RECORD_S - slack <= time <= cut + slack, f"cut at {cut}: {payload}"
    assert running is None, "never stopped"
    if register:
        before, after = register
        assert total == after - before, f"{total} Wh were billed, {after - before} flowed"
    return heard
