"""What fuzzing the decoders found: each stays mended, on every Python."""

from host_tests.both import fuzz_targets


def test_ftp_ports_that_there_are_not():
    """CPython's sockets raise an OverflowError of their own, MicroPython's dial another port."""
    talk = fuzz_targets.ftp_seeds()[0]
    for port in (b"4711711", b"0", b"65536"):
        said = fuzz_targets.ftp(talk.replace(b"4711", port))
        assert said.startswith("FTP: there is no port"), said


def test_a_bundles_first_line_that_is_no_text():
    """It was taken for a broken line, and fetched again."""
    for line in (b"1 9\xb7 0", b"1  0", b"1 -1 0", b"1 1 257", b"2 1 0"):
        said = fuzz_targets.bundle(b"WALLBRIDGE " + line + b"\nversion 2\n")
        assert said[:4] in ("this", "its "), said


def test_a_segment_that_ends_with_an_old_record():
    """The next record would have taken the place of one that is there."""
    from firmware.base import journal

    records = [journal.raw(n, 3, b"x") for n in range(1, 6)]
    fuzz_targets.records(b"".join(records + records[:2]))
