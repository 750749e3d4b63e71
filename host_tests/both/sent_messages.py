"""The rest of ocpp/messages.py: the messages that the station sends, and those that it does not
support. Tests check what goes out against it."""

from firmware.ocpp import CallError, schemas
from firmware.ocpp.schemas import OPTIONAL, REQUIRED


def check(action: str, direction: str, payload) -> None:
    """Raises RuntimeError for a message of ours that is not as it should be."""
    try:
        schemas.check(action, direction, payload, True, MESSAGES)
    except CallError as error:
        raise RuntimeError("%s.%s to be sent: %s" % (action, direction, error))


MESSAGES = {
    "Authorize.req": (("idTag", "s20", REQUIRED),),
    "BootNotification.req": (
        ("chargeBoxSerialNumber", "s25", OPTIONAL),
        ("chargePointModel", "s20", REQUIRED),
        ("chargePointSerialNumber", "s25", OPTIONAL),
        ("chargePointVendor", "s20", REQUIRED),
        ("firmwareVersion", "s50", OPTIONAL),
        ("iccid", "s20", OPTIONAL),
        ("imsi", "s20", OPTIONAL),
        ("meterSerialNumber", "s25", OPTIONAL),
        ("meterType", "s25", OPTIONAL),
    ),
    "DataTransfer.req": (
        ("vendorId", "s255", REQUIRED),
        ("messageId", "s50", OPTIONAL),
        ("data", "s", OPTIONAL),
    ),
    "DiagnosticsStatusNotification.req": (
        ("status", "Idle|Uploaded|UploadFailed|Uploading", REQUIRED),
    ),
    "FirmwareStatusNotification.req": (("status", "FirmwareStatus", REQUIRED),),
    "Heartbeat.req": (),
    "MeterValues.req": (
        ("connectorId", "i0", REQUIRED),
        ("transactionId", "i", OPTIONAL),
        ("meterValue", "[MeterValue+]", REQUIRED),
    ),
    "StartTransaction.req": (
        ("connectorId", "i1", REQUIRED),
        ("idTag", "s20", REQUIRED),
        ("meterStart", "i", REQUIRED),
        ("reservationId", "i", OPTIONAL),
        ("timestamp", "t", REQUIRED),
    ),
    "StatusNotification.req": (
        ("connectorId", "i0", REQUIRED),
        ("errorCode", "ChargePointErrorCode", REQUIRED),
        ("info", "s50", OPTIONAL),
        ("status", "ChargePointStatus", REQUIRED),
        ("timestamp", "t", OPTIONAL),
        ("vendorId", "s255", OPTIONAL),
        ("vendorErrorCode", "s50", OPTIONAL),
    ),
    "StopTransaction.req": (
        ("idTag", "s20", OPTIONAL),
        ("meterStop", "i", REQUIRED),
        ("timestamp", "t", REQUIRED),
        ("transactionId", "i", REQUIRED),
        ("reason", "Reason", OPTIONAL),
        ("transactionData", "[MeterValue]", OPTIONAL),
    ),
    "CancelReservation.conf": (("status", "YesNo", REQUIRED),),
    "ChangeConfiguration.conf": (
        ("status", "Accepted|Rejected|RebootRequired|NotSupported", REQUIRED),
    ),
    "ClearChargingProfile.conf": (("status", "Accepted|Unknown", REQUIRED),),
    "DataTransfer.conf": (
        ("data", "s", OPTIONAL),
        ("status", "Accepted|Rejected|UnknownMessageId|UnknownVendorId", REQUIRED),
    ),
    "GetCompositeSchedule.conf": (
        ("status", "YesNo", REQUIRED),
        ("connectorId", "i0", OPTIONAL),
        ("scheduleStart", "t", OPTIONAL),
        ("chargingSchedule", "ChargingSchedule", OPTIONAL),
    ),
    "GetConfiguration.conf": (
        ("configurationKey", "[KeyValue]", OPTIONAL),
        ("unknownKey", "[s50]", OPTIONAL),
    ),
    "GetDiagnostics.conf": (("fileName", "s255", OPTIONAL),),
    "RemoteStartTransaction.conf": (("status", "YesNo", REQUIRED),),
    "RemoteStopTransaction.conf": (("status", "YesNo", REQUIRED),),
    "ReserveNow.conf": (("status", "Accepted|Faulted|Occupied|Rejected|Unavailable", REQUIRED),),
    "Reset.conf": (("status", "YesNo", REQUIRED),),
    "SetChargingProfile.conf": (("status", "Accepted|Rejected|NotSupported", REQUIRED),),
    "TriggerMessage.conf": (("status", "Accepted|Rejected|NotImplemented", REQUIRED),),
    "UnlockConnector.conf": (("status", "Unlocked|UnlockFailed|NotSupported", REQUIRED),),
    "UpdateFirmware.conf": (),
    "ChangeAvailability.req": (
        ("connectorId", "i0", REQUIRED),
        ("type", "Inoperative|Operative", REQUIRED),
    ),
    "ChangeAvailability.conf": (("status", "Accepted|Rejected|Scheduled", REQUIRED),),
    "ClearCache.req": (),
    "ClearCache.conf": (("status", "YesNo", REQUIRED),),
    "GetLocalListVersion.req": (),
    "GetLocalListVersion.conf": (("listVersion", "i", REQUIRED),),
    "SendLocalList.req": (
        ("listVersion", "i", REQUIRED),
        ("localAuthorizationList", "[AuthorizationData]", OPTIONAL),
        ("updateType", "Differential|Full", REQUIRED),
    ),
    "SendLocalList.conf": (("status", "Accepted|Failed|NotSupported|VersionMismatch", REQUIRED),),
    "AuthorizationData": (
        ("idTag", "s20", REQUIRED),
        ("idTagInfo", "IdTagInfo", OPTIONAL),
    ),
    "KeyValue": (
        ("key", "s50", REQUIRED),
        ("readonly", "b", REQUIRED),
        ("value", "s500", OPTIONAL),
    ),
    "MeterValue": (
        ("timestamp", "t", REQUIRED),
        ("sampledValue", "[SampledValue+]", REQUIRED),
    ),
    "SampledValue": (
        ("value", "s", REQUIRED),
        ("context", "ReadingContext", OPTIONAL),
        ("format", "Raw|SignedData", OPTIONAL),
        ("measurand", "Measurand", OPTIONAL),
        ("phase", "L1|L2|L3|N|L1-N|L2-N|L3-N|L1-L2|L2-L3|L3-L1", OPTIONAL),
        ("location", "Body|Cable|EV|Inlet|Outlet", OPTIONAL),
        ("unit", "UnitOfMeasure", OPTIONAL),
    ),
    "Measurand": (
        "Current.Export|Current.Import|Current.Offered|Energy.Active.Export.Register|"
        "Energy.Active.Import.Register|Energy.Reactive.Export.Register|"
        "Energy.Reactive.Import.Register|Energy.Active.Export.Interval|"
        "Energy.Active.Import.Interval|Energy.Reactive.Export.Interval|"
        "Energy.Reactive.Import.Interval|Frequency|Power.Active.Export|"
        "Power.Active.Import|Power.Factor|Power.Offered|Power.Reactive.Export|"
        "Power.Reactive.Import|RPM|SoC|Temperature|Voltage"
    ),
    "YesNo": "Accepted|Rejected",
    "FirmwareStatus": (
        "Downloaded|DownloadFailed|Downloading|Idle|InstallationFailed|Installing|Installed"
    ),
    "ChargePointErrorCode": (
        "ConnectorLockFailure|EVCommunicationError|GroundFailure|HighTemperature|"
        "InternalError|LocalListConflict|NoError|OtherError|OverCurrentFailure|"
        "OverVoltage|PowerMeterFailure|PowerSwitchFailure|ReaderFailure|ResetFailure|"
        "UnderVoltage|WeakSignal"
    ),
    "ChargePointStatus": (
        "Available|Preparing|Charging|SuspendedEVSE|SuspendedEV|Finishing|Reserved|"
        "Unavailable|Faulted"
    ),
    "Reason": (
        "DeAuthorized|EmergencyStop|EVDisconnected|HardReset|Local|Other|PowerLoss|"
        "Reboot|Remote|SoftReset|UnlockCommand"
    ),
    "ReadingContext": (
        "Interruption.Begin|Interruption.End|Other|Sample.Clock|Sample.Periodic|"
        "Transaction.Begin|Transaction.End|Trigger"
    ),
    "UnitOfMeasure": (
        "Wh|kWh|varh|kvarh|W|kW|VA|kVA|var|kvar|A|V|Celcius|Celsius|Fahrenheit|K|Percent"
    ),
}
