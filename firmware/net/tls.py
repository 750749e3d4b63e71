"""TLS: the CA certificates, which check failed, and a lower bound for a clock that is not set.

Loaded when a connection is made or has failed, dropped afterwards.
"""

import binascii

from firmware.base import sockets, times
from firmware.net import TlsFailed

# What the runtimes (OpenSSL, mbedTLS) say, the gravest first: one text may hold several. mbedTLS
# doesn't tell which alert it got: a server without our TLS versions or suites is "handshake".
_CHECKS = """\
certificate authority|not correctly signed|unable to get|self-signed|self signed|not trusted
host name|mismatch|does not match|common name
expired|expired
not yet valid|not yet valid|in the future
TLS version|protocol version|protocol_version|unsupported_protocol|unsupported protocol
cipher suites|no_shared_cipher|no shared cipher|ciphersuite|handshake failure|handshake_failure"""


def failure(error: Exception) -> TlsFailed:
    """What a handshake raised, with the name of the check that failed."""
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    text = " ".join(text.split()) or "the peer hung up"
    if "-29312" in text:  # mbedTLS has no words for it
        text = "the peer hung up"
    for row in _CHECKS.split("\n"):
        check, *said = row.split("|")
        if any(words in text.lower() for words in said):
            return TlsFailed(check, text)
    return TlsFailed("handshake", text)


def _size(der, at):
    """(start of the content, end) of the DER element at `at`."""
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
            end = _size(ca, at)[1]
        except IndexError:
            end = len(ca) + 1
        if ca[at] != 0x30 or end > len(ca):
            raise ValueError("the CA is no certificate in PEM or DER")
        found.append(ca[at:end])
        at = end
    if not found:
        raise ValueError("no CA certificate")
    return found


def context(ca: bytes | None, insecure: bool = False, seen=None):
    """What `dial` wants as `tls`: TLS 1.2 or later, the server's certificate chain, name and
    dates checked against `ca` (PEM or DER). Raises ValueError when there is none or a bad one,
    unless `insecure`: then nothing is checked.

    The runtime's own clock counts for the dates. `seen(der, depth) -> 0` is shown each
    certificate of the server's on MicroPython: see `NotBefore`.
    """
    return sockets.tls_context(None if insecure else certificates(ca or b""), seen)


class NotBefore:
    """`seen` for a station without a clock. Its build's date may be earlier than the server's
    certificate: then the connection fails with "not yet valid" and nothing else, which says that
    a CA we trust has signed it. So it is at least `epoch` by now (Unix seconds): set the clock
    to it, still unsure, and connect again.
    """

    def __init__(self):
        self.epoch = 0

    def __call__(self, der, depth) -> int:
        try:
            at = _size(der, _size(der, 0)[0])[0]  # into Certificate and TBSCertificate
            for _ in range(4 if der[at] == 0xA0 else 3):  # version, serial, algorithm, issuer
                at = _size(der, at)[1]
            at, end = _size(der, _size(der, at)[0])  # notBefore in Validity
            date = str(der[at:end], "utf-8")
            if len(date) == 13:  # UTCTime (RFC 5280, 4.1.2.5.1)
                date = ("20" if date < "5" else "19") + date
            parts = date[:4], date[4:6], date[6:8], date[8:10], date[10:12], date[12:]
            self.epoch = max(self.epoch, times.parse("%s-%s-%sT%s:%s:%s" % parts))
        except (ValueError, IndexError, OverflowError):
            pass  # not from a CA then; nothing may be raised into the TLS library
        return 0
