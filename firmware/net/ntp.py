"""SNTP (RFC 4330): one question, one answer; loaded for it and dropped."""

from firmware.base import runtime
from firmware.net import dial

_EPOCH = 2208988800  # 1970 in seconds since 1900
_ERA = 1 << 32


async def ask(host: str, log, port: int = 123) -> int:
    """Unix seconds, 0 when there was no good answer within some seconds."""
    import socket

    try:
        known = {}
        where = (await dial.resolve(host, port, 10, known))[0]
        sock = socket.socket(where[0], socket.SOCK_DGRAM)
    except OSError as why:
        log.warning("time: %s", why)
        return 0
    question = bytearray(48)
    question[0] = 0x23  # version 4, client
    question[40:48] = runtime.urandom(8)  # comes back: nobody answers who has not been asked
    try:
        sock.setblocking(False)
        sock.connect(where[-1])
        sock.send(question)
        for _ in range(60):
            await runtime.sleep_ms(50)
            try:
                answer = sock.recv(48)
            except OSError:
                continue  # nothing yet
            epoch = read(answer, question)
            if epoch:
                return epoch
        log.warning("time: no answer from %s", host)
    except OSError as why:
        log.warning("time: %s: %s", host, why)
    finally:
        sock.close()
    return 0


def read(answer: bytes, question) -> int:
    """The Unix time of an answer to this question; 0: it is none, or from a clock not set."""
    if len(answer) < 48 or answer[24:32] != question[40:48] or answer[0] & 7 != 4:
        return 0
    if answer[0] >> 6 == 3 or not 0 < answer[1] < 16:  # alarm; kiss of death, unsynchronised
        return 0
    seconds = int.from_bytes(answer[40:44], "big")
    return seconds - _EPOCH + (0 if seconds >> 31 else _ERA)  # from 2036 on it begins anew
