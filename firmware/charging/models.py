"""The commercial references (guide page 16): what each one is at most."""

from collections import namedtuple

# `max_ma` on each of its `phases`; `socket`: a T2S socket, else an attached cable; `tic`: it has
# a TIC interface.
Reference = namedtuple("Reference", ("name", "phases", "max_ma", "socket", "tic"))

_SOCKET = True
_CABLE = False
TABLE = (
    Reference("Evh5A22N2S", 3, 32000, _SOCKET, False),
    Reference("Evh5A22N400F", 3, 32000, _SOCKET, True),
    Reference("Evh5A07N2C7", 1, 32000, _CABLE, False),
    Reference("Evh5A11N2C7", 3, 16000, _CABLE, False),
    Reference("Evh5A07N2C5", 1, 32000, _CABLE, False),
    Reference("Evh5A11N2C5", 3, 16000, _CABLE, False),
)


def find(name: str) -> Reference:
    """The reference of this name; case does not matter. ValueError names them all."""
    for reference in TABLE:
        if reference.name.lower() == name.lower():
            return reference
    names = " ".join([reference.name for reference in TABLE])
    raise ValueError("no commercial reference %s; they are %s" % (name, names))


def check_circuit(reference: Reference, keys: dict) -> None:
    """Checks what an installer says of the circuit, keys' checked values, against the reference.
    Raises ValueError."""
    most = reference.max_ma // 1000
    if not 6 <= int(keys.get("IMaxUser", 6)) <= most:
        raise ValueError("IMaxUser: from 6 to %d A for %s" % (most, reference.name))
    if keys.get("PhaseNumber", "1") not in ("1", str(reference.phases)):
        more = " or 3" if reference.phases == 3 else ""
        raise ValueError("PhaseNumber: 1%s for %s" % (more, reference.name))
