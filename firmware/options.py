"""The command line on a PC (see `--help`): loaded once at start-up."""

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
  --insecure-tls        no CA needed for wss with security profile 2 (logged each time)
  --speed N             the station's clock runs N times faster (1 to 1000)"""


def parse(words: list, options) -> None:
    """Fills in `options`: attributes run (keys for this run), model, state, meter (None, or model,
    device and unit), baud and parity (None: the model's), tic, ca, speed, cause, and what only an
    installer says (device.py). Raises ValueError with one clear line."""
    options.run = {}
    options.model = "Evh5A22N2S"
    options.state = "state"
    options.meter = options.tic = options.ca = None
    options.baud = options.parity = None
    options.tic_pause_s = 600
    options.switch_s = 60
    options.insecure = False
    options.speed = 1
    options.cause = "PowerLoss"
    words = list(words)
    while words:
        name, sign, value = words.pop(0).partition("=")
        if name == "--simulate":
            continue
        if name == "--insecure-tls":
            options.insecure = True
            continue
        if name[:2] != "--" or "\n  " + name + " " not in HELP:
            raise ValueError("no such option: %s (see --help)" % name)
        if not sign:
            if not words:
                raise ValueError("%s needs a value" % name)
            value = words.pop(0)
        _take(options, name, value)


def _take(options, name, value):
    if name == "--supervision-url":
        _key(options, "SupervisionUrl", value)
    elif name == "--box-id":
        _key(options, "BoxIdentifier", value)
    elif name == "--model":
        from firmware.charging import models

        options.model = models.find(value).name
    elif name == "--state":
        options.state = value
    elif name == "--key":
        key, sign, value = value.partition("=")
        if not sign:
            raise ValueError("--key NAME=VALUE")
        _key(options, key, value)
    elif name == "--meter":
        from firmware.sensing import meters

        model, _, device = value.partition(":")
        unit = 1
        line = device[device.rfind(":") + 1 :] if ":" in device else ""
        if line[-1:] == "1" and line[-2:-1].upper() in ("N", "E", "O") and line[:-2].isdigit():
            device = device[: -len(line) - 1]
            options.baud, options.parity = meters.line(line[:-2], line[-2].upper())
        if ":" in device and device[device.rfind(":") + 1 :].isdigit():
            device, _, number = device.rpartition(":")
            unit = int(number)
        if not device or not 1 <= unit <= 247:
            raise ValueError("--meter MODEL:DEVICE[:UNIT][:9600N1], unit 1 to 247")
        options.meter = (meters.known(model), device, unit)
    elif name == "--tic":
        options.tic = value
    elif name == "--ca":
        options.ca = value
        try:
            open(value, "rb").close()
        except OSError:
            raise ValueError("--ca %s: no such file, or it can't be read" % value) from None
    elif name == "--speed":
        if not value.isdigit() or not 1 <= int(value) <= 1000:
            raise ValueError("--speed from 1 to 1000")
        options.speed = int(value)


def _key(options, name, value):
    from firmware.ocpp import keys
    from firmware.ocpp.handlers import configuration

    key = keys.row(name)
    if not key:
        raise ValueError("no such key: %s" % name)
    try:
        options.run[key[0]] = configuration.check(key, value)
    except ValueError as why:
        raise ValueError("%s: %s" % (key[0], why))
