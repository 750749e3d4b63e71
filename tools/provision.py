"""make provision PORT=...: tells a board its Wi-Fi, model, circuit, identity, keys, CA and pins.

Asks, or reads a file (`--file house.toml`, or .json): the entries of `firmware/device.py`, and
`ca` and `update_key` as paths on this computer. Everything is checked before anything is written;
what is secret is never shown. `--check` only checks, `--out FOLDER` writes to a folder instead.
"""

from __future__ import annotations

import argparse
import binascii
import getpass
import json
import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from firmware import device  # noqa: E402
from firmware.charging import models  # noqa: E402
from firmware.net import tls  # noqa: E402
from tools import board, flash  # noqa: E402
from tools.board import Board, Trouble  # noqa: E402

SECRETS = ("key", "AuthorizationKey", "ConsolePassword")
CA = "ca.der"
UPDATE_KEY = "state/store/update_key"
SET = "(set)"

# What is asked: where it goes, the question, what holds when the answer is empty. `keys.` and
# `wifi.` are entries of these objects; `*` a secret.
QUESTIONS = """
model|The commercial reference on the type plate|Evh5A22N2S
keys.IMaxUser|The most that the circuit carries on each phase, A|
keys.PhaseNumber|The circuit's phases, 1 or 3|1
keys.ConnectorPhaseRotation|Its phases at the house: RST, RTS, ... or NotApplicable|NotApplicable
wifi.ssid|The Wi-Fi network's name|
wifi.key|*Its key|
keys.BoxIdentifier|The station's identity at the central system|
keys.SupervisionUrl|The central system, ws:// or wss://; empty: standalone|
keys.SecurityProfile|Security profile: 0, 1 (password) or 2 (password and TLS)|0
keys.AuthorizationKey|*The password (AuthorizationKey, 16 to 40 characters)|
ca|The central system's CA certificate, a PEM or DER file|
update_key|The key that firmware updates are signed with, a file (tools/bundle.py)|
meter|The energy meter|iEM3155
unit|Its Modbus address|1
keys.TICmode|TIC: 0 automatic, 1 historique, 2 standard, 3 none|0
ntp|Who tells the time without a central system|
board|The board: devkit or wrover|devkit
keys.ConsolePassword|*A password for the serial console|
"""


def place(given: dict, name: str) -> tuple[dict, str]:
    """The object that an answer belongs to, and its name there."""
    group, dot, leaf = name.rpartition(".")
    return (given.setdefault(group, {}), leaf) if dot else (given, leaf)


def ask(before: dict) -> dict:
    """Asks everything; `before` is what the board has now, and stays where nothing is typed."""
    given = json.loads(json.dumps(before))
    print("Enter takes the value in brackets, - leaves an entry out.")
    for line in QUESTIONS.strip().split("\n"):
        name, question, default = line.split("|")
        secret = question[0] == "*"
        into, leaf = place(given, name)
        now = into.get(leaf, default)
        shown = SET if secret and now else now
        prompt = "%s%s: " % (question.lstrip("*"), " [%s]" % shown if shown != "" else "")
        answer = (getpass.getpass(prompt) if secret else input(prompt)).strip()
        if answer == "-":
            into.pop(leaf, None)
        elif answer or now != "":
            into[leaf] = answer or now
    return {name: value for name, value in given.items() if value != {}}


def read(path: Path) -> dict:
    """The answers in a file."""
    try:
        text = path.read_text()
        if path.suffix == ".toml":
            import tomllib

            return tomllib.loads(text)
        return json.loads(text)
    except (OSError, ValueError) as error:
        raise Trouble(f"{path}: {error}") from None


