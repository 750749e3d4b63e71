"""Short names change no meaning: every file has the same shape, and no two names meet."""

import ast
import re
import sys
import types

import pytest

from tools import joined, overlay, runtimes, shrink


@pytest.fixture(scope="module", params=[runtimes.SHIPPED, runtimes.SOURCES], ids=len)
def made_of(request):
    return request.param


@pytest.fixture(scope="module")
def project(made_of):
    return runtimes.project(made_of)


def shape(tree):
    """A tree without its names and imports, and with what became a constant as before."""

    class Plain(ast.NodeTransformer):
        def generic_visit(self, node):
            for field in ("id", "attr", "arg", "name", "asname"):
                value = getattr(node, field, None)
                if isinstance(value, str) and not isinstance(node, ast.keyword):
                    setattr(node, field, "")
            return super().generic_visit(node)

        def visit_Call(self, node):
            if getattr(node.func, "id", "") == "const" and isinstance(node.args[0], ast.Constant):
                return self.visit(node.args[0])
            return self.generic_visit(node)

        def truth(self, node):
            name = getattr(node, "id", getattr(node, "attr", ""))
            if name == shrink.TRUTH and isinstance(node.ctx, ast.Load):
                return ast.Constant(True)
            return self.generic_visit(node)

        visit_Name = visit_Attribute = truth

        def visit_ImportFrom(self, node):
            return ast.Pass()

        def visit_Constant(self, node):
            return ast.Constant("") if "firmware." in str(node.value) else node

    return re.sub(r"Pass\(\)(, Pass\(\))+", "Pass()", ast.dump(Plain().visit(tree)))


def test_every_file_keeps_its_shape_and_its_lines(project):
    assert len(project.sources) > 70
    for name in project.sources:
        data = (shrink.ROOT / name).read_bytes()
        short = project.shrunk(name, data)
        assert short.count(b"\n") == data.count(b"\n")
        assert shape(ast.parse(short)) == shape(ast.parse(data)), name


def test_no_class_and_no_module_has_two_names_that_became_one(project):
    for source in project.sources.values():
        groups = [source.globals, *(members for _, _, members in source.classes)]
        for group in groups:
            names = [project.names.get(name, name) for name in group]
            assert len(set(names)) == len(names)


def build(tmp_path, monkeypatch, **files):
    """A firmware of its own; returns the project, and what the compiler gets of each file."""
    folder = tmp_path / "firmware"
    folder.mkdir(exist_ok=True)
    for name, text in {**files, "__init__": ""}.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.setattr(shrink, "ROOT", tmp_path)
    made = shrink.Project(("firmware",), ("host_tests",), tmp_path / "cache")
    texts = {}
    for name, text in files.items():
        texts[name] = made.shrunk(f"firmware/{name}.py", text.encode()).decode()
    return made, texts


def test_what_a_process_has_imported_changes_no_name(project, made_of, monkeypatch):
    class Pin:
        def session(self):
            pass

    for name in ("machine", "network", "tls", "esp32", "vfs"):
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(Pin=Pin))
    assert runtimes.project(made_of).names == project.names


def test_what_is_shortened(tmp_path, monkeypatch):
    _, made = build(
        tmp_path,
        monkeypatch,
        part="class Part:\n    def __init__(self, length):\n        self._long = length\n",
        whole="from firmware.part import Part\n_MOST = 3  # of them\n\n"
        "def whole(number):\n    return Part(number * _MOST)._long\n",
    )
    assert "_long" not in made["part"] + made["whole"]
    assert "length" not in made["part"] and "number" not in made["whole"]
    assert "_MOST = const(3)  # of them" in made["whole"]
    scope: dict = {}
    exec(made["part"], scope)
    (part,) = [thing for thing in scope.values() if isinstance(thing, type)]
    assert list(vars(part(5)).values()) == [5]


