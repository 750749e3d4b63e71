"""make provision PORT=...: tells a board its Wi-Fi, model, circuit, identity, keys, CA and pins.

Asks, or reads a file (`--file house.toml`, or .json): the entries of `firmware/provisioning.py`,
and `ca` and `update_key` as paths on this computer. The board's chip says which pins it has, and
those of its flash and PSRAM are refused. Everything is checked before anything is
written; what is secret is never shown. `--check` only checks, `--out FOLDER` writes to a folder
instead.

A key that was changed on the board since (by the central system, at the console) stays so, unless
its answer is another one than at the last provisioning, or was typed anew, or `--overrule`.
"""

from __future__ import annotations

import argparse
import binascii
import getpass
import json
import ssl
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from firmware import provisioning  # noqa: E402
from firmware.board import pins  # noqa: E402
from firmware.charging import models  # noqa: E402
from firmware.net import tls  # noqa: E402
from firmware.ocpp import keys  # noqa: E402
from tools import board, board_facts, flash  # noqa: E402
from tools.board import Board, Trouble  # noqa: E402

CA = "ca.der"
STORE = "state/store/"  # the station's: firmware/base/store.py
UPDATE_KEY = STORE + "update_key"
ON_BOARD = "(on the board)"
SET = "(set)"
# Whether the board has that package.
AIOREPL = """
try:
    import aiorepl
    print(True)
except ImportError:
    print(False)
"""
# What the station goes back to when a key's new value does not work out.
BEFORE = {
    "AuthorizationKey": "auth-old",
    "SecurityProfile": "profile-old",
    "SupervisionUrl": "place",
    "BoxIdentifier": "place",
}

# What is asked: where it goes, the question, what holds when the answer is empty. `keys.` and
# `wifi.` are entries of these objects; `*` a secret.
QUESTIONS = """
model|The commercial reference on the type plate|Evh5A22N2S
keys.IMaxUser|The most that the circuit carries on each phase, A|
keys.PhaseNumber|The circuit's phases, 1 or 3|1
keys.ConnectorPhaseRotation|Its phases at the house: RST, RTS, ... or NotApplicable|NotApplicable
wifi.ssid|The Wi-Fi network's name|
wifi.key|*Its key; - for an open network|
keys.BoxIdentifier|The station's identity at the central system|
keys.SupervisionUrl|The central system, ws:// or wss://; empty: standalone|
keys.SecurityProfile|Security profile: 0, 1 (password) or 2 (password and TLS)|0
keys.FeatureSet|Features: guide (Schneider's), or full (also availability, lists of idTags)|guide
keys.AuthorizationKey|*The password (AuthorizationKey, 16 to 40 characters)|
ca|The central system's CA certificate, a PEM or DER file|
update_key|The key that firmware updates are signed with, a file (tools/bundle.py)|
meter|The energy meter|iEM3155
unit|Its Modbus address|1
baud|Its baud rate, if it is not as delivered|
parity|Its parity (N, E, O), if it is not as delivered|
meter_number|Its serial number; another one than before says that the meter was changed|
keys.TICmode|TIC: 0 automatic, 1 historique, 2 standard, 3 none|0
feeds_in|Does the house feed power into the grid (panels, a battery), yes or no|no
tic_pause_s|A lost TIC pauses the charge after so many s; 0: never|600
switch_s|The rest of a vehicle whose phases are switched, s|60
ntp|Who tells the time without a central system|
board|The board, which says what its pins are: devkit, wrover or s3|devkit
pins|What differs from its pins, as NAME=PIN NAME=PIN (docs/wiring.md)|
keys.ConsolePassword|*A password for the serial console|
"""


def place(given: dict, name: str) -> tuple[dict, str]:
    """The object that an answer belongs to, and its name there."""
    group, dot, leaf = name.rpartition(".")
    return (given.setdefault(group, {}), leaf) if dot else (given, leaf)


def ask(before: dict, typed: set | None = None, chip: str = "") -> dict:
    """Asks everything, each answer until it can be; `before` is what the board has now, and stays
    where nothing is typed. The names of what was typed are added to `typed`. `chip`: as in
    `files`."""
    given = json.loads(json.dumps(before))
    print("Enter takes the value in brackets, - leaves an entry out.")
    try:
        while True:
            for line in QUESTIONS.strip().split("\n"):
                name, question, default = line.split("|")
                if name == "board" and chip:
                    default = pins.board_for(chip)
                while not _answer(given, before, name, question, default, typed, chip):
                    pass
            given = {name: value for name, value in given.items() if value != {}}
            try:
                files(given, Path(), before, chip)
                return given
            except Trouble as trouble:
                print(f"  {trouble}; once more:")
    except EOFError:
        raise Trouble("the answers ended too soon: nothing was written") from None


