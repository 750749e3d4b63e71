"""Composition: builds the station's parts for where it runs, and starts it again after a Reset."""

import sys

import firmware
from firmware.base import runtime
from firmware.base.clock import Clock
from firmware.base.journal import Journal
from firmware.base.log import Log
from firmware.base.store import Files, Store
from firmware.charging.evse import Evse
from firmware.charging.faults import Faults
from firmware.charging.governor import Governor
from firmware.charging.limits import Limits
from firmware.charging.metering import Meter
from firmware.charging.models import Model
from firmware.charging.transactions import Transactions
from firmware.console import Console
from firmware.ocpp.keys import Configuration
from firmware.sensing.meters import Map
from firmware.sensing.modbus import Master
from firmware.sensing.tic import TicLine
from firmware.station import Station

_SIMULATED_METER = "iEM3155"
_SUBSCRIBED_MA = 60000  # of the simulated house, on each phase


def main(words: list) -> None:
    """The whole program. Bad options: one line on stderr, exit code 2."""
    try:
        options = _options(words)
        if options:
            runtime.run(serve(options))
    except (ValueError, OSError) as why:
        sys.stderr.write("wallbridge: %s\n" % why)
        sys.exit(2)


def _options(words):
    module = runtime.load("firmware.options")
    if "--help" in words or "-h" in words:
        print(module.HELP)
        return None
    options = module.parse(words)
    del module
    runtime.drop("firmware.options")
    return options


async def serve(options, read=None, write=None) -> None:
    """Runs stations one after the other until one ends for good. `read` and `write` are the
    console's, by default stdin and stdout."""
    world = World(options)
    console = Console(read or runtime.Stdin().read, write or sys.stdout.write)
    cause = "PowerLoss"
    while True:
        station = world.station(cause)
        outcome = await station.run((("console", lambda: console.run(station)),))
        world.log("station").info("ended: %s", outcome)
        if outcome == "quit":
            return
        cause = "Reboot"


class World:
    """What outlives a Reset: the clock, the board, the lines, the files."""

    def __init__(self, options):
        self.options = options
        self.clock = Clock(options.speed)
        self.log = Log(self.clock)
        self.files = Files(options.state)
        self.store = Store(self.files)
        self.model = Model(options.model)
        self.real_clock = Clock()
        self.registers = Map(options.meter[0] if options.meter else _SIMULATED_METER)
        self.board = self._simulated()
        self.meter_line = self._meter_line()
        self.ca = None
        if options.ca:
            with open(options.ca, "rb") as f:
                self.ca = f.read()

    def _simulated(self):
        """The simulated charger; its meter and its TIC line answer with the real formats."""
        from firmware.board.simulated import Board
        from firmware.sensing import meter_slave, tic_encode

        def slave(request, reading):
            return meter_slave.answer(self.registers, 1, request, reading)

        def encode(mode, reading):
            phases = [n for n in "123" if "i" + n in reading]
            facts = {
                "i": [reading["i" + n] for n in phases],
                "v": [reading["v" + n] for n in phases],
                "subscribed": _SUBSCRIBED_MA,
                "energy": reading["energy"],
            }
            return tic_encode.frame(1 if mode == "historique" else 2, facts)

        path = self.files.path("meter")
        return Board(
            self.clock, self.model.phases, path, slave, encode, lambda: runtime.exit_now(1)
        )

    def _meter_line(self):
        """(port, clock): a real meter lives in real time, whatever --speed says."""
        meter = self.options.meter
        registers = self.registers
        if not meter:
            return self.board.port("meter", registers.baud, registers.parity), self.clock
        from firmware.board.serial_pc import SerialPort

        log = self.log("meter")
        return SerialPort(meter[1], registers.baud, registers.parity, 8, log), self.real_clock

    def _tic(self, config):
        options = self.options
        log = self.log("tic")
        if not options.tic:
            return TicLine(lambda baud: self.board.port("tic", baud, "E"), self.clock, log)
        from firmware.board.serial_pc import SerialPort

        port = SerialPort(options.tic, 1200, "E", 7, log)

        def tune(baud):
            port.setup(baud, "E", 7)
            return port

        return TicLine(tune, self.real_clock, log)

    def station(self, cause: str) -> Station:
        """A station as after power-up; `cause` is the reason of a StopTransaction for what the
        last one left open."""
        model = self.model
        log = self.log
        port, line_clock = self.meter_line
        known = {
            "BoxIdentifier": lambda: "WALLBRIDGE",
            "MeterType": lambda: str(meter.mid),
            "IMaxUser": lambda: str(model.max_ma // 1000),
            "PhaseNumber": lambda: str(model.phases),
            "ConnectorSwitch3to1PhaseSupported": lambda: "true" if model.phases == 3 else "false",
            "TICdetection": lambda: "true" if tic.detected else "false",
            "StopTransactionMaxMeterValues": lambda: str(transactions.data_values),
        }
        if not model.socket:
            known["UnlockConnectorOnEVSideDisconnect"] = lambda: "false"
        config = Configuration(self.store, self.options.run, {}, known)
        phases = min(config.int("PhaseNumber"), model.phases)
        limits = Limits()
        limits.set("imax_user", min(config.int("IMaxUser") * 1000, model.max_ma))
        faults = Faults(log("faults"), self.store)
        evse = Evse(
            self.board, self.clock.ms, log("evse"), limits, faults, model.socket, phases
        )
        unit = self.options.meter[2] if self.options.meter else 1
        master = Master(port, self.registers.baud, line_clock)
        meter = Meter(master, self.registers, unit, line_clock, log("meter"))
        journal = Journal(self.files, log("journal"))
        transactions = Transactions(journal, self.store, self.clock, log("journal"), firmware.BUILD)
        tic = self._tic(config)
        line = self.real_clock if self.options.tic else self.clock
        governor = Governor(evse, meter, None, transactions, config, self.clock, line, self.store)
        tic.on_frame = governor.house
        tic.mode = config.int("TICmode")
        station = Station(
            self.board, self.clock, log, config, model, evse, meter, tic, transactions, governor
        )
        station.link.ca = self.ca
        station.session.cause = cause
        return station
