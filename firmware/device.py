"""A device's start and end: the options of its start, the safe state, resets, maintenance."""

import json

import firmware
from firmware.base import runtime, store
from firmware.base.runtime import const

_FREQUENCY = const(240000000)  # Hz: the chip's fastest, where MicroPython starts with 160 MHz
_MOST_CHIP_CRASHES = const(3)  # so many in a row end in the safe state
_DAY_MS = const(86400000)
_LONGEST_CAUSE = const(200)  # characters of a crash's cause that are kept
_LONGEST_LINE = const(80)  # characters of a line at the safe state's console
HELP = """status: what is wrong, as JSON
reset hard: tries again
maintenance: Python's own console, for repairs
help: this"""


class NoStart(Exception):
    """No station is to start. `outcome` says what comes instead; see `end`."""

    def __init__(self, outcome: str):
        super().__init__(outcome)
        self.outcome = outcome


def start(arguments: list):
    """Returns the options of this start. Raises NoStart when a person has ended the safe state at
    its console, or has asked for Python by a soft reset. `arguments` may hold `--dev`
    (tools/dev.py): then there is no watchdog, and Ctrl-C works."""
    import machine  # only a device has these
    import micropython

    from firmware.board.crash_record import CrashRecord

    machine.freq(_FREQUENCY)
    dev = "--dev" in arguments
    crash_record = CrashRecord()
    if dev:
        crash_record.expect_reset()  # crashes under development do not count
    elif machine.reset_cause() == machine.SOFT_RESET:  # Ctrl-D in maintenance, and nothing else
        raise NoStart("maintenance")
    else:
        micropython.kbd_intr(-1)
    if runtime.board_name() not in runtime.IMAGES:  # those have mounted it so
        store.remount_flash()
    crashes, why = crash_record.read()
    try:
        if crashes >= _MOST_CHIP_CRASHES:
            raise ValueError("crashed %d times in a row: %s" % (crashes, why))
        options = _provisioned()
    except ValueError as error:
        outcome = runtime.run(_safe_state(str(error)))
        raise NoStart(outcome)
    options.dev = dev
    if machine.reset_cause() == machine.PWRON_RESET:
        options.restart_reason = "PowerLoss"
        options.started = "the power came"
    else:
        options.restart_reason = "Reboot"
        options.started = why or "a reset"
    if runtime.host_epoch() < firmware.BUILD:
        runtime.set_host_epoch(firmware.BUILD)
    return options


def _provisioned():
    """The options in provision.json. Raises ValueError with one clear line."""
    from firmware import provisioning  # here, so that the safe state needs few modules

    name = provisioning.FILE
    try:
        with open(name) as file:
            options = provisioning.check(json.load(file), runtime.chip())
        if options.ca:
            name = options.ca
            open(name, "rb").close()
    except OSError as error:
        raise ValueError("not provisioned: %s: %s" % (name, error))
    except (ValueError, TypeError) as error:
        raise ValueError("provision.json: %s" % error)
    return options


def end(outcome, error) -> None:
    """Ends the program. Opens Python's own console where `outcome` is "maintenance"; else resets
    the chip. `error` is the exception that ended the station, or None."""
    import machine  # only a device has these
    import micropython

    from firmware.board.crash_record import CrashRecord

    crash_record = CrashRecord()
    if error:
        text = runtime.trace(error)
        print(text)
        crash_record.expect_crash(text.strip().split("\n")[-1][:_LONGEST_CAUSE])
        machine.reset()
    crash_record.expect_reset()
    if outcome != "maintenance":
        machine.reset()
    micropython.kbd_intr(3)
    machine.WDT(timeout=_DAY_MS)
    print("maintenance: the permit is off; reset when done")


async def _safe_state(why: str) -> str:
    """The safe state: the permit is off and only this console runs. Returns what a person asked
    for, "reset" or "maintenance"."""
    stdin = runtime.Stdin()
    line = ""
    print("safe state: %s" % why)
    while True:
        data = await stdin.read()
        if data not in (b"\r", b"\n"):
            line = (line + str(data, "utf-8"))[-_LONGEST_LINE:] if data < b"\x80" else line
            continue
        command = " ".join(line.split())
        line = ""
        if command == "status":
            print(json.dumps({"safe": True, "error": why, "contactor": "open"}))
        elif command == "help":
            print(HELP)
        elif command in ("reset hard", "reset soft", "maintenance"):
            print("ok")
            return command.split(" ")[0]
        elif command:
            print("error: safe state: %s; try help" % why)
            continue
        if command:
            print("ok")
