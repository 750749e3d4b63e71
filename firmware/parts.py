"""What a station needs of the place where it runs: the simulated board, serial devices of a PC, or
the device."""

import asyncio

from firmware.base import runtime
from firmware.base.log import Log, Logbook
from firmware.base.store import Files, Store
from firmware.base.times import Clock
from firmware.charging import models
from firmware.net import tls
from firmware.sensing.meters import RegisterMap


class Parts:
    """What outlives a Reset of the station. `tasks`: (name, part) of those that have a task;
    `console`: None, or what has a task in the serial console's place; `network_joined` (an Event)
    is set while there is a network: always on a PC."""

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
        self.network_joined = asyncio.Event()
        if runtime.DEVICE:
            self.board = _device_board(self)
            self._add_device_tasks()
        else:
            self.board = _simulated_board(self)
            self.network_joined.set()
        self.meter_port, self.meter_clock = self._meter_line()
        self.tic_tune, self.tic_clock = self._tic_line()

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
            self.network_joined = wifi.joined
            self.tasks = (("wifi", wifi),)
        else:
            self.log("wifi").warning("not provisioned: no network")

    def _meter_line(self):
        """(port, the clock that counts the time in which it lives): the board's own line, or a
        serial device of a PC, which lives in real time, whatever --speed says."""
        device = self.options.meter_device
        registers = self.registers
        if not device:
            return self.board.port("meter", registers.baud, registers.parity), self.clock
        from firmware.board.serial_pc import SerialPort  # only a PC has it

        port = SerialPort(device, registers.baud, registers.parity, 8, self.log("meter"))
        return port, Clock()

    def _tic_line(self):
        """(function that tunes the port to a baud rate, clock), likewise."""
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
