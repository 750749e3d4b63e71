"""The rest of ocpp/schemas.py: the messages that the station sends, and those that it does not
support. Tests check what goes out against it."""

from firmware.ocpp import CallError, schemas


def check(action: str, direction: str, payload) -> None:
    """Raises RuntimeError for a message of ours that is not as it should be."""
    try:
        schemas.check(action, direction, payload, True, ROWS)
    except CallError as error:
        raise RuntimeError("%s.%s to be sent: %s" % (action, direction, error))


ROWS = (
    """
Authorize.req idTag:s20!
BootNotification.req chargeBoxSerialNumber:s25 chargePointModel:s20! chargePointSerialNumber:s25 \
chargePointVendor:s20! firmwareVersion:s50 iccid:s20 imsi:s20 meterSerialNumber:s25 meterType:s25
DataTransfer.req vendorId:s255! messageId:s50 data:s
DiagnosticsStatusNotification.req status:Idle|Uploaded|UploadFailed|Uploading!
FirmwareStatusNotification.req status:Downloaded|DownloadFailed|Downloading|Idle|\
InstallationFailed|Installing|Installed!
Heartbeat.req
MeterValues.req connectorId:i0! transactionId:i meterValue:[MeterValue+]!
StartTransaction.req connectorId:i1! idTag:s20! meterStart:i! reservationId:i timestamp:t!
StatusNotification.req connectorId:i0! errorCode:ConnectorLockFailure|EVCommunicationError|\
GroundFailure|HighTemperature|InternalError|LocalListConflict|NoError|OtherError|\
OverCurrentFailure|OverVoltage|PowerMeterFailure|PowerSwitchFailure|ReaderFailure|ResetFailure|\
UnderVoltage|WeakSignal! info:s50 status:Available|Preparing|Charging|SuspendedEVSE|SuspendedEV|\
Finishing|Reserved|Unavailable|Faulted! timestamp:t vendorId:s255 vendorErrorCode:s50
StopTransaction.req idTag:s20 meterStop:i! timestamp:t! transactionId:i! reason:DeAuthorized|\
EmergencyStop|EVDisconnected|HardReset|Local|Other|PowerLoss|Reboot|Remote|SoftReset|\
UnlockCommand transactionData:[MeterValue]
CancelReservation.conf status:YesNo!
ChangeConfiguration.conf status:Accepted|Rejected|RebootRequired|NotSupported!
ClearChargingProfile.conf status:Accepted|Unknown!
DataTransfer.conf data:s status:Accepted|Rejected|UnknownMessageId|UnknownVendorId!
GetCompositeSchedule.conf status:YesNo! connectorId:i0 scheduleStart:t \
chargingSchedule:ChargingSchedule
GetConfiguration.conf configurationKey:[KeyValue] unknownKey:[s50]
GetDiagnostics.conf fileName:s255
RemoteStartTransaction.conf status:YesNo!
RemoteStopTransaction.conf status:YesNo!
ReserveNow.conf status:Accepted|Faulted|Occupied|Rejected|Unavailable!
Reset.conf status:YesNo!
SetChargingProfile.conf status:Accepted|Rejected|NotSupported!
TriggerMessage.conf status:Accepted|Rejected|NotImplemented!
UnlockConnector.conf status:Unlocked|UnlockFailed|NotSupported!
UpdateFirmware.conf
ChangeAvailability.req connectorId:i0! type:Inoperative|Operative!
ChangeAvailability.conf status:Accepted|Rejected|Scheduled!
ClearCache.req
ClearCache.conf status:YesNo!
GetLocalListVersion.req
GetLocalListVersion.conf listVersion:i!
SendLocalList.req listVersion:i! localAuthorizationList:[AuthorizationData] \
updateType:Differential|Full!
SendLocalList.conf status:Accepted|Failed|NotSupported|VersionMismatch!
AuthorizationData idTag:s20! idTagInfo:IdTagInfo
KeyValue key:s50! readonly:b! value:s500
MeterValue timestamp:t! sampledValue:[SampledValue+]!
SampledValue value:s! context:Interruption.Begin|Interruption.End|Other|Sample.Clock|\
Sample.Periodic|Transaction.Begin|Transaction.End|Trigger format:Raw|SignedData \
measurand:Measurand phase:L1|L2|L3|N|L1-N|L2-N|L3-N|L1-L2|L2-L3|L3-L1 \
location:Body|Cable|EV|Inlet|Outlet unit:Wh|kWh|varh|kvarh|W|kW|VA|kVA|var|kvar|A|V|Celcius|\
Celsius|Fahrenheit|K|Percent
Measurand Current.Export|Current.Import|Current.Offered|Energy.Active.Export.Register|\
Energy.Active.Import.Register|Energy.Reactive.Export.Register|Energy.Reactive.Import.Register|\
Energy.Active.Export.Interval|Energy.Active.Import.Interval|Energy.Reactive.Export.Interval|\
Energy.Reactive.Import.Interval|Frequency|Power.Active.Export|Power.Active.Import|Power.Factor|\
Power.Offered|Power.Reactive.Export|Power.Reactive.Import|RPM|SoC|Temperature|Voltage
YesNo Accepted|Rejected
""",
)
