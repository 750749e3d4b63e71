"""Modbus RTU master (Modbus over serial line 1.02): reads registers on a half-duplex line.

Frames are found by their length and CRC, not by the pauses between characters, which USB
adapters and busy loops blur; so noise around an answer, other slaves' frames and an unasked-for
echo of the request are passed over.
"""

_LISTENED = 512  # bytes listened to for one answer; the longest frame has 256

# What four bits add to the CRC, whose polynomial is 0xA001 (bits reversed).
_CRC_OF_NIBBLE = (
    0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401,
    0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400,
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
        value ^= byte
        value = value >> 4 ^ _CRC_OF_NIBBLE[value & 15]
        value = value >> 4 ^ _CRC_OF_NIBBLE[value & 15]
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
                    raise ModbusError("collision: the echo is not what was sent")
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
        until = clock.ms() + self.timeout
        while True:
            if self.port.read(256):
                self._heard_ms = clock.ms()
                if self._heard_ms >= until:
                    raise ModbusError("the line is never silent")
            left = self._heard_ms + self._silence_ms - clock.ms()
            if left <= 0:
                return
            await clock.sleep_ms(left)
