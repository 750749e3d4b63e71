"""Checks RSA signatures: RSA-2048, PKCS #1 v1.5 with SHA-256, public exponent 65537 (RFC 8017)."""

import asyncio

KEY_BYTES = 256  # of a modulus, and of a signature
# What stands before the digest inside a signature: DigestInfo for SHA-256 (RFC 8017, 9.2).
SHA256_DIGEST_INFO = (
    b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
)
_PADDING = b"\x00\x01" + b"\xff" * 202 + b"\x00"


async def verify(modulus: bytes, signature: bytes, digest: bytes) -> bool:
    """Whether `signature` was made of this SHA-256 digest with the private key that belongs to
    `modulus` (big-endian, as the signature is). Other tasks run between the squarings."""
    n = int.from_bytes(modulus, "big")
    s = int.from_bytes(signature, "big")
    if len(modulus) != KEY_BYTES or len(signature) != KEY_BYTES or s >= n:
        return False
    power = s
    for _ in range(16):
        power = pow(power, 2, n)
        await asyncio.sleep(0)
    padded = _PADDING + SHA256_DIGEST_INFO + digest
    return power * s % n == int.from_bytes(padded, "big")  # s to the power of 65537
