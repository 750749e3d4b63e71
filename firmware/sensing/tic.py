"""TIC, the meter's customer line: historique (Enedis NOI-CPT_02E) and standard (NOI-CPT_54E).

`Decoder` turns bytes into frames, `house` a frame into facts, `TicLine` reads a port with both.
A frame is text: its good groups in their order, a line `LABEL=VALUE` each; the horodate, where
there is one, stands before the value.
"""

HISTORIQUE = 1  # as the key TICmode counts: 0 finds out, 3 is off
STANDARD = 2
OFF = 3

_BAUD = (0, 1200, 9600)
_GROUP = 128  # bytes; the longest group is PJOURF+1 with 109
_FRAME = 1024  # bytes of text
_ROOM = 704  # what any label may fill; the rest is kept for these, with or without a phase
_KEPT = b" ADCO ISOUSC IINST ADIR ADPS PAPP IRMS URMS PREF PCOUP SINSTS STGE "
_THREE = "IRMS2 IRMS3 URMS2 URMS3 SINSTS1 SINSTS2 SINSTS3"  # only a three-phase meter has these
_LABEL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-"
_DWELL_MS = 5000  # on a baud without a good group
_LOST_MS = 10000  # without a good frame
_LOOK_MS = 50  # between looks at the port: 48 bytes at 9600 baud


def parse(group: bytes) -> tuple[int, bytes, bytes] | None:
    """One group without its LF and CR: (mode, label, value); None when it is damaged.

    The checksum has six bits and can't see bit 6 of a character, hence the strict alphabet."""
    if len(group) < 5:
        return None
    standard = group[-2] == 9
    body = group[:-2]
    total = sum(body) + (9 if standard else 0)
    if group[-2] not in b"\t " or (total & 0x3F) + 0x20 != group[-1] or max(body) > 126:
        return None
    label, *rest = body.split(b"\t" if standard else b" ", 3 if standard else 1)
    if not 3 <= len(label) <= 10 or label.strip(_LABEL) or not 1 <= len(rest) <= 2:
        return None
    if len(rest) == 2 and (len(rest[0]) != 13 or not rest[0][1:].isdigit()):
        return None  # no horodate: season, then AAMMJJhhmmss
    text = b" ".join(rest).rstrip(b" ") if len(rest) == 2 else rest[0]
    if not text or min(text) < 32:
        return None
    return STANDARD if standard else HISTORIQUE, label, text


class Decoder:
    """Bytes in, good frames out; remembers one group and one frame, never more.

    `mode` is the one to expect, 0 takes either. Counts `good` and `bad` groups within frames, and
    good `frames`. A frame is good when all its groups are: one that is broken off (EOT), misses
    its boundaries (a label comes twice) or lacks the meter's address is not."""

    def __init__(self, mode: int = 0):
        self.good = self.bad = self.frames = 0
        self._group = bytearray(_GROUP)
        self._view = memoryview(self._group)
        self._text = bytearray(_FRAME)
        self.reset(mode)

    def reset(self, mode: int) -> None:
        """Waits for the next STX of a line in this mode."""
        self.mode = mode
        self._n = 0  # bytes of the group
        self._open = False  # an LF came, and nothing of its group
        self._end = -1  # of the frame's text; below 0 outside of a frame

    def feed(self, data: bytes) -> list[str]:
        """The good frames that these bytes complete."""
        frames = []
        group = self._group
        for c in data:
            c &= 0x7F  # the parity bit, where the port leaves it
            if c > 31 or c == 9:
                if self._n < _GROUP:
                    group[self._n] = c
                    self._n += 1
            elif c == 10 or c == 13:
                # A group ends at CR, or where a terminal has made that an LF.
                if self._n or (self._open and c == 13):
                    self._close()
                else:
                    self._open = c == 10
            elif c == 2 or c == 3 or c == 4:
                frame = self._finish(c == 4)
                if frame:
                    frames.append(frame)
                if c == 2:
                    self._end = 0
                    self._whole = True
                    self._kind = self.mode
            elif c and self._n < _GROUP:  # NULs fill pauses; the others are damage
                group[self._n] = c
                self._n += 1
        return frames

    def _close(self):
        """The end of a group."""
        n = self._n
        self._n = 0
        self._open = False
        if self._end < 0:
            return
        found = parse(bytes(self._view[:n])) if n < _GROUP else None
        if not found or self._kind not in (0, found[0]):
            self.bad += 1
            self._whole = False
            return
        self.good += 1
        self._kind, label, value = found
        key = b"\n" + label + b"="
        start = self._end + len(key)
        end = start + len(value)
        if self._text.find(key, 0, self._end) >= 0:
            self._whole = False  # the boundary between two frames was lost
        elif end < _ROOM or (end < _FRAME and b" " + label.rstrip(b"123") + b" " in _KEPT):
            self._text[self._end : start] = key
            self._text[start:end] = value
            self._end = end

    def _finish(self, broken):
        """The end of a frame: ETX, or the next STX when that was lost."""
        if self._n or self._open:  # a group was cut
            self._n = 0
            self._open = False
            self._whole = False
            self.bad += self._end >= 0
        end = self._end
        self._end = -1
        if broken or end < 0 or not self._whole:
            return None
        frame = str(memoryview(self._text)[1:end], "utf-8") if end else ""
        if value(frame, "ADSC") is None and value(frame, "ADCO") is None:
            return None
        self.frames += 1
        return frame


