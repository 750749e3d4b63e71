"""Readings packed and unpacked, for any values."""

from decimal import Context, Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.metering import measurands

FIELDS = {
    "energy": ("Energy.Active.Import.Register", None, 0),
    "reactive": ("Energy.Reactive.Import.Register", None, 0),
    "frequency": ("Frequency", None, 3),
    "power": ("Power.Active.Import", None, 4),
    **{f"p{n}": ("Power.Active.Import", f"L{n}", 4) for n in (1, 2, 3)},
    **{f"i{n}": ("Current.Import", f"L{n}", 3) for n in (1, 2, 3)},
    **{f"v{n}": ("Voltage", f"L{n}-N", 3) for n in (1, 2, 3)},
}
NAMES = sorted({name for name, _, _ in FIELDS.values()} | {"Current.Offered"})
numbers = st.integers(-(1 << 40), 1 << 40)
readings = st.dictionaries(st.sampled_from(sorted(FIELDS)), numbers)


@settings(max_examples=300, deadline=None)
@given(readings, st.none() | numbers, st.lists(st.sampled_from(NAMES)), st.integers(0, 127))
def test_what_is_packed_comes_back_exactly(reading, offered, names, more):
    mask = measurands.parse(",".join(names))
    packed = measurands.pack(reading, offered, mask | more)
    sampled = measurands.unpack(packed, mask, "Sample.Periodic")
    got = {}
    for item in sampled:
        key = (item["measurand"], item.get("phase"))
        assert key not in got
        got[key] = Decimal(item["value"])
    expected = {}
    for field, (name, phase, places) in FIELDS.items():
        if name in names and field in reading:
            expected[(name, phase)] = Decimal(reading[field]).scaleb(-places)
    for name in {name for name, _ in expected}:
        phases = [phase for n, phase in expected if n == name and phase]
        if phases == ["L1"] and name.startswith("Power"):  # its total is the same
            value = expected.pop((name, phases[0]))
            expected.setdefault((name, None), value)
    if "Current.Offered" in names and offered is not None:
        expected[("Current.Offered", None)] = Decimal(offered).scaleb(-3)
    assert got == expected
    if mask & measurands.ENERGY:
        assert measurands.energy(packed) == reading.get("energy")


@given(st.integers(), st.integers(0, 6))
def test_decimals(value, places):
    text = measurands.decimal(value, places)
    assert Decimal(text) == Decimal(value).scaleb(-places, Context(prec=len(str(value))))
    assert not (places and "." in text and text.endswith("0"))


@given(st.text(alphabet="abcEnergyActivImpotRsVlag.,; \t\n\"'", max_size=60))
def test_lists_are_refused_or_become_the_standards_names(text):
    try:
        normal = measurands.normalize(text)
    except ValueError:
        return
    assert all(name in NAMES for name in normal.split(",") if normal)
    assert measurands.normalize(normal) == normal
    assert measurands.parse(normal) == measurands.parse(text)
