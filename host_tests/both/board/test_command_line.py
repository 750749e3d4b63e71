"""The command line on a PC."""

from firmware import options
from firmware.sensing.meters import RegisterMap


def refused(words, why):
    try:
        options.parse(words)
    except ValueError as error:
        assert why in str(error), str(error)
        return
    raise AssertionError("taken: %r" % (words,))


def test_a_meter_and_its_line():
    for value, meter, line in (
        ("sdm120:/dev/ttyUSB0", ("SDM120", "/dev/ttyUSB0", 1), (2400, "N")),
        ("SDM120:/dev/ttyUSB0:7", ("SDM120", "/dev/ttyUSB0", 7), (2400, "N")),
        ("SDM120:/dev/ttyUSB0:7:9600N1", ("SDM120", "/dev/ttyUSB0", 7), (9600, "N")),
        ("iEM3155:/dev/ttyUSB0:9600o1", ("iEM3155", "/dev/ttyUSB0", 1), (9600, "O")),
        ("B23:/dev/by-path/pci:1:2:3", ("B23", "/dev/by-path/pci:1:2", 3), (19200, "E")),
    ):
        made = options.parse(("--meter", value))
        assert (made.meter_model, made.meter_device, made.meter_unit) == meter, value
        registers = RegisterMap(meter[0], made.meter_baud, made.meter_parity)
        assert (registers.baud, registers.parity) == line, value


def test_a_line_that_can_not_be_is_refused():
    refused(("--meter", "SDM120:/dev/ttyUSB0:1:9601N1"), "baud: 1200")
    refused(("--meter", "SDM120:/dev/ttyUSB0:248:9600N1"), "unit 1 to 247")
    refused(("--meter", "SDM120::9600N1"), "--meter MODEL:DEVICE")
    refused(("--meter", "SDM120"), "--meter MODEL:DEVICE")
