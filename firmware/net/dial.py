"""From a host's name to an open stream: name resolution, connecting, TLS."""

import asyncio
import socket

from firmware.base import runtime, sockets
from firmware.base.runtime import const
from firmware.net.tls import check_room, failure

_MAX_REMEMBERED = const(8)  # hosts whose addresses are remembered
_MAX_LOOKUPS = const(8)  # lookups that may hang at the same time
_POLL_MS = const(20)  # how often a lookup is asked for its answer
_CONNECTING = const("connecting")
_HANDSHAKE = const("TLS handshake")
_SENDING = const("sending")


def _look_up(host, port, answer):
    """Puts the addresses of a host, or what went wrong, into the list `answer`. Blocks."""
    try:
        answer.append(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
    except Exception as error:
        answer.append(error)


class Addresses:
    """Looks up the addresses of hosts, and remembers which one worked last. Keep one for hosts
    that are dialled again and again."""

    def __init__(self):
        self._worked = {}  # (host, port) -> the address that took the last connection
        self._lookups = {}  # (host, port) -> a list that will hold the answer of `_look_up`

    def reached(self) -> list:
        """The (host, port) of each remembered host that was reached."""
        return list(self._worked)

    def worked(self, host: str, port: int, address) -> None:
        """This address has taken a connection: it is tried first the next time."""
        self._worked[(host, port)] = address

    async def resolve(self, host: str, port: int, timeout_s: int) -> list:
        """The host's addresses as getaddrinfo returns them; the one that worked last comes first.
        Without an answer only that one. Raises OSError when there is none.

        getaddrinfo blocks, for many seconds without a network, so it runs in a thread of its own.
        While a lookup hangs, it is not started again.
        """
        server = (host, port)
        self._forget_others(server)
        answer = self._lookups.get(server)
        if answer is None:
            if len(self._lookups) >= _MAX_LOOKUPS:
                raise OSError("no address for %s: too many lookups hang" % host)
            answer = []
            self._start_lookup(host, port, answer)  # OSError: no memory for a thread
            self._lookups[server] = answer
        for _ in range(timeout_s * 1000 // _POLL_MS):
            if answer:
                break
            await runtime.sleep_ms(_POLL_MS)
        last = self._worked.get(server)
        why = "no answer in %d s" % timeout_s
        if answer:
            self._lookups.pop(server)
            found = answer[0]
            if isinstance(found, list):
                if last in found:
                    found.remove(last)
                    found.insert(0, last)
                return found
            why = found
        if last:
            return [last]
        raise OSError("no address for %s: %s" % (host, why))

    def _forget_others(self, server):
        """Forgets answers that came too late, and hosts of long ago."""
        for other in list(self._lookups):
            if other != server and self._lookups[other]:
                self._lookups.pop(other)
        for other in list(self._worked):
            if other != server and len(self._worked) > _MAX_REMEMBERED:
                self._worked.pop(other)

    def _start_lookup(self, host, port, answer):
        numeric = ":" in host or all(c in "0123456789." for c in host)
        if not numeric:
            try:
                import _thread  # some builds have none; then the lookup blocks all tasks
            except ImportError:
                numeric = True
        if numeric:
            _look_up(host, port, answer)
        else:
            _thread.start_new_thread(_look_up, (host, port, answer))


async def dial(
    host: str,
    port: int,
    tls=None,
    first: bytes = b"",
    timeout_s: int = 30,
    addresses: Addresses | None = None,
) -> tuple:
    """(reader, writer) of a stream to the first address of the host that takes a connection and
    the bytes `first`. `tls`: the context of net/tls.py, None for clear text.

    Each step has its own time-out in real seconds: resolving, connecting (a third for each
    address), the TLS handshake, sending. Raises OSError, TlsFailed among them.
    """
    if tls:
        check_room()
    addresses = addresses or Addresses()
    failed = OSError("no address for %s" % host)
    for address in await addresses.resolve(host, port, timeout_s):
        try:
            streams = await _open(address, host, port, tls, first, timeout_s)
        except OSError as why:
            failed = why
        else:
            addresses.worked(host, port, address)
            return streams
    raise failed


async def _open(address, host, port, tls, first, timeout_s):
    sock = sockets.new_socket(address)
    writer = None
    is_open = False
    step = _CONNECTING
    try:
        await asyncio.wait_for(sockets.connect(sock, address[-1]), max(1, timeout_s // 3))
        # On MicroPython the handshake comes with the first bytes that are sent.
        step = _HANDSHAKE if tls else _SENDING
        reader, writer = await asyncio.wait_for(sockets.open_streams(sock, tls, host), timeout_s)
        writer.write(first)
        await asyncio.wait_for(writer.drain(), timeout_s)
        is_open = True
        return reader, writer
    except asyncio.TimeoutError:
        raise OSError("%s with %s port %d: no answer in time" % (step, host, port))
    except runtime.LINK_ERRORS as error:
        if step == _HANDSHAKE:
            raise failure(error)
        raise OSError("%s with %s port %d: %s" % (step, host, port, error))
    finally:
        if writer and not is_open:
            sockets.abort(writer)
        elif not is_open:
            sock.close()