KEPT = {
    "a text that reaches getattr": "class A:\n    name_x = 1\n    def f(self):\n"
    "        return getattr(self, 'name_x')\n",
    "a text in a table of a file with getattr": "TABLE = 'get name_x'\n"
    "def name_x():\n    pass\ndef find(where, what):\n    return getattr(where, what)\n",
    "a keyword": "def f(name_x):\n    return name_x\nf(name_x=1)\n",
    "an exception": "class name_x(ValueError):\n    pass\nraise name_x\n",
    "a library's": "class A:\n    def split(self):\n        pass\nA().split()\nx = 'a'.split()\n",
    "in an f-string": "class A:\n    name_x = 1\n    def f(self):\n"
    "        return f'{self.name_x}'\n",
    "a global statement": "name_x = 1\ndef f():\n    global name_x\n    name_x = 2\n",
}


@pytest.mark.parametrize("why", KEPT)
def test_what_is_kept(why, tmp_path, monkeypatch):
    text = KEPT[why]
    _, made = build(tmp_path, monkeypatch, part=text)
    word = "split" if why == "a library's" else "name_x"
    assert made["part"].count(word) == text.count(word)


def test_what_is_set_from_outside_shares_its_name_with_nothing(tmp_path, monkeypatch):
    """A foreign attribute may come to lie beside any other."""
    made, _ = build(
        tmp_path,
        monkeypatch,
        one="class One:\n    def __init__(self):\n        self.alpha = self.beta = 1\n",
        two="class Two:\n    def __init__(self):\n        self.gamma = 1\n",
        three="def put(thing):\n    thing.delta = 1\n",
    )
    names = made.names
    assert len({names[n] for n in ("alpha", "beta", "delta")}) == 3
    assert names["gamma"] != names["delta"] and names["gamma"] in (names["alpha"], names["beta"])


def test_bases_and_heirs_share_nothing(tmp_path, monkeypatch):
    made, _ = build(
        tmp_path,
        monkeypatch,
        one="class Base:\n    def first(self):\n        self.second = 1\n",
        two="from firmware.one import Base\nclass Heir(Base):\n    def third(self):\n"
        "        self.fourth = 2\n",
    )
    assert len({made.names[n] for n in ("first", "second", "third", "fourth")}) == 4


def test_names_stay_while_files_change(tmp_path, monkeypatch):
    """A process that runs compiled files loads others later on."""
    one = "class One:\n    def __init__(self):\n        self.alpha = self.beta = 1\n"
    before, old = build(tmp_path, monkeypatch, one=one)
    after, new = build(tmp_path, monkeypatch, one=one, aaa="def aaa():\n    aaa.alpha()\n")
    assert old["one"] == new["one"]
    assert after.modules["firmware.one"] == before.modules["firmware.one"]


def test_what_scripts_for_micropython_mention_is_kept(tmp_path, monkeypatch):
    (tmp_path / "host_tests").mkdir()
    script = 'RUN = "from firmware import one; one.f()"\n'
    (tmp_path / "host_tests" / "test_a.py").write_text(script)
    one = "def f():\n    pass\n\ndef g():\n    pass\n\ng()\n"
    made, texts = build(tmp_path, monkeypatch, one=one, two="x = 1\n")
    assert "def f()" in texts["one"] and "def g()" not in texts["one"]
    assert "firmware.one" not in made.modules and "firmware.two" in made.modules


def test_which_python_runs_is_known(tmp_path, monkeypatch):
    _, made = build(
        tmp_path,
        monkeypatch,
        one="import sys\nMICROPYTHON = sys.x\nif MICROPYTHON:\n    pass\n",
        two="from firmware import one as where\nx = 1 if where.MICROPYTHON else 2\n",
    )
    assert "if True:" in made["one"] and " = 1 if True else 2" in made["two"]


def test_modules(tmp_path, monkeypatch):
    """However a module is mentioned, it is found; a line stays a line."""
    made, texts = build(
        tmp_path,
        monkeypatch,
        one="def load(name):\n    return __import__(name)\n",
        two="from firmware import one\nfrom firmware.one import (\n    load,\n)\n\n"
        "def f():\n    from firmware import one as other\n    other.load('firmware.one')\n",
        three='TABLE = """\nA firmware.one\nB firmware.two"""\n',
    )
    one, two = (made.modules[f"firmware.{name}"] for name in ("one", "two"))
    lines = texts["two"].split("\n")
    load = made.names["load"]
    assert lines[0].startswith(f"from firmware import {one[9:]} as ")
    assert lines[1:5] == [f"from {one} import {load}", "", "", ""]
    assert lines[6:8] == [
        f"    from firmware import {one[9:]} as other",
        f"    other.{load}('{one}')",
    ]
    assert f"A {one}\nB {two}" in texts["three"]


