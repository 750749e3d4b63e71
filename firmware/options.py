"""What a start is told: by the command line on a PC, by `provision.json` on the device."""

from firmware.ocpp import keys


class Options:
    """As a PC that is told nothing has them."""

    def __init__(self):
        self.restart_reason = "PowerLoss"  # OCPP's, for a transaction that was left open
        self.model = "Evh5A22N2S"  # the commercial reference
        self.state = "state"  # the folder that is the station's flash
        self.run_keys = {}  # configuration keys for this run only: exact name -> checked value
        self.provisioned_keys = {}  # what the data reset goes back to
        self.meter_model = "iEM3155"
        self.meter_device = None  # a serial device of a PC; None: the board's own line
        self.meter_unit = 1  # its Modbus address
        self.meter_baud = None  # None: as the model is delivered
        self.meter_parity = None  # N, E or O, likewise
        self.tic_device = None  # as meter_device
        self.tic_pause_s = 600  # a TIC line that is silent for so long pauses the charge; 0: never
        self.switch_s = 60  # how long a vehicle rests when its phases are switched
        self.ca = None  # the file with the CA's certificates
        self.insecure = False  # the operator's word that TLS needs no CA
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
