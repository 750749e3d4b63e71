"""Charging profiles to limits over time (OCPP 3.13, 5.7, 7.8 to 7.14), in integers.

The same evaluation gives the limit of this moment, its first piece, and the composite schedule,
all of its pieces. An example, all times in seconds from now:

    a TxDefaultProfile of level 0      runs from -100 on       16 A
    a TxDefaultProfile of level 1      runs from 300 to 900    20 A, from its second 200 on 8 A
    a ChargePointMaxProfile            runs from -100 on       32 A, from its second 800 on 10 A

    the connector's stack              the station's stack     the least of both is yielded
        0 to 300     level 0: 16 A         0 to 700   32 A         0 to 300     16 A
        300 to 500   level 1: 20 A         700 on     10 A         300 to 500   20 A
        500 to 900   level 1: 8 A                                  500 to 700    8 A
        900 on       level 0: 16 A                                 700 to 900    8 A
                                                                   900 on       10 A

In each stack the winner is looked for once, and not again before a profile that comes before it,
or itself, begins or ends (300, 900); until then only its charging periods are gone through (500).
"""

from collections import namedtuple

from firmware.base.runtime import const
from firmware.charging.evse import current_ma, power_dw
from firmware.smart_charging.profile import (
    ALWAYS,
    ANY_PHASES,
    NEVER,
    RECURRENCE_S,
    RELATIVE,
    TX,
    last_period,
    period_in_force,
    period_limit,
    period_phases,
    period_start,
)

# A limit that holds until `until` (s since EPOCH, NEVER in the last piece). `limit` is in mA on
# each phase, or in 0.1 W over the connected phases where that was asked for. `power_limit` is the
# lowest limit that was given in W, in 0.1 W, NEVER for none. `phases`: the wish, ONE_PHASE,
# THREE_PHASES or ANY_PHASES.
Piece = namedtuple("Piece", ("until", "limit", "power_limit", "phases"))

_GROUP = const(16)  # slots
_RECORDS = const(3)  # kept in RAM while the winner changes between profiles
_NOBODY = const(-1)


class Evaluation:
    """The limits by the profiles in a ProfileTable, from the moment `t` on (s since EPOCH).

    `record_of(slot)` returns a profile's record, or None when it is lost. `transaction` is the
    `store.transaction_number` of the running transaction, and `started` is when it began; where
    none is running, a transaction that begins at `t` is assumed. `phases`: how many are connected.

    `skip_until` is an array like the table's; it may be used again for the same transaction and a
    later `t`. `searches` counts the searches through all profiles, which take most of the time.
    """

    def __init__(self, table, record_of, transaction, t, started, phases, skip_until):
        self.table = table
        self.record_of = record_of
        self.transaction = transaction
        self.t = t
        self.started = started
        self.phases = phases
        self.skip_until = skip_until
        self.searches = 0

    def pieces(self, maximum: int, in_watts: bool = False):
        """Yields the Pieces one after the other. Their limit is at most `maximum`, in the same
        unit. Two in a row may be alike; the last one has until NEVER."""
        table = self.table
        of_station = self._stack(table.station_order, in_watts)
        of_connector = self._stack(table.connector_order, in_watts)
        one = next(of_station)
        two = next(of_connector)
        while True:
            until = min(one.until, two.until)
            yield Piece(
                until,
                min(one.limit, two.limit, maximum),
                min(one.power_limit, two.power_limit),
                min(one.phases, two.phases),
            )
            if until >= NEVER:
                return
            if one.until == until:
                one = next(of_station)
            if two.until == until:
                two = next(of_connector)

    def _stack(self, order, in_watts):
        """Yields the Pieces of the profiles in one of the table's orders; their limit is NEVER
        where no profile runs."""
        quiet_until = [ALWAYS] * ((len(order) + _GROUP - 1) // _GROUP)
        records = {}
        t = self.t
        while True:
            winner, begun, until = self._find_winner(order, quiet_until, t)
            if winner == _NOBODY:
                yield Piece(until, NEVER, NEVER, ANY_PHASES)
                t = until
                continue
            record = records.get(winner)
            if record is None:
                if len(records) >= _RECORDS:
                    records.clear()
                record = records[winner] = self.record_of(winner)
            if not record:  # it is lost: as if it were not installed
                self.skip_until[winner] = NEVER
                continue
            watts = self.table.in_watts[winner]
            index = period_in_force(record, t - begun)
            last = last_period(record)
            while t < until:
                end = until
                if index < last:
                    end = min(end, begun + period_start(record, index + 1))
                limit = period_limit(record, index)
                yield Piece(
                    end,
                    self._converted(limit, watts, in_watts),
                    limit if watts else NEVER,
                    period_phases(record, index),
                )
                t = end
                index += 1

    def _converted(self, limit, watts, in_watts):
        """Converts a charging period's limit from 0.1 W or 0.1 A to 0.1 W or mA, as was asked
        for."""
        if watts:
            return limit if in_watts else current_ma(limit, self.phases)
        return power_dw(limit * 100, self.phases) if in_watts else limit * 100

    def _find_winner(self, order, quiet_until, t):
        """(the slot of the first profile whose schedule runs at `t`, or _NOBODY; when this run of
        its schedule began; until when nothing of that changes).

        Profiles after the winner aren't looked at, nor groups that are quiet: none of their
        profiles begins to run before `quiet_until`. (Written out in one piece, with everything in
        local variables, since it goes through 200 profiles in a row.)
        """
        self.searches += 1
        table = self.table
        skip_until = self.skip_until
        ranks = table.ranks
        kinds = table.kinds
        valid_from = table.valid_from
        valid_to = table.valid_to
        starts = table.starts
        durations = table.durations
        recurrence_s = RECURRENCE_S
        never = NEVER
        tx = TX
        relative = RELATIVE
        until = never
        begun = never  # when the winner's schedule began, once there is a winner
        overruled = False  # a TxProfile is valid: TxDefaultProfiles don't count, it runs or not
        for number in range(len(quiet_until)):
            least = quiet_until[number]
            if least <= t:
                least = never
                for slot in order[number * _GROUP : (number + 1) * _GROUP]:
                    end = skip_until[slot]
                    if end <= t:
                        rank = ranks[slot]
                        if overruled and rank > tx:
                            return _NOBODY, 0, min(until, least)
                        end = valid_to[slot]
                        if t < valid_from[slot]:
                            end = valid_from[slot]
                        elif t >= end or (
                            rank == tx and table.transactions[slot] != self.transaction
                        ):
                            end = never
                        else:
                            kind = kinds[slot]
                            since = t - (self.started if kind == relative else starts[slot])
                            change = never
                            if since < 0:
                                change = t - since
                            else:
                                recurrence = recurrence_s[kind]
                                if recurrence:
                                    since %= recurrence
                                    change = t - since + recurrence
                                duration = durations[slot]
                                if duration == never:
                                    begun = t - since
                                elif since < duration:
                                    begun = t - since
                                    change = begun + duration
                            if change < end:
                                end = change
                            if begun != never:
                                return slot, begun, min(until, least, end)
                            if rank == tx:
                                overruled = True
                        if not overruled:
                            skip_until[slot] = end
                    if end < least:
                        least = end
                quiet_until[number] = ALWAYS if overruled else least
            if least < until:
                until = least
        return _NOBODY, 0, until
