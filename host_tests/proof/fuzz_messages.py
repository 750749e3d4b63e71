"""Calls that are valid or nearly so, made from the message table, and what a station has to
answer to each."""

from __future__ import annotations

import decimal
import json
import re

from firmware.ocpp import schemas
from host_tests.both.fuzz_inputs import Random, mutated
from host_tests.both.fuzz_inputs import text as text_of
from host_tests.ocpp import test_json_reader, test_schemas
from host_tests.ocpp.ocpp_messages import (
    FROM_STATION,
    NOT_SUPPORTED,
    TO_STATION,
    as_received,
    validator,
)
from tools.central import iso

TAGS = ["DRIVER-1", "OTHER", "freeCharge", "", "é" * 20, "A\nok\n", "%s%d", "x" * 20]


class Messages:
    """Calls to a station, made from the message table with `random`. `transaction` is the running
    one's id."""

    def __init__(self, random: Random):
        from firmware.ocpp import keys

        self.random = random
        self.transaction = 1001
        self.count = 0
        self.keys = [key.name for key in keys.rows()]

    def call(self) -> tuple:
        """(action, payload) that fits the schemas."""
        action = self.random.pick(TO_STATION)
        return action, self._object(schemas.fields(action, "req"))

    def _object(self, fields):
        made = {}
        for name, kind, required in fields:
            if required or self.random.below(2):
                made[name] = self._value(name, kind)
        return made

    def _value(self, name, kind):
        random = self.random
        known = self._known(name)
        if known is not None and random.below(8):
            return known
        if kind[0] in "[(":
            items = kind[1:-1].rstrip("+")
            few = 1 + random.below(3)
            return [self._value(name, items) for _ in range(random.pick([few, few, 1, 100]))]
        if kind[0].isupper() and "|" not in kind:
            row = schemas.resolve(kind)
            if isinstance(row, tuple):
                return self._object(row)
            kind = row
        if "|" in kind:
            return random.pick(kind.split("|"))
        if kind[0] == "i":
            low = 0 if kind == "i0" else -5
            return random.pick([low, 0, 1, 2, 60, 86400, 2**31 - 1, 2**31, 2**40, 10**17])
        if kind[0] == "d":
            return random.pick([0, 6, 16, 16.5, 32, 7400.1, 11000, 10**9, 0.1])
        if kind[0] == "b":
            return random.below(2) == 1
        if kind[0] == "t":
            return random.pick(
                [
                    iso(1800000000 + random.below(1 << 20)),
                    "2026-12-31T23:59:59.999+14:00",
                    "0001-01-01T00:00:00",
                    "9999-12-31T23:59:59Z",
                    iso(1700000000),
                ]
            )
        most = int(kind[1:] or 300)
        return self._text()[:most]

    def _known(self, name):
        random = self.random
        if name == "connectorId":
            return random.pick([1, 1, 1, 0, 2])
        if name == "transactionId":
            return random.pick([self.transaction, self.transaction, 0, -1])
        if name in ("idTag", "parentIdTag"):
            return random.pick(TAGS)
        if name == "key":
            return random.pick(self.keys)
        if name == "value":
            return random.pick(
                ["0", "1", "60", "true", "false", "", "Voltage", "900", self._text()]
            )
        if name == "location":
            return random.pick(["ftp://127.0.0.1:9/", "http://u:p@127.0.0.1:9/x?y", self._text()])
        if name in ("chargingProfileId", "id", "reservationId"):
            return random.below(12)
        if name == "stackLevel":
            return random.pick([0, 1, 2, 200, 201])
        return None

    def _text(self):
        random = self.random
        start = 0x20 + random.below(0x2000)
        return random.pick(
            [
                "",
                "x" * (1 + random.below(520)),
                "".join(chr(start + n) for n in range(1 + random.below(60))),
                "\x00\x1b[2J\r\nok\n",
                "%n{}'\";--",
                "\U0001f600" * (1 + random.below(50)),
            ]
        )

    def _places(self, value, place=()):
        yield place
        if isinstance(value, dict):
            for name in sorted(value):
                yield from self._places(value[name], (*place, name))
        elif isinstance(value, list):
            for n in range(len(value)):
                yield from self._places(value[n], (*place, n))

    def damaged(self, payload):
        """A payload with a field or two wrong."""
        random = self.random
        payload = json.loads(json.dumps(payload))
        for _ in range(1 + random.below(2)):
            place = random.pick(list(self._places(payload)))
            holder, last = None, payload
            for step in place:
                holder, last = last, last[step]
            what = random.below(5)
            if what == 0 and isinstance(last, dict):
                last[random.pick(["x", "Status", "customData", self._text()])] = self._wrong()
            elif what == 1 and isinstance(last, list):
                last.extend(json.loads(json.dumps(last)) * (1 + random.below(4)))
            elif holder is None:
                payload = self._wrong()
            elif what == 2:
                del holder[place[-1]]
            else:
                holder[place[-1]] = self._wrong()
        return payload

    def _wrong(self):
        random = self.random
        values: list = [None, True, False, -1, 0, 2**31, 2**63, 1.0, 0.05, -0.1, 1e9, 1e99]
        values += ["", "Accepted", "A", "0", "2024-02-30T00:00:00Z", "x" * 21, "x" * 501]
        values += [[], {}, [{}], [[]], {"a": 1}, [[[[[[[[1]]]]]]]], self._text()]
        return random.pick(values)

    def frame(self) -> bytes:
        """A message to the station, at one of the levels of damage."""
        random = self.random
        self.count += 1
        uid = "f-%d" % self.count
        action, payload = self.call()
        level = random.below(8)
        if level == 0:
            payload = self.damaged(payload)
        elif level == 1:
            action = random.pick(
                [*NOT_SUPPORTED, *FROM_STATION, "Fly", "", "é", "reset", "Reset "]
            )
        message = [2, uid, action, payload]
        if level == 2:
            message = self.damaged(message)
        elif level == 3:
            message = random.pick(
                [[3, uid, payload], [4, uid, "GenericError", "why", {}], [4, uid, action, {}], [3]]
            )
        text = json.dumps(message, ensure_ascii=random.below(2) == 0).encode("utf-8", "replace")
        if level == 4:
            text = mutated(random, [text], 9000)
        elif level == 5:
            text = self._structure(text)
        return text

    def _structure(self, text):
        """Brackets, commas and quotes moved about; or just much white space."""
        random = self.random
        marks = [n for n, c in enumerate(text) if c in b'[]{},:"']
        at = random.pick(marks)
        what = random.below(6)
        if what == 0:
            return text[:at] + random.pick([b"[", b"]", b"{", b"}", b",", b'"', b":"]) + text[at:]
        if what == 1:
            return text[:at] + text[at + 1 :]
        if what == 2:
            return text[:at] + text[at : at + 1] * (1 + random.below(3000)) + text[at + 1 :]
        if what == 3:
            return text.replace(b",", b" ,\n" + b"\t" * random.below(600))
        if what == 4:
            other = random.pick(marks)
            return text[:at] + text[other:]
        return text + random.pick([b" ", b"x", text, b"\x00", b"]" * 50])