def _answer(given, before, name, question, default, typed, chip) -> bool:
    """Asks one question; whether what was answered can be."""
    secret = question[0] == "*"
    into, leaf = place(given, name)
    now = into.get(leaf, default)
    shown = SET if secret and now else now
    if isinstance(now, dict):
        shown = " ".join("%s=%s" % pin for pin in now.items())
    prompt = "%s%s: " % (question.lstrip("*"), " [%s]" % shown if shown != "" else "")
    answer = (getpass.getpass(prompt) if secret else input(prompt)).strip()
    if answer == "-":
        into.pop(leaf, None)
    elif answer or now != "":
        value = answer or now
        if name == "feeds_in":
            value = {"yes": True, "no": False}.get(str(value).lower(), value)
        if name == "pins" and isinstance(value, str):
            value = dict(word.partition("=")[::2] for word in value.split())
        model = given.get("model", "Evh5A22N2S")
        alone = {"model": model}
        part, _ = place(alone, name)
        part[leaf] = value
        if name == "wifi.key":
            part["ssid"] = "any"
        if name == "pins" and "board" in given:
            alone["board"] = given["board"]
        try:
            checked_files(alone, Path(), before, chip)
        except Trouble as trouble:
            print(f"  {trouble}")
            return False
        into[leaf] = value
    if typed is not None and answer:
        typed.add(leaf)
    return True


def read(path: Path) -> dict:
    """The answers in a file."""
    try:
        text = path.read_text()
        if path.suffix == ".toml":
            import tomllib

            given = tomllib.loads(text)
        else:
            given = json.loads(text)
    except (OSError, ValueError) as error:
        raise Trouble(f"{path}: {error}") from None
    if not isinstance(given, dict):
        raise Trouble(f"{path}: no table of entries but a {type(given).__name__}")
    return given


def files(
    given: dict, folder: Path, before: dict | None = None, chip: str = ""
) -> dict[str, bytes | None]:
    """The board's files, checked, None for one that goes; paths in `given` are relative to
    `folder`. What is named as in `before` is on the board already. `chip`: the board's, as
    `firmware.base.runtime.chip` names it; "" where it is not known. Trouble says what is wrong."""
    made, checked = checked_files(given, folder, before or {}, chip)
    try:
        whole(checked, given)
    except ValueError as error:
        raise Trouble(str(error)) from None
    return made


def checked_files(given: dict, folder: Path, before: dict, chip: str) -> tuple:
    """The files, and what the device makes of them. Each entry is checked by itself."""
    given = json.loads(json.dumps(given))
    made: dict[str, bytes | None] = {}
    try:
        for name in ("ca", "update_key"):
            if not isinstance(given.get(name, ""), str):
                raise ValueError(f"{name}: a file's path, in quotes")
        update_key = given.pop("update_key", "")
        if not update_key:
            made[UPDATE_KEY] = None
        elif update_key != before.get("update_key"):
            data = (folder / Path(update_key).expanduser()).read_bytes()
            if len(data) != 256:
                raise ValueError(f"update_key: {update_key} is no update.key of tools/bundle.py")
            made[UPDATE_KEY] = stored(data)
        ca = given.get("ca", "")
        if not ca:
            given.pop("ca", None)
        elif ca != before.get("ca"):
            made[CA] = authority((folder / Path(ca).expanduser()).read_bytes())
            given["ca"] = CA
        checked = provisioning.check(given, chip)
    except OSError as error:
        raise Trouble(f"{error.filename}: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise Trouble(str(error)) from None
    made[provisioning.FILE] = json.dumps(given, indent=1).encode() + b"\n"
    return made, checked


def stored(data: bytes) -> bytes:
    """A value as the station's store has it (firmware/base/store.py)."""
    return binascii.crc32(data).to_bytes(4, "little") + data


def authority(data: bytes) -> bytes:
    """The certificates in a CA file, in DER. Raises ValueError."""
    found = b"".join(tls.certificates(data))
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=found)
    except ssl.SSLError:
        raise ValueError("ca: there is something else than certificates in it") from None
    return found


def whole(checked, given: dict) -> None:
    """What fits each entry but not together. Raises ValueError."""
    told = checked.provisioned_keys
    profile = told.get("SecurityProfile", "0")
    url = told.get("SupervisionUrl", "")
    if told["IMaxUser"] == "0":
        raise ValueError("IMaxUser and PhaseNumber: both, or no current is ever offered")
    if url and not told.get("BoxIdentifier"):
        raise ValueError("a SupervisionUrl needs a BoxIdentifier")
    if profile != "0" and not told.get("AuthorizationKey"):
        raise ValueError("SecurityProfile %s needs an AuthorizationKey" % profile)
    if profile == "2" and not given.get("ca") and not given.get("insecure"):
        raise ValueError("SecurityProfile 2 needs a ca")
    if profile in ("1", "2") and ":" in told.get("BoxIdentifier", ""):
        raise ValueError("BoxIdentifier: no colon with SecurityProfile 1 or 2 (RFC 7617)")
    if url[:6].lower() == "wss://" and not given.get("ca") and not given.get("insecure"):
        raise ValueError("wss:// needs a ca, or insecure = true")
    if url[:6].lower() == "wss://" and profile == "1":
        raise ValueError("SecurityProfile 1 is without TLS: ws://, or profile 2")


