"""TLS: the CA certificates, the reason of a failure, the memory for a connection, and a lower
bound for a clock that is not set."""

import binascii

from firmware.base import runtime, sockets, times
from firmware.base.runtime import const

ROOM = 40000  # bytes of the chip's own heap: a connection, its handshake and a margin

# (check, what the runtimes' TLS libraries, OpenSSL and mbedTLS, say when it fails). The gravest
# comes first, since one text may hold several. mbedTLS doesn't tell which alert it got: a server
# without our TLS versions or cipher suites is a failed "handshake".
_CHECKS = (
    (
        "certificate authority",
        ("not correctly signed", "unable to get", "self-signed", "self signed", "not trusted"),
    ),
    ("host name", ("mismatch", "does not match", "common name")),
    ("expired", ("expired",)),
    ("not yet valid", ("not yet valid", "in the future")),
    (
        "TLS version",
        (
            "protocol version",
            "protocol_version",
            "unsupported_protocol",
            "unsupported protocol",
        ),
    ),
    (
        "cipher suites",
        (
            "no_shared_cipher",
            "no shared cipher",
            "ciphersuite",
            "handshake failure",
            "handshake_failure",
        ),
    ),
)
# DER: the tags of a sequence and of the optional version of a certificate.
_SEQUENCE = const(0x30)
_VERSION = const(0xA0)
_UTC_TIME = len("270101000000Z")  # a date whose year has two digits (RFC 5280, 4.1.2.5.1)
# mbedTLS's number for a connection that the peer closed; it has no text.
_HUNG_UP = const("-29312")


class TlsFailed(OSError):
    """There is no TLS with this peer. `check` names what failed: "certificate authority", "host
    name", "expired", "not yet valid", "TLS version", "cipher suites" or "handshake"."""

    def __init__(self, check: str, text: str):
        super().__init__("TLS: %s: %s" % (check, text))
        self.check = check


def has_room() -> bool:
    """Whether there is memory for one more TLS connection."""
    return _missing() is None


def check_room() -> None:
    """Raises OSError where there is no memory for one more TLS connection."""
    free = _missing()
    if free is not None:
        raise OSError(
            "no room for TLS: it needs %d KB of the chip's own memory, %d KB are free"
            % (ROOM // 1000, free // 1000)
        )


def _missing():
    """The free bytes of the chip's own heap, where they are not enough for one more TLS
    connection; None where they are."""
    free = runtime.scarce_memory()
    if free is None or free >= ROOM:
        return None
    runtime.collect()  # the garbage may hold a connection that is not closed yet
    free = runtime.scarce_memory()
    return free if free is not None and free < ROOM else None


def failure(error: Exception) -> TlsFailed:
    """Converts the exception of a handshake into a TlsFailed, which names the failed check."""
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    text = " ".join(text.split()) or "the peer hung up"
    if _HUNG_UP in text:
        text = "the peer hung up"
    low = text.lower()
    for check, phrases in _CHECKS:
        if any(phrase in low for phrase in phrases):
            return TlsFailed(check, text)
    return TlsFailed("handshake", text)


def _element(der, at):
    """(where its content begins, where it ends) of the DER element that begins at `at`."""
    size, at = der[at + 1], at + 2
    if size > 127:
        n = size - 128
        size, at = int.from_bytes(der[at : at + n], "big"), at + n
    return at, at + size


def certificates(ca: bytes) -> list:
    """The certificates in DER that `ca` holds, in PEM or one behind the other in DER. Raises
    ValueError when there is none, or anything else."""
    if b"-----BEGIN" in ca:
        parts = ca.split(b"-----BEGIN CERTIFICATE-----")[1:]
        ca = b"".join(binascii.a2b_base64(part[: part.find(b"-----END")]) for part in parts)
    found, at = [], 0
    while at < len(ca):
        try:
            end = _element(ca, at)[1]
        except IndexError:
            end = len(ca) + 1
        if ca[at] != _SEQUENCE or end > len(ca):
            raise ValueError("the CA is no certificate in PEM or DER")
        found.append(ca[at:end])
        at = end
    if not found:
        raise ValueError("no CA certificate")
    return found


def context(ca: bytes | None, insecure: bool = False, seen=None):
    """A context for `dial`: TLS 1.2 or later; the server's certificate chain, name and dates are
    checked against `ca` (PEM or DER). Raises ValueError when `ca` is missing or wrong. With
    `insecure` nothing is checked.

    The runtime's own clock counts for the dates. `seen(der, depth) -> 0` is shown each
    certificate of the server's on MicroPython: see `NotBefore`.
    """
    return sockets.tls_context(None if insecure else certificates(ca or b""), seen)


class NotBefore:
    """`seen` for a station without a clock: remembers the latest `notBefore` of the certificates
    that it is shown, in `epoch` (Unix seconds).

    The station's build date may be earlier than the server's certificate: then the connection
    fails with "not yet valid" and nothing else, which says that a CA that we trust has signed it.
    So it is at least `epoch` by now: set the clock to it, still unsure, and connect again.
    """

    def __init__(self):
        self.epoch = 0

    def __call__(self, der, depth) -> int:
        try:
            self.epoch = max(self.epoch, _not_before(der))
        except (ValueError, IndexError, OverflowError):
            pass  # not from a CA then; nothing may be raised into the TLS library
        return 0


def _not_before(der):
    """The first moment at which a certificate is valid (RFC 5280, 4.1), Unix seconds."""
    certificate, _ = _element(der, 0)
    at, _ = _element(der, certificate)  # the first field of TBSCertificate
    fields = 4 if der[at] == _VERSION else 3  # (version,) serial number, algorithm, issuer
    for _ in range(fields):
        at = _element(der, at)[1]
    validity, _ = _element(der, at)
    begin, end = _element(der, validity)
    date = str(der[begin:end], "utf-8")
    if len(date) == _UTC_TIME:
        date = ("20" if date < "5" else "19") + date
    parts = date[:4], date[4:6], date[6:8], date[8:10], date[10:12], date[12:]
    return times.parse("%s-%s-%sT%s:%s:%s" % parts)