def model(data: bytes):
    """(what the message is, its id, the codes that may come): what OCPP asks of a station.

    "frame" is a call that fits, "refused" a call that doesn't, "answer" needs none, "broken"
    can't have one.
    """
    frame = test_json_reader.expected(data)
    if frame is None:
        uid = readable_id(data)
        codes = {"FormationViolation", "NotImplemented", "NotSupported"}
        return "broken" if uid is None else "refused", uid, codes
    if frame[0] != 2:
        return "answer", None, set()
    _, uid, action, payload = frame
    payload = {} if payload is None else payload
    if action in NOT_SUPPORTED or action in set(FROM_STATION) - set(TO_STATION):
        return "refused", uid, {"NotSupported"}
    if action not in TO_STATION:
        return "refused", uid, {"NotImplemented"}
    if not isinstance(payload, dict):
        return "refused", uid, {"FormationViolation"}
    error = test_schemas.ours(action, "req", payload)
    try:
        wrong = list(validator(action, "req").iter_errors(as_received(payload)))
    except decimal.InvalidOperation:  # a number too large for it to tell its tenths
        wrong = []
    if wrong:
        codes = {test_schemas.CODES[each.validator] for each in wrong}
        codes |= {error.code} if error and test_schemas.MORE.search(error.description) else set()
        return "refused", uid, codes
    return ("refused", uid, {error.code}) if error else ("frame", uid, set())


def readable_id(data: bytes):
    """The id of what is no frame, but begins as a call does; else None."""
    found = re.match(rb'[ \t\r\n]*\[[ \t\r\n]*2[ \t\r\n]*,[ \t\r\n]*"([^"\\]*)"', data[:200])
    uid = readable(found[1]) if found else None
    return None if uid is None or re.search("[\0-\x1f]", uid) else uid


def readable(data: bytes):
    """As text; None where it is no UTF-8."""
    return text_of(data)
