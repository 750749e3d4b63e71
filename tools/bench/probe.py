"""What the benches run inside a station (MicroPython): its console, through which they ask too.

A line that begins with \\x01 is a question for the bench: `\\x01NAME`, answered with one line.
"""

import asyncio
import gc
import sys

from firmware import app
from firmware.base import runtime

ASK = b"\x01"


class Input:
    """The console's input in the place of runtime.Stdin: questions are taken out of it."""

    questions = {}  # name -> what gives the answer's text

    def __init__(self):
        self._source = asyncio.StreamReader(sys.stdin.buffer)

    async def read(self):
        while True:
            data = await self._source.read(1)
            if data != ASK:
                return data
            name = await self._source.readline()
            print(self.questions[name.decode().strip()]())


def run(questions, words) -> None:
    """Runs a station with these options and answers the questions."""
    Input.questions = questions
    runtime.Stdin = Input
    runtime.stdout = lambda: sys.stdout.write  # as on the device
    runtime.stderr = lambda: sys.stderr
    app.main(words)


def in_use() -> str:
    """Bytes of the heap that are in use."""
    gc.collect()
    gc.collect()  # what the first one's finalisers let go
    return "used %d" % gc.mem_alloc()


if __name__ == "__main__":
    run({"used": in_use}, sys.argv[1:])
