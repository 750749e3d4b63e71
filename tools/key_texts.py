"""What the tables in docs/ say beside what the code's own tables hold (`tables.py`).

These sentences are for people who read docs/, so that the device does not carry them.
"""

# What each configuration key does.
MEANING = {
    "AuthorizeRemoteTxRequests": "A RemoteStartTransaction is authorised like a local start.",
    "ClockAlignedDataInterval": "Seconds between values at the clock's marks; 0: none.",
    "ConnectionTimeOut": "Seconds that an authorised id waits for its car; 0: for ever.",
    "GetConfigurationMaxKeys": "How many keys one GetConfiguration may ask for.",
    "HeartbeatInterval": "Seconds of silence after which a Heartbeat is sent; the central system's"
    " BootNotification.conf sets it.",
    "MeterValuesAlignedData": "What is measured at the clock's marks.",
    "MeterValuesAlignedDataMaxLength": "As the guide: 0, which means no limit.",
    "MeterValuesSampledData": "What is measured during a transaction.",
    "MeterValuesSampledDataMaxLength": "As the guide: 20.",
    "MeterValueSampleInterval": "Seconds between these values; 0: none.",
    "NumberOfConnectors": "One.",
    "ResetRetries": "How often a Reset that fails is tried again.",
    "ConnectorPhaseRotation": "Which of the house's phases the station's L1, L2, L3 are.",
    "ConnectorPhaseRotationMaxLength": "As the guide: 0, which means no limit.",
    "StopTransactionOnEVSideDisconnect": "Unplugging at the car ends the transaction.",
    "StopTransactionOnInvalidId": "A transaction whose id is refused ends.",
    "StopTxnAlignedData": "What StopTransaction reports of the clock's marks.",
    "StopTxnAlignedDataMaxLength": "As the guide: 0, which means no limit.",
    "StopTxnSampledData": "What StopTransaction reports of the course of the transaction.",
    "StopTxnSampledDataMaxLength": "As the guide: 0, which means no limit.",
    "SupportedFeatureProfiles": "OCPP's feature profiles.",
    "TransactionMessageAttempts": "How often a refused transaction message is sent in all.",
    "TransactionMessageRetryInterval": "Seconds until it is sent again, times the attempts made.",
    "UnlockConnectorOnEVSideDisconnect": "The socket unlocks when the car is unplugged.",
    "MessageTimeout": "Seconds that the station waits for an answer.",
    "WebSocketPingInterval": "Seconds between pings; 0: none.",
    "SupportedFileTransferProtocols": "For diagnostics and updates.",
    "ChargeProfileMaxStacklevel": "The highest stackLevel.",
    "ChargingScheduleMaxPeriods": "The most periods of a profile.",
    "ChargingScheduleAllowedChargingRateUnit": "Limits in A and in W.",
    "MaxChargingProfilesInstalled": "The most profiles.",
    "ConnectorSwitch3to1PhaseSupported": "Whether the station can switch between 1 and 3 phases.",
    "ReserveConnectorZeroSupported": "A reservation may be for connector 0.",
    "SupervisionUrl": "The central system. Empty: standalone. A new one is tried for ten minutes.",
    "BoxIdentifier": "The station's identity at the central system.",
    "DefaultIdTag": "The idTag of a charge that the station starts by itself.",
    "TICdetection": "Whether TIC frames come from the house meter.",
    "TICmode": "How the TIC line is read.",
    "MeterType": "1: a meter approved for billing (MID).",
    "IMaxUser": "A that the circuit carries on each phase.",
    "PhaseNumber": "Phases of the circuit.",
    "TriggerBackendConfigurationDataReset": "`true` resets keys, profiles and reservations.",
    "LocalAuthorizeOffline": "`false`: no charge begins while the station is offline.",
    "LocalPreAuthorize": "Lets an id that is known here start at once.",
    "AllowOfflineTxForUnknownId": "`false`: no charge begins offline for an unknown id.",
    "MinimumStatusDuration": "Seconds that a status must last before it is reported.",
    "StopTransactionMaxMeterValues": "The most values in StopTransaction.",
    "AuthorizationKey": "The password of security profiles 1 and 2.",
    "SecurityProfile": "0: no password; 1: password; 2: password and TLS. It can only be raised.",
    "FeatureSet": "`guide`: the operations of the guide; `full`: also ChangeAvailability, the"
    " authorization cache and the local list.",
    "AuthorizationCacheEnabled": "What the central system said of an id is remembered.",
    "LocalAuthListEnabled": "The local authorization list is used.",
    "LocalAuthListMaxLength": "The most entries of the list.",
    "SendLocalListMaxLength": "The most entries of one SendLocalList.",
    "CpoName": "The operator's name, for its certificate.",
    "ConsolePassword": "The password of the serial console.",
}

