"""The whole program on serial devices of a PC: `--meter` a pymodbus slave, `--tic` a pty."""

import asyncio
import os
import pty
import tty

import pytest

from host_tests.sensing.test_modbus_pty import SDM630, slave
from host_tests.station import RUNTIMES, Rig


def historique(**groups):
    """A frame of TIC historique as the wire has it, 7E1: each byte with its parity bit."""
    data = b"\x02"
    for label, value in groups.items():
        text = f"{label} {value}".encode()
        data += b"\n" + text + b" " + bytes([(sum(text) & 0x3F) + 0x20]) + b"\r"
    return data + b"\x03"


FRAME = historique(
    ADCO="012345678901", OPTARIF="BASE", ISOUSC="45", BASE="012345678", PTEC="TH..", IINST="021",
    IMAX="040", PAPP="04830", HHPHC="A", MOTDETAT="000000",
)  # fmt: skip


class TicLine:
    """A pty that says its frame over and over, ten times as often as at 1200 baud."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.device = os.ttyname(self.slave)

    async def run(self):
        while True:
            os.write(self.master, FRAME)
            await asyncio.sleep(0.15)

    def close(self):
        os.close(self.master)
        os.close(self.slave)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_session_on_real_lines(runtime, tmp_path):
    """The meter's register goes over the wire, and the house's meter is listened to."""

    async def session():
        line = TicLine()
        saying = asyncio.create_task(line.run())
        async with slave("SDM630") as meter:
            words = ("--meter", f"SDM630:{meter.device}:1:9600N1", "--tic", line.device)
            words += ("--key", "MeterValueSampleInterval=5")
            async with Rig(runtime, tmp_path, *words, speed=2) as rig:
                await rig.charge()
                state = await rig.until(tic={"detected": True, "mode": 0, "found": "historique"})
                while "tic" not in state["limits"]:
                    state = await rig.until(status="Charging")
                shown = await rig.console("tic")
                assert "PAPP=04830" in shown and "IINST=021" in shown
                assert state["limits"]["tic"] > 32000
                assert state["energy_wh"] == SDM630[1]["energy"]
                assert any("frequency" in text.lower() for text in await rig.console("meter"))
                start = await rig.house.heard_of("StartTransaction")
                assert start["meterStart"] == SDM630[1]["energy"]
        saying.cancel()
        line.close()

    asyncio.run(session())
