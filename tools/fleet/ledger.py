"""What one station has told of its transactions, and what of it can't be.

A ledger follows the station's own side of the wire: each message of a transaction, each answer to
one. So it judges a central system of any make. It knows nothing of the firmware.
"""

from __future__ import annotations

import datetime
import json
from array import array
from dataclasses import dataclass

ACTIONS = ("StartTransaction", "MeterValues", "StopTransaction")
_REGISTER = "Energy.Active.Import.Register"
_LOOKED_AT = 200  # messages before the newest among which a repeated one is looked for
_NOT_ACCEPTED = -1  # the transactionId after a StartTransaction that was refused for good


def seconds(text: str) -> float:
    """Unix seconds of a date-time as OCPP writes it."""
    return datetime.datetime.fromisoformat(text).timestamp()


@dataclass
class Running:
    """The transaction whose messages are being told."""

    number: int | None  # the transactionId, None before its StartTransaction was answered
    meter_start: int
    wh: int  # the highest register told of it
    time: float


class Ledger:
    """Facts: `violations`, a text for each thing that can't be; `transactions`, those that were
    told from their start to their stop; `wh`, what these billed; `given_up`, the messages that the
    central system refused as often as the station tries.

    `attempts`: TransactionMessageAttempts. `restarts` counts the station's, `boot` begins one."""

    def __init__(self, attempts: int = 3):
        self.attempts = attempts
        self.violations: list[str] = []
        self.transactions = 0
        self.wh = 0
        self.given_up = 0
        self.restarts = 0
        self.unplugged_wh = 0
        self._running: Running | None = None
        # Of each message that was told, in the order in which it was told first:
        self._hashes = array("q")
        self._refusals = array("B")
        self._answered = bytearray()
        self._newest = -1  # the one that was told last
        self._may_repeat = False  # after a restart, from any message on
        self._asked: dict[str, int] = {}  # id of a call to its message
        self._texts: dict[int, str] = {}  # of messages not answered yet

    def boot(self) -> None:
        """The station sends a BootNotification: it may have forgotten what was answered last."""
        self._may_repeat = True
        self.restarts += 1

    def told(self, uid: str, action: str, payload: dict) -> None:
        """The station sends a message of a transaction, as the CALL `uid`."""
        text = json.dumps([action, payload], sort_keys=True)
        code = hash(text)
        at = self._find(code)
        if at is None:
            if self._newest != len(self._hashes) - 1:
                self._violation("told before what came before it was told again: %s" % text)
            self._may_repeat = False
            at = len(self._hashes)
            self._hashes.append(code)
            self._refusals.append(0)
            self._answered.append(0)
            self._texts[at] = text
            self._follow(action, payload, text)
        else:
            if not self._may_repeat and at not in (self._newest, self._newest + 1):
                self._violation("told again out of turn: %s" % text)
            elif not self._may_repeat and self._answered[at]:
                self._violation("told again though it was answered: %s" % text)
            if at == len(self._hashes) - 1:
                self._may_repeat = False
        self._newest = at
        self._asked[uid] = at

    def _find(self, code):
        """The newest place of a message that was told before, None for a new one."""
        first = 0 if self._may_repeat else max(len(self._hashes) - _LOOKED_AT, 0)
        for at in range(len(self._hashes) - 1, first - 1, -1):
            if self._hashes[at] == code:
                return at
        return None

    def answered(self, uid: str, payload: dict) -> None:
        """The answer to a call came."""
        at = self._asked.pop(uid, None)
        if at is None:
            return
        self._answered[at] = 1
        text = self._texts.pop(at, "")
        running = self._running
        if "transactionId" in payload and running and at == len(self._hashes) - 1:
            running.number = payload["transactionId"]
        if self._refusals[at] >= self.attempts:
            self._violation("told again after it was given up: %s" % text)

    def refused(self, uid: str) -> None:
        """A CALLERROR came for a call."""
        at = self._asked.pop(uid, None)
        if at is None:
            return
        self._refusals[at] = min(self._refusals[at] + 1, 255)
        if self._refusals[at] == self.attempts:
            self.given_up += 1
            text = self._texts.pop(at, "")
            if text.startswith('["StartTransaction"') and self._running:
                self._running.number = _NOT_ACCEPTED
        elif self._refusals[at] > self.attempts + self.restarts:
            self._violation("refused %d times, and told again" % self._refusals[at])

    def unanswered(self, uid: str) -> None:
        """No answer to a call will come: the link is lost, or the time is up."""
        self._asked.pop(uid, None)

    def _follow(self, action, payload, text):
        """A message that is told for the first time."""
        running = self._running
        if action == "StartTransaction":
            if running:
                self._violation("a start, and no stop before: %s" % text)
            if payload["meterStart"] < self.unplugged_wh:
                self._violation("the register went back: %s" % text)
            time = seconds(payload["timestamp"])
            self._running = Running(None, payload["meterStart"], payload["meterStart"], time)
            return
        if action == "MeterValues" and "transactionId" not in payload:
            return  # clock-aligned values or triggered ones, between transactions
        if not running:
            self._violation("of no transaction: %s" % text)
            return
        if payload["transactionId"] != running.number:
            self._violation("transactionId is %s: %s" % (running.number, text))
        times = [payload["timestamp"]] if action == "StopTransaction" else []
        for sample in payload.get("meterValue") or payload.get("transactionData") or ():
            if action == "MeterValues":
                times.append(sample["timestamp"])
            for value in sample["sampledValue"]:
                if value.get("measurand", _REGISTER) == _REGISTER and action == "MeterValues":
                    self._counts(int(value["value"]), text)
        for time in times:
            if seconds(time) < running.time:
                self._violation("time goes back: %s" % text)
            running.time = max(running.time, seconds(time))
        if action == "StopTransaction":
            self._counts(payload["meterStop"], text)
            self.unplugged_wh = payload["meterStop"]
            self.wh += payload["meterStop"] - running.meter_start
            self.transactions += 1
            self._running = None

    def _counts(self, wh, text):
        if wh < self._running.wh:
            self._violation("the register went back: %s" % text)
        self._running.wh = max(self._running.wh, wh)

    def close(self, queue: int, flowed_wh: int) -> None:
        """The end: no car is plugged in any more. `queue`: the messages that the station still
        owes; `flowed_wh`: what its meter has counted in all."""
        if queue:
            self._violation("%d messages are still in the station's queue" % queue)
        for at, done in enumerate(self._answered):
            if not done and self._refusals[at] < self.attempts:
                self._violation("never answered: %s" % self._texts.get(at, "a message"))
        if self._running:
            self._violation("transaction %s was never stopped" % self._running.number)
        elif self.wh != flowed_wh:
            self._violation("%d Wh were billed, %d flowed" % (self.wh, flowed_wh))

    def _violation(self, text):
        self.violations.append(text)
