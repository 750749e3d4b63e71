"""What the protocol says to each frame in a file: run on every Python, and the texts compared.

python -m host_tests.ocpp.verdicts FILE      frames in hex, one a line
"""

import asyncio
import binascii
import sys

from firmware.ocpp import CallError, json_reader, schemas

# An answer is checked as one to each of these.
ANSWERS = ("BootNotification", "StartTransaction", "StopTransaction", "Heartbeat", "MeterValues")


def plain(value):
    """A text that is the same on every Python: order, floats, characters."""
    if type(value) is dict:
        return "{%s}" % ",".join(sorted("%s:%s" % (plain(k), plain(value[k])) for k in value))
    if type(value) is list:
        return "[%s]" % ",".join(plain(item) for item in value)
    if type(value) is str:
        return "'%s'" % str(binascii.hexlify(value.encode()), "ascii")
    if type(value) is float:
        return "%.9g" % value
    return str(value)


async def verdict(data):
    """One line about one frame."""
    try:
        frame = await json_reader.read_message(memoryview(data))
    except CallError as error:
        return "%s %s" % (error, plain(list(json_reader.read_head(memoryview(data)))))
    words = [plain(frame)]
    checks = [(frame[2], "req", True)] if frame[0] == 2 else []
    if frame[0] == 3:
        checks = [(action, "conf", False) for action in ANSWERS]
    for action, direction, strict in checks:
        frame = await json_reader.read_message(memoryview(data))
        payload = frame[3 if strict else 2]
        try:
            words.append(plain(schemas.check(action, direction, payload, strict)))
        except CallError as error:
            words.append(plain(str(error)))
    return " ".join(words)


async def main(name):
    with open(name) as lines:
        for line in lines:
            line = line.strip()
            print(await verdict(bytes(int(line[i : i + 2], 16) for i in range(0, len(line), 2))))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
