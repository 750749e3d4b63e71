"""The program's entry on every Python: main.py calls `main`."""

import sys

from firmware.base import runtime


def main(arguments: list) -> None:
    """The whole program."""
    if runtime.DEVICE:
        _main_on_the_device(arguments)
    else:
        _main_on_a_pc(arguments)


def _main_on_a_pc(arguments):
    """Runs a station on a PC. Wrong options give one line on stderr and the exit code 2."""
    # Only a PC has a command line; `_main_on_the_device` says why `program` is imported late.
    from firmware import options, program

    if "--help" in arguments or "-h" in arguments:
        print(options.HELP)
        return
    try:
        given = options.parse(arguments)
        outcome = program.run(given)
        if outcome == "update":
            from firmware.base import restart  # rare: after an update

            restart.restart_program(given.state, arguments)
    except (ValueError, OSError) as error:
        sys.stderr.write("wallbridge: %s\n" % error)
        sys.exit(2)


def _main_on_the_device(arguments):
    """Runs a station on a device. `device.end` follows in any case, even where a module is missing
    or broken."""
    from firmware import device  # only a device has it

    outcome = failed = None
    try:
        options = device.start(arguments)
        from firmware import program  # here, so that a missing module counts as a crash

        outcome = program.run(options)
    except device.NoStart as no_start:
        outcome = no_start.outcome
    except Exception as error:
        failed = error
    device.end(outcome, failed)
