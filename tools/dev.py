"""make dev PORT=...: mounts the working tree on a board, without watchdog: edit, Ctrl-D, run.

Asks the station for maintenance, then opens MicroPython's prompt with this tree mounted. There,
`import run` starts the station from it (Ctrl-C ends it), and Ctrl-D is a soft reset, after which
`import run` starts what you have edited since. The board's own provisioning and state are used.
The board gets the compiled files, as there is no room on it to compile: they follow each edit.
Ctrl-] leaves; reset the board to have its own station back.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import board, runtimes  # noqa: E402
from tools.board import Board, Trouble  # noqa: E402

FOLDER = runtimes.BUILD / "dev"
RUN = """
import os, sys
sys.path.insert(0, "/remote")
os.chdir("/")
from firmware import app
app.main(["--dev"])
"""


def compiled(say=print) -> bool:
    """Brings the mounted folder up to date; says what the compiler refuses."""
    errors = runtimes.compile_mpy(("main.py", "firmware"), FOLDER)
    for error in errors.values():
        say(error.replace("\n", "\r\n") + "\r")
    (FOLDER / "run.py").write_text(RUN)
    return not errors


def follow(ended: threading.Event) -> None:
    """Compiles after each edit until the end."""
    before = None
    while not ended.wait(0.5):
        now = sorted(
            (path.as_posix(), path.stat().st_mtime_ns) for path in ROOT.glob("firmware/**/*.py")
        )
        if before not in (None, now):
            compiled()
        before = now


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="make dev", description=__doc__.split("\n")[0])
    parser.add_argument("--port", help="the board's serial port (the only one there is)")
    parser.add_argument("--run", metavar="CODE", help="run this there instead of the prompt")
    args = parser.parse_args()
    port = board.pick(args.port)
    if not compiled():
        raise Trouble("the compiler refuses the files above")
    with Board(port) as target:
        target.stand_aside()
        target.enter()
    command = [sys.executable, "-m", "mpremote", "connect", port, "resume", "mount", str(FOLDER)]
    command += ["exec", args.run] if args.run else ["repl"]
    ended = threading.Event()
    threading.Thread(target=follow, args=(ended,), daemon=True).start()
    try:
        return subprocess.run(command).returncode
    finally:
        ended.set()


if __name__ == "__main__":
    board.main(main)