def hidden(given: dict) -> dict:
    """For showing: without what is secret, however its name is spelt."""
    shown = json.loads(json.dumps(given))
    for name in shown.get("keys", {}):
        key = keys.find(name)
        if not key or key.access == keys.SECRET:
            shown["keys"][name] = SET
    for name in shown.get("wifi", {}):
        if name != "ssid":
            shown["wifi"][name] = SET
    return shown


def write(target: Board, made: dict[str, bytes | None], say=print) -> None:
    """Puts the files on an entered board, each old or new; provision.json last."""
    work = flash.Flash(target, say)
    target.run(flash.TOOLS)
    for name in sorted(made, key=lambda name: name == provisioning.FILE):
        data = made[name]
        if data is not None:
            target.run(f"folders({name!r})")
            work.replace(name, data)
            say(f"{name} is written and verified")
        elif target.get(name) is not None:
            target.run(f"os.remove({name!r})")
            say(f"{name} is removed")


def answers(given: dict) -> dict[str, str]:
    """The keys' answers as the station reads them: own name to value."""
    try:
        checked = provisioning.check({"model": given["model"], "keys": given.get("keys", {})})
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}  # as good as none: the station does not take it either
    return checked.provisioned_keys


def overruled(now: bytes | None, before: dict, given: dict, typed=(), everything=False) -> tuple:
    """What becomes of the keys that were changed on the board since it was provisioned, `now` as
    its store has them: (the store's files, None for one that goes; names that stay changed)."""
    old, new = answers(before), answers(given)
    defaults = {key.name: key.default for key in keys.rows()}  # what no answer is as good as
    ours = {
        name
        for name in {*old, *new}
        if old.get(name, defaults[name]) != new.get(name, defaults[name])
    }
    ours |= {key.name for key in map(keys.find, typed) if key}
    ours |= set(new if everything else ())
    made: dict[str, bytes | None] = {STORE + BEFORE[name]: None for name in ours if name in BEFORE}
    sound = now is not None and now == stored(now[4:])
    lines = now[4:].decode().split("\n") if sound and now else []
    kept = [line for line in lines if line.partition("=")[0] not in ours]
    if kept != lines:
        made[STORE + "keys"] = stored("\n".join(kept).encode())
    changed = dict(line.partition("=")[::2] for line in kept)
    return made, [name for name in changed if new.get(name, changed[name]) != changed[name]]


def provision(target: Board, args, say=print) -> dict:
    """The whole of it, on an open board; the answers."""
    typed: set = set()
    given = before = {}
    if args.file:  # what is wrong in it is said before the station is asked to stand aside
        given = read(args.file)
        made = files(given, args.file.parent)
    with target.maintenance():
        before = present(target)
        chip = board_facts.full_name(board_facts.look_at(target))
        try:
            fitting = pins.board_for(chip) if chip else ""
        except ValueError as error:
            raise Trouble(str(error)) from None
        if not args.file:
            given = ask(before, typed, chip)
        if fitting:
            given.setdefault("board", fitting)
        made = files(given, args.file.parent if args.file else Path(), before, chip)
        if given.get("aiorepl") and target.run(AIOREPL).strip() != "True":
            raise Trouble(
                "aiorepl: the board does not have it: mpremote mip install aiorepl, then again"
            )
        changed = target.get(STORE + "keys")
        more, stay = overruled(changed, before, given, typed, args.overrule)
        # another house may have no TIC: its loss is none there
        write(target, {STORE + "tic-seen": None, **more, **made}, say)
        for name in stay:
            say(f"{name} was changed on the board since, and stays so (--overrule: as answered)")
    return given


def present(target: Board) -> dict:
    """What an entered board holds now; empty when it was never provisioned."""
    target.run(flash.TOOLS)
    try:
        before = json.loads(target.get(provisioning.FILE) or b"")
    except ValueError:
        before = {}
    before = before if isinstance(before, dict) else {}
    if target.get(UPDATE_KEY):
        before["update_key"] = ON_BOARD
    return before


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="make provision", description=__doc__.split("\n")[0])
    parser.add_argument("--port", help="the board's serial port (the only one there is)")
    parser.add_argument("--file", type=Path, help="the answers, .toml or .json")
    parser.add_argument("--check", action="store_true", help="check the answers, write nothing")
    parser.add_argument("--out", type=Path, help="write to this folder, not to a board")
    parser.add_argument(
        "--overrule", action="store_true", help="also keys that were changed on the board since"
    )
    args = parser.parse_args()
    if args.check or args.out:
        given = read(args.file) if args.file else ask({})
        made = files(given, args.file.parent if args.file else Path())
        for name, data in made.items():
            if args.out and data is not None:
                (args.out / name).parent.mkdir(parents=True, exist_ok=True)
                (args.out / name).write_bytes(data)
    else:
        with Board(board.pick(args.port)) as target:
            given = provision(target, args)
            flash.selftest(target, print)
    reference = models.find(str(given["model"]))
    print(json.dumps(hidden(given), indent=1, ensure_ascii=False))
    most = reference.max_ma // 1000
    print("%s, %s phases and %s A at most: checked" % (reference.name, reference.phases, most))
    return 0


if __name__ == "__main__":
    board.main(main)
