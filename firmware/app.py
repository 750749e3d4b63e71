"""The program: options, then stations one after the other until one ends for good."""

import sys

from firmware.base import log, runtime
from firmware.console.console import Console


def main(words: list) -> None:
    """The whole program. Bad options: one line on stderr, exit code 2."""
    parts = Parts()
    failed = None
    try:
        options = _options(words, parts)
        if options:
            log.to_stderr()
            runtime.run(serve(options, parts=parts))
            if parts.outcome == "update" and not runtime.DEVICE:
                runtime.once("firmware.base.restart", "again", options.state, words)
    except Exception as error:
        failed = error
    finally:  # in any case, also when no task got the chance to
        if hasattr(parts, "board"):
            parts.board.permit(False)
    if runtime.DEVICE:
        runtime.once("firmware.device", "ended", parts, failed)
    elif isinstance(failed, (ValueError, OSError)):
        sys.stderr.write("wallbridge: %s\n" % failed)
        sys.exit(2)
    elif failed:
        raise failed


def _options(words, parts):
    if runtime.DEVICE:
        return runtime.once("firmware.device", "options", parts, Parts(), words)
    module = runtime.load("firmware.options")
    if "--help" in words or "-h" in words:
        print(module.HELP)
        return None
    options = Parts()
    module.parse(words, options)
    del module
    runtime.drop(
        "firmware.options", "firmware.charging.models", "firmware.ocpp.handlers.configuration",
        "firmware.ocpp.keys", "firmware.net.address",
    )  # fmt: skip
    return options


class Parts:
    """Plain attributes: the options, what outlives a Reset (see `build.py`), the reference."""

    console = None  # in the place of ours
    outcome = None


async def serve(options, read=None, write=None, parts=None) -> None:
    """Runs stations one after the other until one ends for good; on the device every reset is
    the chip's. `read` and `write` are the console's, by default stdin and stdout;
    see `Console`."""
    parts = parts or Parts()
    _build("parts", parts, options)
    console = parts.console or Console(read or runtime.Stdin().read, write or runtime.stdout())
    cause = options.cause
    while True:
        station = _build("station", parts, cause)
        parts.outcome = await station.run((("console", console),) + parts.tasks)
        parts.log("station").info("ended: %s", parts.outcome)
        if parts.outcome in ("quit", "update") or runtime.DEVICE:
            return
        station = None  # before there is another one
        cause = {"reset": "SoftReset", "hard reset": "HardReset"}.get(parts.outcome, "Reboot")


def _build(what, *words):
    """A step of `build.py`, which nobody needs afterwards."""
    built = getattr(runtime.load("firmware.build"), what)(*words)
    runtime.drop("firmware.build", "firmware.charging.models")
    return built
