"""Runs stations one after the other until one ends for good."""

import firmware.parts
import firmware.station
from firmware.base import log, runtime
from firmware.console.console import Console

# How a station ended, and OCPP's reason for the transaction that it may have left open.
_RESTART_REASONS = {"reset": "SoftReset", "hard reset": "HardReset"}


def run(options):
    """The whole life. Returns how it ended: "quit" or "update" on a PC, how the only station ended
    on the device, None where a signal has ended the program. The permit is off afterwards, in any
    case."""
    log.to_stderr()
    parts = firmware.parts.Parts(options)
    try:
        return runtime.run(serve(parts))
    finally:  # also when no task got the chance to
        parts.board.permit(False)


async def serve(parts: firmware.parts.Parts, read=None, write=None) -> str:
    """Runs stations and returns how the last one ended; on the device there is only one, since
    every reset is the chip's. `read` and `write` are the console's, by default stdin and stdout;
    see `Console`."""
    console = parts.console or Console(read or runtime.Stdin().read, write or runtime.stdout())
    restart_reason = parts.options.restart_reason
    while True:
        station = firmware.station.Station(parts, restart_reason)
        outcome = await station.run((("console", console),) + parts.tasks)
        parts.log("station").info("ended: %s", outcome)
        if outcome in ("quit", "update") or runtime.DEVICE:
            return outcome
        restart_reason = _RESTART_REASONS.get(outcome, "Reboot")
        station = None  # it is gone before there is another one
