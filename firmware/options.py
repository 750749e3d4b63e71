"""The options of a start. On a PC they come from the command line (see `--help`), on the device
from `provision.json` (provisioning.py)."""

from firmware.charging import models
from firmware.ocpp import keys
from firmware.sensing import meters


class Options:
    """The values in `__init__` are those of a PC that is started without options."""

    def __init__(self):
        self.restart_reason = "PowerLoss"  # OCPP's, for a transaction that was left open
        self.model = "Evh5A22N2S"  # the commercial reference
        self.state = "state"  # the folder that is the station's flash
        self.run_keys = {}  # configuration keys for this run only: exact name -> checked value
        self.provisioned_keys = {}  # those that the data reset restores, likewise
        self.meter_model = "iEM3155"
        self.meter_device = None  # a serial device of a PC; None: the board's own line
        self.meter_number = ""  # its serial number: another one than before is another meter
        self.meter_unit = 1  # its Modbus address
        self.meter_baud = None  # None: as the model is delivered
        self.meter_parity = None  # N, E or O, likewise
        self.tic_device = None  # as meter_device
        self.feeds_in = False  # the house has panels or the like: see docs/guide-notes.md
        self.tic_pause_s = 600  # a TIC line silent for so long pauses the charging; 0: never
        self.switch_s = 60  # how long the vehicle rests while its phases are switched
        self.ca = None  # the file with the CA's certificates
        self.insecure = False  # the operator accepts TLS without a CA
        self.speed = 1  # the station's clock runs so many times faster
        # only on the device:
        self.started = ""  # why, in words
        self.wifi_ssid = ""  # "": no Wi-Fi
        self.wifi_key = ""  # "": an open network
        self.ntp = ""  # the host that tells the time without a central system
        self.pins = None  # see board/pins.py
        self.aiorepl = False  # Python's prompt in the console's place
        self.dev = False  # a developer's: no watchdog, and Ctrl-C works


def checked_key(name: str, value: str) -> tuple:
    """(the configuration key's exact name, its checked value). Raises ValueError with one clear
    line."""
    key = keys.find(name)
    if not key:
        raise ValueError("no such key: %s" % name)
    try:
        return key.name, keys.check(key, value)
    except ValueError as why:
        raise ValueError("%s: %s" % (key.name, why))


HELP = """usage: main.py [options]
  --simulate            the simulated board (the default on a PC)
  --supervision-url URL SupervisionUrl for this run; empty means standalone
  --box-id ID           BoxIdentifier
  --model CR            the commercial reference, from the guide's table (Evh5A22N2S)
  --state DIR           where the "flash" lives (./state)
  --key NAME=VALUE      sets a configuration key before start-up, once per key
  --meter MODEL:DEVICE[:UNIT][:9600N1]  a Modbus RTU meter on a serial device or a pty;
                        baud and parity (N, E, O), if they are not as delivered
  --tic DEVICE          a TIC line on a serial device or a pty
  --ca FILE             the CA (PEM or DER) that wss and https servers are checked against
  --insecure-tls        no CA needed for wss and https (logged each time)
  --speed N             the station's clock runs N times faster (1 to 1000)"""
# Keys that an installer would have provisioned.
_PROVISIONED = ("SupervisionUrl", "BoxIdentifier")


def parse(arguments: list) -> Options:
    """The options. Raises ValueError with one clear line."""
    options = Options()
    arguments = list(arguments)
    while arguments:
        name, sign, value = arguments.pop(0).partition("=")
        if name == "--simulate":
            continue
        if name == "--insecure-tls":
            options.insecure = True
            continue
        if name[:2] != "--" or "\n  " + name + " " not in HELP:
            raise ValueError("no such option: %s (see --help)" % name)
        if not sign:
            if not arguments:
                raise ValueError("%s needs a value" % name)
            value = arguments.pop(0)
        _take(options, name, value)
    models.check_circuit(models.find(options.model), options.run_keys)
    profile = options.run_keys.get("SecurityProfile", "0")
    if profile in ("1", "2") and ":" in options.run_keys.get("BoxIdentifier", ""):
        raise ValueError("BoxIdentifier: no colon with SecurityProfile 1 or 2 (RFC 7617)")
    for name in _PROVISIONED:
        if name in options.run_keys:
            options.provisioned_keys[name] = options.run_keys[name]
    return options


def _take(options, name, value):
    if name == "--supervision-url":
        _take_key(options, "SupervisionUrl", value)
    elif name == "--box-id":
        _take_key(options, "BoxIdentifier", value)
    elif name == "--model":
        options.model = models.find(value).name
    elif name == "--state":
        options.state = value
    elif name == "--key":
        key, sign, value = value.partition("=")
        if not sign:
            raise ValueError("--key NAME=VALUE")
        _take_key(options, key, value)
    elif name == "--meter":
        _take_meter(options, value)
    elif name == "--tic":
        options.tic_device = value
    elif name == "--ca":
        options.ca = value
        try:
            open(value, "rb").close()
        except OSError:
            raise ValueError("--ca %s: no such file, or it can't be read" % value) from None
    elif name == "--speed":
        if not value.isdigit() or not 1 <= int(value) <= 1000:
            raise ValueError("--speed must be from 1 to 1000")
        options.speed = int(value)


def _take_key(options, name, value):
    name, value = checked_key(name, value)
    options.run_keys[name] = value


def _take_meter(options, text):
    """MODEL:DEVICE[:UNIT][:9600N1]; the device's name may hold colons, too."""
    model, _, device = text.partition(":")
    unit = 1
    line = device[device.rfind(":") + 1 :] if ":" in device else ""
    if line[-1:] == "1" and line[-2:-1].upper() in ("N", "E", "O") and line[:-2].isdigit():
        device = device[: -len(line) - 1]
        settings = meters.line_settings(line[:-2], line[-2].upper())
        options.meter_baud, options.meter_parity = settings
    if ":" in device and device[device.rfind(":") + 1 :].isdigit():
        device, _, number = device.rpartition(":")
        unit = int(number)
    if not device or not 1 <= unit <= 247:
        raise ValueError("--meter MODEL:DEVICE[:UNIT][:9600N1], unit 1 to 247")
    options.meter_model = meters.find_model(model).name
    options.meter_device = device
    options.meter_unit = unit
