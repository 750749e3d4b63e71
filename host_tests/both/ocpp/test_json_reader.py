"""What is a frame and what is not, on every Python."""

import asyncio
import gc
import sys

from firmware.ocpp import CallError, json_reader

BUFFER = bytearray(8192)  # as the link's: a heap in pieces has no room for a large frame


def written(pieces):
    """The pieces, text or bytes, one after the other in the buffer."""
    end = 0
    for piece in pieces:
        piece = piece.encode() if isinstance(piece, str) else piece
        BUFFER[end : end + len(piece)] = piece
        end += len(piece)
    assert len(BUFFER) == 8192
    return memoryview(BUFFER)[:end]


async def verdict(*pieces):
    """The frame, or the CallError."""
    return await verdict_on(pieces)


async def verdict_on(pieces):
    try:
        return await json_reader.read_message(written(pieces))
    except CallError as error:
        return error


async def payload(text):
    frame = await verdict('[3,"i",%s]' % text)
    assert isinstance(frame, list), "%s: %s" % (text, frame)
    return frame[2]


async def refused(*text):
    error = await verdict(*text)
    assert isinstance(error, CallError), "%r: %s" % (text, error)
    assert error.code == "FormationViolation"
    return error.description


async def test_frames_of_each_type():
    assert await verdict('[2,"a-1","Heartbeat",{}]') == [2, "a-1", "Heartbeat", {}]
    assert await verdict('[2,"a-1","Heartbeat",null]') == [2, "a-1", "Heartbeat", None]
    assert await verdict('[3,"a-1",{"x":[1,-2,0.5]}]') == [3, "a-1", {"x": [1, -2, 0.5]}]
    assert await verdict('[4,"1","InternalError","",{}]') == [4, "1", "InternalError", "", {}]
    assert await verdict('[4,"1","InternalError"]') == [4, "1", "InternalError"]
    text = '\r\n[ 2\t, "a" ,\n"Reset" , { "type" : "Hard" } ] \n'
    assert await verdict(text) == [2, "a", "Reset", {"type": "Hard"}]


async def test_no_frames():
    for text in (
        "",
        " ",
        "2",
        '"2"',
        "null",
        "{}",
        '{"a":1}',
        "[]",
        "[2]",
        '[2,"a"]',
        '[2,"a","Reset"]',
        '[2,"a",{"type":"Hard"}]',
        '[2,"a","Reset",{},1]',
        '[2,1,"Reset",{}]',
        '[2,null,"Reset",{}]',
        '[2,"a",5,{}]',
        '[3,"a"]',
        "[3,1,{}]",
        '[4,"a"]',
        '[4,"a",1,"",{}]',
        '[1,"a","Reset",{}]',
        '[5,"a",{}]',
        '[-3,"a",{}]',
        '["2","a","Reset",{}]',
        '[2.0,"a","Reset",{}]',
        '[true,"a","Reset",{}]',
        '[3,"' + 37 * "a" + '",{}]',
    ):
        await refused(text)
    assert await verdict('[3,"' + 36 * "é" + '",{}]') == [3, 36 * "é", {}]


async def test_json_that_one_parser_or_the_other_would_take():
    for text in (
        "[1 2]",
        "[1,]",
        "[,1]",
        "[,]",
        "[1,,2]",
        "[1:2]",
        "[1[",
        "[1[]",
        "[1[]]",
        "[1{}]",
        "[1.5[2]]",
        '["a"[]]',
        "[[][]]",
        "[true{}]",
        "[1}",
        "{1:2}",
        "{null:2}",
        '{"a"}',
        '{"a":}',
        '{"a",1}',
        '{"a":1,}',
        '{"a":1]',
        '{"a":1 "b":2}',
        '{"a"::1}',
        '{"a":1:2}',
        '{,"a":1}',
        '{"a" 1}',
        "{[]:1}",
        "'a'",
        "NaN",
        "Infinity",
        "-Infinity",
        "True",
        "nul",
        "nulll",
        "truefalse",
        "1 2",
        "+1",
        "01",
        "-01",
        "00",
        "-",
        "--1",
        "1-",
        "1.",
        ".5",
        "-.5",
        "1.e1",
        "1e",
        "1e+",
        "1e1.5",
        "1.5.5",
        "0x10",
        "1_000",
        "1/2",
        '"a\tb"',
        '"a\nb"',
        '"a\x00b"',
        '"\\x41"',
        '"\\\'"',
        '"\\u12"',
        '"\\u12G4"',
        '"\\u+123"',
        '"\\u 123"',
        '"\\ud83d"',
        '"\\ud83d\\n"',
        '"\\ud83dxude00"',
        '"\\ude00"',
        '"\\ud83d\\ud83d"',
        '"\\U0041"',
        "\u00a01",
        "\x0b1",
        "\ufeff1",
        "/*c*/1",
        "//c\n1",
    ):
        await refused('[3,"i",%s]' % text)
    for text in ('[3,"i",{}]]', '[3,"i",{}],', '[3,"i",{}]x', '[3,"i",{}]{}', '[3,"i",{}] 1'):
        await refused(text)
    whole = '[3,"i",{"a":[true,-12.5e1,"\\u00e9x"]}]'
    assert isinstance(await verdict(whole), list)
    for end in range(len(whole)):
        await refused(whole[:end])


