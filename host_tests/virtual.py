# mypy: ignore-errors
"""Virtual time: an hour of station time passes in the time that the code itself takes.

`run(coro)` runs a coroutine on a loop whose clock stands still while there is something to do
and jumps to the next timer when there is not. Sockets are real: what is ready is served before
any jump, so peers within the same process work. Work in threads is waited for really. A peer in
another process is not waited for: use real time with those.

A run fails too when a task of its own died and nobody awaited it, and when nothing is left that
could wake it.

The same on CPython (a loop of its own) and on MicroPython (asyncio.core's clock is replaced).
"""

import asyncio
import os
import socket
import sys

STUCK_S = 10  # nothing but I/O to wait for, and none came: the test would hang


class Skip(Exception):
    """Raised by a `both` test that can't run on this Python; says why."""


class Stuck(Exception):
    """Nothing is left that could wake the program."""


def free_port():
    """A port of 127.0.0.1 that nobody listens on, out of a range that is not handed out."""
    while True:
        port = 15000 + int.from_bytes(os.urandom(2), "big") % 15000
        probe = socket.socket()
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
            return port
        except OSError:
            continue
        finally:
            probe.close()


if sys.implementation.name == "micropython":
    import time
    from asyncio import core
    from time import ticks_add, ticks_diff

    from firmware.base import runtime

    _real = time.ticks_ms

    # asyncio's clock runs ahead of the real one, so that what its C part schedules for "now",
    # by the real clock, is always due; and not too far, since 30-bit ticks compare within 2**29.
    _AHEAD = 1 << 27

    class _Time:
        """The clocks: `loop` is asyncio's, `shift` what the station's has gained."""

        def __init__(self):
            self.shift = 0  # station time - real time, outside of a run
            self.station = None  # stands still during a run
            self.loop = 0
            self.spins = 0
            self.threads = 0

        def ticks_ms(self):
            return ticks_add(_real(), self.shift) if self.station is None else self.station

        def advance(self, ms):
            self.spins = 0
            self.station = ticks_add(self.station, ms)
            self.loop = ticks_add(self.loop, ms)
            ahead = ticks_diff(self.loop, _real())
            if ahead > _AHEAD + _AHEAD // 2:
                self._rebase(ahead - _AHEAD)

        def _rebase(self, ms):
            queue = core._task_queue
            tasks = []
            while queue.peek():
                task = queue.pop()
                tasks.append((task, task.ph_key, task.data))
            for task, key, data in tasks:
                queue.push(task, ticks_add(key, -ms))
                task.data = data  # push forgets it
            self.loop = ticks_add(self.loop, -ms)

        def wait(self, dt):
            """In the place of IOQueue.wait_io_event."""
            queue = core._io_queue
            poll = type(queue).wait_io_event
            poll(queue, 0)
            task = core._task_queue.peek()
            if task:
                left = ticks_diff(task.ph_key, self.loop)
                if left <= 0:
                    self.spins += 1
                    if self.spins >= 1000:  # somebody polls until time passes
                        self.advance(1)
                elif self.threads:
                    time.sleep_ms(1)
                    self.advance(1)
                else:
                    if left >= 1000 and queue.map:
                        poll(queue, 1)  # a busy kernel may deliver late
                        if ticks_diff(core._task_queue.peek().ph_key, self.loop) < left:
                            return
                    self.advance(left)
                return
            if queue.map:
                poll(queue, STUCK_S * 1000)
            if not core._task_queue.peek():
                raise Stuck("nothing left to wait for")

    _time = _Time()
    runtime.ticks_ms = _time.ticks_ms

    class _Thread:
        """_thread, counting what is in flight."""

        def __init__(self, module):
            self._module = module

        def __getattr__(self, name):
            return getattr(self._module, name)

        def start_new_thread(self, function, args, kwargs={}):
            def counted():
                try:
                    function(*args, **kwargs)
                finally:
                    _time.threads -= 1

            _time.threads += 1
            return self._module.start_new_thread(counted, ())

    try:
        import _thread

        sys.modules["_thread"] = _Thread(_thread)
    except ImportError:
        pass

    def run(coro):
        """Runs it to its end in virtual time; returns its result."""
        asyncio.new_event_loop()
        _time.station = ticks_add(_real(), _time.shift)
        _time.loop = ticks_add(_real(), _AHEAD)
        core.ticks = lambda: _time.loop
        core._io_queue.wait_io_event = _time.wait
        ended = []
        unseen = []  # exceptions of tasks that nobody awaited
        asyncio.get_event_loop().set_exception_handler(
            lambda loop, context: unseen.append(context["exception"])
        )

        async def main():
            ended.append(await coro)

        try:
            asyncio.run(main())
            if not ended:  # asyncio.run returns when no task is left that could be woken
                raise Stuck("nothing left to wait for")
            if unseen:
                raise unseen[0]
            return ended[0]
        finally:
            _time.shift = ticks_diff(_time.station, _real())
            _time.station = None
            core.ticks = _real
            asyncio.new_event_loop()  # leftover tasks must not go on in the next run

