"""A bad link: a relay on loopback between some stations and their central system. It carries
bytes as they are, TLS as well, and is late, slow, or breaks.
"""

from __future__ import annotations

import asyncio
import socket

_CHUNK = 512  # bytes carried at a time
_RESEND_S = 1.0  # what TCP waits, at least, before it sends again what was lost


class Relay:
    """`open()` returns its address. `delay_s`: how long everything takes; `bytes_per_s`: how much
    it carries each way; `loss`: the share of packets that are sent again; `breaks_after_s`: how
    long a connection lasts, on average."""

    def __init__(
        self, host, port, chance, delay_s=0.0, bytes_per_s=0, loss=0.0, breaks_after_s=0.0
    ):
        self.host = host
        self.port = port
        self.chance = chance
        self.delay_s = delay_s
        self.bytes_per_s = bytes_per_s
        self.loss = loss
        self.breaks_after_s = breaks_after_s
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task] = set()

    async def open(self) -> tuple:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()

    async def close(self) -> None:
        """Breaks what is left."""
        if self._server:
            self._server.close()
            tasks, self._tasks = list(self._tasks), set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        onward = None
        try:
            there, onward = await asyncio.open_connection(self.host, self.port)
            ways = asyncio.gather(self._carry(reader, onward), self._carry(there, writer))
            if self.breaks_after_s:
                lasts_s = self.chance.expovariate(1 / self.breaks_after_s)
                await asyncio.wait_for(ways, lasts_s)
            else:
                await ways
        except (OSError, asyncio.TimeoutError):
            pass  # it is broken, as links are
        finally:
            self._tasks.discard(task)
            for end in (writer, onward):
                if end:
                    end.transport.abort()

    async def _carry(self, reader, writer):
        """One way. Ends the connection with OSError when this way has ended."""
        while True:
            data = await reader.read(_CHUNK)
            if not data:
                raise OSError("closed")
            late_s = self.delay_s
            if self.bytes_per_s:
                late_s += len(data) / self.bytes_per_s
            resend_s = _RESEND_S
            while self.chance.random() < self.loss:
                late_s += resend_s
                resend_s *= 2
            await asyncio.sleep(late_s)
            writer.write(data)
            await writer.drain()


class Detour:
    """In the place of a station's dial.Addresses: whatever the host, the relay takes the call. The
    host's name is still what TLS checks."""

    def __init__(self, address: tuple):
        self._answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)]

    async def resolve(self, host: str, port: int, timeout_s: int) -> list:
        return list(self._answer)

    def worked(self, host: str, port: int, address) -> None:
        pass

    def reached(self) -> list:
        return []
