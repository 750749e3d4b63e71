"""The vendor error codes: the table, how each is detected, held, told and cleared."""

from firmware.charging import faults
from firmware.charging.faults import Faults
from host_tests.both.charger_rig import Rig
from host_tests.both.logs import Log
from host_tests.both.memory_files import MemoryStore

# The guide's page 17, as printed.
GUIDE = """0x100206	Ground fault	Yes	Yes
0x200206	Power Input over voltage	Yes	Yes
0x200208	Power input under voltage	Yes	Yes
0x100213	Charging over current	Yes	Yes
0x100102	Cable over temperature	Yes	No
0x10020F	Metering chip data error	Yes	Yes
0x100215	Current leakage fault	Yes	Yes
0x100218	Cable fault	Yes	Yes
0x100205	Electronic lock fault	Yes	Yes
0x100217	CP signal fault	Yes	Yes
0x100208	Relay fault	No	Yes
0x10020C	Tamper detected	Yes	No"""

# code, OCPP errorCode, ms from the cause in a charging station to the code: least, most
DETECTION = """0x100206 GroundFailure 1000 1100
0x200206 OverVoltage 1000 3100
0x200208 UnderVoltage 3000 5100
0x100213 OverCurrentFailure 7000 10000
0x100102 HighTemperature 0 1000
0x10020F PowerMeterFailure 0 1100
0x100215 GroundFailure 0 40
0x100218 OtherError 500 600
0x100205 ConnectorLockFailure 4000 6000
0x100217 OtherError 500 600
0x100208 PowerSwitchFailure 200 1000
0x10020C OtherError 500 600"""

ERRORS = """ConnectorLockFailure EVCommunicationError GroundFailure HighTemperature InternalError
LocalListConflict NoError OtherError OverCurrentFailure OverVoltage PowerMeterFailure
PowerSwitchFailure ReaderFailure ResetFailure UnderVoltage WeakSignal"""


def rows():
    return [line.split(" ") for line in DETECTION.split("\n")]


def test_the_table_is_the_guides():
    lines = []
    for row in faults.rows():
        recovers, service = [
            "Yes" if yes else "No" for yes in (row.unplugging_recovers, row.needs_service)
        ]
        lines.append("\t".join((row.code, row.info, recovers, service)))
        assert faults.row(row.code) == row
        assert row.error_code in ERRORS.split() and len(row.info) <= 50
    assert "\n".join(lines) == GUIDE
    for code, error, _, _ in rows():
        assert faults.row(code).error_code == error
    names = "GROUND OVERVOLTAGE UNDERVOLTAGE OVERCURRENT TEMPERATURE METERING LEAKAGE CABLE LOCK"
    codes = [getattr(faults, name) for name in (names + " PILOT RELAY TAMPER").split()]
    assert sorted(codes) == sorted([row.code for row in faults.rows()])
    try:
        faults.row("0x1")
        raise AssertionError("found")
    except ValueError as why:
        assert "0x1" in str(why)


def test_each_cause_is_detected_in_its_time_and_stops_energy():
    for code, _, least, most in rows():
        rig = Rig().charge()
        begun = rig.clock.now
        rig.sim("fault %s on" % code.lower())
        rig.until_faulted()
        took = rig.faults.since(rig.faults.active[0]) - begun
        assert int(least) <= took <= int(most), (code, took)
        assert rig.faults.active == [code]
        rig.run(200)
        assert not rig.board.closed and rig.evse.duty in (0, 1000), code
        assert list(rig.faults.drain()) == [(code, True)]
        assert not rig.faults.drain()


def test_a_meter_without_currents_tells_an_overcurrent_by_its_power():
    rig = Rig()
    rig.blind = True
    rig.charge()
    for mv in (207000, 253000):  # the offer itself is none, at any voltage
        rig.board.volt_mv = mv
        rig.run(20000)
        assert not rig.faults.active, mv
    rig.sim("fault 0x100213 on")
    rig.until_faulted()
    assert rig.faults.active == [faults.OVERCURRENT]