# The values that a key takes, where its bounds do not say it.
VALUES = {
    "MeterValuesAlignedData": "names of measurands, with commas",
    "MeterValuesSampledData": "names of measurands, with commas",
    "StopTxnAlignedData": "names of measurands, with commas",
    "StopTxnSampledData": "names of measurands, with commas",
    "ConnectorPhaseRotation": "`NotApplicable`, `Unknown`, or `1.RST` and the other orders",
    "SupervisionUrl": "`ws://` or `wss://`, up to 199 characters, or nothing",
    "DefaultIdTag": "1 to 20 characters",
    "TICmode": "0 automatic, 1 historique, 2 standard, 3 off",
    "IMaxUser": "6 to the reference's A",
    "PhaseNumber": "1, or the reference's 3",
    "FeatureSet": "`guide`, `full`",
    "AuthorizationKey": "16 to 40 characters, or nothing",
}

# What a line of the self-test looks at.
SELFTEST = {
    "pilot": "The voltage at CP is one that the standard knows.",
    "adc": "The chip can measure voltages.",
    "proximity": "The cable's resistor at PP says how much it carries (a socket only).",
    "contactor": "The mirror contact says open, unless a car is charged.",
    "ground": "The PE monitor sees earth.",
    "residual": "The residual-current monitor has not tripped.",
    "tamper": "The cover is closed.",
    "lock": "The lock closes and opens once, if no car is plugged in (a socket only).",
    "meter": "The energy meter answers.",
    "tic": "Whole TIC frames come from the house meter.",
    "flash": "A value can be written and read back, and there is room.",
    "clock": "The time is known.",
    "wifi": "The board has joined the Wi-Fi (`-` on a PC).",
    "tls": "A certificate authority is there, if wss or security profile 2 needs one.",
    "network": "The central system has accepted the station.",
}

# What causes a vendor error code, and what to do about it.
FAULTS = {
    "0x100206": ("no earth for 1 s", "have the earthing checked by an electrician"),
    "0x200206": ("more than 265 V for 1 s", "have the mains checked; over below 253 V for 60 s"),
    "0x200208": ("less than 195 V for 3 s", "have the mains checked; over above 207 V for 60 s"),
    "0x100213": (
        "the car draws over 110 % of the offer for 7 s",
        "the car does not obey: its maker",
    ),
    "0x100102": ("the contacts reach 75 °C", "let them cool below 60 °C; look for loose contacts"),
    "0x10020F": (
        "the energy meter is silent, or says what can't be",
        "check its wires and address",
    ),
    "0x100215": (
        "the residual-current monitor tripped",
        "reset it; look for the leak; another car",
    ),
    "0x100218": ("PP fits no cable", "another cable; look at the contacts"),
    "0x100205": (
        "the lock does not move after 5 tries",
        "plug the cable in fully; check the lock",
    ),
    "0x100217": (
        "CP fits no state, or the car's diode is missing",
        "another car; check CP and PE",
    ),
    "0x100208": ("the contactor does not follow", "do not use it: the contactor may be welded"),
    "0x10020C": ("the cover is open", "close it"),
}
