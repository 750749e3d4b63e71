"""The options of a start. They come from the command line on a PC, and from `provision.json` on
the device."""

from firmware.ocpp import keys


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
