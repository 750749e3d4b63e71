"""Integers of any sign and size in as few bytes as they need: how records lie in the flash."""


def pack_ints(*numbers) -> bytes:
    """The integers one after the other: 7 bits a byte, the lowest first, the eighth bit set where
    more follow. The sign is the lowest bit (zigzag), so that -64 to 63 take one byte."""
    out = bytearray()
    for n in numbers:
        n = n << 1 if n >= 0 else -(n << 1) - 1
        while n > 127:
            out.append(n & 127 | 128)
            n >>= 7
        out.append(n)
    return bytes(out)


def unpack_ints(data: bytes, count: int, at: int = 0) -> tuple:
    """(list of `count` integers packed from the offset `at` on, the offset behind them). Raises
    IndexError where the data ends before."""
    found = []
    for _ in range(count):
        n = data[at]
        at += 1
        if n > 127:
            n &= 127
            shift = 7
            while True:
                byte = data[at]
                at += 1
                n |= (byte & 127) << shift
                if byte < 128:
                    break
                shift += 7
        found.append(-(n + 1 >> 1) if n & 1 else n >> 1)
    return found, at
