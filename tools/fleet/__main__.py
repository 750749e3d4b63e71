"""make fleet: hundreds of stations at once against a central system, live on locust's page.

    python -m tools.fleet                            the demo's central system, 200 stations
    python -m tools.fleet --users 1000 --host ws://central.example/ocpp
    python -m tools.fleet --headless --run-time 5m   without a page; exit code 1 for violations

What is not among its own options is passed on to locust (docs/fleet.md).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LOCUSTFILE = ROOT / "tools" / "fleet" / "locustfile.py"
PORT = 8089


def main(words) -> int:
    """Runs locust; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.fleet", description=__doc__.split("\n")[0], allow_abbrev=False
    )
    parser.add_argument("--host", help="the central system's URL; by default one of our own")
    parser.add_argument("--users", type=int, default=200, help="how many stations")
    parser.add_argument("--ramp", type=float, default=20, help="s in which they all appear")
    parser.add_argument("--port", type=int, default=PORT, help="of the page, on loopback")
    parser.add_argument("--headless", action="store_true", help="no page")
    options, more = parser.parse_known_args(words)
    central = None
    try:
        if not options.host:
            central = subprocess.Popen(
                [sys.executable, "-m", "tools.fleet.central", "--until-eof"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            said = json.loads(central.stdout.readline())
            options.host = said["url"]
            more += ["--control", said["control"]]
        command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE)]
        command += ["--host", options.host, "--users", str(options.users)]
        command += ["--spawn-rate", str(max(options.users / max(options.ramp, 1), 1))]
        if options.headless:
            command += ["--headless", "--only-summary"]
        else:
            command += ["--autostart", "--web-host", "127.0.0.1", "--web-port", str(options.port)]
            print(f"fleet: http://127.0.0.1:{options.port}/fleet   (Ctrl-C ends it)", flush=True)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        # In a session of its own, so that a Ctrl-C reaches locust's master alone, and its workers
        # live until they have given their verdict.
        process = subprocess.Popen(
            [*command, *more],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                print("fleet: the end; the stations tell what they owe", flush=True)
                process.send_signal(signal.SIGINT)
    finally:
        if central:
            central.terminate()
            central.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
