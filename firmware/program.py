"""The program: the parts that depend on where it runs, on a PC with the simulated board or serial
devices, or on the device; and the stations that run with them, one after the other."""

import firmware.station
from firmware.base import log, runtime
from firmware.base.log import Log, Logbook
from firmware.base.store import Files, Store
from firmware.base.times import Clock
from firmware.charging import models
from firmware.console.console import Console
from firmware.net import tls
from firmware.sensing.meters import RegisterMap

# How a station ended, and OCPP's reason for the transaction that it may have left open.
_RESTART_REASONS = {"reset": "SoftReset", "hard reset": "HardReset"}


class Parts:
    """The parts that outlive a Reset of the station.

    `tasks`: a (name, part) for each part whose `run(station)` is a task. `console`: None, or the
    part that runs in the place of the serial console. `network_joined`: an Event, set while there
    is a network, which is always so on a PC. `network_severed`: the console's `sim link` has cut
    the network off."""

    def __init__(self, options):
        self.options = options
        self.clock = Clock(options.speed)
        self.log = Log(self.clock)
        self.files = Files(options.state)
        self.logbook = Logbook(self.files, self.log)
        self.store = Store(self.files)
        self.reference = models.find(options.model)
        self.registers = RegisterMap(options.meter_model, options.meter_baud, options.meter_parity)
        self.ca = _certificates(options.ca) if options.ca else None
        self.tasks = ()
        self.console = None
        self.network_joined = runtime.Event()
        self.network_severed = False
        if runtime.DEVICE:
            self.board = _device_board(self)
            self._add_device_tasks()
        else:
            self.board = _simulated_board(self)
            self.network_joined.set()
        self.meter_port, self.meter_clock = self._meter_line()
        self.tic_tune, self.tic_clock = self._tic_line()

    def sever_network(self, severed: bool) -> None:
        """Cuts the network off, or connects it again, as a test of what the station does then."""
        self.network_severed = severed

    def _add_device_tasks(self):
        options = self.options
        self.log("station").warning("started: %s", options.started)
        if options.provisioned_keys["IMaxUser"] == "0":
            self.log("station").error(
                "IMaxUser or PhaseNumber was never told: no current is offered"
                " (tools/provision.py)"
            )
        if options.aiorepl:
            from firmware.console.console import Repl  # rare: developers ask for it

            self.console = Repl()
        if options.wifi_ssid:
            from firmware.net.wifi import Wifi  # only a device has it

            wifi = Wifi(options.wifi_ssid, options.wifi_key, self.log("wifi"), options.ntp)
            self.network_joined = wifi.joined
            self.tasks = (("wifi", wifi),)
        else:
            self.log("wifi").warning("not provisioned: no network")

    def _meter_line(self):
        """(port of the charger's meter, clock of that port). The board's own line follows the
        station's clock; a serial device of a PC follows real time, whatever --speed says."""
        device = self.options.meter_device
        registers = self.registers
        if not device:
            return self.board.port("meter", registers.baud, registers.parity), self.clock
        from firmware.board.serial_pc import SerialPort  # only a PC has it

        port = SerialPort(device, registers.baud, registers.parity, 8, self.log("meter"))
        return port, Clock()

    def _tic_line(self):
        """(function that tunes the TIC port to a baud rate, clock of that port), as above."""
        device = self.options.tic_device
        if not device:
            return self.board.tic_tune, self.clock
        from firmware.board.serial_pc import SerialPort  # only a PC has it

        return SerialPort(device, 1200, "E", 7, self.log("tic")).tune, Clock()


def _certificates(name):
    """The CA certificates of a file, DER."""
    with open(name, "rb") as f:
        return b"".join(tls.certificates(f.read()))


def _device_board(parts):
    from firmware.board import esp32  # only a device has it

    options = parts.options
    board = esp32.Board(options.pins, parts.log("board"), options.dev)
    options.pins = None
    return board


def _simulated_board(parts):
    from firmware.board.simulated.board import Board  # only a PC has it

    return Board(
        parts.clock,
        parts.reference.phases,
        parts.files.path("meter"),
        parts.registers,
        runtime.power_off,
    )


def run(options):
    """Runs stations until the program is to end, and returns why: "quit" or "update" on a PC; on
    the device, how its only station ended; None where a signal ended the program. The permit is
    off afterwards in any case."""
    log.to_stderr()
    parts = Parts(options)
    try:
        outcome = runtime.run(serve(parts))
        if outcome == "calibrate":
            _calibrate(parts.board)
        return outcome
    finally:  # a station does this too, but it may not have come so far
        parts.board.permit(False)


def _calibrate(board):
    """The console's `calibrate`: the station has ended, and starts again afterwards."""
    from firmware import provisioning  # rare: an installer asks for it, once

    try:
        for line in provisioning.calibrate(board, runtime.chip()):
            print(line)
        print("calibrate: stored")
    except ValueError as why:
        print("calibrate: refused: %s" % why)


async def serve(parts: Parts, read=None, write=None) -> str:
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
