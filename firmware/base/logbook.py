"""The last log lines in flash, for diagnostics: two files of 8 KB, the older one goes.

Loaded when lines are saved or read. A line begins with its date-time, or with `+` and the seconds
since the start while the clock is unknown.
"""

from firmware.base import times

_MOST = 8192
_FOLDER = "log"
_SOON_MS = 10000  # after a fault, what follows is told too
_AGAIN_MS = 3600000  # flapping faults don't wear the flash


def save(files, log) -> None:
    """Appends the lines that are not there yet. Raises OSError when the flash is full."""
    count = log.unsaved
    if not count:
        return
    text = "\n".join([_dated(line, log.clock) for line in log.lines[-count:]] + [""]).encode()
    files.mkdir(_FOLDER)
    try:
        if files.size(_FOLDER + "/new") + len(text) > _MOST:
            files.rename(_FOLDER + "/new", _FOLDER + "/old")
    except OSError:
        pass  # it is the first
    with files.open(_FOLDER + "/new", "ab") as f:
        f.write(text)
    log.unsaved = 0


async def soon(files, log) -> None:
    """Saves after a fault: a little later, and not each time."""
    if log.saved_ms is not None and log.clock.ms() - log.saved_ms < _AGAIN_MS:
        return
    log.saved_ms = log.clock.ms()
    await log.clock.sleep_ms(_SOON_MS)
    save(files, log)


def _dated(line, clock):
    seconds, _, rest = line.partition(" ")
    epoch = clock.epoch_at(int(seconds) * 1000)
    return ("+" + seconds if epoch is None else times.text(epoch)) + " " + rest


def lines(files):
    """Yields the lines, oldest first, as bytes."""
    for name in ("/old", "/new"):
        try:
            with files.open(_FOLDER + name, "rb") as f:
                rest = b""
                data = f.read(512)
                while data:
                    found = (rest + data).split(b"\n")
                    rest = found.pop()
                    for line in found:
                        yield line
                    data = f.read(512)
        except OSError:
            pass  # not there yet
