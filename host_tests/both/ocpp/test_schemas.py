"""Checking messages against the table, on every Python."""

from firmware.ocpp import CallError, schemas


def verdict(action, payload, direction="req", strict=True):
    """The payload as checked, or (code, description)."""
    try:
        return schemas.check(action, direction, payload, strict)
    except CallError as error:
        return error.code, error.description


def profile(**more):
    out = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": schedule(),
    }
    out.update(more)
    return out


def schedule(*limits, **more):
    periods = [{"startPeriod": 60 * i, "limit": limit} for i, limit in enumerate(limits or (6,))]
    out = {"chargingRateUnit": "A", "chargingSchedulePeriod": periods}
    out.update(more)
    return out


def setting(**more):
    return verdict("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile(**more)})


def test_what_is_right_comes_back_as_it_is():
    for action, payload in (
        ("Reset", {"type": "Soft"}),
        ("GetConfiguration", {}),
        ("GetConfiguration", {"key": []}),
        ("GetConfiguration", {"key": ["HeartbeatInterval", "x" * 50]}),
        ("ChangeConfiguration", {"key": "", "value": "x" * 500}),
        ("DataTransfer", {"vendorId": "é" * 255, "data": "x" * 2000}),
        ("RemoteStopTransaction", {"transactionId": 0}),
        ("RemoteStopTransaction", {"transactionId": -1}),
        ("RemoteStopTransaction", {"transactionId": 1 << 40}),
        ("RemoteStartTransaction", {"idTag": "x" * 20, "chargingProfile": profile()}),
        ("ClearChargingProfile", {}),
        ("TriggerMessage", {"requestedMessage": "MeterValues", "connectorId": 0}),
        ("GetDiagnostics", {"location": "ftp://x/", "startTime": "2024-01-01T00:00:00.5+01:00"}),
    ):
        assert verdict(action, payload) == payload
    assert verdict("GetConfiguration", None) == {}
    assert type(setting(minChargingRate=6.5)) is tuple  # not there, but in the schedule
    for more in (
        {"chargingSchedule": schedule(16, 16.1, 0, 22080.5, 0.1, minChargingRate=8.1)},
        {"chargingSchedule": schedule(duration=86400, startSchedule="2020-01-01T00:00:00Z")},
        {"recurrencyKind": "Daily", "validFrom": "2024-01-01T00:00:00", "transactionId": -5},
    ):
        assert type(setting(**more)) is dict, setting(**more)


def test_each_kind_of_fault_has_its_code_and_names_the_field():
    start = {"idTag": "A", "connectorId": 1}
    for change, code, where in (
        ({"idTag": 5}, "TypeConstraintViolation", "idTag"),
        ({"idTag": None}, "TypeConstraintViolation", "idTag"),
        ({"idTag": "x" * 21}, "PropertyConstraintViolation", "idTag"),
        ({"connectorId": "1"}, "TypeConstraintViolation", "connectorId"),
        ({"connectorId": 1.0}, "TypeConstraintViolation", "connectorId"),
        ({"connectorId": True}, "TypeConstraintViolation", "connectorId"),
        ({"connectorId": None}, "TypeConstraintViolation", "connectorId"),
        ({"connectorId": -1}, "PropertyConstraintViolation", "connectorId"),
        ({"chargingProfile": []}, "TypeConstraintViolation", "chargingProfile"),
        ({"idtag": "A"}, "FormationViolation", "idtag"),
        ({"x" * 100: 1}, "FormationViolation", "x" * 50),
    ):
        payload = dict(start)
        payload.update(change)
        found, description = verdict("RemoteStartTransaction", payload)
        assert found == code and description.startswith(where + ": "), description
    assert verdict("RemoteStartTransaction", {}) == (
        "OccurenceConstraintViolation",
        "idTag: missing",
    )
    for payload in ([], "", 0, False, "x", 1, ["idTag"]):
        assert verdict("RemoteStartTransaction", payload)[0] == "FormationViolation"


def test_faults_deep_inside():
    inside = "csChargingProfiles.chargingSchedule"
    for more, code, where in (
        ({"chargingProfileKind": "absolute"}, "Property", "csChargingProfiles.chargingProfileK"),
        ({"chargingProfileKind": "Absolute|Recurring"}, "Property", "csChargingProfiles"),
        ({"chargingProfilePurpose": "Other"}, "Property", "csChargingProfiles.chargingProfileP"),
        ({"stackLevel": -1}, "Property", "csChargingProfiles.stackLevel"),
        ({"validTo": "tomorrow"}, "Property", "csChargingProfiles.validTo"),
        ({"validTo": 1700000000}, "Type", "csChargingProfiles.validTo"),
        ({"chargingSchedule": {}}, "Occurence", inside + ".chargingRateUnit"),
        ({"chargingSchedule": schedule(chargingRateUnit="kW")}, "Property", inside + ".charging"),
        ({"chargingSchedule": schedule(duration=-1)}, "Property", inside + ".duration"),
        ({"chargingSchedule": schedule(minChargingRate=-0.5)}, "Property", inside + ".minCh"),
    ):
        found, description = setting(**more)
        assert found == code + "ConstraintViolation", (more, found, description)
        assert description.startswith(where), description
    for limit, code in ((16.15, "Property"), (-1, "Property"), ("6", "Type"), (None, "Type")):
        found, description = setting(chargingSchedule=schedule(6, limit))
        assert found == code + "ConstraintViolation", (limit, found, description)
        assert description.startswith(inside + ".chargingSchedulePeriod[1].limit: "), description
    for periods, code, where in (
        ([], "Occurence", ": "),
        ({}, "Type", ": "),
        ([[]], "Type", "[0]: "),
        ([{"startPeriod": 0}], "Occurence", "[0].limit: "),
        (
            [{"startPeriod": 0, "limit": 6}] * 19 + [{"limit": 6}],
            "Occurence",
            "[19].startPeriod: ",
        ),
    ):
        found, description = setting(chargingSchedule=schedule(chargingSchedulePeriod=periods))
        assert found == code + "ConstraintViolation", (periods, found, description)
        assert description.startswith(inside + ".chargingSchedulePeriod" + where), description
    periods = [{"startPeriod": 0, "limit": 6, "color": 1}]
    found, description = setting(chargingSchedule=schedule(chargingSchedulePeriod=periods))
    assert (found, description) == (
        "FormationViolation",
        inside + ".chargingSchedulePeriod[0].color: unknown",
    )
    keys = ["x"] * 30 + ["x" * 51]
    found, description = verdict("GetConfiguration", {"key": keys})
    assert found == "PropertyConstraintViolation" and description.startswith("key[30]: ")


def test_actions_that_are_not_for_the_station():
    for action in ("ChangeAvailability", "ClearCache", "GetLocalListVersion", "SendLocalList"):
        for payload in ({}, None, [], {"anything": 1}):
            assert verdict(action, payload) == ("NotSupported", action)
    for action in ("Authorize", "BootNotification", "Heartbeat", "StopTransaction"):
        assert verdict(action, {}) == ("NotSupported", action)  # known, but ours to send
    for action in (
        "",
        "reset",
        "Reset ",
        "Reset.req",
        "Reset.",
        "Purpose",
        "ChargingProfile",
        "SignCertificate",
        "CancelReservation.req reservationId:i!\nReset",
        "\nReset",
        "\x00",
        "é",
    ):
        assert verdict(action, {})[0] == "NotImplemented", action
    assert len(verdict("A" * 500, {})[1]) == 50


def conf(action, payload):
    return verdict(action, payload, "conf", False)


def test_answers_need_only_what_we_need():
    boot = {"status": "Accepted", "currentTime": "2024-01-01T00:00:00Z", "interval": 300}
    for more in (
        {},
        {"vendor": {"anything": [1, 2]}},
        {"interval": 0},
        {"interval": -5},
        {"currentTime": "2024-01-01T00:00:00.000000+00:00"},
    ):
        payload = dict(boot)
        payload.update(more)
        expected = dict(payload)
        expected["currentTime"] = (1704067200, 0)
        assert conf("BootNotification", payload) == expected
    payload = dict(boot)
    payload["interval"] = 30.0
    checked = conf("BootNotification", payload)
    assert checked["interval"] == 30 and type(checked["interval"]) is int
    for name, value in (
        ("status", "accepted"),
        ("status", None),
        ("currentTime", "now"),
        ("currentTime", 5),
        ("interval", "300"),
        ("interval", 0.5),
        ("interval", 1e9),
        ("interval", None),
        ("interval", True),
    ):
        payload = dict(boot)
        payload[name] = value
        code, description = conf("BootNotification", payload)
        assert description.startswith(name + ": "), (name, value, code, description)
        payload = dict(boot)  # what is checked is changed
        del payload[name]
        assert conf("BootNotification", payload) == (
            "OccurenceConstraintViolation",
            name + ": missing",
        )


def test_optional_fields_of_answers_that_are_wrong_or_null_are_as_absent():
    for info, left in (
        ({"status": "Accepted"}, {"status": "Accepted"}),
        ({"status": "Blocked", "expiryDate": None}, {"status": "Blocked"}),
        ({"status": "Blocked", "expiryDate": "never"}, {"status": "Blocked"}),
        ({"status": "Invalid", "parentIdTag": "x" * 21}, {"status": "Invalid"}),
        ({"status": "Expired", "parentIdTag": None, "x": 1}, {"status": "Expired", "x": 1}),
    ):
        for id in (0, -1, 7, 1 << 33):
            payload = {"transactionId": id, "idTagInfo": dict(info)}
            expected = {"transactionId": id, "idTagInfo": left}
            assert conf("StartTransaction", payload) == expected
        assert conf("StopTransaction", {"idTagInfo": dict(info)}) == {"idTagInfo": left}
    for info in (None, {}, [], "x", {"status": "Great"}, {"status": None}):
        assert conf("StopTransaction", {"idTagInfo": info, "a": 1}) == {"a": 1}
        for action in ("Authorize", "StartTransaction"):
            code, description = conf(action, {"idTagInfo": info, "transactionId": 1})
            assert description.startswith("idTagInfo"), description


def test_emptiness_is_an_empty_answer():
    for payload in ({}, None, [], "", 0, False):
        for action in ("StatusNotification", "MeterValues", "StopTransaction"):
            assert conf(action, payload) == {}
        assert conf("Heartbeat", payload)[0] == "OccurenceConstraintViolation"
    for payload in ([1], "x", 5, True):
        assert conf("MeterValues", payload)[0] == "FormationViolation"


async def test_a_call_is_checked_in_steps_with_the_same_result():
    def payload(last):
        periods = [{"startPeriod": 60 * i, "limit": 6.5} for i in range(40)]
        periods[39]["limit"] = last
        given = schedule(chargingSchedulePeriod=periods)
        return {"connectorId": 1, "csChargingProfiles": profile(chargingSchedule=given)}

    fine = payload(6.5)
    checked = await schemas.checked("SetChargingProfile", fine)
    assert checked is fine == schemas.check("SetChargingProfile", "req", payload(6.5))
    try:
        await schemas.checked("SetChargingProfile", payload("6"))
    except CallError as error:
        assert (error.code, error.description) == verdict("SetChargingProfile", payload("6"))
    else:
        raise AssertionError


def test_periods_become_an_array():
    """Start, limit in tenths, phases; -1 for what is absent, and bounds that no pack overflows."""
    periods = [
        {"startPeriod": 0, "limit": 16.1, "numberPhases": 3},
        {"startPeriod": 60, "limit": 0},
        {"startPeriod": 1 << 40, "limit": 1e30, "numberPhases": -7},
        {"startPeriod": 16777217, "limit": 199999999, "numberPhases": 1 << 50},
    ]
    payload = {
        "connectorId": 1,
        "csChargingProfiles": profile(chargingSchedule=schedule(chargingSchedulePeriod=periods)),
    }
    checked = schemas.check("SetChargingProfile", "req", payload)["csChargingProfiles"]
    most = 2000000000
    expected = [0, 161, 3, 60, 0, -1, most, most, -1, 16777217, 1999999990, most]
    assert list(checked["chargingSchedule"]["chargingSchedulePeriod"][0]) == expected
