"""The Modbus master and the meters against pymodbus slaves over ptys, on every Python."""

import asyncio
import contextlib
import json
import os
import pty
import tty

import pytest
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

from firmware.base.times import Clock
from firmware.board.serial_pc import SerialPort
from firmware.metering.meter import Meter
from firmware.sensing import meters
from firmware.sensing.modbus import Master, ModbusError
from host_tests.both.logs import Log


def floats(*rows):
    return [(address, DataType.FLOAT32, number) for address, number in rows]


# What the makers' lists say, with pymodbus' own encoders: (address, type, value in the meter's
# unit), and the reading that it is.
IEM3155 = (
    floats((0x0BB7, 31.5), (0x0BB9, 16.25), (0x0BBB, 0.0), (0x0BD3, 230.5), (0x0BD5, 231.0))
    + floats((0x0BD7, 229.75), (0x0BED, 7.2), (0x0BEF, 3.7), (0x0BF1, 0.0), (0x0BF3, 10.9))
    + floats((0x0C25, 49.98))
    + [(0x0C83, DataType.INT64, 16777217), (0x0C93, DataType.INT64, 4321)],
    {
        "i1": 31500,
        "i2": 16250,
        "i3": 0,
        "v1": 230500,
        "v2": 231000,
        "v3": 229750,
        "p1": 72000,
        "p2": 37000,
        "p3": 0,
        "power": 109000,
        "frequency": 49980,
        "energy": 16777217,
        "reactive": 4321,
    },
)
SDM630 = (
    floats((0, 230.5), (2, 231.0), (4, 229.75), (6, 31.5), (8, 16.25), (10, 0.0), (0xC, 7200.0))
    + floats((0xE, 3700.0), (0x10, 0.0), (0x34, 10900.0), (0x46, 50.02), (0x48, 20000.002))
    + floats((0x4C, 1.5)),
    {**IEM3155[1], "frequency": 50020, "energy": 20000002, "reactive": 1500},
)
SDM120 = (
    floats((0, 230.5), (6, 31.5), (0xC, 7200.0), (0x46, 50.0), (0x48, 12.345), (0x4C, 0.25)),
    {
        "v1": 230500,
        "i1": 31500,
        "power": 72000,
        "frequency": 50000,
        "energy": 12345,
        "reactive": 250,
    },
)
B23 = (
    [
        (0x5000, DataType.UINT64, 1234567),
        (0x500C, DataType.UINT64, 2**64 - 1),  # not available
        *((0x5B00 + 2 * i, DataType.UINT32, v) for i, v in enumerate((2305, 2310, 2297))),
        *((0x5B0C + 2 * i, DataType.UINT32, v) for i, v in enumerate((3150, 1625, 0))),
        *((0x5B14 + 2 * i, DataType.INT32, v) for i, v in enumerate((1090000, 720000, -5))),
        (0x5B1A, DataType.INT32, 2**31 - 1),  # not available
        (0x5B2C, DataType.UINT16, 4998),
    ],
    {
        "energy": 12345670,
        "v1": 230500,
        "v2": 231000,
        "v3": 229700,
        "i1": 31500,
        "i2": 16250,
        "i3": 0,
        "power": 109000,
        "p1": 72000,
        "p2": 0,
        "frequency": 49980,
    },
)
METERS = {"iEM3155": IEM3155, "SDM630": SDM630, "SDM120": SDM120, "B23": B23}


def device(model, gaps=True):
    """pymodbus' slave; without `gaps` it refuses reads over registers that it doesn't know."""
    rows = METERS[model][0]
    used = set()
    data = []
    for address, kind, number in rows:
        data.append(SimData(address, values=number, datatype=kind))
        size = {DataType.UINT16: 1, DataType.INT64: 4, DataType.UINT64: 4}.get(kind, 2)
        used.update(range(address, address + size))
    if gaps:
        for first, count in meters.RegisterMap(model).blocks:
            for address in set(range(first, first + count)) - used:
                data.append(SimData(address, values=0, datatype=DataType.REGISTERS))
    return SimDevice(1, simdata=sorted(data, key=lambda d: d.address))


class Line:
    """Two ptys and what lies between: `back` turns the slave's bytes into pieces."""

    def __init__(self):
        self.near, self.far = pty.openpty(), pty.openpty()
        for fd in (*self.near, *self.far):
            tty.setraw(fd)
        self.device = os.ttyname(self.near[1])
        self.slave_device = os.ttyname(self.far[1])
        self.back = lambda data: [data]
        self.echo = False
        self.requests = []
        self.loop = asyncio.get_running_loop()
        self.loop.add_reader(self.near[0], self.pump, self.near[0])
        self.loop.add_reader(self.far[0], self.pump, self.far[0])
        self.later = asyncio.Lock()

    def pump(self, fd):
        data = os.read(fd, 4096)
        if fd == self.near[0]:
            self.requests.append(data)
            if self.echo:
                os.write(self.near[0], data)
            os.write(self.far[0], data)
        else:
            self.task = asyncio.create_task(self.deliver(list(self.back(data))))

    async def deliver(self, pieces):
        async with self.later:
            for piece in pieces:
                if isinstance(piece, bytes):
                    os.write(self.near[0], piece)
                else:
                    await asyncio.sleep(piece)

    def close(self):
        for fd in (self.near[0], self.far[0]):
            self.loop.remove_reader(fd)
        for fd in (*self.near, *self.far):
            os.close(fd)


