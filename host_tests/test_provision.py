"""tools/provision.py and tools/dev.py, also against the board of `pty_board.py`."""

import builtins
import getpass
import json
import subprocess
import sys
import types

import pytest
import trustme

from firmware import device
from firmware.base.store import Files, Store
from host_tests.pty_board import PtyBoard
from tools import provision, runtimes
from tools.board import Board, Trouble

SECRETS = ("password-of-17-ch", "wifi-of-the-house", "open-sesame")
GOOD = {
    "model": "Evh5A22N400F",
    "keys": {
        "IMaxUser": 16,
        "PhaseNumber": 3,
        "ConnectorPhaseRotation": "1.RST",
        "BoxIdentifier": "HOUSE7",
        "SupervisionUrl": "wss://csms.example/ocpp",
        "SecurityProfile": 2,
        "AuthorizationKey": SECRETS[0],
        "ConsolePassword": SECRETS[2],
        "TICmode": 2,
    },
    "wifi": {"ssid": "house", "key": SECRETS[1]},
    "meter": "SDM630",
    "unit": 7,
    "pins": {"permit": "32", "tamper": "-"},
}


def changed(**words):
    given = json.loads(json.dumps(GOOD))
    for name, value in words.items():
        into, leaf = provision.place(given, name.replace("__", "."))
        if value is None:
            del into[leaf]
        else:
            into[leaf] = value
    return given


@pytest.fixture
def folder(tmp_path):
    authority = trustme.CA()
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes() * 2)
    (tmp_path / "update.key").write_bytes(bytes(range(256)))
    return tmp_path


def test_good_answers_become_the_files_that_the_device_reads(folder):
    made = provision.files(changed(ca="ca.pem", update_key="update.key"), folder)
    assert made["ca.der"][0] == 0x30 and b"BEGIN" not in made["ca.der"]
    checked = types.SimpleNamespace()
    given = json.loads(made[device.FILE])
    device.check(given, checked)
    assert given["ca"] == "ca.der" and "update_key" not in given
    assert checked.model == "Evh5A22N400F" and checked.unit == 7
    assert checked.provisioned["IMaxUser"] == "16" and checked.pins["permit"] == "32"
    for name, data in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    assert Store(Files(str(folder / "state"))).read("update_key") == bytes(range(256))


@pytest.mark.parametrize(
    "words, why",
    [
        ({"model": "Evh5"}, "no commercial reference"),
        ({"model": None}, "no model"),
        ({"colour": "red"}, "no such entry: colour"),
        ({"keys__IMaxUser": 33}, "from 6 to 32 A"),
        ({"keys__IMaxUser": None}, "both, or no current"),
        ({"keys__PhaseNumber": 2}, "PhaseNumber"),
        ({"keys__ConnectorPhaseRotation": "XYZ"}, "ConnectorPhaseRotation"),
        ({"keys__Nonsense": 1}, "no such key: Nonsense"),
        ({"keys__AuthorizationKey": "short"}, "AuthorizationKey: 16 to 40"),
        ({"keys__AuthorizationKey": None}, "needs an AuthorizationKey"),
        ({"keys__BoxIdentifier": None}, "needs a BoxIdentifier"),
        ({"keys__SupervisionUrl": "http://x"}, "SupervisionUrl"),
        ({"keys__SecurityProfile": 1}, "without TLS"),
        ({"ca": ""}, "SecurityProfile 2 needs a ca"),
        ({"ca": "update.key"}, "no certificate"),
        ({"ca": "nowhere.pem"}, "nowhere.pem: No such file"),
        ({"update_key": "ca.pem"}, "no update.key"),
        ({"wifi__key": "short"}, "wifi"),
        ({"meter": "Abacus"}, "Abacus"),
        ({"unit": 300}, "unit"),
        ({"aiorepl": True}, "no ConsolePassword, so not both"),
        ({"board": "toaster"}, "no such board"),
        ({"pins__permit": "6"}, "no pin for this"),
        ({"pins__permit": "-"}, "must be fitted"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_written(folder, words, why):
    with pytest.raises(Trouble, match=why) as trouble:
        provision.files({"ca": "ca.pem", **changed(**words)}, folder)
    assert not any(secret in str(trouble.value) for secret in SECRETS)


def test_no_secret_is_shown(folder):
    path = folder / "house.json"
    path.write_text(json.dumps({**GOOD, "ca": "ca.pem"}))
    for words in (["--check"], ["--out", str(folder / "out")]):
        done = subprocess.run(
            [sys.executable, "tools/provision.py", "--file", str(path), *words],
            cwd=runtimes.ROOT, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "HOUSE7" in done.stdout and "(set)" in done.stdout
        assert not any(secret in done.stdout + done.stderr for secret in SECRETS)
    assert json.loads((folder / "out" / "provision.json").read_text())["unit"] == 7


def test_a_toml_file(folder):
    path = folder / "house.toml"
    path.write_text('model = "Evh5A07N2C7"\n[keys]\nIMaxUser = 20\nPhaseNumber = 1\n')
    made = provision.files(provision.read(path), folder)
    assert json.loads(made[device.FILE])["keys"] == {"IMaxUser": 20, "PhaseNumber": 1}
    path.write_text("model = \n")
    with pytest.raises(Trouble, match="house.toml: Invalid value"):
        provision.read(path)


def test_questions_keep_what_the_board_has(monkeypatch, folder):
    typed = {"The most that the circuit": "20", "Its Modbus address": "9", "Who tells": "-"}
    prompts = []

    def answer(prompt):
        prompts.append(prompt)
        return next((typed[name] for name in typed if prompt.startswith(name)), "")

    monkeypatch.setattr(builtins, "input", answer)
    monkeypatch.setattr(getpass, "getpass", answer)
    given = provision.ask({**GOOD, "ca": "ca.der", "ntp": "pool.ntp.org"})
    assert given["keys"] == {**GOOD["keys"], "IMaxUser": "20"}
    assert given["unit"] == "9" and given["wifi"] == GOOD["wifi"] and "ntp" not in given
    assert given["pins"] == GOOD["pins"]
    assert not any(secret in "".join(prompts) for secret in SECRETS)
    made = provision.files(given, folder)  # its CA is on the board
    assert set(made) == {device.FILE}


@pytest.fixture
def pty_board(tmp_path, micropython):
    micropython(64)
    with PtyBoard(tmp_path) as made:
        yield made


@pytest.mark.micropython
def test_writing_to_a_board(pty_board, folder):
    (pty_board.flash / "provision.json").write_text('{"model": "Evh5A22N2S", "unit": 3}')
    with Board(pty_board.port) as target:
        target.stand_aside()
        target.enter()
        assert provision.present(target) == {"model": "Evh5A22N2S", "unit": 3}
        made = provision.files(changed(ca="ca.pem", update_key="update.key"), folder)
        provision.write(target, made, lambda line: None)
    for name, data in made.items():
        assert (pty_board.flash / name).read_bytes() == data
    assert not list(pty_board.flash.rglob("*.new"))


@pytest.mark.micropython
def test_dev_mounts_the_tree(pty_board):
    look = "import sys; sys.path.insert(0, '/remote'); import firmware; print(firmware.__file__)"
    done = subprocess.run(
        [sys.executable, "tools/dev.py", "--port", pty_board.port, "--run", look],
        cwd=runtimes.ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (runtimes.BUILD / "dev" / "run.py").exists()
    assert "/remote/firmware/__init__.mpy" in done.stdout, done.stdout + done.stderr