def test_each_is_held_until_the_unplug_with_its_cause_gone():
    for code, _, _, _ in rows():
        rig = Rig().charge()
        rig.sim("fault %s on" % code)
        rig.until_faulted()
        rig.evse.enabled = False  # the transaction ends
        rig.run(5000)
        rig.sim("fault %s off" % code)
        rig.run(70000)
        assert rig.faults.active == [code], code  # the cause alone is not enough
        rig.sim("unplug")
        rig.run(15000)
        if code == faults.RELAY:
            assert rig.faults.active == [code]
            continue
        assert not rig.faults.active, code
        assert list(rig.faults.drain()) == [(code, True), (code, False)]
        rig.charge()
        assert rig.evse.contactor and not rig.faults.active, code


def test_unplugging_alone_is_not_enough():
    for code, _, _, _ in rows():
        if code in (faults.OVERCURRENT, faults.CABLE):
            continue  # without a car there is neither
        rig = Rig().charge()
        rig.sim("fault %s on" % code)
        rig.until_faulted()
        rig.evse.enabled = False
        rig.sim("unplug")
        rig.run(30000)
        assert rig.faults.active == [code], code
        rig.sim("fault %s off" % code)
        rig.run(75000)
        assert rig.faults.active == ([code] if code == faults.RELAY else []), code


def test_idle_stations_notice_too():
    for code, _, _, _ in rows():
        rig = Rig()
        rig.run(5000)
        rig.sim("fault %s on" % code)
        rig.run(20000)
        unseen = code in (faults.OVERCURRENT, faults.CABLE)  # these need a car
        assert rig.faults.active == ([] if unseen else [code]), code


def test_voltages_have_two_thresholds():
    for volts, code, back, well in (
        (266, faults.OVERVOLTAGE, 254, 252),
        (194, faults.UNDERVOLTAGE, 206, 208),
    ):
        rig = Rig()
        rig.run(5000)
        rig.sim("volt %d" % (265 if volts > 230 else 195))
        rig.run(20000)
        assert not rig.faults.active
        rig.sim("volt %d" % volts)
        rig.run(6000)
        assert rig.faults.active == [code]
        rig.sim("volt %d" % back)
        rig.run(200000)
        assert rig.faults.active == [code]
        rig.sim("volt %d" % well)
        rig.run(50000)
        rig.sim("volt %d" % back, "volt %d" % volts)
        rig.run(2000)  # counted anew
        rig.sim("volt %d" % well)
        rig.run(58000)
        assert rig.faults.active == [code]
        rig.run(5000)
        assert not rig.faults.active


def test_only_connected_phases_have_a_voltage_to_watch():
    rig = Rig(phases=3)
    rig.meter = False
    rig.run(1000)
    rig.evse.phases = 1
    for _ in range(10):
        rig.evse.check_reading({"v1": 230000, "v2": 0, "v3": 0})
        rig.run(1000)
    assert not rig.faults.active
    for _ in range(10):
        rig.evse.check_reading({"energy": 5})  # a meter that knows no voltages
        rig.run(1000)
    assert not rig.faults.active
    rig.evse.phases = 3
    for _ in range(10):
        rig.evse.check_reading({"v1": 230000, "v2": 0, "v3": 230000})
        rig.run(1000)
    assert rig.faults.active == [faults.UNDERVOLTAGE]


def test_overcurrent_is_a_tenth_above_the_offer_for_7_s():
    rig = Rig(ma=16000).charge()
    rig.meter = False
    for ma, most, there in (
        (18150, 30, False),
        (18151, 6, False),
        (18150, 2, False),
        (18151, 9, True),
    ):
        for _ in range(most):
            rig.evse.check_reading({"i1": 100, "i2": ma, "i3": 0})
            rig.run(1000)
        assert bool(rig.faults.active) == there, ma


def test_a_car_that_follows_a_reduction_in_5_s_is_no_fault():
    rig = Rig().charge()
    for ma in (6000, 32000, 0, 20000, 6000, 32000):
        rig.limits.set("profile", ma)
        rig.run(15000)
        assert not rig.faults.active
    assert rig.evse.contactor


def test_no_start_while_a_cause_is_there():
    rig = Rig()
    rig.sim("plug", "ready")
    rig.evse.enabled = True
    for _ in range(10):  # never long enough to be a fault
        rig.sim("fault 0x100206 on")
        rig.run(960)
        rig.sim("fault 0x100206 off")
        rig.run(20)
        assert not rig.faults.active and not rig.times("permit")
    rig = Rig()
    rig.sim("plug", "ready")
    rig.evse.enabled = True
    rig.evse.set_meter_error(True)
    rig.meter = False
    rig.run(5000)
    assert rig.faults.active == [faults.METERING] and not rig.times("permit")


