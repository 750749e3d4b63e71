"""The configuration keys: the guide's two tables (pages 12 to 15) and what OCPP 1.6 adds.

A row: name, access, type, default, bounds. Access: r, rw, or w for a secret that is never read.
Types: b boolean, i integer (lowest..highest), s string (longest), m measurands, p phase rotation,
u URL. `-` is the empty value, `*` one that the station knows (model, meter, TIC).
Loaded for a look-up and dropped again; the values are in `config.py`. Rows under `# OCPP` are not
in the guide: OCPP 1.6, its errata or the security white paper ask for them, or a bench and an
installer do.
"""

# In pieces: a large one is hard to find in a heap that is in use.
TABLE = (
    """
AuthorizeRemoteTxRequests rw b true
ClockAlignedDataInterval rw i 0 0..86400
ConnectionTimeOut rw i 0 0..86400
GetConfigurationMaxKeys r i 100
HeartbeatInterval rw i 60 1..86400
MeterValuesAlignedData rw m -
MeterValuesAlignedDataMaxLength r i 0
MeterValuesSampledData rw m Voltage,Power.Active.Import,Energy.Active.Import.Register,\
Current.Import,Current.Offered,Frequency
MeterValuesSampledDataMaxLength r i 20
MeterValueSampleInterval rw i 30 0..86400
NumberOfConnectors r i 1
ResetRetries rw i 0 0..10
""",
    """
ConnectorPhaseRotation rw p NotApplicable
ConnectorPhaseRotationMaxLength r i 0
StopTransactionOnEVSideDisconnect rw b true
StopTransactionOnInvalidId rw b true
StopTxnAlignedData rw m -
StopTxnAlignedDataMaxLength r i 0
StopTxnSampledData rw m -
StopTxnSampledDataMaxLength r i 0
SupportedFeatureProfiles r s Core,FirmwareManagement,SmartCharging,RemoteTrigger
TransactionMessageAttempts rw i 3 1..100
TransactionMessageRetryInterval rw i 15 0..86400
UnlockConnectorOnEVSideDisconnect rw b *
""",
    """
MessageTimeout rw i 30 1..600
WebSocketPingInterval rw i 60 0..86400
SupportedFileTransferProtocols r s HTTP,HTTPS,FTP,FTPS
ChargeProfileMaxStacklevel r i 200
ChargingScheduleMaxPeriods r i 100
ChargingScheduleAllowedChargingRateUnit r s Current,Power
MaxChargingProfilesInstalled r i 200
ConnectorSwitch3to1PhaseSupported r b *
ReserveConnectorZeroSupported r b true
SupervisionUrl rw u wss://sandbox.ecostruxure-ev-advisor.se.app/supervision/evcs/v1.6 199
BoxIdentifier rw s * 50
DefaultIdTag rw s FreeCharge 500
TICdetection r b *
TICmode rw i 0 0..3
MeterType r i * 0..1
IMaxUser r i *
PhaseNumber r i *
TriggerBackendConfigurationDataReset rw b false
""",
    """
# OCPP
LocalAuthorizeOffline rw b true
LocalPreAuthorize rw b false
AllowOfflineTxForUnknownId rw b true
MinimumStatusDuration rw i 0 0..3600
StopTransactionMaxMeterValues r i *
AuthorizationKey w s - 40
SecurityProfile rw i 0 0..2
CpoName rw s - 100
ConsolePassword w s - 40
""",
)


def row(name: str) -> list | None:
    """The row [name, access, type, default, bounds] of a key, matched without regard to case."""
    for text in TABLE:
        at = text.find("\n" + name + " ")
        if at >= 0 and " " not in name and name != "#":
            return text[at + 1 : text.find("\n", at + 1)].split(" ")
    name = name.lower()
    for line in names():
        if line.lower() == name:
            return row(line)
    return None


def default(row: list, known) -> str:
    """The value of a key that nobody set; `known(name)` tells what the station itself knows."""
    return known(row[0]) if row[3] == "*" else "" if row[3] == "-" else row[3]


def names():
    """Yields every key's name in the guide's order."""
    for text in TABLE:
        at = 0
        end = text.find("\n", 1)
        while end >= 0:
            if text[at + 1] != "#":
                yield text[at + 1 : text.find(" ", at)]
            at = end
            end = text.find("\n", at + 1)