def files(given: dict, folder: Path) -> dict[str, bytes]:
    """The board's files, checked; paths in `given` are relative to `folder`. Trouble says what is
    wrong."""
    given = json.loads(json.dumps(given))
    made = {}
    try:
        update_key = given.pop("update_key", "")
        if update_key:
            data = (folder / update_key).expanduser().read_bytes()
            if len(data) != 256:
                raise ValueError(f"update_key: {update_key} is no update.key of tools/bundle.py")
            made[UPDATE_KEY] = binascii.crc32(data).to_bytes(4, "little") + data
        ca = given.get("ca", "")
        if not ca:
            given.pop("ca", None)
        elif ca != CA or (folder / CA).exists():
            certificates = tls.certificates((folder / ca).expanduser().read_bytes())
            made[CA] = b"".join(certificates)
            given["ca"] = CA
        checked = types.SimpleNamespace()
        device.check(given, checked)
        whole(checked, given)
    except OSError as error:
        raise Trouble(f"{error.filename}: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise Trouble(str(error)) from None
    made[device.FILE] = json.dumps(given, indent=1).encode() + b"\n"
    return made


def whole(checked, given: dict) -> None:
    """What fits each entry but not together. Raises ValueError."""
    keys = checked.provisioned
    profile = keys.get("SecurityProfile", "0")
    url = keys.get("SupervisionUrl", "")
    if checked.provisioned["IMaxUser"] == "0":
        raise ValueError("IMaxUser and PhaseNumber: both, or no current is ever offered")
    if url and not keys.get("BoxIdentifier"):
        raise ValueError("a SupervisionUrl needs a BoxIdentifier")
    if profile != "0" and not keys.get("AuthorizationKey"):
        raise ValueError("SecurityProfile %s needs an AuthorizationKey" % profile)
    if profile == "2" and not given.get("ca") and not given.get("insecure"):
        raise ValueError("SecurityProfile 2 needs a ca")
    if url[:6].lower() == "wss://" and profile == "1":
        raise ValueError("SecurityProfile 1 is without TLS: ws://, or profile 2")


def hidden(given: dict) -> dict:
    """For showing: without what is secret."""
    shown = {}
    for name, value in given.items():
        if isinstance(value, dict):
            value = hidden(value)
        shown[name] = SET if name in SECRETS and value else value
    return shown


def write(target: Board, made: dict[str, bytes], say=print) -> None:
    """Puts the files on an entered board, each old or new; provision.json last."""
    work = flash.Flash(target, say)
    target.run(flash.TOOLS)
    for name in sorted(made, key=lambda name: name == device.FILE):
        target.run(f"folders({name!r})")
        work.replace(name, made[name])
        say(f"{name} is written and verified")


def present(target: Board) -> dict:
    """What the board holds now; empty when it was never provisioned."""
    try:
        return json.loads(target.run(f"print(open({device.FILE!r}).read())"))
    except (Trouble, ValueError):
        return {}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="make provision", description=__doc__.split("\n")[0])
    parser.add_argument("--port", help="the board's serial port (the only one there is)")
    parser.add_argument("--file", type=Path, help="the answers, .toml or .json")
    parser.add_argument("--check", action="store_true", help="check the answers, write nothing")
    parser.add_argument("--out", type=Path, help="write to this folder, not to a board")
    args = parser.parse_args()
    folder = args.file.parent if args.file else Path()
    if args.check or args.out:
        given = read(args.file) if args.file else ask({})
        made = files(given, folder)
        if args.out:
            for name, data in made.items():
                (args.out / name).parent.mkdir(parents=True, exist_ok=True)
                (args.out / name).write_bytes(data)
    else:
        with Board(board.pick(args.port)) as target:
            with target.maintenance():
                given = read(args.file) if args.file else ask(present(target))
                write(target, files(given, folder))
            flash.selftest(target, print)
    row = models.find(str(given["model"]))
    print(json.dumps(hidden(given), indent=1, ensure_ascii=False))
    print("%s, %s phases and %s A at most: checked" % (row[0], row[1], row[2]))
    return 0


if __name__ == "__main__":
    board.main(main)
