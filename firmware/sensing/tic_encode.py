"""A meter's side of the TIC line, for the simulated one and for tests."""

from firmware.sensing.tic import BAUD, HISTORIQUE, STANDARD

_GAP_MS = 25  # between two frames: 16.7 to 33.4
_SHORT = 20  # short frames for each long one
_AFTER_MS = 60000  # short frames go on for so long after an overrun


def group(mode: int, label: str, *fields) -> bytes:
    """LF, label, fields, checksum, CR; a horodate is the first of two fields."""
    separator = "\t" if mode == STANDARD else " "
    text = separator.join((label,) + fields)
    total = sum((text + separator if mode == STANDARD else text).encode())
    return ("\n%s%s%c\r" % (text, separator, (total & 0x3F) + 0x20)).encode()


def overrun(facts: dict) -> bool:
    """Whether the meter warns: as the facts say, else by the currents."""
    return facts.get("overrun", max(facts["i"]) > facts["subscribed"])


def frame(mode: int, facts: dict, short: bool = False) -> bytes:
    """STX to ETX. Facts as `tic.house_facts` gives them: `i` and `v` mA and mV a phase (a current
    below 0 is fed in), `subscribed` mA a phase; optional `energy` Wh, `overrun`, `date`
    (horodate)."""
    amps = [(abs(i) + 500) // 1000 for i in facts["i"]]
    volts = [u // 1000 for u in facts["v"]]
    powers = [max(i, 0) * u // 1000 for i, u in zip(facts["i"], volts)]
    names = ("1", "2", "3") if len(amps) == 3 else ("1",) if mode == STANDARD else ("",)
    over = overrun(facts)
    rows = []

    def row(label, form, *values):
        rows.append(group(mode, label, form % values))

    def each(label, form, values):
        for name, number in zip(names, values):
            row(label + name, form, number)

    energy = facts.get("energy", 0)
    if mode == HISTORIQUE:
        limit = facts["subscribed"] // 1000
        if over and len(amps) == 3:
            for name, i in zip(names, amps):
                if short and i >= limit:
                    row("ADIR" + name, "%03d", i)
        row("ADCO", "021861348497")
        if not short:
            row("OPTARIF", "BASE")
            row("ISOUSC", "%02d", limit)
            row("BASE", "%09d", energy)
            row("PTEC", "TH..")
        each("IINST", "%03d", amps)
        if not short:
            if over and len(amps) == 1:
                row("ADPS", "%03d", amps[0])
            each("IMAX", "%03d", [60] * 3)
            if len(amps) == 3:
                row("PMAX", "%05d", 9000)
            row("PAPP", "%05d", (sum(powers) + 5) // 10 * 10)
            row("HHPHC", "A")
            row("MOTDETAT", "000000")
            if len(amps) == 3:
                row("PPOT", "00")
    else:
        kva = facts["subscribed"] * len(amps) // 5000
        row("ADSC", "064468368739")
        row("VTIC", "02")
        rows.append(group(mode, "DATE", facts.get("date", "H230301091834"), ""))
        row("NGTF", "      BASE      ")
        row("LTARF", "      BASE      ")
        row("EAST", "%09d", energy)
        for name, n in (("EASF", 10), ("EASD", 4)):
            for i in range(n):
                row("%s%02d" % (name, i + 1), "%09d", 0 if i else energy)
        each("IRMS", "%03d", amps)
        each("URMS", "%03d", volts)
        row("PREF", "%02d", kva)
        row("PCOUP", "%02d", kva)
        row("SINSTS", "%05d", sum(powers))
        if len(amps) == 3:
            each("SINSTS", "%05d", powers)
        rows.append(group(mode, "SMAXSN", "H230301065253", "01024"))
        row("STGE", "%08X", 0x003A0001 | (0x80 if over else 0))
        row("MSG1", "PAS DE          MESSAGE         ")
        row("PRM", "31051967533895")
        row("NTARF", "01")
        row("PJOURF+1", "00008001" + " NONUTILE" * 10)
    return b"\x02" + b"".join(rows) + b"\x03"


def line(facts, ms):
    """A generator: each `next` gives the bytes that came since the last one, at the line's baud.

    `facts()` gives a frame's facts with their `mode`, or None while the line is dead; `ms()` is
    the time. A reader that stays away for seconds loses what it did not fetch."""
    start = ms()
    left = 0  # short frames before the next long one
    warned = None
    while True:
        now = facts()
        if not now:
            start = ms()
            yield b""
            continue
        mode = now["mode"]
        per_ms = BAUD[mode]  # ten-thousandths of a byte, which has 10 bits on the line
        if ms() - start > 2000:
            start = ms()
        if overrun(now):
            warned = start
        short = mode == HISTORIQUE and len(now["i"]) == 3 and warned is not None
        short = short and start - warned <= _AFTER_MS and left > 0
        left = left - 1 if short else _SHORT
        data = frame(mode, now, short)
        sent = 0
        while sent < len(data):
            due = min((ms() - start) * per_ms // 10000, len(data))
            yield data[sent:due] if due > sent else b""
            sent = max(sent, due)
        start += len(data) * 10000 // per_ms + _GAP_MS
