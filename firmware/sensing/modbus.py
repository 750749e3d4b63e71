"""Modbus RTU master (Modbus over serial line 1.02): reads registers on a half-duplex line.

Frames are found by their length and CRC, not by the pauses between characters, which USB
adapters and busy loops blur; so noise around an answer, other slaves' frames and an unasked-for
echo of the request are passed over.
"""

_LISTENED = 512  # bytes listened to for one answer; the longest frame has 256

# What a byte adds to the CRC, whose polynomial is 0xA001 (bits reversed). An answer has up to 256
# bytes, each second: two steps of four bits each with a table of 16 take twice the time.
_CRC_OF_BYTE = (
    0x0000, 0xC0C1, 0xC181, 0x0140, 0xC301, 0x03C0, 0x0280, 0xC241, 0xC601, 0x06C0, 0x0780,
    0xC741, 0x0500, 0xC5C1, 0xC481, 0x0440, 0xCC01, 0x0CC0, 0x0D80, 0xCD41, 0x0F00, 0xCFC1,
    0xCE81, 0x0E40, 0x0A00, 0xCAC1, 0xCB81, 0x0B40, 0xC901, 0x09C0, 0x0880, 0xC841, 0xD801,
    0x18C0, 0x1980, 0xD941, 0x1B00, 0xDBC1, 0xDA81, 0x1A40, 0x1E00, 0xDEC1, 0xDF81, 0x1F40,
    0xDD01, 0x1DC0, 0x1C80, 0xDC41, 0x1400, 0xD4C1, 0xD581, 0x1540, 0xD701, 0x17C0, 0x1680,
    0xD641, 0xD201, 0x12C0, 0x1380, 0xD341, 0x1100, 0xD1C1, 0xD081, 0x1040, 0xF001, 0x30C0,
    0x3180, 0xF141, 0x3300, 0xF3C1, 0xF281, 0x3240, 0x3600, 0xF6C1, 0xF781, 0x3740, 0xF501,
    0x35C0, 0x3480, 0xF441, 0x3C00, 0xFCC1, 0xFD81, 0x3D40, 0xFF01, 0x3FC0, 0x3E80, 0xFE41,
    0xFA01, 0x3AC0, 0x3B80, 0xFB41, 0x3900, 0xF9C1, 0xF881, 0x3840, 0x2800, 0xE8C1, 0xE981,
    0x2940, 0xEB01, 0x2BC0, 0x2A80, 0xEA41, 0xEE01, 0x2EC0, 0x2F80, 0xEF41, 0x2D00, 0xEDC1,
    0xEC81, 0x2C40, 0xE401, 0x24C0, 0x2580, 0xE541, 0x2700, 0xE7C1, 0xE681, 0x2640, 0x2200,
    0xE2C1, 0xE381, 0x2340, 0xE101, 0x21C0, 0x2080, 0xE041, 0xA001, 0x60C0, 0x6180, 0xA141,
    0x6300, 0xA3C1, 0xA281, 0x6240, 0x6600, 0xA6C1, 0xA781, 0x6740, 0xA501, 0x65C0, 0x6480,
    0xA441, 0x6C00, 0xACC1, 0xAD81, 0x6D40, 0xAF01, 0x6FC0, 0x6E80, 0xAE41, 0xAA01, 0x6AC0,
    0x6B80, 0xAB41, 0x6900, 0xA9C1, 0xA881, 0x6840, 0x7800, 0xB8C1, 0xB981, 0x7940, 0xBB01,
    0x7BC0, 0x7A80, 0xBA41, 0xBE01, 0x7EC0, 0x7F80, 0xBF41, 0x7D00, 0xBDC1, 0xBC81, 0x7C40,
    0xB401, 0x74C0, 0x7580, 0xB541, 0x7700, 0xB7C1, 0xB681, 0x7640, 0x7200, 0xB2C1, 0xB381,
    0x7340, 0xB101, 0x71C0, 0x7080, 0xB041, 0x5000, 0x90C1, 0x9181, 0x5140, 0x9301, 0x53C0,
    0x5280, 0x9241, 0x9601, 0x56C0, 0x5780, 0x9741, 0x5500, 0x95C1, 0x9481, 0x5440, 0x9C01,
    0x5CC0, 0x5D80, 0x9D41, 0x5F00, 0x9FC1, 0x9E81, 0x5E40, 0x5A00, 0x9AC1, 0x9B81, 0x5B40,
    0x9901, 0x59C0, 0x5880, 0x9841, 0x8801, 0x48C0, 0x4980, 0x8941, 0x4B00, 0x8BC1, 0x8A81,
    0x4A40, 0x4E00, 0x8EC1, 0x8F81, 0x4F40, 0x8D01, 0x4DC0, 0x4C80, 0x8C41, 0x4400, 0x84C1,
    0x8581, 0x4540, 0x8701, 0x47C0, 0x4680, 0x8641, 0x8201, 0x42C0, 0x4380, 0x8341, 0x4100,
    0x81C1, 0x8081, 0x4040,
)  # fmt: skip

