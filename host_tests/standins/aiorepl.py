"""Stands in for micropython-lib's aiorepl where that isn't installed: the same prompt, echo and
evaluation of a line, nothing else."""

import asyncio
import sys


async def task(g, prompt="--> "):
    print("Starting asyncio REPL...")
    reader = asyncio.StreamReader(sys.stdin)
    while True:
        sys.stdout.write(prompt)
        text = ""
        while True:
            key = await reader.read(1)
            if key in ("\r", "\n"):
                break
            if 32 <= ord(key) < 127:
                sys.stdout.write(key)
                text += key
        sys.stdout.write("\n")
        if text:
            try:
                value = eval(text, g)
                if value is not None:
                    sys.stdout.write(repr(value) + "\n")
            except Exception as error:
                print("%s: %s" % (type(error).__name__, error))