def test_the_relay_fault_outlives_power_cuts_until_a_reset_with_its_cause_gone():
    store = MemoryStore()
    rig = Rig(store=store).charge()
    rig.sim("fault 0x100208 on")
    rig.run(2000)
    assert rig.faults.active == [faults.RELAY]
    rig = Rig(store=store)  # a power cut: another process, the cause gone, no car
    assert rig.faults.active == [faults.RELAY]
    rig.run(60000)
    rig.sim("plug", "ready")
    rig.evse.enabled = True
    rig.run(60000)
    assert rig.faults.active == [faults.RELAY] and not rig.times("permit")
    rig.sim("fault 0x100208 on")
    rig.run(2000)
    rig.faults.reset()  # a Reset with its cause there
    rig.start()
    rig.run(2000)
    assert rig.faults.active == [faults.RELAY]
    rig.sim("fault 0x100208 off")
    rig.run(2000)
    assert rig.faults.active == [faults.RELAY]
    rig.faults.reset()
    rig.start()
    assert not rig.faults.active and not store
    rig.sim("unplug")
    rig.run(1000)
    rig.charge()
    assert rig.evse.contactor


def test_nothing_is_written_before_the_permit_dropped():
    class Slow(MemoryStore):
        def write(self, name, data):
            assert rig.board._permit is False
            MemoryStore.write(self, name, data)

    rig = Rig(store=Slow()).charge()
    rig.sim("fault 0x100208 on")
    rig.run(2000)
    assert rig.store.read("faults") == b"0x100208"


def test_several_at_a_time_oldest_first():
    rig = Rig().charge()
    rig.sim("fault 0x10020C on")
    rig.run(1000)
    rig.sim("fault 0x100206 on")
    rig.run(2000)
    assert rig.faults.active == [faults.TAMPER, faults.GROUND]
    assert rig.faults.since(faults.TAMPER) < rig.faults.since(faults.GROUND)
    rig.sim("fault 0x10020C off", "unplug")
    rig.run(1000)
    assert rig.faults.active == [faults.GROUND]
    rig.sim("fault 0x100206 off")
    rig.run(1000)
    assert list(rig.faults.drain()) == [
        (faults.TAMPER, True),
        (faults.GROUND, True),
        (faults.TAMPER, False),
        (faults.GROUND, False),
    ]


def test_delays_and_the_band_between_thresholds():
    f = Faults(Log(), MemoryStore())
    f.set_cause(faults.TAMPER, True, 0)
    f.set_cause(faults.TAMPER, True, 499)
    assert not f.active and f.cause_unconfirmed and not f.nothing_wrong
    f.set_cause(faults.TAMPER, False, 499)
    assert f.nothing_wrong and not f.cause_unconfirmed
    f.set_cause(faults.TAMPER, True, 500)
    f.set_cause(faults.TAMPER, None, 999)  # between: not there yet, so it is not
    assert f.nothing_wrong
    f.set_cause(faults.TAMPER, True, 1000)
    f.set_cause(faults.TAMPER, True, 1500)
    assert f.active == [faults.TAMPER] and not f.cause_unconfirmed
    f.set_cause(faults.TAMPER, None, 2000)  # between: there, so it stays
    f.update(True)
    assert f.active
    f.set_cause(faults.TAMPER, False, 2500)
    f.update(False)
    assert f.active
    f.set_cause(faults.TAMPER, None, 2600)  # between again: gone, so it stays gone
    f.update(True)
    assert not f.active and f.nothing_wrong


def test_a_cause_that_comes_back_while_held_needs_its_time_again():
    f = Faults(Log(), MemoryStore())
    for now in (0, 1000):
        f.set_cause(faults.OVERVOLTAGE, True, now)
    assert f.active
    for now in (2000, 61999):
        f.set_cause(faults.OVERVOLTAGE, False, now)
    f.set_cause(faults.OVERVOLTAGE, None, 62000)  # 59.999 s were not 60
    f.set_cause(faults.OVERVOLTAGE, False, 63000)
    f.set_cause(faults.OVERVOLTAGE, False, 122999)
    f.update(True)
    assert f.active
    f.set_cause(faults.OVERVOLTAGE, False, 123000)
    f.update(True)
    assert not f.active