_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    6: "busy",
}


class ModbusError(Exception):
    """No usable answer (`code` 0), or the slave refused (`code` as in the Modbus exception)."""

    def __init__(self, text: str, code: int = 0):
        super().__init__(text)
        self.code = code


def crc(data) -> int:
    """CRC-16 of Modbus; 0 over a whole undamaged frame, its CRC included."""
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _CRC_OF_BYTE[value & 255 ^ byte]
    return value


def with_crc(data: bytes) -> bytes:
    """The frame with its CRC, low byte first."""
    value = crc(data)
    return data + bytes((value & 255, value >> 8))


def request(unit: int, function: int, address: int, count: int) -> bytes:
    """The frame that reads `count` registers from the 0-based `address` (function 3 or 4)."""
    return with_crc(bytes((unit, function, address >> 8, address & 255, count >> 8, count & 255)))


def find_answer(heard: bytes, sent: bytes) -> bytes | None:
    """The registers' bytes out of what was heard after the request `sent`; None: not there yet.

    Raises ModbusError for the slave's exception.
    """
    unit, function, _, _, count_high, count_low = sent[:6]
    size = 2 * (count_high << 8 | count_low)
    refusal = bytes((unit, function | 128))
    for head, length in ((bytes((unit, function, size & 255)), size + 5), (refusal, 5)):
        at = heard.find(head)
        while 0 <= at <= len(heard) - length:
            if crc(heard[at : at + length]) == 0:
                if head is refusal:
                    code = heard[at + 2]
                    raise ModbusError("exception %d %s" % (code, _EXCEPTIONS.get(code, "")), code)
                return heard[at + 3 : at + length - 2]
            at = heard.find(head, at + 1)
    return None


class Master:
    """The only master on a line: one request at a time (callers take turns).

    `port` has read(n) and write(data), neither of which waits; `clock` has ms() and sleep_ms(),
    in the line's own time. `timeout`: ms that a slave may take before its answer begins. `tries`:
    requests sent before giving up. `echo`: the adapter hears what it sends; the echo is dropped
    to the byte, and one that differs is a collision.
    """

    def __init__(self, port, baud: int, clock, timeout: int = 1000, tries=2, echo=False):
        self.port = port
        self.clock = clock
        self.timeout = timeout
        self.tries = tries
        self.echo = echo
        self.baud = baud
        self._silence_ms = 2 if baud > 19200 else -(-38500 // baud)  # t3.5, ms
        self._heard_ms = clock.ms()

    async def read(self, unit: int, function: int, address: int, count: int) -> bytes:
        """The bytes of `count` registers, as they come. Raises ModbusError; the port's OSError."""
        sent = request(unit, function, address, count)
        tries = self.tries
        while True:
            tries -= 1
            try:
                return await self._exchange(sent, 2 * count + 5)
            except ModbusError as why:
                # What a slave refuses it refuses again, unless it is only busy (6).
                if not tries or why.code not in (0, 6):
                    raise

    async def _exchange(self, sent, length):
        await self._wait_for_silence()
        clock = self.clock
        echo = len(sent) if self.echo else 0  # bytes of it
        self.port.write(sent)
        until = clock.ms() + self.timeout + (len(sent) + length) * 11000 // self.baud
        heard = b""
        while True:
            data = self.port.read(256)
            if data:
                self._heard_ms = clock.ms()
                heard += data
                if echo and heard[:echo] != sent[: len(heard)]:
                    raise ModbusError("collision: the echo differs from what was sent")
                found = find_answer(heard[echo:], sent)
                if found is not None:
                    return found
                if len(heard) > _LISTENED:
                    raise ModbusError("noise without end")
            elif clock.ms() >= until:
                raise ModbusError("damaged answer" if len(heard) > echo else "no answer")
            else:
                missing = (echo + length - len(heard)) * 11000 // self.baud
                await clock.sleep_ms(min(max(missing, 2), 20))

    async def _wait_for_silence(self):
        """Waits until nothing came for t3.5; what comes, a late answer say, is dropped."""
        clock = self.clock
        now = clock.ms()
        until = now + self.timeout
        while True:
            if self.port.read(256):
                self._heard_ms = now
                if now >= until:
                    raise ModbusError("the line is never silent")
            left = self._heard_ms + self._silence_ms - now
            if left <= 0:
                return
            await clock.sleep_ms(left)
            now = clock.ms()