async def test_values():
    for text, value in (
        ("0", 0),
        ("-0", 0),
        ("10", 10),
        ("-7", -7),
        ("123456789012345678", 123456789012345678),
        ("-999999999999999999", -999999999999999999),
        ("0.5", 0.5),
        ("-0.25", -0.25),
        ("1e2", 100.0),
        ("1E+2", 100.0),
        ("25e-2", 0.25),
        ("0e0", 0.0),
        ("true", True),
        ("false", False),
        ("null", None),
        ("[]", []),
        ("{}", {}),
        ("[[],{}]", [[], {}]),
        ('{"":""}', {"": ""}),
        ('{"a":1,"a":2}', {"a": 2}),
        ('{"a":{"a":[1]},"b":[{"a":2}]}', {"a": {"a": [1]}, "b": [{"a": 2}]}),
        ('"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\/\b\f\n\r\t'),
        ('"\\u0041\\u00e9\\u20ac\\uFFFF"', "A\xe9\u20ac\uffff"),
        ('"\\ud83d\\ude00 \\uDBFF\\uDFFF"', "\U0001f600 \U0010ffff"),
        ('"\xe9 \u20ac \U0001f600"', "\xe9 \u20ac \U0001f600"),
        ('{"\\u0061b":1}', {"ab": 1}),
        ('"\x7f"', "\x7f"),
        ('"\\\\"', "\\"),
        ('"\\\\\\""', '\\"'),
        ('"/"', "/"),
    ):
        found = await payload(text)
        assert found == value and type(found) is type(value), text
    assert len(await payload('"\\ud83d\\ude00"')) == 1


async def test_numbers_are_bounded():
    for text in ("1" * 19, "-" + "1" * 19, "1" * 400, "0." + "1" * 19, "1e100", "1e400", "1e-999"):
        await refused('[3,"i",[%s]]' % text)


async def test_bytes_that_are_not_utf_8():
    for text in (
        b"\x80",
        b"\xff",
        b"\xc3",
        b"\xc3(",
        b"\xc0\x80",
        b"\xc1\xbf",
        b"\xe0\x80\xaf",
        b"\xe2\x82",
        b"\xed\xa0\x80",
        b"\xf0\x80\x80\xaf",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"a\xe2\x82\xacb\xac",
    ):
        await refused(b'[3,"i","' + text + b'"]')
        await refused(b'[3,"i",{"' + text + b'":1}]')
        await refused(b'[3,"i",{}' + text + b"]")


async def test_depth():
    assert isinstance(await verdict('[3,"i",' + "[" * 7 + "]" * 7 + "]"), list)
    assert "deep" in await refused('[3,"i",' + "[" * 8 + "]" * 8 + "]")
    assert "deep" in await refused("[" * 4000)
    assert "deep" in await refused('[3,"i",' + '{"a":' * 1000)


def profile(periods):
    """A SetChargingProfile as central systems send it, in pieces."""
    yield '[2,"8fd6d2c4-9c0e-4d63-8a3e-6a1f5f0d5a55","SetChargingProfile",{"connectorId":1,'
    yield '"csChargingProfiles":{"chargingProfileId":1,"stackLevel":0,"chargingProfilePurpose":'
    yield '"TxDefaultProfile","chargingProfileKind":"Absolute","chargingSchedule":{'
    yield '"chargingRateUnit":"A","startSchedule":"2024-01-01T00:00:00Z",'
    yield '"chargingSchedulePeriod":['
    for i in range(periods):
        comma = "," if i else ""
        yield '%s{"startPeriod":%d,"limit":16.%d,"numberPhases":3}' % (comma, 900 * i, i % 10)
    yield "]}}}]"


async def test_a_profile_of_100_periods_and_one_too_many():
    for periods in (100, 101):
        frame = await verdict_on(profile(periods))
        schedule = frame[3]["csChargingProfiles"]["chargingSchedule"]
        numbers = [n for piece in schedule["chargingSchedulePeriod"] for n in piece]
        assert len(numbers) == 3 * periods
        assert numbers[-3:] == [900 * (periods - 1), 160 + (periods - 1) % 10, 3]


