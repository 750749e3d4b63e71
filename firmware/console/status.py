"""What the console's `status` says: one line of JSON."""

import json

from firmware.base import runtime, times
from firmware.charging import faults


def status(station) -> str:
    """The line."""
    evse = station.evse
    running = station.session.transaction
    reading = station.meter.last or {}
    active = evse.faults.active
    energy = reading.get("energy", 0)
    transaction = None
    if running:
        started = station.clock.epoch_at(running.started_ms)
        transaction = {
            "id": running.transaction_id,
            "id_tag": running.id_tag,
            "started": times.text(started) if started else None,
            "energy_wh": max(0, energy - running.meter_start),
        }
    return json.dumps(
        {
            "status": station.notifier.status,
            "error": faults.row(active[0])[4] if active else "NoError",
            "vendor_error": active[0] if active else "",
            "plugged": evse.plugged,
            "pilot": evse.pilot,
            "duty": evse.duty,
            "contactor": "closed" if evse.contactor else "open",
            "locked": evse.locked,
            "phases": evse.phases,
            "offered_ma": evse.offered_ma,
            "limits": evse.limits.all(),
            "limited_by": evse.limits.who,
            "transaction": transaction,
            "energy_wh": energy,
            "power_w": reading.get("power", 0) // 10,
            "link": station.link.state,
            "registration": station.registration.status,
            "queue": station.transactions.pending,
            "tic": {
                "detected": station.tic.detected,
                "mode": station.config.int("TICmode"),
                "found": _tic_found(station.tic),
            },
            "uptime_s": station.clock.ms() // 1000,
            "heap_free": runtime.heap_free(),
            "safe": station.safe,
        }
    )


def _tic_found(tic):
    """Which TIC the newest frame was of; None without one."""
    if not (tic.detected and tic.frame):
        return None
    return "standard" if "ADSC=" in tic.frame else "historique"
