"""The meter after a start: what the journal knows of its register counts, and who changed it."""

from firmware import options
from host_tests.station import Rig, play


async def session_of(tmp_path, change):
    """Charges, lets the power fail, changes the register in the meter's file, starts again.
    Returns what `status` shows as energy_wh, each second."""
    async with Rig("cpython", tmp_path) as rig:
        await rig.charge()
        await rig.sleep(130)
        energy = (await rig.status())["energy_wh"]
        assert energy > 500
        await rig.kill()
        path = tmp_path / "state" / "meter"
        register, reactive = [int(word) for word in path.read_text().split()]
        path.write_text("%-20d %-20d\n" % (change(register), reactive))
        await rig.start()
        seen = []
        for _ in range(16):
            await rig.sleep(1)
            status = await rig.status()
            assert status["vendor_error"] == ""
            seen.append(status["energy_wh"])
        stop = await rig.house.heard_of("StopTransaction")
        assert energy - 400 <= stop["meterStop"] <= energy + 3  # a minute is lost at most
        return seen


def test_a_register_that_goes_on_is_believed_at_once(tmp_path):
    async def session():
        seen = await session_of(tmp_path, lambda register: register + 3)
        assert seen[0] > 500

    play("cpython", session())


def test_one_that_does_not_is_waited_for(tmp_path):
    async def session():
        seen = await session_of(tmp_path, lambda register: 77)
        assert seen[:9] == [0] * 9 and seen[-1] == 77

    play("cpython", session())


def test_another_meter_is_believed_at_once(tmp_path, monkeypatch):
    parse = options.parse
    numbers = ["A1", "B2"]

    def installed(words):
        options = parse(words)
        options.meter_number = numbers.pop(0)
        return options

    monkeypatch.setattr(options, "parse", installed)

    async def session():
        seen = await session_of(tmp_path, lambda register: 77)
        assert seen[1] == 77

    play("cpython", session())