async def test_blanks_anywhere():
    wide = "".join(profile(20)).replace(",", " ,\r\n\t").replace('":', '" : ')
    wide = wide.replace("[", "\n[\n").replace("}", " } ")
    assert await verdict(wide) == await verdict_on(profile(20))


async def test_small_frames_that_would_fill_the_heap_are_refused():
    for item in ("[],", "{},", "0,", '"",', "1e9,", '{"a":0},', "[[[[]]]],"):
        error = await verdict_on(repeated(item, 5000 // len(item)))
        assert error.code == "FormationViolation" and "large" in error.description, item


def repeated(item, count):
    yield '[3,"i",['
    for i in range(count):
        yield item % i if "%" in item else item
    yield "0]]"


async def test_the_estimate_is_not_less_than_what_it_takes():
    allocated = gc.mem_alloc if hasattr(gc, "mem_alloc") else int
    for item, count in (
        ("[],", 350),
        ("{},", 350),
        ("1.5,", 600),
        ("2147483648,", 600),
        ('"abcd%d",', 300),
        ('{"%d":0},', 120),
        ('{"a":%d,"b":[]},', 150),
    ):
        gc.collect()
        before = allocated()
        frame = await verdict_on(repeated(item, count))
        assert isinstance(frame, list), "%s: %s" % (item, frame)
        gc.collect()
        took = allocated() - before
        assert took < (16384 if sys.maxsize < 1 << 32 else 32768), "%s: %d" % (item, took)
        frame = None


async def test_long_strings():
    for piece, count, length in (
        ("a", 5000, 5000),
        ("é", 2500, 2500),
        ("\\n", 2500, 2500),
        ("\\ud83d\\ude00", 400, 400),
        ('\\"', 2500, 2500),
        ("\\\\", 2500, 2500),
    ):
        for lead in ("", " " * 300, '"x",' * 80):
            gc.collect()
            frame = await verdict('[3,"i",[', lead, '"', piece * count, '"]]')
            assert isinstance(frame, list), "%s: %s" % (piece, frame)
            assert len(frame[2][-1]) == length


async def test_strange_characters_and_names_leave_nothing_behind():
    """MicroPython keeps what chr() and text[i] give for ever."""
    allocated = gc.mem_alloc if hasattr(gc, "mem_alloc") else int
    before = 0
    for block in range(0x100, 0x3000, 0x40):
        text = "".join(["\\u%04x" % code for code in range(block, block + 0x40)])
        for shape in ('"%s"', '{"%s":1}', '[{"status":"%s"}]'):
            assert isinstance(await verdict('[3,"i",', shape % text, "]"), list)
            await verdict('[3,"i",', shape % text)
        text = shape = None
        gc.collect()
        if block >= 0x400 and not before:
            before = allocated()
    assert allocated() - before < 300


async def test_nothing_is_cut_by_the_windows_it_is_read_in():
    values = '-123456.25e-1,true,false,null,"a\\u00e9\\ud83d\\ude00\\"b","éé",{"é":12345678901},[]'
    expected = None
    for blanks in range(420):
        text = '[3,"i",[' + " " * blanks + values + "," + values + "]]"
        frame = await verdict(text)
        assert isinstance(frame, list), "%d: %s" % (blanks, frame)
        expected = expected or frame
        assert frame == expected, blanks


async def test_other_tasks_run_while_a_large_frame_is_read():
    turns = 0

    async def count():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(count())
    await verdict_on(profile(100))
    task.cancel()
    assert turns > 10


def test_the_head_of_what_is_refused():
    def head(text):
        return json_reader.read_head(
            memoryview(text if isinstance(text, bytes) else text.encode())
        )

    assert head('[2,"a-1","Reset",{"type":') == (2, "a-1", "Reset")
    assert head(' [ 2 ,\n"a-1" , "Reset" ') == (2, "a-1", "Reset")
    assert head('[2,"a-1","Reset"') == (2, "a-1", "Reset")
    assert head('[2,"a-1","Res') == (2, "a-1", "")
    assert head('[2,"a-1",{}]') == (2, "a-1", "")
    assert head('[3,"a-1",{]') == (3, "a-1", "")
    assert head('[2,"é",5') == (2, "é", "")
    assert head('[2,"' + "a" * 100 + '","Reset",{}]') == (2, "a" * 100, "Reset")
    for text in (
        "",
        "[2",
        '[2,"a',
        '[5,"a","b",{}]',
        '[22,"a","b",{}]',
        '{"2":"a","b":{}}',
        '[2,5,"b",{}]',
        '["2","a","b",{}]',
        '[2,"a\\u0041","b",{}]',
        b'[2,"\xff","b",{}]',
        b'[2,"a","\xff',
        '[2,"' + "a" * 300 + '","Reset",{}]',
    ):
        assert head(text) in ((0, "", ""), (2, "a", "")), text