else:
    import _thread
    import gc
    import selectors
    import time

    class _Threads:
        in_flight = 0
        start = staticmethod(_thread.start_new_thread)

        @classmethod
        def counted(cls, function, args, kwargs=None):
            def body():
                try:
                    function(*args, **(kwargs or {}))
                finally:
                    cls.in_flight -= 1

            cls.in_flight += 1
            return cls.start(body, ())

    _thread.start_new_thread = _Threads.counted  # `threading` keeps the original

    def _us(seconds):
        return round(seconds * 1000000)

    class _Selector(selectors.DefaultSelector):
        def __init__(self, loop):
            super().__init__()
            self.loop = loop
            self.spins = 0

        def select(self, timeout=None):
            loop = self.loop
            events = super().select(0)
            if events:
                return events
            if timeout is None:
                events = super().select(STUCK_S)
                if not events:
                    raise Stuck("nothing left to wait for")
            elif timeout <= 0:
                self.spins += 1
                if self.spins >= 1000:  # somebody polls until time passes
                    self.spins = 0
                    loop.now_us += 1000
            elif loop.executing or _Threads.in_flight:
                before = time.monotonic()
                events = super().select(min(timeout, 0.005))
                loop.now_us += _us(min(timeout, time.monotonic() - before))
            else:
                self.spins = 0
                if timeout >= 1 and len(self.get_map()) > 1:
                    events = super().select(0.001)  # a busy kernel may deliver late
                if not events:
                    loop.now_us += _us(timeout)
            return events

    class VirtualLoop(asyncio.SelectorEventLoop):
        """An event loop in virtual time, which begins at 0 whatever the host's uptime is and is
        counted in whole microseconds: timers that are due at the same instant are so exactly, by
        whatever sums they came there."""

        def __init__(self):
            self.now_us = 500  # the middle of a millisecond: no rounding shows in whole ones
            self.executing = 0
            super().__init__(_Selector(self))

        def time(self):
            return self.now_us / 1000000

        def call_at(self, when, callback, *args, context=None):
            return super().call_at(_us(when) / 1000000, callback, *args, context=context)

        def run_in_executor(self, executor, func, *args):
            def done(_):
                self.executing -= 1

            future = super().run_in_executor(executor, func, *args)
            self.executing += 1
            future.add_done_callback(done)
            return future

    def run(coro):
        """Runs it to its end in virtual time; returns its result."""
        unseen = []  # exceptions of tasks that nobody awaited
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.get_loop().set_exception_handler(
                lambda loop, context: unseen.append(context.get("exception"))
            )
            result = runner.run(coro)
            gc.collect()
        for error in unseen:
            if isinstance(error, Exception):  # not what Runner cancelled in the end
                raise error
        return result
