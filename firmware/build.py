"""Builds a station's parts for where it runs. Loaded at start-up and dropped: nothing made here
may be a function or a class of this module."""

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
from firmware.ocpp.config import Configuration
from firmware.sensing.meters import Map
from firmware.sensing.modbus import Master
from firmware.smart_charging.governor import Governor, TicInput
from firmware.smart_charging.profile_store import ProfileStore
from firmware.station import Station
from firmware.transactions.transactions import Transactions


def parts(made, options) -> None:
    """Fills in what outlives a Reset."""
    made.options = options
    made.clock = Clock(options.speed)
    made.real_clock = Clock()
    made.log = Log(made.clock)
    made.files = Files(options.state)
    made.store = Store(made.files)
    made.tasks = ()  # (name, part) that outlives a Reset, too
    # what the data reset goes back to: on a PC the command line's
    made.provisioned = {}
    for name in ("SupervisionUrl", "BoxIdentifier"):
        if name in options.run:
            made.provisioned[name] = options.run[name]
    made.reference = models.find(options.model)
    models.check_circuit(made.reference, options.run)
    made.ca = None
    if options.ca:
        with open(options.ca, "rb") as f:
            made.ca = b"".join(runtime.once("firmware.net.tls", "certificates", f.read()))
    if runtime.DEVICE:
        runtime.once("firmware.device", "fit", made)
    else:
        _simulated(made)
    _lines(made, options)


def _simulated(made):
    from firmware.board.simulated.board import Board
    from firmware.simulated_lines import Lines

    lines = Lines()
    reference = made.reference
    made.board = Board(
        made.clock, reference.phases, made.files.path("meter"), lines.slave, lines.encode,
        runtime.power_off,
    )  # fmt: skip
    made.registers = lines.registers
    made.meter_unit = 1


def _lines(made, options):
    """The meter's and the TIC line. A real one lives in real time, whatever --speed says."""
    made.meter_clock = made.tic_clock = made.clock
    made.tic_tune = None
    if options.meter or options.tic:
        from firmware.board.serial_pc import SerialPort
    if options.meter:
        model, device, made.meter_unit = options.meter
        made.registers = Map(model, options.baud, options.parity)
        made.meter_clock = made.real_clock
        made.meter_port = SerialPort(
            device, made.registers.baud, made.registers.parity, 8, made.log("meter")
        )
    else:
        made.meter_port = made.board.port("meter", made.registers.baud, made.registers.parity)
    if options.tic:
        made.tic_clock = made.real_clock
        made.tic_tune = SerialPort(options.tic, 1200, "E", 7, made.log("tic")).tune
    else:
        made.tic_tune = made.board.tic_tune


def station(made, cause: str) -> Station:
    """A station as after power-up; `cause` is the reason of a StopTransaction for what the last
    one left open."""
    log = made.log
    clock = made.clock
    reference = made.reference
    config = Configuration(made.store, made.options.run, made.provisioned, None)
    limits = Limits()
    faults = Faults(log("faults"), made.store)
    evse = Evse(
        made.board, clock.ms, log("evse"), limits, faults, reference.socket, reference.phases,
        made.options.switch_s * 1000,
    )  # fmt: skip
    master = Master(made.meter_port, made.registers.baud, made.meter_clock)
    meter = Meter(master, made.registers, made.meter_unit, made.meter_clock, log("meter"))
    if not any(row[2] == "v1" for row in made.registers.rows):
        log("meter").warning(
            "%s tells no voltage and no current: 0x200206 and 0x200208 can't be raised, 0x100213 "
            "and the house's share go by its power, as if all phases drew alike", meter.model
        )  # fmt: skip
    journal = Journal(made.files, log("journal"))
    transactions = Transactions(journal, made.store, clock, log("journal"), firmware.BUILD)
    tic = TicInput(made.tic_tune, made.tic_clock, log("tic"))
    profiles = ProfileStore(Store(made.files, "profiles"), clock, log("profiles"))
    governor = Governor(
        evse, meter, tic, profiles, transactions, config, clock, made.store,
        made.options.tic_pause_s,
    )  # fmt: skip
    built = Station(
        made.board, clock, log, config, reference, evse, meter, tic, transactions, governor,
        cause,
    )  # fmt: skip
    built.files = made.files
    built.security.ca = made.ca
    built.security.insecure = made.options.insecure
    return built
