"""From a host's name to an open stream: name resolution, connecting, TLS."""

import asyncio
import gc

from firmware.base import runtime, sockets

TLS_ROOM = 40000  # bytes outside of our heap that a link and its handshake take
_KNOWN = 8  # names whose addresses are kept, and as many again whose lookups hang


def _look_up(host, port, found):
    import socket

    try:
        found.append(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
    except Exception as error:
        found.append(error)


async def resolve(host: str, port: int, timeout_s: int, known: dict) -> list:
    """The host's addresses as getaddrinfo gives them, the one that last worked first; that one
    alone when there is no answer. A lookup that hangs is not started again beside itself.

    getaddrinfo blocks, for many seconds without a network: it runs in a thread of its own.
    """
    name = "%s:%d" % (host, port)
    for key in list(known):  # what came too late, and the places of long ago
        if (
            key not in (name, (host, port))
            and known[key]
            and (isinstance(key, str) or len(known) > _KNOWN)
        ):
            known.pop(key)
    found = known.get(name)
    if found is None and len(known) > 2 * _KNOWN:  # all of them lookups that hang
        raise OSError("no address for %s: too many lookups hang" % host)
    if found is None:
        known[name] = found = []
        numeric = ":" in host or all(c in "0123456789." for c in host)
        try:
            import _thread
        except ImportError:
            numeric = True
        if numeric:
            _look_up(host, port, found)
        else:
            _thread.start_new_thread(_look_up, (host, port, found))
    for _ in range(timeout_s * 50):
        if found:
            break
        await runtime.sleep_ms(20)
    last = known.get((host, port))
    answer = "no answer in %d s" % timeout_s
    if found:
        known.pop(name)
        answer = found[0]
    if isinstance(answer, list):
        if last in answer:
            answer.remove(last)
            answer.insert(0, last)
        return answer
    if last:
        return [last]
    raise OSError("no address for %s: %s" % (host, answer))


async def dial(host: str, port: int, tls=None, hello=b"", timeout_s=30, known=None) -> tuple:
    """(reader, writer) of a stream to the first address that takes the connection and `hello`.

    `known` is a dict that the caller keeps: what worked is tried first the next time. Each step
    has its own time-out in real seconds: resolving, connecting (a third for each address), the
    TLS handshake. Raises OSError, TlsFailed among them.
    """
    known = {} if known is None else known
    if tls:
        gc.collect()
        free = sockets.native_free()
        if free is not None and free < TLS_ROOM:
            raise OSError("TLS needs %d bytes of memory, %d are free" % (TLS_ROOM, free))
    failed = None
    for address in await resolve(host, port, timeout_s, known):
        sock = sockets.new_socket(address)
        writer, step = None, "connecting"
        try:
            await asyncio.wait_for(sockets.connect(sock, address[-1]), max(1, timeout_s // 3))
            step = "TLS handshake" if tls else "sending"
            streams = sockets.open_streams(sock, tls, host)
            reader, writer = await asyncio.wait_for(streams, timeout_s)
            writer.write(hello)
            await asyncio.wait_for(writer.drain(), timeout_s)
            known[(host, port)] = address
            sock = None
            return reader, writer
        except asyncio.TimeoutError:
            failed = OSError("%s with %s port %d: no answer in time" % (step, host, port))
        except runtime.LINK_ERRORS as error:
            if step == "TLS handshake":
                failed = runtime.load("firmware.net.tls").failure(error)
                runtime.drop("firmware.net.tls")
            else:
                failed = OSError("%s with %s port %d: %s" % (step, host, port, error))
        finally:
            if writer and sock:
                sockets.abort(writer)
            elif sock:
                sock.close()
    raise failed
