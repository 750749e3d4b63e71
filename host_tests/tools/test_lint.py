"""tools/lint_firmware.py: what it finds, and what it lets pass; the station's type for mypy."""

import ast
import textwrap

import pytest

from tools import check_types, lint_firmware

RULES = {"ocpp": {"net", "base"}, "net": {"base"}, "base": set()}


def faults(source, name="firmware/ocpp/rpc.py"):
    source = textwrap.dedent(source)
    check = lint_firmware.Check(name, source, RULES)
    check.visit(ast.parse(source))
    return [text for _, text in check.faults]


@pytest.mark.parametrize(
    "source, why",
    [
        ("module = __import__('json')", "imports are statements"),
        ("import importlib", "importlib"),
        ("import sys\nsys.modules.pop('json')", "sys.modules"),
        ("def f():\n    return _N\n_N = const(1)", "above the line of its const"),
        ("NAME = 'firmware.net.ftp'", "not named in a text"),
        ("from firmware.net import ftp\ndel ftp", "what is imported stays"),
        ("from firmware import station", "only downwards"),
        ("def f():\n    from firmware.net import ftp\n    return ftp", "say in a comment"),
        (
            """
            def f():
                from firmware.net import ftp  # rare

                ftp.get()
                from firmware.net import http
            """,
            "say in a comment",
        ),
    ],
)
def test_imports_are_statements_at_the_top(source, why):
    found = faults(source)
    assert len(found) == 1 and why in found[0], found


@pytest.mark.parametrize(
    "source",
    [
        "from firmware.net import ftp",
        "def f():\n    from firmware.net import ftp  # rare: a transfer\n    return ftp",
        "def f():\n    # A transfer is rare.\n    from firmware.net import ftp\n    return ftp",
        """
        def f():
            from firmware.net import ftp  # these two are rare
            from firmware.net import http

            return ftp, http
        """,
        '"""See firmware.net.ftp."""',
    ],
)
def test_an_import_with_a_reason_may_stand_in_a_function(source):
    assert faults(source) == []


def test_imports_never_go_in_a_circle():
    sources = {
        "firmware.ocpp": "",
        "firmware.ocpp.a": "from firmware.ocpp import b",
        "firmware.ocpp.b": "import json\nfrom firmware.ocpp.c import name",
        "firmware.ocpp.c": "def f():\n    from firmware.ocpp import a",
    }
    assert lint_firmware.circles(sources) == []
    sources["firmware.ocpp.c"] = "from firmware.ocpp.a import name"
    (fault,) = lint_firmware.circles(sources)
    assert fault.endswith(
        ": firmware.ocpp.a > firmware.ocpp.b > firmware.ocpp.c > firmware.ocpp.a"
    )


def test_the_station_has_its_type_for_mypy():
    source = """
class Part:
    def __init__(self, station):
        self.station = station

def fault(station: "Other", code=1):
    return code
async def Reset(station, payload):
    return {}
"""
    typed = check_types.with_station(source)
    changed = [line for line in typed.splitlines() if line not in source.splitlines()]
    assert changed == [
        '    def __init__(self, station: "Station"):',
        'async def Reset(station: "Station", payload):',
        "from firmware.station import Station",
    ]
