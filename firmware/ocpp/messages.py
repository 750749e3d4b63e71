"""The messages of OCPP 1.6 that the guide lists (guide pages 9 and 10), and the fields of each.

A row is `Name.req` or `Name.conf`, a class (OCPP 7), or an enumeration, which is just its values.
A field is its name, its kind, and whether the message must have it (OCPP 6). Kinds:

    i i0        an integer; an integer from 0
    d           a decimal from 0 with at most one digit of fraction
    b           a boolean
    t           a dateTime: what is received becomes Unix seconds
    s s20       text; text of at most 20 characters
    A|B         one of these
    Name        a class or an enumeration with a row of its own
    [kind]      a list; [kind+] a list that is not empty
    (kind)      a list that is not empty, of charging periods, which become numbers as they are
                received (charging_periods.py)

Here is what the station receives. What it sends is checked by tests only, against
host_tests/both/sent_messages.py.
"""

from firmware.base.runtime import const

REQUIRED = const(1)
OPTIONAL = const(0)

# What the guide marks as not supported.
NOT_SUPPORTED = ("ChangeAvailability", "ClearCache", "GetLocalListVersion", "SendLocalList")

MESSAGES: dict = {
    "ChargingProfile": (
        ("chargingProfileId", "i", REQUIRED),
        ("transactionId", "i", OPTIONAL),
        ("stackLevel", "i0", REQUIRED),
        ("chargingProfilePurpose", "Purpose", REQUIRED),
        ("chargingProfileKind", "Absolute|Recurring|Relative", REQUIRED),
        ("recurrencyKind", "Daily|Weekly", OPTIONAL),
        ("validFrom", "t", OPTIONAL),
        ("validTo", "t", OPTIONAL),
        ("chargingSchedule", "ChargingSchedule", REQUIRED),
    ),
    "ChargingSchedule": (
        ("duration", "i0", OPTIONAL),
        ("startSchedule", "t", OPTIONAL),
        ("chargingRateUnit", "A|W", REQUIRED),
        ("chargingSchedulePeriod", "(ChargingSchedulePeriod)", REQUIRED),
        ("minChargingRate", "d", OPTIONAL),
    ),
    "ChargingSchedulePeriod": (
        ("startPeriod", "i0", REQUIRED),
        ("limit", "d", REQUIRED),
        ("numberPhases", "i", OPTIONAL),
    ),
    "IdTagInfo": (
        ("expiryDate", "t", OPTIONAL),
        ("parentIdTag", "s20", OPTIONAL),
        ("status", "Accepted|Blocked|ConcurrentTx|Expired|Invalid", REQUIRED),
    ),
    "Purpose": "ChargePointMaxProfile|TxDefaultProfile|TxProfile",
    "Authorize.conf": (("idTagInfo", "IdTagInfo", REQUIRED),),
    "BootNotification.conf": (
        ("currentTime", "t", REQUIRED),
        ("interval", "i", REQUIRED),
        ("status", "Accepted|Pending|Rejected", REQUIRED),
    ),
    "DataTransfer.conf": (
        ("data", "s", OPTIONAL),
        ("status", "Accepted|Rejected|UnknownMessageId|UnknownVendorId", REQUIRED),
    ),
    "DiagnosticsStatusNotification.conf": (),
    "FirmwareStatusNotification.conf": (),
    "Heartbeat.conf": (("currentTime", "t", REQUIRED),),
    "MeterValues.conf": (),
    "StartTransaction.conf": (
        ("idTagInfo", "IdTagInfo", REQUIRED),
        ("transactionId", "i", REQUIRED),
    ),
    "StatusNotification.conf": (),
    "StopTransaction.conf": (("idTagInfo", "IdTagInfo", OPTIONAL),),
    "CancelReservation.req": (("reservationId", "i", REQUIRED),),
    "ChangeConfiguration.req": (
        ("key", "s50", REQUIRED),
        ("value", "s500", REQUIRED),
    ),
    "ClearChargingProfile.req": (
        ("id", "i", OPTIONAL),
        ("connectorId", "i0", OPTIONAL),
        ("chargingProfilePurpose", "Purpose", OPTIONAL),
        ("stackLevel", "i0", OPTIONAL),
    ),
    "DataTransfer.req": (
        ("vendorId", "s255", REQUIRED),
        ("messageId", "s50", OPTIONAL),
        ("data", "s", OPTIONAL),
    ),
    "GetCompositeSchedule.req": (
        ("connectorId", "i0", REQUIRED),
        ("duration", "i0", REQUIRED),
        ("chargingRateUnit", "A|W", OPTIONAL),
    ),
    "GetConfiguration.req": (("key", "[s50]", OPTIONAL),),
    "GetDiagnostics.req": (
        ("location", "s", REQUIRED),
        ("retries", "i0", OPTIONAL),
        ("retryInterval", "i0", OPTIONAL),
        ("startTime", "t", OPTIONAL),
        ("stopTime", "t", OPTIONAL),
    ),
    "RemoteStartTransaction.req": (
        ("connectorId", "i0", OPTIONAL),
        ("idTag", "s20", REQUIRED),
        ("chargingProfile", "ChargingProfile", OPTIONAL),
    ),
    "RemoteStopTransaction.req": (("transactionId", "i", REQUIRED),),
    "ReserveNow.req": (
        ("connectorId", "i0", REQUIRED),
        ("expiryDate", "t", REQUIRED),
        ("idTag", "s20", REQUIRED),
        ("parentIdTag", "s20", OPTIONAL),
        ("reservationId", "i", REQUIRED),
    ),
    "Reset.req": (("type", "Hard|Soft", REQUIRED),),
    "SetChargingProfile.req": (
        ("connectorId", "i0", REQUIRED),
        ("csChargingProfiles", "ChargingProfile", REQUIRED),
    ),
    "TriggerMessage.req": (
        ("connectorId", "i0", OPTIONAL),
        ("requestedMessage", "MessageTrigger", REQUIRED),
    ),
    "UnlockConnector.req": (("connectorId", "i0", REQUIRED),),
    "UpdateFirmware.req": (
        ("location", "s", REQUIRED),
        ("retries", "i0", OPTIONAL),
        ("retrieveDate", "t", REQUIRED),
        ("retryInterval", "i0", OPTIONAL),
    ),
    "MessageTrigger": (
        "BootNotification|Heartbeat|MeterValues|DiagnosticsStatusNotification|"
        "FirmwareStatusNotification|StatusNotification"
    ),
}
