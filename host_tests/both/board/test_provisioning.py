"""What `provision.json` may say, and what becomes of it."""

from firmware import provisioning

GIVEN = {
    "model": "evh5a22n2s",
    "keys": {"IMaxUser": 16, "PhaseNumber": "3", "SupervisionUrl": "ws://house/ocpp"},
    "wifi": {"ssid": "House", "key": "secret word"},
    "meter": "iem3155",
    "unit": 7,
    "pins": {"permit": "32", "tamper": "-"},
}


def changed(**more):
    given = dict(GIVEN)
    given.update(more)
    return given


def refused(given, words):
    try:
        provisioning.check(given)
    except ValueError as why:
        assert words in str(why), str(why)
        return
    raise AssertionError("taken: %r" % given)


def test_what_the_installer_said():
    options = provisioning.check(GIVEN)
    assert options.model == "Evh5A22N2S"
    keys = {"IMaxUser": "16", "PhaseNumber": "3", "SupervisionUrl": "ws://house/ocpp"}
    assert options.provisioned_keys == keys
    assert (options.wifi_ssid, options.wifi_key) == ("House", "secret word")
    assert (options.meter_model, options.meter_unit) == ("iEM3155", 7)
    assert (options.pins["permit"], options.pins["tamper"], options.pins["cp"]) == (
        "32",
        "-",
        "36",
    )
    assert (options.run_keys, options.speed) == ({}, 1)
    assert options.meter_device is None and options.tic_device is None


def test_the_meters_line_is_as_delivered_or_as_the_installer_says():
    options = provisioning.check(changed(meter="SDM120"))
    assert (options.meter_baud, options.meter_parity) == (2400, "N")
    options = provisioning.check(changed(meter="SDM120", baud=9600))
    assert (options.meter_baud, options.meter_parity) == (9600, "N")
    options = provisioning.check(changed(meter="iEM3155", baud="9600", parity="o"))
    assert (options.meter_baud, options.meter_parity) == (9600, "O")


def test_how_long_to_wait_is_the_installers():
    options = provisioning.check(GIVEN)
    assert (options.tic_pause_s, options.switch_s) == (600, 60)
    options = provisioning.check(changed(tic_pause_s=0, switch_s="15"))
    assert (options.tic_pause_s, options.switch_s) == (0, 15)
    assert provisioning.check(changed(tic_pause_s=30, switch_s=120)).tic_pause_s == 30


def test_which_meter_it_is_and_whether_the_house_feeds_in():
    options = provisioning.check(GIVEN)
    assert (options.meter_number, options.feeds_in) == ("", False)
    options = provisioning.check(changed(meter_number=170212, feeds_in=True))
    assert (options.meter_number, options.feeds_in) == ("170212", True)
    refused(changed(meter_number="1" * 41), "meter_number: at most 40 characters")
    refused(changed(feeds_in="yes"), "feeds_in: true or false, without quotes")


def test_little_is_enough():
    options = provisioning.check({"model": "Evh5A07N2C7"})
    assert (options.wifi_ssid, options.wifi_key) == ("", "")
    assert options.ca is None and not options.insecure and not options.ntp
    options = provisioning.check({"model": "Evh5A07N2C7", "wifi": {"ssid": "open"}})
    assert (options.wifi_ssid, options.wifi_key) == ("open", "")


def test_a_device_that_was_never_told_offers_nothing():
    for keys in ({}, {"IMaxUser": "16"}, {"PhaseNumber": "1"}):
        assert provisioning.check(changed(keys=keys)).provisioned_keys["IMaxUser"] == "0"


def test_what_can_not_be_is_refused():
    refused([], "not an object")
    refused({}, "no model")
    refused(changed(model="X"), "no commercial reference X")
    refused(changed(modell="X"), "no such entry: modell")
    refused(changed(keys=[]), "keys: not an object")
    refused(changed(keys={"Imax": "16"}), "no such key: Imax")
    refused(changed(keys={"IMaxUser": "5"}), "from 6 to 32")
    refused(changed(keys={"IMaxUser": "33"}), "from 6 to 32")
    refused(changed(keys={"IMaxUser": "16.5"}), "a whole number")
    refused(changed(keys={"PhaseNumber": "2"}), "1 or 3")
    refused(changed(model="Evh5A07N2C7", keys={"PhaseNumber": "3"}), "PhaseNumber: 1")
    refused(changed(model="Evh5A11N2C7", keys={"IMaxUser": "20"}), "from 6 to 16")
    refused(changed(keys={"TICmode": "7"}), "TICmode")
    refused(changed(wifi={"ssid": "", "key": "long enough"}), "ssid")
    refused(changed(wifi={"ssid": "x" * 33, "key": "long enough"}), "ssid")
    refused(changed(wifi={"ssid": "x", "key": "short"}), "key")
    refused(changed(wifi="House"), "wifi")
    refused(changed(wifi={"ssid": "x", "key": "long enough", "Key": "y"}), "no such entry: Key")
    refused(changed(keys={"CpoName": "x", "cponame": "y"}), "CpoName: given twice")
    refused(changed(insecure="false"), "insecure: true or false")
    refused(changed(insecure=0), "insecure: true or false")
    refused(changed(aiorepl=None), "aiorepl: true or false")
    refused(changed(ntp="a b"), "ntp")
    refused(changed(unit=1.5), "unit")
    refused(changed(ca=5), "ca: a file")
    refused(changed(meter="Ferraris"), "no such meter")
    refused(changed(unit=248), "unit")
    refused(changed(baud=9601), "baud: 1200")
    refused(changed(baud=True), "baud: 1200")
    refused(changed(parity="M"), "parity: N, E or O")
    refused(changed(parity=""), "parity: N, E or O")
    refused(changed(tic_pause_s=29), "tic_pause_s: from 30")
    refused(changed(tic_pause_s=86401), "tic_pause_s: from 0 to 86400")
    refused(changed(tic_pause_s=-1), "tic_pause_s")
    refused(changed(switch_s=14), "switch_s: from 15 to 120")
    refused(changed(switch_s=121), "switch_s: from 15 to 120")
    refused(changed(board="arduino"), "no such board")
    refused(changed(pins={"permit": "35"}), "permit")
    refused(changed(pins={"pp": "-"}), "a socket needs pp")
    refused(changed(pins={"lock_close": "-", "lock_open": "-"}), "a socket needs lock_close")
    cable = changed(model="Evh5A22N2S", keys={}, pins={"pp": "-"})
    cable["model"] = "Evh5A07N2C7"
    assert provisioning.check(cable).pins["pp"] == "-"


def test_the_pins_are_those_of_the_chip():
    given = {"model": "Evh5A07N2C7"}
    for chip, meter_rx in (
        ("", "16"),
        ("esp32", "16"),
        ("esp32+psram", "15"),
        ("esp32s3+psram", "14"),
    ):
        assert provisioning.check(given, chip).pins["meter_rx"] == meter_rx
    try:
        provisioning.check(dict(given, board="devkit"), "esp32+psram")
        assert False
    except ValueError as why:
        assert "board: devkit is for the chip esp32," in str(why) and "wrover" in str(why)