def value(frame: str, label: str) -> str | None:
    """A label's value in a frame's text, None when it is missing."""
    key = label + "="
    if not frame.startswith(key):
        key = "\n" + key
    at = frame.find(key) + len(key)
    if at < len(key):
        return None
    end = frame.find("\n", at)
    return frame[at : end if end >= 0 else len(frame)]


def _number(frame, label):
    text = value(frame, label)
    if text is not None and not text.isdigit():
        raise ValueError(label)
    return None if text is None else int(text)


def house(frame: str, subscribed: int | None = None) -> dict | None:
    """The facts that load balancing needs, or None when the frame contradicts itself or lacks one.

    `phases` 1 or 3; `i` mA a phase, drawn (0 while it feeds in and the frame says so); `v` mV a
    phase (230 V where the meter doesn't say); `va` apparent power, None when missing; `subscribed`
    mA a phase: ISOUSC, or the lesser of PREF and PCOUP at 200 V, in a short frame what the caller
    knows from the last long one; `overrun`: ADPS, ADIR or STGE bit 7.
    """
    try:
        if value(frame, "ADSC") is not None:
            return _standard(frame)
        return _historique(frame, subscribed)
    except (TypeError, ValueError):  # a number that is none, or one that is missing
        return None


def _standard(frame):
    three = False
    for label in _THREE.split():
        three = three or value(frame, label) is not None
    amps = []
    volts = []
    va = _number(frame, "SINSTS")
    for n in "123" if three else "1":
        i = _number(frame, "IRMS" + n)
        u = _number(frame, "URMS" + n)
        s = _number(frame, "SINSTS" + n) if three else va
        # A whole ampere is rounded away at most; the power can be a moment older.
        if u > 300 or 20 < u < 100 or (abs(s - i * u) > u + s // 20 and s):
            raise ValueError
        amps.append(i if s else -i)
        volts.append(u)
    kva = min(_number(frame, "PREF") or 99, _number(frame, "PCOUP") or 99)
    status = value(frame, "STGE") or ""
    overrun = bool(int(status, 16) & 0x80) if len(status) == 8 else False
    return _facts(amps, volts, va, kva * 5000 // len(amps) if kva <= 36 else 0, overrun)


def _historique(frame, subscribed):
    single = _number(frame, "IINST")
    amps = [single]
    if single is None:
        amps = [_number(frame, "IINST" + n) for n in "123"]
    overrun = False
    for label in ("ADPS",) if single is not None else ("ADIR1", "ADIR2", "ADIR3"):
        warned = _number(frame, label)
        if warned is not None:
            overrun = True
            i = amps[0 if single is not None else int(label[-1]) - 1]
            if abs(warned - i) > 2 + i // 8:
                raise ValueError
    va = _number(frame, "PAPP")
    if single is not None and va == 0:
        amps = [-single]
    isousc = _number(frame, "ISOUSC")
    if isousc is not None:
        subscribed = isousc * 1000
        # Only early single-phase meters have no PAPP; else a part of the frame is missing.
        if va is None and (single is None or value(frame, "MOTDETAT") is None):
            raise ValueError
    return _facts(amps, [230] * len(amps), va, subscribed, overrun)


def _facts(amps, volts, va, subscribed, overrun):
    """Currents, voltages and the whole power against each other: no phase can carry more than
    the others and the whole together, nor the whole more than all; what feeds in is below 0."""
    if va is not None:
        each = [abs(i) * u for i, u in zip(amps, volts)]
        slack = 300 * len(amps) + sum(each) // 8
        if va > sum(each) + slack or (va and 2 * max(each) > va + sum(each) + slack):
            raise ValueError
    if max(amps) > 250 or (subscribed is not None and not 1000 <= subscribed <= 180000):
        raise ValueError
    return {
        "phases": len(amps),
        "i": [max(i, 0) * 1000 for i in amps],
        "v": [u * 1000 for u in volts],
        "va": va,
        "subscribed": subscribed,
        "overrun": overrun,
    }


class TicLine:
    """Reads a port for ever and finds the line's mode by itself.

    `tune(baud)` sets the port's speed and returns it (`read(n) -> bytes`, never waiting).
    `on_frame(house)` is called with each plausible frame's facts. Facts: `mode` the key TICmode,
    written at any time; `frame` the newest good one, None before; `found` the mode that the port
    is tuned to; `refused` counts frames that contradict themselves."""

    def __init__(self, tune, clock, log, on_frame=None, mode: int = 0):
        self._tune = tune
        self._clock = clock
        self._log = log
        self.on_frame = on_frame
        self.mode = mode
        self.found = 0
        self.frame = None
        self.refused = 0
        self.decoder = Decoder()
        self._seen = None  # ms of the newest good frame
        self._subscribed = None

    @property
    def detected(self) -> bool:
        """Whether a whole good frame came within the last 10 s (the key TICdetection)."""
        seen = self._seen
        return self.mode != OFF and seen is not None and self._clock.ms() - seen < _LOST_MS

    async def run(self) -> None:
        """The reader's task."""
        clock = self._clock
        since = tuned = 0  # the last good group, or when the port was tuned
        told = False
        while True:
            data = b""
            wanted = self.mode or self.found % OFF or HISTORIQUE
            if not self.mode and not self.detected and clock.ms() - since >= _DWELL_MS:
                wanted = STANDARD if self.found == HISTORIQUE else HISTORIQUE
            if wanted != tuned:
                self.found = tuned = wanted
                self._seen = None
                since = clock.ms()
                self.decoder.reset(wanted)
                port = self._tune(_BAUD[wanted]) if wanted != OFF else None
            if port:
                data = port.read(128) or b""
                good = self.decoder.good
                for frame in self.decoder.feed(data):
                    self._take(frame)
                if self.decoder.good != good:
                    since = clock.ms()
            if told != self.detected:
                told = not told
                self._log.info("a meter is there, mode %d" if told else "lost, mode %d", tuned)
            await clock.sleep_ms(_LOOK_MS if len(data) < 128 else 0)

    def _take(self, frame):
        facts = house(frame, self._subscribed)
        if facts:
            known = self._subscribed
            self._subscribed = facts["subscribed"]
            if known not in (None, facts["subscribed"]):
                facts = None  # a contract rarely changes: the next frame has to say so too
        if not facts:
            self.refused += 1
            self._log.debug("a frame contradicts itself: %s", frame)
            return
        self.frame = frame
        self._seen = self._clock.ms()
        if self.on_frame:
            self.on_frame(facts)
