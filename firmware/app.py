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
    """Bad options: one line on stderr, exit code 2."""
    # Only a PC has the first; the second is here for the sake of the device: see below.
    from firmware import command_line, program

    if "--help" in arguments or "-h" in arguments:
        print(command_line.HELP)
        return
    try:
        options = command_line.parse(arguments)
        outcome = program.run(options)
        if outcome == "update":
            from firmware.base import restart  # rare: after an update

            restart.restart_program(options.state, arguments)
    except (ValueError, OSError) as error:
        sys.stderr.write("wallbridge: %s\n" % error)
        sys.exit(2)


def _main_on_the_device(arguments):
    """Whatever happens ends in `device.end`; a module that is missing or broken, too."""
    from firmware import device  # only a device has it

    outcome = failed = None
    try:
        options = device.start(arguments)
        from firmware import program  # here, so that a module that is missing counts as a crash

        outcome = program.run(options)
    except device.NoStart as instead:
        outcome = instead.outcome
    except Exception as error:
        failed = error
    device.end(outcome, failed)
