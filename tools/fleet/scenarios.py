"""What happens to a fleet, as a story. Each scenario is told again and again until the run ends;
times are the stations' own. To add one: a coroutine function here, and its name in SCENARIOS.
"""

from __future__ import annotations

MINUTE = 60


async def quiet_night(fleet):
    """Hardly anything happens: heartbeats, and one car in twenty."""
    await fleet.cars_come(share=0.05, within_s=50 * MINUTE, minutes=30)
    await fleet.sleep(10 * MINUTE)


async def evening_peak(fleet):
    """Within a quarter of an hour most people come home and plug in."""
    await fleet.cars_come(share=0.9, within_s=15 * MINUTE, minutes=40)
    await fleet.sleep(45 * MINUTE)


async def all_charge(fleet):
    """Every station charges all the time: the most load that there is."""
    await fleet.cars_come(share=1, within_s=1, minutes=600)
    await fleet.sleep(600 * MINUTE)


async def power_cut(fleet):
    """A region's power fails in the middle of the evening, and comes back for all at once."""
    await fleet.cars_come(share=0.8, within_s=5 * MINUTE, minutes=30)
    await fleet.sleep(5 * MINUTE)
    dark = await fleet.power_fails(share=0.7)
    await fleet.sleep(8 * MINUTE)
    await fleet.power_returns(dark)
    await fleet.sleep(15 * MINUTE)
    # The next one is shorter, and ends for one quarter of the town after the other.
    dark = await fleet.power_fails(share=0.3)
    await fleet.sleep(1 * MINUTE)
    await fleet.power_returns(dark, within_s=2 * MINUTE)
    await fleet.sleep(20 * MINUTE)


async def central_restarts(fleet):
    """The central system is restarted while all charge. The stations go on, and tell it later."""
    await fleet.cars_come(share=0.9, within_s=5 * MINUTE, minutes=40)
    await fleet.central_restarts(down_s=20)
    await fleet.sleep(15 * MINUTE)
    await fleet.central_restarts(down_s=5 * MINUTE)
    await fleet.sleep(30 * MINUTE)


async def bad_links(fleet):
    """A third of the stations hang on mobile links that are slow, lose packets and break."""
    async with fleet.bad_link(
        share=0.33, delay_s=0.4, bytes_per_s=2000, loss=0.05, breaks_after_s=300
    ):
        await fleet.cars_come(share=0.8, within_s=10 * MINUTE, minutes=25)
        await fleet.sleep(30 * MINUTE)
    await fleet.sleep(10 * MINUTE)


async def call_errors(fleet):
    """The central system answers a tenth of what it hears with CALLERRORs, for half an hour."""
    await fleet.central_refuses(share=0.1)
    await fleet.cars_come(share=0.8, within_s=10 * MINUTE, minutes=25)
    await fleet.sleep(20 * MINUTE)
    await fleet.central_refuses(share=0)
    await fleet.sleep(20 * MINUTE)


async def hard_hour(fleet):
    """All of it within an hour: a restart, a power cut, CALLERRORs."""
    await fleet.cars_come(share=0.8, within_s=5 * MINUTE, minutes=25)
    await fleet.central_restarts(down_s=90)
    await fleet.sleep(6 * MINUTE)
    dark = await fleet.power_fails(share=0.6)
    await fleet.sleep(4 * MINUTE)
    await fleet.power_returns(dark)
    await fleet.central_refuses(share=0.1)
    await fleet.sleep(10 * MINUTE)
    await fleet.cars_come(share=0.5, within_s=5 * MINUTE, minutes=15)
    await fleet.central_refuses(share=0)
    await fleet.sleep(10 * MINUTE)
    await fleet.central_restarts(down_s=20)
    await fleet.sleep(18 * MINUTE)


SCENARIOS = (
    quiet_night,
    evening_peak,
    all_charge,
    power_cut,
    central_restarts,
    bad_links,
    call_errors,
    hard_hour,
)


def find(name: str):
    """The scenario of this name. ValueError names them all."""
    for scenario in SCENARIOS:
        if scenario.__name__ == name:
            return scenario
    names = " ".join(scenario.__name__ for scenario in SCENARIOS)
    raise ValueError(f"no scenario {name}; they are {names}")
