"""The commercial references (guide page 16): what each one is at most."""

# reference, phases, A per phase, T2S socket or attached cable, TIC interface
TABLE = """
Evh5A22N2S 3 32 socket -
Evh5A22N400F 3 32 socket tic
Evh5A07N2C7 1 32 cable -
Evh5A11N2C7 3 16 cable -
Evh5A07N2C5 1 32 cable -
Evh5A11N2C5 3 16 cable -
"""


class Model:
    """A commercial reference: `name`, `phases` (1 or 3), `max_ma`, `socket`, `tic`."""

    def __init__(self, name: str):
        """Case does not matter. Raises ValueError for a reference that is not in the table."""
        for line in TABLE.split("\n"):
            cells = line.split(" ")
            if len(cells) > 1 and cells[0].lower() == name.lower():
                self.name = cells[0]
                self.phases = int(cells[1])
                self.max_ma = int(cells[2]) * 1000
                self.socket = cells[3] == "socket"
                self.tic = cells[4] == "tic"
                return
        raise ValueError("no such commercial reference: %s" % name)
