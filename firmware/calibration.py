"""Measures what the pilot's ADC pin reads at +12 and -12 V, and stores it for the next start
(docs/wiring.md, Levels). For a station that has ended: nothing else may use the board."""

import json
import os

from firmware import provisioning
from firmware.base.runtime import const

_MOST_OFF_MV = const(150)  # from the values as calculated: about 1.8 V of CP
_BURSTS = const(16)  # whose mean counts; as many before them let the voltage settle


def calibrate(board, chip: str) -> list:
    """Returns lines that say what was measured; `provision.json` has both levels then, for the
    next start. `chip`: as `runtime.chip` names it. Raises ValueError with a text that says what to
    do; then nothing was stored."""
    with open(provisioning.FILE) as file:
        given = json.load(file)
    used = provisioning.check(given, chip).pins
    minus_mv, plus_mv = int(used["cp_minus_mv"]), int(used["cp_plus_mv"])
    changes = dict(given.get("pins", {}))
    for name in ("cp_minus_mv", "cp_plus_mv"):
        changes.pop(name, None)
    given["pins"] = changes
    calculated = provisioning.check(given, chip).pins
    board.permit(False)
    for name, permille in (("cp_plus_mv", 1000), ("cp_minus_mv", 0)):
        board.pilot(permille)
        cp_mv = _mean(board)
        if board.adc_error:
            raise ValueError(board.adc_error)
        # back to what the pin reads, by the two levels that the board counts with
        changes[name] = str(minus_mv + ((cp_mv + 12000) * (plus_mv - minus_mv) + 12000) // 24000)
    board.pilot(1000)
    for name in ("cp_plus_mv", "cp_minus_mv"):
        off = int(changes[name]) - int(calculated[name])
        if abs(off) > _MOST_OFF_MV:
            raise ValueError(
                "%s: the pin reads %s mV, %d off what docs/wiring.md says: unplug the cable; else"
                " check the supply, R1 to R8 and the driver. Nothing was stored"
                % (name, changes[name], off)
            )
    provisioning.check(given, chip)
    with open(provisioning.FILE + ".new", "w") as file:
        json.dump(given, file)
    os.rename(provisioning.FILE + ".new", provisioning.FILE)
    return ["%s=%s mV" % (name, changes[name]) for name in ("cp_plus_mv", "cp_minus_mv")]


def _mean(board):
    """The mean of CP's voltage, mV."""
    total = count = 0
    for n in range(2 * _BURSTS):
        board.read()
        if n >= _BURSTS:
            total += sum(board.burst)
            count += len(board.burst)
    return total // count
