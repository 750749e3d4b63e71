"""TIC, the meter's customer line: historique (Enedis NOI-CPT_02E) and standard (NOI-CPT_54E).

`Decoder` turns bytes into frames, `house_facts` a frame into what load balancing needs, `TicLine`
reads a port with both.
A frame is text: its good groups in their order, a line `LABEL=VALUE` each; the horodate, where
there is one, stands before the value.
"""

import asyncio

from firmware.base.runtime import const

# The line's mode, as the key TICmode counts.
FIND_OUT = 0
HISTORIQUE = 1
STANDARD = 2
OFF = 3

BAUD = {HISTORIQUE: 1200, STANDARD: 9600}

# The line's control characters.
_STX = const(2)  # a frame begins
_ETX = const(3)  # and ends
_EOT = const(4)  # it is broken off
_HT = const(9)  # between a standard group's fields
_LF = const(10)  # a group begins
_CR = const(13)  # and ends

_GROUP = const(128)  # bytes; the longest group is PJOURF+1 with 109
_FRAME = const(1024)  # bytes of text
# Bytes of a frame for any label; the rest is kept for these labels, with or without a phase.
_ROOM = const(704)
_KEPT = const(b" ADCO ISOUSC IINST ADIR ADPS PAPP IRMS URMS PREF PCOUP SINSTS STGE ")
# Only a three-phase meter has these.
_THREE = const("IRMS2 IRMS3 URMS2 URMS3 SINSTS1 SINSTS2 SINSTS3")
_LABEL = const(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-")
_DWELL_MS = const(5000)  # on a baud without a good group
LOST_MS = 10000  # after so long without a good frame the line is lost
_AT_ONCE = const(24)  # bytes that are decoded before others have a turn: about a group
_LOOK_MS = const(50)  # between looks at the port: 48 bytes at 9600 baud
_SILENT_LOOK_MS = const(1000)  # the same, while no byte has come yet: no buffer holds fewer


def parse_group(group: bytes) -> tuple[int, bytes, bytes] | None:
    """One group without its LF and CR: (mode, label, value); None when it is damaged.

    The checksum has six bits and can't see bit 6 of a character, hence the strict alphabet."""
    if len(group) < 5:
        return None
    standard = group[-2] == _HT
    body = group[:-2]
    total = sum(body) + (_HT if standard else 0)
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

    `mode` is the one to expect, FIND_OUT takes either. `good_groups` counts the undamaged groups
    within frames. A frame is good when all its groups are: one that is broken off (EOT), misses
    its boundaries (a label comes twice) or lacks the meter's address is not."""

    def __init__(self, mode: int = FIND_OUT):
        self.good_groups = 0
        self._group = bytearray(_GROUP)
        self._group_view = memoryview(self._group)
        self._text = bytearray(_FRAME)
        self.reset(mode)

    def reset(self, mode: int) -> None:
        """Waits for the next STX of a line in this mode."""
        self._expected_mode = mode
        self._group_size = 0
        self._group_begun = False  # an LF came, and nothing of its group
        self._end = -1  # of the frame's text; below 0 outside of a frame
        self._whole = False  # all groups of the frame are good until now
        self._frame_mode = mode  # the mode of the frame's groups, FIND_OUT before the first

    def feed(self, data: bytes) -> list[str]:
        """The good frames that these bytes complete."""
        frames = []
        group = self._group
        for c in data:
            c &= 0x7F  # the parity bit, where the port leaves it
            if c > 31 or c == _HT:
                if self._group_size < _GROUP:
                    group[self._group_size] = c
                    self._group_size += 1
            elif c == _LF or c == _CR:
                # A group ends at CR, or where a terminal has made that an LF.
                if self._group_size or (self._group_begun and c == _CR):
                    self._end_group()
                else:
                    self._group_begun = c == _LF
            elif c == _STX or c == _ETX or c == _EOT:
                frame = self._end_frame(c == _EOT)
                if frame:
                    frames.append(frame)
                if c == _STX:
                    self._end = 0
                    self._whole = True
                    self._frame_mode = self._expected_mode
            elif c and self._group_size < _GROUP:  # NULs fill pauses; the others are damage
                group[self._group_size] = c
                self._group_size += 1
        return frames

    def _end_group(self):
        size = self._group_size
        self._group_size = 0
        self._group_begun = False
        if self._end < 0:
            return
        parsed = parse_group(bytes(self._group_view[:size])) if size < _GROUP else None
        mode, label, text = parsed or (None, b"", b"")
        if not parsed or self._frame_mode not in (FIND_OUT, mode):
            self._whole = False
            return
        self.good_groups += 1
        self._frame_mode = mode
        key = b"\n" + label + b"="
        start = self._end + len(key)
        end = start + len(text)
        if self._text.find(key, 0, self._end) >= 0:
            self._whole = False  # the boundary between two frames was lost
        elif end < _ROOM or (end < _FRAME and b" " + label.rstrip(b"123") + b" " in _KEPT):
            self._text[self._end : start] = key
            self._text[start:end] = text
            self._end = end

    def _end_frame(self, broken):
        """The end of a frame: ETX, or the next STX when that was lost."""
        if self._group_size or self._group_begun:  # a group was cut
            self._group_size = 0
            self._group_begun = False
            self._whole = False
        end = self._end
        self._end = -1
        if broken or end < 0 or not self._whole:
            return None
        frame = str(memoryview(self._text)[1:end], "utf-8") if end else ""
        if value(frame, "ADSC") is None and value(frame, "ADCO") is None:
            return None
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
        raise ValueError("%s is no number" % label)
    return None if text is None else int(text)


def house_facts(frame: str, subscribed: int | None = None, feeds_in: bool = False) -> dict:
    """The facts that load balancing needs. Raises ValueError with the reason where the frame
    contradicts itself or lacks one.

    `phases` 1 or 3; `i` mA a phase, drawn (0 while it feeds in and the frame says so); `v` mV a
    phase (230 V where the meter doesn't say); `va` apparent power, None when missing; `subscribed`
    mA a phase: ISOUSC, or the lesser of PREF and PCOUP at 200 V, in a short frame what the caller
    knows from the last long one; `overrun`: ADPS, ADIR or STGE bit 7. `feeds_in`: the installer
    says that the house feeds in.

    A label that can't be, while the others agree, is left out: real meters send such in every
    frame, with good checksums.
    """
    try:
        if value(frame, "ADSC") is not None:
            return _standard(frame)
        return _historique(frame, subscribed, feeds_in)
    except TypeError:
        raise ValueError("a label is missing") from None


def _standard(frame):
    three = False
    for label in _THREE.split():
        three = three or value(frame, label) is not None
    amps = []
    volts = []
    va = _number(frame, "SINSTS")
    sum_va = sum_iu = 0
    odd = ""  # the phases whose power can't be, by their current
    for n in "123" if three else "1":
        i = _number(frame, "IRMS" + n)
        u = _number(frame, "URMS" + n)
        s = _number(frame, "SINSTS" + n) if three else va
        if u > 300 or 20 < u < 100 or (i and u <= 20):
            u = 230
        sum_va += s
        sum_iu += i * u
        # A whole ampere is rounded away at most; the power can be a moment older.
        if s and abs(s - i * u) > u + s // 20:
            odd += n
        amps.append(i if s else -i)
        volts.append(u)
    if odd:
        # Where the powers make the sum, a current is wrong; where the currents do, a power.
        if not three or abs(va - sum_va) <= 100 + va // 20:
            raise ValueError("IRMS contradicts SINSTS on phase " + odd)
        if va and abs(va - sum_iu) > sum(volts) + va // 20:
            raise ValueError("IRMS1..3 contradict SINSTS, and so do SINSTS1..3")
    elif three and _contradict(amps, volts, va):
        va = None
    kva = min(_number(frame, "PREF") or 99, _number(frame, "PCOUP") or 99)
    status = value(frame, "STGE") or ""
    overrun = bool(int(status, 16) & 0x80) if len(status) == 8 else False
    return _facts(amps, volts, va, kva * 5000 // len(amps) if kva <= 36 else 0, overrun)


def _historique(frame, subscribed, feeds_in):
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
                raise ValueError("%s contradicts IINST" % label)
    va = _number(frame, "PAPP")
    if va == 0 and (single is not None or feeds_in):
        amps = [-i for i in amps]
    isousc = _number(frame, "ISOUSC")
    if isousc is not None:
        subscribed = isousc * 1000
        # Only early single-phase meters have no PAPP; else a part of the frame is missing.
        if va is None and (single is None or value(frame, "MOTDETAT") is None):
            raise ValueError("PAPP is missing")
    return _facts(amps, [230] * len(amps), va, subscribed, overrun)


def _contradict(amps, volts, va):
    """Whether the currents and the total power can't be true together: no phase can carry more
    than the total and the other phases together, and the total can't be more than all phases."""
    each = [abs(i) * u for i, u in zip(amps, volts)]
    slack = 300 * len(amps) + sum(each) // 8
    return va > sum(each) + slack or (va and 2 * max(each) > va + sum(each) + slack)


def _facts(amps, volts, va, subscribed, overrun):
    """Checks currents and the total power against each other, and returns the facts. A current
    below 0 is fed in. Raises ValueError with the reason."""
    if va is not None and _contradict(amps, volts, va):
        raise ValueError("the currents contradict the power")
    if max(amps) > 250:
        raise ValueError("a current of %d A" % max(amps))
    if subscribed is not None and not 1000 <= subscribed <= 180000:
        raise ValueError("a contract of %d A" % (subscribed // 1000))
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
    `clock`: the station's for a simulated line, else real time. `on_frame(facts)` is called with
    the `house_facts` of each plausible frame. `feeds_in` as there. Facts: `mode`, the key TICmode;
    `frame`, the newest good one, None before; `found`, the mode to which the port is tuned;
    `refusal`, why the newest frame was refused."""

    def __init__(self, tune, clock, log, on_frame=None, mode: int = FIND_OUT, feeds_in=False):
        self.clock = clock
        self._tune = tune
        self._log = log
        self.on_frame = on_frame
        self.mode = mode
        self.found = FIND_OUT
        self.frame = None
        self._decoder = None  # made when the first byte comes: most stations have no line
        self._frame_ms = None  # when the newest good frame came
        self.refusal = ""
        self._feeds_in = feeds_in
        self._doubted_ms = None  # since when good groups come, and no frame that is believed
        self._subscribed = None  # mA a phase, as the last frame that told it said

    def set_mode(self, mode: int) -> None:
        """The key TICmode has this value."""
        self.mode = mode

    @property
    def heard(self) -> bool:
        """Whether a byte ever came."""
        return self._decoder is not None

    @property
    def detected(self) -> bool:
        """Whether a whole good frame came within the last 10 s (the key TICdetection)."""
        came = self._frame_ms
        return self.mode != OFF and came is not None and self.clock.ms() - came < LOST_MS

    def why_doubted(self) -> str | None:
        """Why no frame is believed, while that is so for 10 s; else None."""
        return (self.refusal or "groups are damaged") if self.doubted else None

    @property
    def doubted(self) -> bool:
        """Whether the line has been talking for 10 s without a frame that can be believed."""
        since = self._doubted_ms
        return self.mode != OFF and since is not None and self.clock.ms() - since >= LOST_MS

    async def run(self) -> None:
        """The reader's task."""
        clock = self.clock
        self.found = FIND_OUT  # also after a crash: the port is tuned again
        port = None
        good_ms = 0  # when the last good group came, or the port was tuned
        group_ms = 0  # when the last good group came
        told = warned = False
        while True:
            data = b""
            wanted = self._wanted_mode(clock.ms() - good_ms)
            if wanted != self.found:
                self.found = wanted
                self._frame_ms = None
                good_ms = clock.ms()
                if self._decoder:
                    self._decoder.reset(wanted)
                port = self._tune(BAUD[wanted]) if wanted != OFF else None
            if port:
                data = port.read(128) or b""
            if data:
                if not self._decoder:
                    self._decoder = Decoder()
                    self._decoder.reset(wanted)
                    good_ms = clock.ms()
                decoder = self._decoder
                groups = decoder.good_groups
                for start in range(0, len(data), _AT_ONCE):
                    for frame in decoder.feed(data[start : start + _AT_ONCE]):
                        await asyncio.sleep(0)
                        self._take(frame)
                    await asyncio.sleep(0)
                if decoder.good_groups != groups:
                    good_ms = group_ms = clock.ms()
                    if self._doubted_ms is None:
                        self._doubted_ms = good_ms
            if told != self.detected:
                told = not told
                text = "a meter is there, mode %d" if told else "lost, mode %d"
                self._log.info(text, self.found)
            if clock.ms() - group_ms >= _DWELL_MS:
                self._doubted_ms = None  # it is silent
            if warned != self.doubted:
                warned = not warned
                if warned:
                    self._log.warning(
                        "the line talks, but no frame can be believed: %s", self.why_doubted()
                    )
            pause_ms = _LOOK_MS if self._decoder else _SILENT_LOOK_MS
            await clock.sleep_ms(pause_ms if len(data) < 128 else 0)

    def _wanted_mode(self, silent_ms):
        """The mode that the port is to be tuned to, after so long without a good group."""
        if self.mode != FIND_OUT:
            return self.mode
        if self.found not in (HISTORIQUE, STANDARD):
            return HISTORIQUE
        if self.detected or silent_ms < _DWELL_MS or not self._decoder:
            return self.found  # at a wrong speed a line is noise, but it is there
        return STANDARD if self.found == HISTORIQUE else HISTORIQUE

    def _take(self, frame):
        try:
            facts = house_facts(frame, self._subscribed, self._feeds_in)
            before = self._subscribed
            self._subscribed = facts["subscribed"]
            if before not in (None, facts["subscribed"]):
                # A contract rarely changes: the next frame has to say so too.
                raise ValueError("another contract than before")
        except ValueError as why:
            self.refusal = str(why)
            self._log.debug("a frame is refused: %s: %s", why, frame)
            return
        self.refusal = ""
        self._doubted_ms = None
        self.frame = frame
        self._frame_ms = self.clock.ms()
        if self.on_frame:
            self.on_frame(facts)
