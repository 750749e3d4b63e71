"""Charging profiles to limits (OCPP 3.13, 5.16, 7.8 to 7.14): one pure pipeline of integers.

Profiles are a table of columns: arrays, indexed by the profile's slot, in the order of
profile_store.ROW: rank (purpose and connector, below), 255 - stack level, flags (KIND bits, and
POWER where limits are in W), number of periods, validFrom, validTo, startSchedule, duration, the
transaction's number, id.
Packed periods are all their starts (u32, s), all their limits (u32, 0.1 A or 0.1 W), and of each
the phases wished (1 or 3).

Times are seconds since EPOCH, so that they are small integers on 32 bits until 2059; NEVER and
ALWAYS stand for all that is outside of these.
"""

from struct import unpack_from

from firmware.base.runtime import const

EPOCH = 1735689600  # 2025-01-01, in Unix seconds
NEVER = (1 << 30) - 1
ALWAYS = -(1 << 30)

PERIOD_SIZE = 9

# The rank: ChargePointMaxProfile; then, whichever comes first, TxProfile, TxDefaultProfile on the
# connector, TxDefaultProfile on connector 0.
STATION, TX, OWN_DEFAULT, DEFAULT = range(4)
ABSOLUTE, DAILY, WEEKLY, RELATIVE = range(4)
KIND, POWER = 3, 4
RECURRENCE = (0, 86400, 604800, 0)

_PIECE = const(16)  # slots
_KEPT = const(3)  # profiles whose periods are kept while a schedule goes to and fro between them


def _stack(table, order, periods, t, number, started, phases, power, wake):
    """One of the two stacks: yields as `limits` does, NEVER standing for no limit. The first
    profile in the order that runs wins; what comes after it isn't looked at, and periods are read
    only of winners. (Written out in one piece: on the device, 200 rows take 15 ms like this.)"""
    ranks, _, flags, _, valid_from, valid_to, starts, durations, numbers, _ = table
    never, tx, relative, recurrences = NEVER, TX, RELATIVE, RECURRENCE  # locals are faster
    kept = {}
    lows = [ALWAYS] * (len(order) // _PIECE + 1)  # the least of `wake` in each piece of the order
    found = [0, 0, 0, 0]
    while True:
        until = never
        run = -1  # seconds that the winner's schedule has been running
        overruled = False
        for first in range(0, len(order), _PIECE):
            least = lows[first // _PIECE]
            if least > t:
                if least < until:
                    until = least
                continue
            least = never
            for slot in order[first : first + _PIECE]:
                end = wake[slot]
                if end <= t:
                    rank = ranks[slot]
                    if overruled and rank > tx:
                        break
                    end = valid_to[slot]
                    if t < valid_from[slot]:
                        end = valid_from[slot]
                    elif t >= end or rank == tx and numbers[slot] != number:
                        end = never
                    else:
                        kind = flags[slot] & 3
                        since = t - (started if kind == relative else starts[slot])
                        edge = never
                        if since < 0:
                            edge = t - since
                        else:
                            duration = durations[slot]
                            recurrence = recurrences[kind]
                            if recurrence:
                                since %= recurrence
                                edge = t - since + recurrence
                            if duration == never:
                                run = since
                            elif since < duration:
                                run = since
                                edge = t - since + duration
                        if edge < end:
                            end = edge
                        if rank == tx:
                            overruled = True  # valid: no TxDefaultProfile counts, running or not
                        if run >= 0:
                            if end < until:
                                until = end
                            break
                    if not overruled:
                        wake[slot] = end
                if end < until:
                    until = end
                if end < least:
                    least = end
            else:
                lows[first // _PIECE] = ALWAYS if overruled else least
                continue
            break
        found[0] = until
        found[1] = found[2] = never
        found[3] = 3
        if run >= 0:
            data = kept.get(slot)
            if data is None:
                if len(kept) >= _KEPT:
                    kept.clear()
                data = kept[slot] = periods(slot)
            if not data:  # lost: as if it weren't there
                wake[slot] = never
                continue
            low = 0
            high = count = len(data) // PERIOD_SIZE
            while high - low > 1:
                middle = (low + high) // 2
                if unpack_from("<I", data, middle * 4)[0] <= run:
                    low = middle
                else:
                    high = middle
            limit = unpack_from("<I", data, (count + low) * 4)[0]
            if high < count:
                following = t - run + unpack_from("<I", data, high * 4)[0]
                found[0] = until = min(until, following)
            watts = flags[slot] & POWER
            if power:
                found[1] = limit if watts else limit * 230 * phases
            else:
                found[1] = limit * 10 // (23 * phases) if watts else limit * 100
            if watts:
                found[2] = limit
            found[3] = data[count * 8 + low]
        yield found
        t = until


def limits(
    table,
    orders,
    periods,
    t: int,
    number: int,
    started: int,
    phases: int,
    top: int,
    power: bool,
    wake,
):
    """Yields what holds from t on, piece by piece, in the same list each time: [until, limit, W
    limit, phases wished].

    `orders`: the slots of the ChargePointMaxProfiles and of all others, each sorted by rank and
    the column after it; `periods(slot)`: the packed periods. `number`: of the running transaction,
    `started`: when it did. The limit is in mA on each phase, with `power` in 0.1 W over the
    `phases` connected, and at most `top`; the W limit (0.1 W, NEVER: none) is the least that was
    given in W. Two pieces in a row may be equal; the last has until NEVER.

    `wake`: an array of, by slot, until when a profile need not be looked at again, ALWAYS at
    first. It may be used again for the same transaction and a later t.
    """
    one = _stack(table, orders[0], periods, t, number, started, phases, power, wake)
    two = _stack(table, orders[1], periods, t, number, started, phases, power, wake)
    first = next(one)
    second = next(two)
    both = [0, 0, 0, 0]
    while True:
        for i in range(4):
            both[i] = min(first[i], second[i])
        both[1] = min(both[1], top)
        yield both
        if both[0] >= NEVER:
            return
        if first[0] == both[0]:
            next(one)
        if second[0] == both[0]:
            next(two)
