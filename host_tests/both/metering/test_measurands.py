"""The guide's measurands: lists of them, and readings packed and unpacked."""

from firmware.metering import measurands

THREE = {
    "energy": 16777217,
    "reactive": 12,
    "power": 110400,
    "p1": 36800,
    "p2": 36801,
    "p3": 36799,
    "i1": 16000,
    "i2": 15990,
    "i3": 6,
    "v1": 230100,
    "v2": 0,
    "v3": 229999,
    "frequency": 49980,
}
ONE = {"energy": 5, "power": -10, "p1": -10, "i1": 32000, "v1": 230000}


def sent(reading, offered, names):
    """`measurand phase=value unit` of what a list of measurands sends."""
    mask = measurands.parse(names)
    data = measurands.pack(reading, offered, mask)
    lines = []
    for item in measurands.unpack(data, measurands.ALL, "Sample.Clock"):
        assert item["context"] == "Sample.Clock"
        assert item["format"] == "Raw" and item["location"] == "Outlet"
        words = [item["measurand"], item.get("phase", "-"), item["value"], item.get("unit", "-")]
        lines.append(" ".join(words))
    return lines


def test_three_phases():
    assert sent(THREE, 16000, "Current.Import") == [
        "Current.Import L1 16 A",
        "Current.Import L2 15.99 A",
        "Current.Import L3 0.006 A",
    ]
    assert sent(THREE, 16000, "Voltage") == [
        "Voltage L1-N 230.1 V",
        "Voltage L2-N 0 V",
        "Voltage L3-N 229.999 V",
    ]
    assert sent(THREE, 16000, "Power.Active.Import") == [
        "Power.Active.Import - 11.04 kW",
        "Power.Active.Import L1 3.68 kW",
        "Power.Active.Import L2 3.6801 kW",
        "Power.Active.Import L3 3.6799 kW",
    ]
    once = (
        "Energy.Active.Import.Register,Energy.Reactive.Import.Register,Frequency,Current.Offered"
    )
    assert sent(THREE, 16000, once) == [
        "Current.Offered - 16 A",
        "Energy.Active.Import.Register - 16777217 Wh",
        "Energy.Reactive.Import.Register - 12 varh",
        "Frequency - 49.98 -",
    ]


def test_one_phase_is_l1_where_the_measurand_is_one_of_phases():
    all_seven = measurands.normalize(
        "Current.Import,Voltage,Power.Active.Import,Energy.Active.Import,Energy.Reactive.Import,"
        "Frequency,Current.Offered"
    )
    assert sent(ONE, None, all_seven) == [
        "Current.Import L1 32 A",
        "Energy.Active.Import.Register - 5 Wh",
        "Power.Active.Import - -0.001 kW",
        "Voltage L1-N 230 V",
    ]


def test_what_is_missing_is_left_out():
    assert sent({"p1": 5, "p3": 6}, 0, "Power.Active.Import,Current.Offered") == [
        "Current.Offered - 0 A",
        "Power.Active.Import L1 0.0005 kW",
        "Power.Active.Import L3 0.0006 kW",
    ]
    assert measurands.pack({}, None, measurands.ALL) == b""
    assert measurands.pack(ONE, 16000, 0) == b""
    assert measurands.unpack(b"", measurands.ALL, "Trigger") == []


def test_a_mask_takes_some_of_what_was_packed():
    data = measurands.pack(THREE, 16000, measurands.ALL)
    assert len(data) <= 48, len(data)
    only = measurands.unpack(data, measurands.ENERGY, "Trigger")
    assert [item["value"] for item in only] == ["16777217"]
    assert len(measurands.unpack(data, measurands.ALL, "Trigger")) == 14
    assert measurands.energy(data) == 16777217
    assert measurands.energy(measurands.pack({"v1": 1}, None, measurands.ALL)) is None
    # behind other bytes of a record
    assert measurands.unpack(b"xyz" + data, 64, "Other", 3)[0]["measurand"] == "Voltage"


def test_lists():
    guide = "Voltage; Power.Active.Import; Energy.Active.Import. Register; Current.Import; "
    guide += "Current.Offered; Frequency;"
    assert measurands.normalize(guide) == (
        "Voltage,Power.Active.Import,Energy.Active.Import.Register,Current.Import,Current.Offered,"
        "Frequency"
    )
    assert measurands.normalize("Energy.Active.Import, Energy.Reactive.Import") == (
        "Energy.Active.Import.Register,Energy.Reactive.Import.Register"
    )
    assert measurands.normalize(" ") == "" and measurands.parse("") == 0
    assert measurands.normalize("Voltage,Voltage") == "Voltage"
    assert measurands.parse("Energy.Active.Import.Register") == measurands.ENERGY
    assert measurands.parse(guide) | measurands.parse("Energy.Reactive.Import") == measurands.ALL


def test_unknown_names_are_refused():
    for text in (
        "SoC",
        "voltage",
        "Current.Import.L1",
        "Voltage,SoC",
        "Energy.Active.Export",
        "-",
    ):
        for function in (measurands.parse, measurands.normalize):
            try:
                function(text)
            except ValueError as error:
                assert "unknown measurand" in str(error)
            else:
                raise AssertionError(text)


def test_decimals_are_exact():
    decimal = measurands.decimal
    assert decimal(73450, 4) == "7.345"
    assert decimal(1, 4) == "0.0001"
    assert decimal(-1, 3) == "-0.001"
    assert decimal(-12345, 3) == "-12.345"
    assert decimal(0, 3) == "0"
    assert decimal(100, 0) == "100"
    assert decimal(4294967295, 0) == "4294967295"
