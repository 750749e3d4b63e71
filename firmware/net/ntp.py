"""SNTP (RFC 4330): one question, one answer."""

import socket

from firmware.base import runtime
from firmware.base.runtime import const
from firmware.net.dial import Addresses

_PORT = const(123)
_MESSAGE = const(48)  # bytes
_VERSION_4_CLIENT = const(0x23)
_MODE = const(7)  # the mask of an answer's mode
_SERVER = const(4)
_ALARM = const(3)  # the leap indicator of a clock that is not synchronised
_MAX_STRATUM = const(15)
_LOOKUP_S = const(10)
_ANSWER_MS = const(3000)
_POLL_MS = const(50)
_EPOCH = const(2208988800)  # 1970 in seconds since 1900
_ERA = const(1 << 32)


async def ask(host: str, log, port: int = _PORT) -> int:
    """Asks a server for the time, in Unix seconds. Returns 0 without a good answer within some
    seconds."""
    try:
        address = (await Addresses().resolve(host, port, _LOOKUP_S))[0]
        sock = socket.socket(address[0], socket.SOCK_DGRAM)
    except OSError as why:
        log.warning("time: %s", why)
        return 0
    question = bytearray(_MESSAGE)
    question[0] = _VERSION_4_CLIENT
    question[40:48] = runtime.urandom(8)  # comes back: nobody answers who has not been asked
    try:
        sock.setblocking(False)
        sock.connect(address[-1])
        sock.send(question)
        for _ in range(_ANSWER_MS // _POLL_MS):
            await runtime.sleep_ms(_POLL_MS)
            try:
                answer = sock.recv(_MESSAGE)
            except OSError:
                continue  # nothing yet
            epoch = epoch_of(answer, question)
            if epoch:
                return epoch
        log.warning("time: no answer from %s", host)
    except OSError as why:
        log.warning("time: %s: %s", host, why)
    finally:
        sock.close()
    return 0


def epoch_of(answer: bytes, question) -> int:
    """The Unix time in an answer to this question; 0 where it is no answer, or the server's clock
    is not set."""
    if len(answer) < _MESSAGE or answer[24:32] != question[40:48]:
        return 0
    leap, mode, stratum = answer[0] >> 6, answer[0] & _MODE, answer[1]
    if mode != _SERVER or leap == _ALARM or not 0 < stratum <= _MAX_STRATUM:
        return 0  # a stratum of 0 is a "kiss of death": do not ask again
    seconds = int.from_bytes(answer[40:44], "big")
    return seconds - _EPOCH + (0 if seconds >> 31 else _ERA)  # from 2036 on it begins anew
