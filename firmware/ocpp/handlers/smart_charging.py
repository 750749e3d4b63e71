"""SetChargingProfile, ClearChargingProfile, GetCompositeSchedule, and the profile inside
RemoteStartTransaction (OCPP 3.13, 5.5, 5.7, 5.16)."""

import asyncio
from array import array

from firmware.base import times
from firmware.base.runtime import const
from firmware.charging.evse import power_dw
from firmware.ocpp import CallError
from firmware.smart_charging.profile import (
    EPOCH,
    NEVER,
    ONE_PHASE,
    begin_record,
    connector,
    fill_record,
    purpose,
)


async def SetChargingProfile(station, payload):
    """Installs or replaces a profile. What can't be installed is Rejected, with the reason in the
    log; a connector that isn't there is a CALLERROR (errata 3.39)."""
    connector_id = payload["connectorId"]
    if connector_id > 1:
        raise CallError("PropertyConstraintViolation", "connectorId: there are 0 and 1")
    profile = payload["csChargingProfiles"]
    async with station.profiles.changing:
        try:
            running = _transaction_for(station, profile)
            number = running.position if running else -1
            record = await _record(station, profile, connector_id, number)
            if _transaction_for(station, profile) is not running:
                raise ValueError("not the transaction that runs by now")
        except ValueError as why:
            station.log("profiles").warning("rejected: %s", why)
            return {"status": "Rejected"}
        if not await station.profiles.install(record):
            return {"status": "Rejected"}
    station.limit_controller.reconsider()
    return {"status": "Accepted"}


def _transaction_for(station, profile):
    """The transaction that a TxProfile from SetChargingProfile is for, None for another profile.
    Raises ValueError with the reason where it must be rejected."""
    if profile["chargingProfilePurpose"] != "TxProfile":
        return None
    running = station.transactions.running
    if not running:
        raise ValueError("no transaction is running")
    if profile.get("transactionId", running.transaction_id) != running.transaction_id:
        raise ValueError("not the running transaction")
    return running


async def _record(station, profile, connector_id, transaction):
    """The record of a profile, for the transaction of this number. Others have a turn in between.
    Raises ValueError with the reason where it must be rejected."""
    record = begin_record(profile, connector_id, transaction, station.profiles.now())
    await asyncio.sleep(0)
    fill_record(record, profile["chargingSchedule"]["chargingSchedulePeriod"])
    return record


async def record_for_start(station, profile: dict) -> bytearray | None:
    """The record of the chargingProfile of a RemoteStartTransaction (OCPP 5.16.2), to be installed
    when the transaction starts. None, and the log says why: it can't be used."""
    try:
        if profile["chargingProfilePurpose"] != "TxProfile":
            raise ValueError("not a TxProfile")
        if "transactionId" in profile:
            raise ValueError("with a transactionId")
        record = await _record(station, profile, 1, 0)
        if not station.profiles.has_room(record):
            raise ValueError("no room for one more")
        return record
    except ValueError as why:
        station.log("profiles").warning("remote start rejected: its profile: %s", why)
        return None


async def ClearChargingProfile(station, payload):
    """Removes the profile with the given id; without an id, all that match every given field
    (errata 3.25, 3.26)."""
    table = station.profiles.table
    wanted_id = payload.get("id")
    wanted_purpose = payload.get("chargingProfilePurpose")
    wanted_connector = payload.get("connectorId")
    wanted_level = payload.get("stackLevel")

    def matches(slot):
        if wanted_id is not None:
            return table.identity(slot) == wanted_id
        rank = table.ranks[slot]
        return (
            (wanted_purpose is None or purpose(rank) == wanted_purpose)
            and (wanted_connector is None or connector(rank) == wanted_connector)
            and (wanted_level is None or table.levels[slot] == wanted_level)
        )

    async with station.profiles.changing:
        if not await station.profiles.clear(matches):
            return {"status": "Unknown"}
    station.limit_controller.reconsider()
    return {"status": "Accepted"}


_MAX_PERIODS = const(100)  # in an answer
_MAX_PIECES = const(1000)  # that are looked at for it: not each of them changes the limit
_PIECES_AT_ONCE = const(8)


async def GetCompositeSchedule(station, payload):
    """The limits from now on, in at most _MAX_PERIODS periods; the answer's `duration` says how
    far they go. Connector 0 has the limits of the only connector."""
    if payload["connectorId"] > 1:
        return {"status": "Rejected"}
    unit = payload.get("chargingRateUnit", "A")
    table = station.profiles.table
    changes = None
    while changes != table.changes:  # again, if another task has changed the profiles meanwhile
        changes = table.changes
        maximum = station.max_ma
        phases = station.evse.phases
        # `plan` starts from what this finds
        station.profile_limit.now(station.transactions.running, phases, maximum)
        await asyncio.sleep(0)
        plan = station.profile_limit.plan(station.transactions.running, phases)
        if unit == "W":
            maximum = power_dw(maximum, phases)
        periods, covered = await _periods(plan, maximum, payload["duration"], unit == "W")
    return {
        "status": "Accepted",
        "connectorId": payload["connectorId"],
        "scheduleStart": times.text(plan.t + EPOCH),
        "chargingSchedule": {
            "duration": covered,
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": periods,
        },
    }


async def _periods(plan, maximum, duration, in_watts):
    """(chargingSchedulePeriod, equal neighbours merged; the seconds that they cover). Others run
    after each search for the profile that wins, which takes longest."""
    t = plan.t
    end = min(t + duration, NEVER)
    starts = array("i")
    limits = array("i")  # 0.1 A or 0.1 W
    one_phases = bytearray()  # 1 where the profiles wish one phase
    pieces = 0
    searches = plan.searches
    for piece in plan.pieces(maximum, in_watts):
        limit = piece.limit if in_watts else piece.limit // 100
        one_phase = piece.phases == ONE_PHASE
        if not limits or limit != limits[-1] or one_phase != one_phases[-1]:
            if len(limits) == _MAX_PERIODS:
                break
            starts.append(t - plan.t)
            limits.append(limit)
            one_phases.append(one_phase)
        t = min(piece.until, end)
        pieces += 1
        if t >= end or pieces == _MAX_PIECES:
            break
        if plan.searches != searches or pieces % _PIECES_AT_ONCE == 0:
            searches = plan.searches
            await asyncio.sleep(0)
    periods = (  # a generator: they are made as they are written
        _period(start, limit, one_phase)
        for start, limit, one_phase in zip(starts, limits, one_phases)
    )
    return periods, t - plan.t


def _period(start, limit, one_phase):
    """A ChargingSchedulePeriod; `limit` in 0.1 A or 0.1 W. Without numberPhases it is three (OCPP
    7.14)."""
    period = {"startPeriod": start, "limit": limit // 10 if limit % 10 == 0 else limit / 10}
    if one_phase:
        period["numberPhases"] = 1
    return period
