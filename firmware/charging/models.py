"""The commercial references (guide page 16): what each one is at most. Loaded for a look-up."""

# reference, phases, A per phase, T2S socket or attached cable, TIC interface
TABLE = """
Evh5A22N2S 3 32 socket -
Evh5A22N400F 3 32 socket tic
Evh5A07N2C7 1 32 cable -
Evh5A11N2C7 3 16 cable -
Evh5A07N2C5 1 32 cable -
Evh5A11N2C5 3 16 cable -
"""


def find(reference: str) -> list:
    """The row of a reference as texts; case does not matter. ValueError names them all."""
    names = []
    for line in TABLE.strip().split("\n"):
        row = line.split(" ")
        if row[0].lower() == reference.lower():
            return row
        names.append(row[0])
    raise ValueError("no commercial reference %s; they are %s" % (reference, " ".join(names)))


def circuit(row: list, given: dict) -> None:
    """Checks what an installer says of the circuit, keys' checked values, against a reference's
    row. Raises ValueError."""
    if not 6 <= int(given.get("IMaxUser", 6)) <= int(row[2]):
        raise ValueError("IMaxUser: from 6 to %s A for %s" % (row[2], row[0]))
    phases = given.get("PhaseNumber", "1")
    if phases not in ("1", row[1]):
        more = " or 3" if row[1] == "3" else ""
        raise ValueError("PhaseNumber: 1%s for %s" % (more, row[0]))
