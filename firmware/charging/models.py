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
