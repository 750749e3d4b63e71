"""Decoders under fuzzing: inputs mutated by what code they reach, on CPython and, for the same
verdicts, on MicroPython."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from host_tests.both import fuzz_targets
from host_tests.both.fuzz_inputs import Random, mutated
from tools import runtimes

REPLAY = """
import binascii, gc
from host_tests.both import fuzz_targets
run = getattr(fuzz_targets, sys.argv[1])
for line in open(sys.argv[2]):
    try:
        print("-", run(binascii.unhexlify(line.strip())))
    except Exception as error:
        print("!", repr(error))
    gc.collect()
"""


# Verdicts that may differ between the Pythons: their base64, reprs and errors do.
DIFFERENT = {"certificates", "ftp", "options"}


class Coverage:
    """The arcs of the firmware's code that calls run through."""

    def __init__(self):
        self.root = str(runtimes.ROOT / "firmware")
        self.arcs = set()
        self.codes = {}

    def _call(self, frame, event, argument):
        code = frame.f_code
        number = self.codes.get(code)
        if number is None:
            number = len(self.codes) + 1 if code.co_filename.startswith(self.root) else 0
            self.codes[code] = number
        if not number:
            return None
        last = 0
        add = self.arcs.add

        def line(frame, event, argument):
            nonlocal last
            here = frame.f_lineno
            add((number, last, here))
            last = here
            return line

        return line

    def new(self, function, data) -> bool:
        """Calls it; whether it went where no call went before."""
        before = len(self.arcs)
        old = sys.gettrace()
        sys.settrace(self._call)
        try:
            function(data)
        finally:
            sys.settrace(old)
        return len(self.arcs) > before


class Found(AssertionError):
    """A finding, with all that it takes to see it again."""


class Missing(AssertionError):
    """What a station owed did not come."""


class Decoder:
    """One decoder's inputs: a corpus that grows by what reaches new code. `bits` (64, 32): what
    it says on that MicroPython is held against what it says here, input by input."""

    def __init__(self, name: str, seed: int, bits: int = 0):
        self.name = name
        self.bits = bits
        self.run = getattr(fuzz_targets, name)
        self.random = Random(seed)
        self.coverage = Coverage()
        self.corpus = []
        self.count = 0
        for data in getattr(fuzz_targets, name + "_seeds")():
            self.coverage.new(self.run, data)
            self.corpus.append(data)

    def work(self, seconds: float = 0, inputs: int = 0) -> None:
        """So long, or so many inputs. Raises Found."""
        end = time.monotonic() + seconds
        most = self.count + inputs
        tried = []
        while self.count < most or time.monotonic() < end:
            data = mutated(self.random, self.corpus)
            self.count += 1
            tried.append(data)
            try:
                if self.coverage.new(self.run, data):
                    self.corpus.append(data)
            except Exception as error:
                self._found(self._smaller(data, type(error)), repr(error), "cpython", error)
        if self.bits:
            self.compare(tried)

    def _found(self, data, what, runtime, error=None):
        raise Found(
            f"{self.name}: {what}\n  input {data!r}\n"
            f"  again: tools/fuzz.py --runtime {runtime} --only {self.name} --hex {data.hex()}"
        ) from error

    def _smaller(self, data, kind):
        """The input without what the finding does not need."""

        def fails(data):
            try:
                self.run(data)
            except kind:
                return True
            except Exception:
                return False
            return False

        size = len(data) // 2
        while size:
            at = 0
            while at < len(data):
                if fails(data[:at] + data[at + size :]):
                    data = data[:at] + data[at + size :]
                else:
                    at += size
            size //= 2
        return data

    def compare(self, tried: list) -> None:
        """The same inputs on the MicroPython. Raises Found."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "inputs"
            path.write_text("".join(data.hex() + "\n" for data in tried))
            code = f"import sys; sys.argv[1:] = {[self.name, str(path)]!r}\n{REPLAY}"
            done = subprocess.run(
                [*runtimes.command(self.bits), "-c", code],
                env=runtimes.environment(),
                cwd=runtimes.MPY,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=600,
            )
        said = done.stdout.split("\n")[:-1]
        runtime = "micropython" if self.bits == 64 else "micropython32"
        for data, theirs in zip(tried, said):
            mine = "- " + self.run(data)
            if theirs[0] == "!" or (theirs != mine and self.name not in DIFFERENT):
                self._found(data, f"{theirs[:300]}, here {mine[:300]}", runtime)
        if len(said) != len(tried):
            self._found(tried[len(said)], f"it ended: {done.stderr[-500:]}", runtime)
