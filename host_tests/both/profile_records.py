"""The record of a charging profile, made in one go."""

from firmware.smart_charging.profile import begin_record, fill_record


def pack_record(profile, connector_id, transaction, now):
    """See `begin_record`, which has the same arguments and errors."""
    record = begin_record(profile, connector_id, transaction, now)
    fill_record(record, profile["chargingSchedule"]["chargingSchedulePeriod"])
    return record
