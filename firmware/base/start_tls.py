"""TLS on streams that are open already, which only FTP's AUTH TLS needs. The rest of the sockets
is in `sockets.py`; here, too, the two Pythons differ."""

import asyncio
import io
import select

from firmware.base import runtime
from firmware.base.runtime import const

_UNASKED_LOOKS = const(40)  # for what the peer sends unasked: 2 s
_UNASKED_LOOK_MS = const(50)
_STREAM_POLL = const(3)  # a request of MicroPython's stream protocol (py/stream.h)

if runtime.MICROPYTHON:

    class _KeptOpen(io.IOBase):
        """A socket that stays open when the TLS on it is closed."""

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
            if request == _STREAM_POLL:
                poll = select.poll()
                poll.register(self.sock, argument)
                ready = poll.poll(0)
                return ready[0][1] if ready else 0
            return 0  # closing, above all

    async def start_tls(streams: tuple, tls, host: str, will_end: bool = False) -> tuple:
        """Begins TLS on open streams (FTP's AUTH TLS). Returns (reader, writer, the first bytes of
        what the peer says, if they have come). `will_end` announces that `end_tls` will be
        called."""
        raw = streams[0].s
        sock = tls.wrap_socket(
            _KeptOpen(raw) if will_end else raw,
            server_hostname=host,
            do_handshake_on_connect=False,
        )
        stream = asyncio.StreamReader(sock, {"socket": raw})  # type: ignore[arg-type]
        # A read begins the handshake; to wait until the peer says something would not. The
        # handshake goes on with the first bytes in either direction; a quick peer may have
        # finished it by now.
        return stream, stream, sock.read(1) or b""

    async def read_unasked_tls(streams: tuple) -> None:
        """Reads what the peer's TLS sends unasked (the session tickets of TLS 1.3). A socket that
        is closed while those are unread is reset, and so is one that they reach when it is closed:
        the peer loses what it had not read by then. A busy peer sends them late, TLS 1.2 has
        none."""
        sock = streams[0].s
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        for _ in range(_UNASKED_LOOKS):
            if poll.poll(0):
                break
            await runtime.sleep_ms(_UNASKED_LOOK_MS)
        for _ in range(4):
            sock.read(1)

    async def end_tls(streams: tuple) -> tuple:
        """(reader, writer) in clear text on streams of `start_tls(will_end=True)`, once the peer
        has said that its TLS ends. Nothing is said to the peer (curl calls this a passive
        CCC)."""
        stream = streams[0]
        if await stream.read(1):
            raise OSError("more TLS data after its end")
        stream.s.close()
        stream = asyncio.StreamReader(stream.e["socket"], stream.e)
        return stream, stream

else:

    async def start_tls(streams: tuple, tls, host: str, will_end: bool = False) -> tuple:
        """Begins TLS on open streams (FTP's AUTH TLS). Returns (reader, writer, the first bytes of
        what the peer says, if they have come). `will_end` announces that `end_tls` will be
        called."""
        reader, writer = streams
        await writer.start_tls(tls, server_hostname=host)
        return reader, writer, b""

    async def read_unasked_tls(streams: tuple) -> None:
        """Nothing to do here: asyncio reads what the peer sends by itself."""

    async def end_tls(streams: tuple) -> tuple:
        """Not needed here: a PC has memory for two TLS connections."""
        raise OSError("TLS can't be ended on this Python")
