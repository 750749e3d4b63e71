"""What a station needs of the place where it runs: the simulated board, serial devices of a PC, or
the device."""

from firmware.base import runtime
from firmware.base.clock import Clock
from firmware.base.log import Log
from firmware.base.logbook import Logbook
from firmware.base.store import Files, Store
from firmware.charging import models
from firmware.net import tls
from firmware.sensing.meters import RegisterMap


class Parts:
    """What outlives a Reset of the station. `tasks`: (name, part) of those that have a task;
    `console`: None, or what has a task in the serial console's place."""

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
        if runtime.DEVICE:
            self.board = _device_board(self)
            self._add_device_tasks()
        else:
            self.board = _simulated_board(self)
        self._open_lines()

    def _add_device_tasks(self):
        options = self.options
        self.log("station").warning("started: %s", options.started)
        if options.provisioned_keys["IMaxUser"] == "0":
            self.log("station").error(
                "IMaxUser or PhaseNumber was never told: no current is offered"
                " (tools/provision.py)"
            )
        if options.aiorepl:
            from firmware.console.repl import Repl  # rare: developers ask for it

            self.console = Repl()
        if options.wifi_ssid:
            from firmware.net.wifi import Wifi  # only a device has it

            wifi = Wifi(options.wifi_ssid, options.wifi_key, self.log("wifi"), options.ntp)
            self.tasks = (("wifi", wifi),)
        else:
            self.log("wifi").warning("not provisioned: no network")

    def _open_lines(self):
        """The meter's and the TIC line: the board's own, or serial devices of a PC, which live in
        real time, whatever --speed says."""
        options = self.options
        registers = self.registers
        self.meter_clock = self.tic_clock = self.clock
        if options.meter_device or options.tic_device:
            from firmware.board.serial_pc import SerialPort  # only a PC has it
        if options.meter_device:
            self.meter_clock = Clock()
            self.meter_port = SerialPort(
                options.meter_device, registers.baud, registers.parity, 8, self.log("meter")
            )
        else:
            self.meter_port = self.board.port("meter", registers.baud, registers.parity)
        if options.tic_device:
            self.tic_clock = Clock()
            self.tic_tune = SerialPort(options.tic_device, 1200, "E", 7, self.log("tic")).tune
        else:
            self.tic_tune = self.board.tic_tune


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
