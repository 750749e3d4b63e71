"""Modules loaded without their names (tools/nameless.py): the source that the compiler gets."""

import ast
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import nameless, runtimes

SHORT = {"firmware.ap": "ap", "firmware.b": "b"}


def stripped(text):
    return nameless.strip(text.encode(), SHORT, "firmware.cw", "bZ").decode()


@pytest.mark.parametrize(
    "source, made",
    [
        ("from firmware import ap as times", 'times = L_("ap")'),
        ("from firmware.b import x, y as z", 'x = L_("b").x; z = L_("b").y'),
        ("from firmware import ap as t, cz as c", 't = L_("ap"); from firmware import cz as c'),
    ],
)
def test_an_import_becomes_a_load(source, made):
    assert stripped(source) == "from firmware.cw import bZ as L_; " + made


@pytest.mark.parametrize(
    "source, made",
    [
        ("from firmware import cz as x", "from firmware import cz as x"),
        ('load("firmware.ap", "firmware.apt")', 'load("ap", "firmware.apt")'),
        ('def f():\n    """firmware.b\n    firmware.ap"""', 'def f():\n    """b\n    ap"""'),
        ("from firmware import cz, cw as r", "from firmware import cz, cw as r"),
    ],
)  # fmt: skip
def test_what_stays(source, made):
    assert stripped(source) == made


TEXTS = st.text(st.characters(codec="utf-8"), max_size=14)


@given(st.lists(TEXTS, max_size=6), st.sets(TEXTS, max_size=3))
def test_cut_texts_are_the_same(texts, known):
    source = "found = [\n" + "".join(f"    {text!r}, 'x' +\n  {text!r},\n" for text in texts) + "]"
    made = nameless.cut(source.encode(), known)
    before: dict = {}
    after: dict = {}
    exec(source, before)
    exec(made, after)
    assert before["found"] == after["found"]
    left = {n.value for n in ast.walk(ast.parse(made)) if isinstance(n, ast.Constant)}
    short = {t for t in left if type(t) is str and 0 < len(t.encode()) <= nameless.INTERNED}
    if "T_" in after:
        assert short <= known
    assert len(made.split(b"\n")) == source.count("\n") + 1  # tracebacks tell the right lines


def test_a_constant_and_an_f_string_are_left_alone():
    source = b'_A = const("abc"); b = f"{_A}:{1}"; c = "0123456789", "z"'
    made = nameless.cut(source, set())
    assert b'const("abc")' in made and b'f"{_A}:{1}"' in made and b'"z"' not in made


@pytest.mark.micropython
def test_each_module_is_found_under_its_own_name(micropython, tmp_path):
    """Whatever its short name is, that of the file that all are imported from is another."""
    runtimes.compile_device()
    folders = ("base", "charging", "ocpp", "sensing")
    names = [
        f"firmware.{path.parent.name}.{path.stem}"
        for folder in folders
        for path in sorted((runtimes.ROOT / "firmware" / folder).glob("[a-z]*.py"))
        if not path.stem.endswith("_cpython")
    ]
    code = "from firmware.base import runtime\nkept = []\n"
    code += "".join(f'kept.append(runtime.load("{name}"))\n' for name in names)
    code += "import sys\nassert '_' not in sys.modules\n"
    for n, name in enumerate(names):
        code += f'assert runtime.load("{name}") is kept[{n}], "{name}"\n'
    done = subprocess.run(
        [*runtimes.command(64, "8m"), "-c", runtimes.device_script(code)], cwd=tmp_path,
        env=runtimes.environment(build=runtimes.DEVICE), capture_output=True, text=True,
    )  # fmt: skip
    assert micropython(64) and done.stderr == "", done.stderr


@pytest.mark.micropython
@pytest.mark.parametrize("bits", [64, 32])
def test_loading_leaves_no_name(bits, micropython, tmp_path):
    """Two nameless modules that need each other's result, loaded, dropped and loaded again."""
    python = micropython(bits)
    runtimes.compile_device()
    code = runtimes.device_script(
        """
import sys, micropython
from firmware.base import runtime
def names():
    micropython.qstr_info()
    return sorted(sys.modules)
for _ in range(3):
    names()
    times = runtime.load("firmware.base.times")
    print(times.parse("2026-01-01T00:00:00Z"), "_" in sys.modules)
    assert runtime.load("firmware.base.times") is times
    held = runtime.load("firmware.ocpp.smart_charging")
    runtime.drop("firmware.ocpp.smart_charging", "firmware.base.times")
    try:
        runtime.load("nothing")
    except ImportError:
        print("missing", "_" in sys.modules)
"""
    )
    done = subprocess.run(
        [*runtimes.command(bits), "-c", code], cwd=tmp_path, capture_output=True, text=True,
        env=runtimes.environment(build=runtimes.DEVICE),
    )  # fmt: skip
    assert python and done.stderr == "", done.stderr
    lines = done.stdout.splitlines()
    assert lines.count("1767225600 False") == lines.count("missing False") == 3
    pools = [line for line in lines if line.startswith("qstr")]
    assert pools[1] == pools[2] != pools[0]
