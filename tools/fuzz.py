"""Fuzzing of every decoder and of the whole station over a socket (TIME, 300 s).

    python -m tools.fuzz [--time SECONDS] [--seed N] [--runtime cpython|micropython|micropython32]
                         [--only NAME [--steps N | --hex INPUT]]

The decoders get damaged inputs, led by the code that they reach; on a MicroPython each verdict is
held against CPython's. A station that charges gets valid calls and damaged ones, made from the
message table, floods, fragments, noise and cuts, and has to stay online, charging and within its
heap, and to answer each call rightly. All of it is in virtual time and follows from the seed. Exit
code 1 where something was found: each finding says how to see it again.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from firmware.base import runtime
from host_tests import virtual
from host_tests.both import fuzz_targets
from host_tests.proof import fuzz_decoders, fuzzing
from tools import runtimes

INPUTS = 200  # for a decoder, before the next one's turn
STEPS = 100  # of a siege, before the next one


class Fuzz:
    """One run: how far it is, and what it found."""

    def __init__(self, words):
        self.runtime = words.runtime
        self.bits = {"micropython": 64, "micropython32": 32}.get(words.runtime, 0)
        self.seed = words.seed
        self.time = words.time
        self.steps = words.steps
        self.end = time.monotonic() + words.time
        self.messages = self.stations = 0
        self.found = []
        names = fuzz_targets.NAMES if words.only in (None, "decoders") else [words.only]
        if words.only == "station":
            names = []
        self.decoders = [fuzz_decoders.Decoder(name, self.seed, self.bits) for name in names]
        self.inputs = {one.name: 0 for one in self.decoders}
        self.besieges = words.only in (None, "station")

    def over(self) -> bool:
        return time.monotonic() > self.end

    def _share(self, others):
        """When a side that begins now has to end: with others, after half of the time."""
        return min(self.end, time.monotonic() + self.time / (2 if others else 1))

    def run(self) -> None:
        """Decoders and stations in turn, each side with half of the time."""
        spent = [0.0, 0.0]
        while not self.over() and (self.decoders or self.besieges):
            begun = time.monotonic()
            side = self.besieges and (spent[1] < spent[0] or not self.decoders)
            self._station() if side else self._round()
            spent[side] += time.monotonic() - begun
            if self.steps:  # one siege that is to be seen again
                return

    def _round(self):
        """All decoders once, as far as there is time: the next round begins where it ended."""
        end = self._share(self.besieges)
        for one in list(self.decoders):
            if time.monotonic() > end:
                break
            self.decoders.remove(one)
            try:
                one.work(inputs=INPUTS)
                self.decoders.append(one)
            except fuzz_decoders.Found as why:
                self._say(f"FOUND {why}")
                self.found.append(why)
            self.inputs[one.name] = one.count
        reached = sum(len(one.coverage.arcs) for one in self.decoders)
        self._say(
            f"decoders: {sum(self.inputs.values())} inputs, {reached} arcs of code, corpus "
            f"{sum(len(one.corpus) for one in self.decoders)}"
        )

    def _station(self):
        """One station's siege."""
        seed = self.seed + self.stations
        self.stations += 1
        end = self._share(self.decoders)
        last = [0]

        def watch(station, lost):
            self.messages += station.sent - last[0]
            last[0] = station.sent
            if station.steps % 50 == 0:
                self._say(
                    f"station {seed}: {station.steps} steps, {station.sent} messages, "
                    + (f"{lost} bytes of heap more than at first" if self.bits else "all well")
                )
            return time.monotonic() > end and not self.steps

        with tempfile.TemporaryDirectory() as folder:
            work = fuzzing.siege(
                self.runtime, Path(folder), seed, self.steps or STEPS, watch=watch
            )
            try:
                virtual.run(work)
            except Exception as error:  # also what the start or the end of a siege raises
                why = str(error)
                if not isinstance(error, fuzz_decoders.Found):
                    why = f"station {seed}: {''.join(traceback.format_exception(error))}"
                self._say(f"FOUND {why}")
                self.found.append(why)

    def _say(self, text):
        left = max(0, self.end - time.monotonic())
        print(f"[{left:4.0f} s left] {text}", flush=True)

    def result(self) -> str:
        """What was done."""
        return (
            f"{self.runtime}, seed {self.seed}: {sum(self.inputs.values())} inputs to "
            f"{len(self.inputs)} decoders, {self.messages} messages to {self.stations} stations: "
            f"{len(self.found) or 'nothing'} found"
        )


def replay(name: str, data: bytes, bits: int) -> None:
    """One input to one decoder, with the traceback of what it raises."""
    print(getattr(fuzz_targets, name)(data))
    if bits:
        one = fuzz_decoders.Decoder(name, 0, bits)
        one.compare([data])
        print(f"the same on {bits} bits")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--time", type=int, default=300, help="seconds in all")
    parser.add_argument("--seed", type=int, help="by default another one each time")
    parser.add_argument(
        "--runtime", choices=("cpython", "micropython", "micropython32"), default="cpython"
    )
    parser.add_argument(
        "--only", help="station, decoders, or one of: " + " ".join(fuzz_targets.NAMES)
    )
    parser.add_argument("--steps", type=int, default=0, help="of one siege, whatever the time")
    parser.add_argument("--hex", help="one input for the decoder that --only names")
    words = parser.parse_args()
    if words.only not in (None, "station", "decoders", *fuzz_targets.NAMES):
        parser.error(f"no such decoder: {words.only}")
    if words.hex is not None and words.only not in fuzz_targets.NAMES:
        parser.error("--hex needs --only DECODER")
    if words.seed is None:
        words.seed = int.from_bytes(runtime.urandom(3), "big")
    logging.disable(logging.CRITICAL)
    bits = {"micropython": 64, "micropython32": 32}.get(words.runtime, 0)
    if bits:
        if runtimes.find(bits) is None:
            parser.error(runtimes.why_missing(bits))
        errors = {**runtimes.compile_mpy(), **runtimes.compile_mpy()}
        if errors:
            parser.error("not compiled: %s" % errors)
    if words.hex is not None:
        return replay(words.only, bytes.fromhex(words.hex), bits)
    print(f"seed {words.seed}, {words.time} s", flush=True)
    fuzz = Fuzz(words)
    fuzz.run()
    for why in fuzz.found:
        print(why)
    print(fuzz.result())
    sys.exit(bool(fuzz.found))


if __name__ == "__main__":
    main()
