"""Rewriting a segment of the journal without what is over; loaded when it is done."""


def _records(journal, base):
    batch, offset = journal.batch(base, 0)
    while batch:
        yield from batch
        batch, offset = journal.batch(base, offset)


def compact(journal, index: int, keep) -> int:
    """Rewrites one segment (not the newest) with those records that `keep(record)` wants, and
    joins it to the one before where both fit. Returns the bytes won. Raises OSError when there is
    no room for the copy; nothing is lost then."""
    files = journal.files
    base = into = journal.segments[index]
    old = files.size(journal.name(base))
    last = 0
    if index:
        into = journal.segments[index - 1]
        for record in _records(journal, into):
            last = record[0]
    wanted = []
    size = 0
    for record in _records(journal, base):
        # what is not later than that was left by a cut between the two steps below
        if record[0] > last and keep(record):
            wanted.append(record[0])
            size += len(record[2]) + 10
    before = files.size(journal.name(into)) if size and into != base else 0
    if not before or before + size > journal.seal:
        into = base
    else:
        old += before
    if size == old:
        return 0
    if size:
        from firmware.base.journal import raw

        copy = journal.folder + "tmp"
        with files.open(copy, "wb") as f:
            for source in (into, base) if into != base else (base,):
                for record in _records(journal, source):
                    if record[0] in wanted or source != base:
                        f.write(raw(*record))
        size = files.size(copy)
        files.rename(copy, journal.name(into))
    if into != base or not size:
        files.remove(journal.name(base))
        journal.segments.remove(base)
    journal.generation += 1
    journal.size += size - old
    journal.measure()
    return old - size
