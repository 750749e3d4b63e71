"""Builds what a station is made of, for where it runs: simulated, with serial devices on a PC, or
on the device."""

import firmware
from firmware.base import runtime
from firmware.base.clock import Clock
from firmware.base.journal import Journal
from firmware.base.log import Log
from firmware.base.store import Files, Store
from firmware.charging import models
from firmware.charging.evse import Evse
from firmware.charging.faults import Faults
from firmware.charging.limits import Limits
from firmware.metering.meter import Meter
from firmware.metering.tic_input import TicInput
from firmware.net import tls
from firmware.ocpp.configuration import Configuration
from firmware.sensing.meters import RegisterMap
from firmware.sensing.modbus import Master
from firmware.smart_charging.controller import LimitController
from firmware.smart_charging.store import ProfileStore
from firmware.station import Station
from firmware.transactions.transactions import Transactions


class Parts:
    """What outlives a Reset of the station. `tasks`: (name, part) of those that have a task;
    `console`: None, or what has a task in the serial console's place."""

    def __init__(self, options):
        self.options = options
        self.clock = Clock(options.speed)
        self.log = Log(self.clock)
        self.files = Files(options.state)
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
    from firmware.board import esp32_fit  # only a device has it

    options = parts.options
    board = esp32_fit.fit(options.pins, parts.log("board"), options.dev)
    options.pins = None
    return board


def _simulated_board(parts):
    from firmware.board.simulated.board import Board  # only a PC has these two
    from firmware.simulated_lines import Lines

    lines = Lines()
    return Board(
        parts.clock,
        parts.reference.phases,
        parts.files.path("meter"),
        lines.slave,
        lines.encode,
        runtime.power_off,
    )


def build_station(parts: Parts, restart_reason: str) -> Station:
    """A station as after power-up. `restart_reason`: OCPP's reason for the end of a transaction
    that the last station has left open."""
    log = parts.log
    clock = parts.clock
    options = parts.options
    reference = parts.reference
    config = Configuration(parts.store, options.run_keys, options.provisioned_keys)
    evse = Evse(
        parts.board,
        clock.ms,
        log("evse"),
        Limits(),
        Faults(log("faults"), parts.store),
        reference.socket,
        reference.phases,
        options.switch_s * 1000,
    )
    master = Master(parts.meter_port, parts.registers.baud, parts.meter_clock)
    meter = Meter(master, parts.registers, options.meter_unit, parts.meter_clock, log("meter"))
    if not parts.registers.has("v1"):
        log("meter").warning(
            "%s tells no voltage and no current: 0x200206 and 0x200208 can't be raised, 0x100213 "
            "and the house's share go by its power, as if all phases drew alike",
            meter.model,
        )
    journal = Journal(parts.files, log("journal"))
    transactions = Transactions(journal, parts.store, clock, log("journal"), firmware.BUILD)
    profiles = ProfileStore(Store(parts.files, "profiles"), clock, log("profiles"))
    tic = TicInput(parts.tic_tune, parts.tic_clock, log("tic"))
    limit_controller = LimitController(
        evse,
        meter,
        tic,
        profiles,
        transactions,
        config,
        clock,
        parts.store,
        options.tic_pause_s,
    )
    station = Station(
        parts.board,
        clock,
        log,
        config,
        reference,
        evse,
        meter,
        tic,
        transactions,
        limit_controller,
        restart_reason,
    )
    station.files = parts.files
    station.security.ca = parts.ca
    station.security.insecure = options.insecure
    return station