@contextlib.asynccontextmanager
async def slave(model, **options):
    """A running pymodbus slave; gives the line to it."""
    line = Line()
    server = ModbusSerialServer(
        device(model, **options),
        framer=FramerType.RTU,
        port=line.slave_device,
        baudrate=meters.RegisterMap(model).baud,
    )
    serving = asyncio.create_task(server.serve_forever())
    while server.transport is None:
        await asyncio.sleep(0.01)
    try:
        yield line
    finally:
        await server.shutdown()
        await serving
        line.close()


def master(line, model="SDM630", **options):
    registers = meters.RegisterMap(model)
    port = SerialPort(line.device, registers.baud, registers.parity)
    return Master(port, registers.baud, Clock(), **options)


async def poll(line, model, polls=2, **options):
    """One reading of a real meter, as the station takes it: the first register is believed when
    a second one agrees."""
    meter = Meter(master(line, model), meters.RegisterMap(model), 1, Clock(), Log(), **options)
    for _ in range(polls):
        await meter.poll()
    assert meter.error is None
    return meter.last


@pytest.mark.parametrize("model", METERS)
async def test_readings(model):
    async with slave(model) as line:
        assert await poll(line, model) == METERS[model][1]
        assert len(line.requests) == 2 * len(meters.RegisterMap(model).blocks)


@pytest.mark.parametrize("model", METERS)
async def test_a_slave_that_refuses_gaps(model):
    async with slave(model, gaps=False) as line:  # the first poll finds that out
        assert await poll(line, model, polls=3) == METERS[model][1]


async def test_byte_by_byte():
    async with slave("SDM630") as line:
        line.back = lambda data: [b for i in range(len(data)) for b in (data[i : i + 1], 0.0005)]
        assert await poll(line, "SDM630") == SDM630[1]
        assert len(line.requests) == 2


async def test_noise_around_every_answer():
    async with slave("SDM630") as line:
        line.back = lambda data: [b"\x00\xff\x01\x04", 0.02, data[:20], 0.02, data[20:] + b"\xf0"]
        assert await poll(line, "SDM630") == SDM630[1]
        assert len(line.requests) == 2


@pytest.mark.parametrize("told", [False, True])
async def test_an_adapter_with_echo(told):
    async with slave("SDM630") as line:
        line.echo = True
        port = master(line, echo=told)
        for _ in range(3):
            data = await port.read(1, 4, 0x48, 2)
        assert data.hex() == "469c4001"
        assert len(line.requests) == 3


async def test_exceptions_and_other_units():
    async with slave("SDM630", gaps=False) as line:
        port = master(line, timeout=1000)
        with pytest.raises(ModbusError, match="illegal data address") as why:
            await port.read(1, 4, 0x900, 2)
        assert why.value.code == 2
        with pytest.raises(ModbusError) as why:
            await port.read(7, 4, 0, 2)
        assert await port.read(1, 4, 0, 2)


async def test_a_damaged_answer_is_asked_again():
    async with slave("SDM630") as line:
        answers = []

        def damage(data):
            answers.append(data)
            return [data if len(answers) % 2 == 0 else data[:5] + b"\x55" + data[6:]]

        line.back = damage
        port = master(line, timeout=1000)
        for _ in range(3):
            assert (await port.read(1, 4, 0x48, 2)).hex() == "469c4001"
        assert len(line.requests) == 6


async def test_the_meter_goes_silent_and_comes_back():
    async with slave("SDM120") as line:
        clock = Clock(speed=50)
        port = SerialPort(line.device, 2400)
        log = Log()
        meter = Meter(Master(port, 2400, clock), meters.RegisterMap("SDM120"), 1, clock, log)
        task = asyncio.create_task(meter.run())
        await clock.sleep_ms(3000)
        assert meter.error is None and meter.last
        line.back = lambda data: []
        while not meter.error:
            await asyncio.sleep(0.01)
        assert 9000 <= meter.age() <= 16000
        line.back = lambda data: [data]
        while meter.error:
            await asyncio.sleep(0.01)
        assert meter.last == SDM120[1]
        task.cancel()


SCRIPT = """
import asyncio, json, sys
from firmware.base.times import Clock
from firmware.base.log import Log
from firmware.board.serial_pc import SerialPort
from firmware.metering.meter import Meter
from firmware.sensing import meters
from firmware.sensing.modbus import Master

async def main(device, model):
    clock = Clock()
    registers = meters.RegisterMap(model)
    port = SerialPort(device, registers.baud, registers.parity)
    meter = Meter(
        Master(port, registers.baud, clock), registers, 1, clock, Log(clock)("meter")
    )
    task = asyncio.create_task(meter.run())
    held = 0
    last = clock.ms()
    while meter.age() is None or clock.ms() < 1500:
        await asyncio.sleep_ms(5)
        held = max(held, clock.ms() - last)
        last = clock.ms()
    print(json.dumps([meter.error, meter.last, held]))

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("model", ["iEM3155", "SDM630"])
async def test_micropython_polls_pymodbus(micropython, bits, model):
    peer = micropython(bits)
    async with slave(model) as line:
        code = f"import sys; sys.argv[1:] = {[line.device, model]!r}\n{SCRIPT}"
        process = await asyncio.create_subprocess_exec(
            *peer.command("-c", code), env=peer.environment(), stdout=-1, stderr=-1
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, err.decode()
        error, reading, held = json.loads(out)
        assert error is None and reading == METERS[model][1]
        assert held < 500, "the port held the loop"
