"""The beginning and the end of a transaction (OCPP 4.8, 4.10): read the meter, write the record.

Loaded for it and dropped again.
"""

import asyncio

from firmware.base import runtime

_OPEN_MS = 7000
_SLICE_MS = 50


async def _reading(session, wait_ms=3000):
    """`Meter.read_now`. A meter that says nothing, or takes its time, takes longer than the turn
    that the supervisor gives this task: it is told that this is a wait, and no hang-up. What
    makes the waits end is the meter's task, which is watched for itself."""
    reading = asyncio.create_task(session.meter.read_now(wait_ms))
    try:
        while not reading.done():
            session.alive = True
            await session.clock.sleep_ms(_SLICE_MS)
        return await reading
    finally:
        reading.cancel()


async def start(session, who) -> None:
    """Begins the transaction of who is authorised, if the meter answers and the car is there."""
    reading = await _reading(session)
    if reading is None or not session.evse.plugged or session.authorised is not who:
        return  # no energy is given away unmeasured; the meter's fault says the rest
    held = session.reservation
    try:
        running = session.transactions.start(
            1,
            who.id_tag,
            reading.get("energy", 0),
            held[1] if held else None,
            session.clock.ms(),
            session.stop_data(reading),
        )
    except OSError as why:
        session.log.error("no transaction: %s", why)
        session.forget()
        return
    if held:
        runtime.once("firmware.charging.reservation", "end", session, "is used up")
    session.parent = who.parent
    session.authorised = None
    session.denied = False
    session.kept = None
    if who.profile:
        take, record = who.profile
        await take(record, running)
    session.log.info("transaction started for %s", who.id_tag)


async def stop(session) -> None:
    """Ends the running transaction, with the last good reading if the meter is silent."""
    reason, id_tag = session.stops
    evse = session.evse
    evse.enabled = False
    # The car has up to 6 s to stop drawing (IEC 61851-1), and what it draws is on its bill.
    until = session.clock.ms() + _OPEN_MS
    while evse.contactor and session.clock.ms() < until:
        session.alive = True
        await session.clock.sleep_ms(100)
    reading = await _reading(session)
    running = session.transaction
    energy = (reading or session.meter.last or {}).get("energy", running.meter_start)
    data = session.stop_data(reading)
    session.transactions.stop(reason, energy, session.clock.ms(), id_tag, data)
    session.stops = None
    session.used = evse.plugged
    session.denied = False
    if reason == "DeAuthorized" and evse.plugged:
        session.kept = ""
    elif reason == "EVDisconnected":
        if not session.config.on("UnlockConnectorOnEVSideDisconnect"):
            session.kept = running.id_tag
    session.done.set()
    session.log.info("transaction stopped: %s, %d Wh", reason, energy - running.meter_start)


async def recover(session) -> None:
    """Closes what the last power cut or restart left open, with the register if it answers."""
    reading = await _reading(session, 30000)
    energy = (reading or {}).get("energy", -1)
    reach = session.meter.registers.step(energy)  # and what a minute, without record, delivers
    reach += session.config.int("IMaxUser") * session.config.int("PhaseNumber") * 265 // 60
    session.transactions.recover(session.cause, energy, reach)
