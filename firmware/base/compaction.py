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
    wanted = []
    size = 0
    for record in _records(journal, base):
        if keep(record):
            wanted.append(record[0])
            size += len(record[2]) + 10
    if size and index:
        before = files.size(journal.name(journal.segments[index - 1]))
        if before + size <= journal.seal:
            into = journal.segments[index - 1]
            old += before
    if size == old:
        return 0
    if size:
        from firmware.base.journal import raw

        copy = journal.folder + "tmp"
        with files.open(copy, "wb") as f:
            last = 0
            for source in (into, base) if into != base else (base,):
                for record in _records(journal, source):
                    # a cut between the two steps below leaves records in both files
                    if record[0] > last and (source != base or record[0] in wanted):
                        last = record[0]
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
