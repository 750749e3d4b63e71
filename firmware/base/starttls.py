"""TLS that begins, or ends, on a connection that stands (FTP's AUTH TLS and CCC).

Loaded for a transfer; what is made here needs it no longer.
"""

import asyncio

from firmware.base import runtime


async def _cpython(streams, tls, host, keep):
    reader, writer = streams
    await writer.start_tls(tls, server_hostname=host)
    return reader, writer, b""


async def _micropython(streams, tls, host, keep):
    import io
    import select

    class Kept(io.IOBase):
        """A socket that the end of the TLS on it does not close."""

        def __init__(self, sock):
            self.sock = sock
            self.setblocking = sock.setblocking

        def readinto(self, buffer):
            try:
                return self.sock.readinto(buffer)
            except OSError as error:
                return -error.errno

        def write(self, buffer):
            try:
                return self.sock.write(buffer)
            except OSError as error:
                return -error.errno

        def ioctl(self, request, argument):
            if request == 3:  # poll
                poll = select.poll()
                poll.register(self.sock, argument)
                ready = poll.poll(0)
                return ready[0][1] if ready else 0
            return 0  # 4: close

    raw = streams[0].s
    sock = tls.wrap_socket(
        Kept(raw) if keep else raw, server_hostname=host, do_handshake_on_connect=False
    )
    stream = asyncio.StreamReader(sock, {"socket": raw})  # type: ignore[arg-type]
    # Begins the handshake, which waiting for the peer's first words does not. It goes on with the
    # first bytes either way; a peer that is quick may have it ended by now.
    return stream, stream, sock.read(1) or b""


def start(streams: tuple, tls, host: str, keep: bool = False):
    """Awaitable: (reader, writer, the first bytes, if they came) with TLS on open ones. `keep`:
    `end` will be called."""
    return (_micropython if runtime.MICROPYTHON else _cpython)(streams, tls, host, keep)


def settle(streams: tuple) -> None:
    """Takes what the peer's TLS has sent unasked (the tickets of TLS 1.3). A socket closed with it
    unread is reset, and the peer loses what it had not read by then."""
    if runtime.MICROPYTHON:
        for _ in range(4):
            streams[0].s.read(1)


async def end(streams: tuple) -> tuple:
    """(reader, writer) in clear text on streams begun with `keep`, once the peer has said that
    its TLS ends; nothing is said to it (curl calls this a passive CCC). MicroPython only: where
    CPython runs there is room for two."""
    stream = streams[0]
    if await stream.read(1):
        raise OSError("more TLS data after its end")
    stream.s.close()
    stream = asyncio.StreamReader(stream.e["socket"], stream.e)
    return stream, stream
