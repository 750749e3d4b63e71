"""tools/provision.py and tools/dev.py, also against the board of `pty_board.py`."""

import argparse
import base64
import builtins
import getpass
import json
import subprocess
import sys
import types

import pytest
import trustme

from firmware import provisioning
from firmware.base.store import Files, Store
from firmware.ocpp.configuration import Configuration
from tools import board_facts, provision, runtimes
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
    private = authority.issue_cert("house").private_key_pem.bytes()
    body = b"".join(line for line in private.splitlines() if not line.startswith(b"---"))
    (tmp_path / "key.der").write_bytes(base64.b64decode(body))  # a sequence in DER, too
    return tmp_path


def test_good_answers_become_the_files_that_the_device_reads(folder):
    made = provision.files(changed(ca="ca.pem", update_key="update.key"), folder)
    assert made["ca.der"][0] == 0x30 and b"BEGIN" not in made["ca.der"]
    given = json.loads(made[provisioning.FILE])
    checked = provisioning.check(given)
    assert given["ca"] == "ca.der" and "update_key" not in given
    assert checked.model == "Evh5A22N400F" and checked.meter_unit == 7
    assert checked.provisioned_keys["IMaxUser"] == "16" and checked.pins["permit"] == "32"
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
        ({"ca": "", "keys__SecurityProfile": 0}, "wss:// needs a ca, or insecure = true"),
        (
            {"keys__BoxIdentifier": "HOUSE:1"},
            "BoxIdentifier: no colon with SecurityProfile 1 or 2",
        ),
        ({"ca": "update.key"}, "no certificate"),
        ({"ca": "nowhere.pem"}, "nowhere.pem: No such file"),
        ({"update_key": "ca.pem"}, "no update.key"),
        ({"wifi__key": "short"}, "wifi"),
        ({"meter": "Abacus"}, "Abacus"),
        ({"unit": 300}, "unit: from 1 to 247"),
        ({"unit": "one"}, "unit: from 1 to 247"),
        ({"unit": 1.5}, "unit: from 1 to 247"),
        ({"unit": True}, "unit: from 1 to 247"),
        ({"wifi__Key": "hidden-in-a-typo"}, "wifi: no such entry: Key"),
        ({"wifi__ssid": ""}, "wifi: an ssid"),
        ({"keys__authorizationkey": SECRETS[0]}, "AuthorizationKey: given twice"),
        ({"insecure": "false"}, "insecure: true or false"),
        ({"insecure": 0}, "insecure: true or false"),
        ({"aiorepl": "no", "keys__ConsolePassword": None}, "aiorepl: true or false"),
        ({"ntp": "bad host name\n!!"}, "ntp: a host"),
        ({"ntp": "x" * 254}, "ntp: a host"),
        ({"ca": 5}, "ca: a file's path"),
        ({"update_key": 5}, "update_key: a file's path"),
        ({"ca": "ca.der"}, "ca.der: No such file"),
        ({"ca": "key.der"}, "ca: there is something else than certificates"),
        ({"aiorepl": True}, "no ConsolePassword, so not both"),
        ({"board": "toaster"}, "no such board"),
        ({"pins__permit": "6"}, "no pin for this"),
        ({"pins__permit": "-"}, "must be fitted"),
        ({"board": "wrover", "pins__meter_rx": "16"}, "no pin for this: the PSRAM's"),
        ({"board": "s3", "pins__permit": "35"}, "no pin for this: the PSRAM's"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_written(folder, words, why):
    with pytest.raises(Trouble, match=why) as trouble:
        provision.files({"ca": "ca.pem", **changed(**words)}, folder)
    assert not any(secret in str(trouble.value) for secret in SECRETS)


def test_an_open_network(folder):
    for words in ({"wifi__key": None}, {"wifi__key": ""}):
        assert provision.files({"ca": "ca.pem", **changed(**words)}, folder)


@pytest.mark.parametrize("text, why", [("[]", "a list"), ("5", "an? int"), ('"x"', "a str")])
def test_a_file_that_is_no_table(tmp_path, text, why):
    (tmp_path / "house.json").write_text(text)
    with pytest.raises(Trouble, match="no table of entries but " + why):
        provision.read(tmp_path / "house.json")


@pytest.mark.parametrize("spelt", [str, str.lower, str.upper])
def test_no_secret_is_shown(folder, spelt):
    path = folder / "house.json"
    given = {**GOOD, "ca": "ca.pem", "keys": {spelt(n): v for n, v in GOOD["keys"].items()}}
    path.write_text(json.dumps(given))
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
    assert json.loads(made[provisioning.FILE])["keys"] == {"IMaxUser": 20, "PhaseNumber": 1}
    path.write_text("model = \n")
    with pytest.raises(Trouble, match="house.toml: Invalid value"):
        provision.read(path)


@pytest.fixture
def person(monkeypatch):
    """Somebody who answers: `typed` is how a question begins to what is typed, one after the
    other. The questions are in `prompts`."""
    made = types.SimpleNamespace(typed={}, prompts=[])

    def answer(prompt):
        made.prompts.append(prompt)
        for start, words in made.typed.items():
            if prompt.startswith(start) and words:
                return words.pop(0)
        return ""

    monkeypatch.setattr(builtins, "input", answer)
    monkeypatch.setattr(getpass, "getpass", answer)
    return made


def test_questions_keep_what_the_board_has(person, folder):
    person.typed = {
        "The most that the circuit": ["20"],
        "Its Modbus address": ["9"],
        "Who tells": ["-"],
        "What differs": ["tamper=- permit=32"],
    }
    before = {**GOOD, "ca": "ca.der", "ntp": "pool.ntp.org", "update_key": provision.ON_BOARD}
    given = provision.ask(before)
    assert given["keys"] == {**GOOD["keys"], "IMaxUser": "20", "FeatureSet": "guide"}
    assert given["unit"] == "9" and given["wifi"] == GOOD["wifi"] and "ntp" not in given
    assert given["pins"] == GOOD["pins"]
    assert not any(secret in "".join(person.prompts) for secret in SECRETS)
    made = provision.files(given, folder, before)  # its CA and key are on the board
    assert set(made) == {provisioning.FILE}
    assert "update_key" not in json.loads(made[provisioning.FILE])


def test_a_wrong_answer_is_asked_again(person, capsys):
    person.typed = {
        "The commercial": ["Evh5", "Evh5A07N2C7"],
        "The most": ["64", "20"],
        "The Wi-Fi": ["house"],
        "Its key": ["short", SECRETS[1]],
        "The station's identity": ["HOUSE1"],
        "The central system, ": ["http://house", "wss://house/ocpp", "ws://house/ocpp"],
        "Security profile": ["1", "0"],
        "The password": ["short", SECRETS[0]],
        "The central system's CA": ["nowhere.pem"],
        "What differs": ["permit=6", "permit=32 tamper=-"],
    }
    given = provision.ask({})  # wss without a CA: it all comes once more, with what was said
    assert given["keys"]["IMaxUser"] == "20" and given["pins"] == GOOD["pins"]
    assert given["keys"]["SupervisionUrl"] == "ws://house/ocpp"
    assert not any(words for words in person.typed.values())
    said = capsys.readouterr().out
    for why in (
        "no commercial",
        "from 6 to 32",
        "key of 8",
        "16 to 40",
        "nowhere.pem",
        "once more",
    ):
        assert why in said, why
    assert not any(secret in said + "".join(person.prompts) for secret in SECRETS)


def test_answers_that_end_too_soon(monkeypatch):
    def end(prompt):
        raise EOFError

    monkeypatch.setattr(builtins, "input", end)
    with pytest.raises(Trouble, match="nothing was written"):
        provision.ask({})


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


def keep(flash, keys, **values):
    """What a station has stored: keys that were changed since, and values."""
    store = Store(Files(str(flash / "state")))
    store.write("keys", "\n".join("%s=%s" % item for item in keys.items()).encode())
    for name, value in values.items():
        store.write(name.replace("_", "-"), value)


def runs_with(flash):
    """The station's keys as it starts from this flash, and its store."""
    checked = provisioning.check(json.loads((flash / "provision.json").read_text()))
    store = Store(Files(str(flash / "state")))
    return Configuration(store, {}, checked.provisioned_keys), store


@pytest.mark.micropython
def test_a_newer_answer_wins_over_what_was_changed_since(pty_board, folder):
    told = changed(ca="ca.pem", update_key="update.key")
    for name, data in provision.files(told, folder).items():
        (pty_board.flash / name).parent.mkdir(parents=True, exist_ok=True)
        (pty_board.flash / name).write_bytes(data)
    since = {
        "AuthorizationKey": "a wrong one, of 25 bytes!",
        "SupervisionUrl": "wss://elsewhere/ocpp",
        "HeartbeatInterval": "77",
        "CpoName": "somebody",
    }
    keep(pty_board.flash, since, auth_old=b"x", profile_old=b"1", place=b"y", tic_seen=b"1")
    said = []

    def again(overrule=False, **words):
        path = folder / "house.json"
        path.write_text(json.dumps({**told, **changed(**words), "ca": "ca.pem"}))
        args = argparse.Namespace(file=path, overrule=overrule)
        said.clear()
        with Board(pty_board.port) as target:
            provision.provision(target, args, said.append)
            assert ">>>" in list(target.lines(10))  # it has started again
        return runs_with(pty_board.flash)

    # what has another answer now, wins; what has not, was changed for a reason
    keys, store = again(keys__AuthorizationKey="the-right-one-of-house")
    assert keys.get("AuthorizationKey") == "the-right-one-of-house"
    assert keys.get("SupervisionUrl") == "wss://elsewhere/ocpp"
    assert keys.get("HeartbeatInterval") == "77" and keys.get("CpoName") == "somebody"
    assert store.read("auth-old") is None and store.read("tic-seen") is None
    assert store.read("profile-old") == b"1" and store.read("place") == b"y"
    assert [line for line in said if "changed on the board" in line][0].startswith(
        "SupervisionUrl"
    )
    assert not any("which" in line or "25 bytes" in line for line in said)

    # as answered, on demand
    keys, store = again(overrule=True, keys__AuthorizationKey="the-right-one-of-house")
    assert keys.get("SupervisionUrl") == "wss://csms.example/ocpp"
    assert keys.get("HeartbeatInterval") == "77"  # nobody was asked
    assert store.read("place") is None and store.read("profile-old") is None
    assert store.read("update_key") == bytes(range(256))

    # a key for updates that is no longer named is no longer trusted
    del told["update_key"]
    _, store = again()
    assert store.read("update_key") is None and "state/store/update_key is removed" in said


def test_what_is_typed_anew_wins(folder):
    now = provision.stored(b"AuthorizationKey=another-one-of-22-ch\nHeartbeatInterval=77")
    made, stay = provision.overruled(now, GOOD, GOOD)
    assert made == {} and stay == ["AuthorizationKey"]
    made, stay = provision.overruled(now, GOOD, GOOD, {"AuthorizationKey", "ssid", "unit"})
    assert made["state/store/keys"] == provision.stored(b"HeartbeatInterval=77") and not stay
    assert made["state/store/auth-old"] is None
    # what the board's default was, is no other answer where the question is new
    full = provision.stored(b"FeatureSet=full")
    assert provision.overruled(full, GOOD, changed(keys__FeatureSet="guide")) == (
        {},
        ["FeatureSet"],
    )
    assert provision.overruled(full, changed(keys__FeatureSet="full"), GOOD)[1] == []
    torn = now[:-1]
    assert provision.overruled(torn, GOOD, GOOD) == ({}, [])  # the station does not read it either


CHIP = """
HEAP_DATA = 4
def idf_heap_info(kind):
    return [(113792, 41000, 26000, 9000), (4177920, 4000000, 3900000, 3800000)]
class Partition:
    TYPE_DATA = 1
    @staticmethod
    def find(kind, label):
        return []
"""


@pytest.mark.micropython
def test_the_chip_says_which_pins_it_has(pty_board, folder, person, monkeypatch):
    library = pty_board.flash / "lib"
    library.mkdir()
    (library / "esp32.py").write_text(CHIP)
    (library / "esp.py").write_text("def flash_size():\n    return 4 << 20\n")
    monkeypatch.setattr(board_facts, "chip", lambda facts: "esp32")

    def written(given=None):
        path = None
        if given is not None:
            path = folder / "house.json"
            path.write_text(json.dumps({**given, "ca": "ca.pem"}))
        args = argparse.Namespace(file=path, overrule=False)
        with Board(pty_board.port) as target:
            provision.provision(target, args, lambda line: None)
        return json.loads((pty_board.flash / "provision.json").read_text())

    assert written(GOOD)["board"] == "wrover"
    for words, why in (
        ({"board": "devkit"}, "devkit is for the chip esp32, and this is esp32.psram: take wrov"),
        ({"board": "s3", "pins": {}}, "take wrover"),
        ({"pins": {"meter_rx": "16"}}, "pins: meter_rx: 16 is no pin for this: the PSRAM's"),
    ):
        with pytest.raises(Trouble, match=why):
            written({**GOOD, **words})
    (pty_board.flash / "provision.json").unlink()
    person.typed = {
        "The commercial": ["Evh5A07N2C7"],
        "The most": ["20"],
        "The board": ["devkit", ""],
    }
    assert written()["board"] == "wrover"
    assert [words for words in person.prompts if words.startswith("The board")][1].endswith(
        "devkit, wrover or s3 [wrover]: "
    )
    monkeypatch.setattr(board_facts, "chip", lambda facts: "esp32c3")
    with pytest.raises(Trouble, match="no pin table for the chip esp32c3.psram"):
        written(GOOD)


@pytest.mark.micropython
def test_the_features_are_asked_for(pty_board, person, capsys):
    def answered(*words):
        person.typed = {"The most": ["20"], "Features": list(words)}
        person.prompts.clear()
        with Board(pty_board.port) as target:
            args = argparse.Namespace(file=None, overrule=False)
            provision.provision(target, args, lambda line: None)
        keys, _ = runs_with(pty_board.flash)
        asked = [prompt for prompt in person.prompts if prompt.startswith("Features")]
        return keys.get("FeatureSet"), asked[-1]

    features, asked = answered("")
    assert features == "guide" and asked.endswith("[guide]: ")
    assert answered("everything", "full")[0] == "full"
    assert "FeatureSet: " in capsys.readouterr().out  # why the first of the two is none
    features, asked = answered("")
    assert features == "full" and asked.endswith("[full]: ")


@pytest.mark.micropython
def test_dev_mounts_the_tree(pty_board):
    look = "import sys; sys.path.insert(0, '/remote'); import firmware; print(firmware.__file__)"
    done = subprocess.run(
        [sys.executable, "tools/dev.py", "--port", pty_board.port, "--run", look],
        cwd=runtimes.ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (runtimes.BUILD / "dev" / "run.py").exists()
    assert "/remote/firmware/__init__.mpy" in done.stdout, done.stdout + done.stderr
