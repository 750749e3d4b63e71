"""The program: options, then stations one after the other until one ends for good."""

import sys

from firmware.base import log, runtime
from firmware.console import Console


def main(words: list) -> None:
    """The whole program. Bad options: one line on stderr, exit code 2."""
    try:
        options = _options(words)
        if options:
            log.to_stderr()
            runtime.run(serve(options))
    except (ValueError, OSError) as why:
        sys.stderr.write("wallbridge: %s\n" % why)
        sys.exit(2)


def _options(words):
    module = runtime.load("firmware.options")
    if "--help" in words or "-h" in words:
        print(module.HELP)
        return None
    options = Parts()
    module.parse(words, options)
    del module
    runtime.drop(
        "firmware.options", "firmware.charging.models", "firmware.ocpp.configuration",
        "firmware.ocpp.keys",
    )  # fmt: skip
    return options


class Parts:
    """Plain attributes: the options, what outlives a Reset (see `build.py`), the reference."""


async def serve(options, read=None, write=None) -> None:
    """Runs stations one after the other until one ends for good. `read` and `write` are the
    console's, by default stdin and stdout."""
    parts = Parts()
    parts.reference = Parts()
    _build("parts", parts, options)
    console = Console(read or runtime.Stdin().read, write or sys.stdout.write)
    cause = "PowerLoss"
    while True:
        station = _build("station", parts, cause)
        outcome = await station.run((("console", console),))
        parts.log("station").info("ended: %s", outcome)
        if outcome == "quit":
            return
        cause = "Reboot"


def _build(what, *words):
    """A step of `build.py`, which nobody needs afterwards."""
    built = getattr(runtime.load("firmware.build"), what)(*words)
    runtime.drop("firmware.build", "firmware.charging.models")
    return built
