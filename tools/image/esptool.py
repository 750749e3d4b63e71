"""esptool, which writes a built image to a board."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys

from tools.board import Trouble


def command() -> list[str]:
    """How to start esptool; Trouble says how to install it."""
    if importlib.util.find_spec("esptool"):
        return [sys.executable, "-m", "esptool"]
    found = shutil.which("esptool") or shutil.which("esptool.py")
    if not found:
        raise Trouble("esptool is missing: .venv/bin/python -m pip install esptool")
    return [found]


def run(words: list[str]) -> None:
    """Runs esptool, which shows its own progress."""
    if subprocess.run([*command(), *words]).returncode:
        raise Trouble(
            "esptool did not succeed; what it said is above. Try again: some boards "
            "need their button BOOT held meanwhile"
        )
