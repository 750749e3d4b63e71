"""Runs stations one after the other until one ends for good."""

import firmware.parts
import firmware.station
from firmware.base import log, runtime
from firmware.console.console import Console

# How a station ended, and OCPP's reason for the transaction that it may have left open.
_RESTART_REASONS = {"reset": "SoftReset", "hard reset": "HardReset"}


def run(options):
    """Runs stations until the program is to end, and returns why: "quit" or "update" on a PC; on
    the device, how its only station ended; None where a signal ended the program. The permit is
    off afterwards in any case."""
    log.to_stderr()
    parts = firmware.parts.Parts(options)
    try:
        outcome = runtime.run(serve(parts))
        if outcome == "calibrate":
            _calibrate(parts.board)
        return outcome
    finally:  # a station does this too, but it may not have come so far
        parts.board.permit(False)


def _calibrate(board):
    """The console's `calibrate`: the station has ended, and starts again afterwards."""
    from firmware import calibration  # rare: an installer asks for it, once

    try:
        for line in calibration.calibrate(board, runtime.chip()):
            print(line)
        print("calibrate: stored")
    except ValueError as why:
        print("calibrate: refused: %s" % why)


async def serve(parts: firmware.parts.Parts, read=None, write=None) -> str:
    """Runs one station after the other and returns how the last one ended. On the device there is
    only one, since every reset there resets the chip. `read` and `write` are those of the
    `Console`, by default stdin and stdout."""
    console = parts.console or Console(read or runtime.Stdin().read, write or runtime.stdout())
    restart_reason = parts.options.restart_reason
    while True:
        station = firmware.station.Station(parts, restart_reason)
        outcome = await station.run((("console", console),) + parts.tasks)
        parts.log("station").info("ended: %s", outcome)
        if outcome in ("quit", "update") or runtime.DEVICE:
            return outcome
        restart_reason = _RESTART_REASONS.get(outcome, "Reboot")
        station = None  # frees it before the next one is made
