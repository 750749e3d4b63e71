"""What the simulated board's lines say in the real formats: Modbus and TIC."""

from firmware.sensing import meter_slave, tic_encode
from firmware.sensing.meters import RegisterMap

METER = "iEM3155"
_SUBSCRIBED_MA = 60000  # of the simulated house, on each phase


class Lines:
    """The far ends of the simulated board's serial lines."""

    def __init__(self):
        self.registers = RegisterMap(METER)

    def slave(self, request: bytes, reading: dict) -> bytes:
        """The meter's answer to a Modbus frame."""
        return meter_slave.answer(self.registers, 1, request, reading)

    def encode(self, mode: str, reading: dict) -> bytes:
        """One TIC frame of the house."""
        phases = [n for n in "123" if "i" + n in reading]
        facts = {
            "i": [reading["i" + n] for n in phases],
            "v": [reading["v" + n] for n in phases],
            "subscribed": _SUBSCRIBED_MA,
            "energy": reading["energy"],
        }
        return tic_encode.frame(1 if mode == "historique" else 2, facts)