def test_tracebacks_of_joined_modules(project, made_of):
    if made_of == runtimes.SHIPPED:
        short = project.names["_drive"]
        module = project.modules["firmware.charging.evse"].rpartition(".")[2]
        said = project.readable(f'  File "{module}", line 1, in {short}\n')
        assert 'firmware/charging/evse.py", in _drive' in said


def test_a_name_put_together_keeps_what_it_may_name(tmp_path, monkeypatch):
    made, _ = build(
        tmp_path,
        monkeypatch,
        one="def load(name):\n    return __import__('firmware.' + name)\n",
        two="from firmware.one import load\nload('three')\n",
        three="x = 1\n",
    )
    assert sorted(made.modules) == ["firmware.one", "firmware.two"]


def test_joined_modules_find_each_other():
    parts = {
        "one": b"import gc\ndef load():\n    return gc\n",
        "two": b"import gc\nfrom firmware import a as one\nfrom firmware.a import load as o_\n\n"
        b"class Two:\n    x = o_\n    y = one\n",
    }
    lines = joined.join(parts, "firmware.a").decode().split("\n")
    assert lines[:3] == ["import gc", "import sys", "one = sys.modules['firmware.a']"]
    assert lines[3:6] == ["def load():", "    return gc", "o_ = load"]
    assert lines[6:] == ["class Two:", "    x = o_", "    y = one", ""]


@pytest.mark.parametrize(
    "second", ["def load():\n    pass\n", "def open():\n    pass\n",
               "from firmware import a as load\n"]
)  # fmt: skip
def test_joined_modules_have_one_meaning_for_a_name(second):
    parts = {"one": b"def load():\n    pass\n", "two": second.encode()}
    with pytest.raises(ValueError, match="define"):
        joined.join(parts, "firmware.a")


def test_no_joined_module_is_dropped(project):
    """That would take the others with it. (A text names it to load it.)"""
    dropped = {m for name, source in project.sources.items() if name.startswith("firmware/")
               for _, _, m in source.modules if name != "firmware/device.py"}  # fmt: skip
    assert not dropped & {module for file in joined.FILES for module in file}


def test_tracebacks_are_turned_back(tmp_path, monkeypatch):
    made, _ = build(tmp_path, monkeypatch, one="class One:\n    def fail(self):\n        pass\n")
    module = made.modules["firmware.one"].rpartition(".")[2]
    said = f'  File "{module}", line 1, in {made.names["fail"]}\nValueError: x\n'
    assert made.readable(said) == '  File "firmware/one.py", in fail\nValueError: x\n'


def test_what_is_marked_is_what_is_loaded_for_its_call(project):
    """In every file, whatever the short names made of the lines before."""
    for name in project.sources:
        data = (shrink.ROOT / name).read_bytes()
        hot, cold = overlay.split(
            data, project.shrunk(name, data), {**project.names, **project.modules},
            *project.called(name),
        )  # fmt: skip
        marked = sum(line.rstrip().endswith(overlay.MARK) for line in data.split(b"\n"))
        moved = [
            node
            for node in ast.walk(ast.parse(cold or b""))
            if isinstance(node, overlay.FUNCTIONS)
        ]
        lines = data.split(b"\n")
        for node in moved:
            if not any(node.lineno > other.lineno and node.end_lineno <= other.end_lineno
                       for other in moved):  # fmt: skip
                head = lines[node.lineno - 1 : node.body[0].lineno]
                assert any(line.rstrip().endswith(overlay.MARK) for line in head), (
                    name,
                    node.name,
                )
                marked -= 1
        assert not marked, name
