"""The commercial references (guide page 16): the phases, the current and the parts of each."""

from collections import namedtuple

# `max_ma`: the highest current on each of its `phases`; `socket`: it has a T2S socket, else an
# attached cable; `tic`: it has a TIC interface.
Reference = namedtuple("Reference", ("name", "phases", "max_ma", "socket", "tic"))

# The rows are constants, so that they stay in flash; `references` gives the columns their names.
_TABLE = (
    ("Evh5A22N2S", 3, 32000, True, False),
    ("Evh5A22N400F", 3, 32000, True, True),
    ("Evh5A07N2C7", 1, 32000, False, False),
    ("Evh5A11N2C7", 3, 16000, False, False),
    ("Evh5A07N2C5", 1, 32000, False, False),
    ("Evh5A11N2C5", 3, 16000, False, False),
)


def references():
    """Yields all of them, in the guide's order."""
    for cells in _TABLE:
        yield Reference(*cells)


def find(name: str) -> Reference:
    """The reference of this name; case does not matter. ValueError names them all."""
    for reference in references():
        if reference.name.lower() == name.lower():
            return reference
    names = " ".join([reference.name for reference in references()])
    raise ValueError("no commercial reference %s; they are %s" % (name, names))


def check_circuit(reference: Reference, keys: dict) -> None:
    """Checks IMaxUser and PhaseNumber, which the installer gave, against the reference. `keys`:
    the names and checked values of all keys that were given. Raises ValueError."""
    most = reference.max_ma // 1000
    if not 6 <= int(keys.get("IMaxUser", 6)) <= most:
        raise ValueError("IMaxUser: from 6 to %d A for %s" % (most, reference.name))
    if keys.get("PhaseNumber", "1") not in ("1", str(reference.phases)):
        more = " or 3" if reference.phases == 3 else ""
        raise ValueError("PhaseNumber: 1%s for %s" % (more, reference.name))
