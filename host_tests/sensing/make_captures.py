"""Makes host_tests/sensing/captures: short TIC lines of our own encoder, with the damages that
were seen on real lines. They are kept as files: a change of the encoder shows in the tests.

    .venv/bin/python -m host_tests.sensing.make_captures
"""

from pathlib import Path

from firmware.board.simulated import serial_lines
from firmware.sensing.tic import HISTORIQUE, STANDARD

FOLDER = Path(__file__).with_name("captures")
ONE = {"i": [12000], "v": [230000], "subscribed": 30000}
TWO = {"i": [2000], "v": [230000], "subscribed": 30000}
THREE = {"i": [1000, 1000, 0], "v": [230000] * 3, "subscribed": 20000}
OVER = {"i": [26000, 4000, 3000], "v": [230000] * 3, "subscribed": 20000}


def frames(mode, facts, energies, short=False):
    """A frame for each register."""
    return [serial_lines.tic_frame(mode, {**facts, "energy": wh}, short) for wh in energies]


def changed(data, old, new):
    """The one place of `old` in a frame becomes `new`."""
    assert data.count(old) == 1, (data.count(old), old)
    return data.replace(old, new)


def historique():
    """One phase, whole."""
    return b"".join(frames(HISTORIQUE, ONE, range(18328856, 18328860)))


def standard():
    """One phase; begins in the middle of a group, and ends in the middle of one."""
    first, *whole, last = frames(STANDARD, TWO, range(1024, 1030))
    return first[777:] + b"".join(whole) + last[:321]


def overrun():
    """Three phases over their subscription: short frames between two long ones."""
    long = frames(HISTORIQUE, OVER, (7000, 7001))
    return long[0] + b"".join(frames(HISTORIQUE, OVER, [7000] * 5, True)) + long[1]


def damaged():
    """Each damage once, a whole frame at the end of each mode's part."""
    three = frames(HISTORIQUE, THREE, range(16878528, 16878537))
    bad = [
        changed(three[0], b"\nIINST1 001 I\r", b"\nIINST1 003 I\r"),  # a single bit
        changed(three[1], b"\nIINST2 001 J\r", b"\nIINST2001 J\r"),  # label glued to the value
        changed(three[2], b"PMAX 09000", b"PMAX\r\n 09000"),  # a group on two lines
        changed(three[3], b"\nIMAX1 060 6", b"X1 060 6"),  # its first characters are missing
        changed(three[4], b"\x03", b""),  # no end
        changed(three[5], b"\nPPOT", b"\x00" * 40 + b"\nPPOT"),  # a run of NUL
        changed(three[6], b"\nIINST3", b"\x04" + three[6] + b"\nIINST3"),  # broken off, again
        three[7],
    ]
    # A good checksum on what can't be: 48 kVA with 2 A.
    one = frames(STANDARD, TWO, (2000, 2001))
    absurd = serial_lines.tic_group(STANDARD, "SINSTS", "48370")
    bad.append(changed(one[0], serial_lines.tic_group(STANDARD, "SINSTS", "00460"), absurd))
    return b"".join(bad + one[1:])


def main():
    """Writes the files."""
    FOLDER.mkdir(exist_ok=True)
    for make in (historique, standard, overrun, damaged):
        (FOLDER / f"{make.__name__}.bin").write_bytes(make())


if __name__ == "__main__":
    main()
