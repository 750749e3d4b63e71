"""The simulated physics where a process has no time for its station."""

import asyncio

from host_tests import virtual
from host_tests.station import Rig


def test_a_contactor_does_not_fault_because_the_loop_was_away(tmp_path):
    """A thousand stations in one process, or another program that takes the machine: a turn of
    the loop lasts for 0.6 s, longer than the wiring waits for the permit's heartbeat."""

    async def session():
        async with Rig("cpython", tmp_path) as rig:
            loop = asyncio.get_running_loop()

            async def be_busy():
                while True:
                    await asyncio.sleep(0.001)
                    loop.now_us += 600000

            await rig.online()
            busy = asyncio.create_task(be_busy())
            await rig.charge()
            for _ in range(10):
                await rig.sleep(30)
                status = await rig.status()
                assert (status["status"], status["vendor_error"]) == ("Charging", ""), status
            await rig.console("sim unplug")
            await rig.until(queue=0, transaction=None)
            busy.cancel()
            (stop,) = rig.house.calls("StopTransaction")
            assert stop["meterStop"] > 1500, stop  # 300 s at 22 kW

    virtual.run(session())
