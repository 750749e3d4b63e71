"""hashlib for the frozen desktop build, which has no TLS library and so no SHA-1 of its own.

A device has one; the WebSocket's handshake needs it (RFC 6455, 4.2.2), for 60 bytes at a time.
SHA-256 is MicroPython's.
"""

import gc

from uhashlib import sha256  # noqa: F401 - to be imported from here

_WORD = 0xFFFFFFFF
_BLOCK = 64  # bytes
_START = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)


def _rotated(word, bits):
    return (word << bits | word >> (32 - bits)) & _WORD


class sha1:
    """SHA-1 (FIPS 180-4) of bytes that are given in one piece."""

    def __init__(self, data):
        length = len(data)
        zeros = (-length - 9) % _BLOCK
        padded = bytes(data) + b"\x80" + bytes(zeros) + (8 * length).to_bytes(8, "big")
        self._state = list(_START)
        for at in range(0, len(padded), _BLOCK):
            self._take(padded[at : at + _BLOCK])

    def _take(self, block):
        words = [int.from_bytes(block[at : at + 4], "big") for at in range(0, _BLOCK, 4)]
        a, b, c, d, e = self._state
        for t in range(80):
            if t % 20 == 0:  # a bench may have switched it off, and these numbers are large
                gc.collect()
            if t >= 16:  # only the last 16 words are needed
                new = words[t - 3 & 15] ^ words[t - 8 & 15] ^ words[t - 14 & 15] ^ words[t & 15]
                words[t & 15] = _rotated(new, 1)
            if t < 20:
                f, k = (b & c) | (~b & d), 0x5A827999
            elif t < 40:
                f, k = b ^ c ^ d, 0x6ED9EBA1
            elif t < 60:
                f, k = (b & c) | (b & d) | (c & d), 0x8F1BBCDC
            else:
                f, k = b ^ c ^ d, 0xCA62C1D6
            a, b, c, d, e = (
                (_rotated(a, 5) + f + e + k + words[t & 15]) & _WORD,
                a,
                _rotated(b, 30),
                c,
                d,
            )
        ended = (a, b, c, d, e)
        self._state = [(was + now) & _WORD for was, now in zip(self._state, ended)]

    def digest(self):
        return b"".join([word.to_bytes(4, "big") for word in self._state])
