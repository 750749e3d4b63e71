# mypy: ignore-errors
"""Virtual time: an hour of station time passes in the time that the code itself takes.

`run(coro)` runs a coroutine on a loop whose clock stands still while there is something to do
and jumps to the next timer when there is not. Sockets are real: what is ready is served before
any jump, so peers within the same process work. Work in threads is waited for really.

A MicroPython in another process can live in the same virtual time: there `follow(fd)` hands its
clock to this loop (`Follower`), at the other end of a socket pair. Such a process says when it has
nothing to do, and until when. As soon as both sides have nothing to do, and nothing is on its way
between them, both clocks move by the same time, to whichever timer is due first. Any other peer in
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

# Between a loop and a process that follows it, in records of two integers: the process tells
# (number, ms until its next timer, or -1 for none) each time it has nothing to do; the loop says
# (that number, ms to move by); the answer is (number, _YES), or _NO where it has something to do
# after all.
_YES = -2
_NO = -3


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
    import select
    import struct
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
            self.leader = None  # the end of the socket pair that moves this clock, see `follow`
            self.number = 0  # of what the leader was told last

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
            if self.leader:
                self.wait_for_leader()
                return
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

        def left(self):
            """ms until a task is due, at most 0 when one is; None when none has a timer."""
            task = core._task_queue.peek()
            return ticks_diff(task.ph_key, self.loop) if task else None

        def wait_for_leader(self):
            """As `wait`, but it is the leader who knows when time passes."""
            queue = core._io_queue
            poll = type(queue).wait_io_event
            poll(queue, 0)
            left = self.left()
            if left is not None and left <= 0:
                self.spins += 1
                if self.spins < 1000:
                    return
                left = 1  # somebody polls until time passes
            elif self.threads:
                time.sleep_ms(min(left or 1, 20))
            self.number += 1
            self.tell(self.number, -1 if left is None else left)
            channel = self.leader
            while True:
                # Among the streams that tasks wait for, as one that no task waits for: poll
                # takes it out again when the leader has said something.
                queue.map[id(channel)] = [None, None, channel]
                queue.poller.register(channel, select.POLLIN)
                poll(queue, -1)
                silent = id(channel) in queue.map
                if silent:
                    queue._dequeue(channel)
                else:
                    number, ms = struct.unpack("<ii", channel.read(8))
                    poll(queue, 0)
                due = self.left()
                woken = due is not None and due <= 0 and self.spins < 1000
                if not silent:
                    moves = number == self.number and not woken
                    self.tell(number, _YES if moves else _NO)
                    if moves:
                        self.advance(ms)
                        return
                if woken:
                    return

        def tell(self, number, word):
            self.leader.write(struct.pack("<ii", number, word))

    _time = _Time()
    runtime.ticks_ms = _time.ticks_ms

    def follow(fd):
        """From now on, and until the process ends, its clock moves only as the loop moves it that
        holds the other end of the socket pair `fd`."""
        _time.leader = open(fd, "r+b", 0)
        _time.station = ticks_add(_real(), _time.shift)
        _time.loop = ticks_add(_real(), _AHEAD)
        core.ticks = lambda: _time.loop
        core._io_queue.wait_io_event = _time.wait

    class _Thread:
        """_thread, counting what is in flight."""

        def __init__(self, module):
            self._module = module
            # Desktop MicroPython has no global interpreter lock: without one of our own a thread
            # is lost in the count now and then, and time no longer jumps.
            self._lock = module.allocate_lock()

        def __getattr__(self, name):
            return getattr(self._module, name)

        def _count(self, more):
            with self._lock:
                _time.threads += more

        def start_new_thread(self, function, args, kwargs={}):
            def counted():
                try:
                    function(*args, **kwargs)
                finally:
                    self._count(-1)

            self._count(1)
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
    import struct
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

    DAY_US = 86400000000
    BUSY_S = 60  # so long a process that follows may work without a pause

    def _us(seconds):
        return round(seconds * 1000000)

    class _Selector(selectors.DefaultSelector):
        def __init__(self, loop):
            super().__init__()
            self.loop = loop
            self.spins = 0

        def ready(self, timeout):
            """What is ready for the loop; what a follower says is for the follower."""
            events = []
            for key, mask in super().select(timeout):
                if isinstance(key.data, Follower):
                    key.data.hear()
                else:
                    events.append((key, mask))
            return events

        def select(self, timeout=None):
            loop = self.loop
            follower = loop.follower
            events = self.ready(0)
            if events:
                return events
            if timeout is not None and timeout <= 0:
                self.spins += 1
                if self.spins < 1000:
                    return events
                timeout = 0.001  # somebody polls until time passes
            if follower and follower.left_ms is None:
                events = self.until_idle(follower)
                if events:
                    return events
            if loop.executing or _Threads.in_flight:
                before = time.monotonic()
                events = self.ready(min(0.005 if timeout is None else timeout, 0.005))
                passed = time.monotonic() - before
                timeout = passed if timeout is None else min(timeout, passed)
                if events:
                    return events
            left_us = None if timeout is None else _us(timeout)
            if follower and follower.left_ms >= 0:
                theirs_us = follower.left_ms * 1000 - follower.behind_us
                left_us = theirs_us if left_us is None else min(left_us, theirs_us)
            if follower and left_us is not None:
                left_us = min(left_us, DAY_US)  # ticks of 30 bits
            if left_us is None:
                events = self.ready(STUCK_S)
                if not events and not (follower and follower.left_ms is None):
                    raise Stuck("nothing left to wait for")
                return events
            if (left_us >= 1000000 or loop.step_us) and len(self.get_map()) > 1:
                events = self.ready(0.001)  # a busy kernel may deliver late
            if not events and (not follower or follower.move(left_us)):
                self.spins = 0
                loop.now_us += left_us
                if loop.step_us and not follower:
                    loop.now_us += -loop.now_us % loop.step_us
            return events

        def until_idle(self, follower):
            """Waits really until the follower has nothing to do or there is something for the
            loop, which is returned."""
            while follower.left_ms is None:
                before = time.monotonic()
                events = self.ready(BUSY_S)
                if events:
                    return events
                if time.monotonic() - before >= BUSY_S:
                    raise Stuck("the other process is busy for ever")
            return self.ready(0)  # what it sent before it said so

    class Follower:
        """A process whose clock the running loop moves, see `follow`: of its socket pair `theirs`
        is for the process. Each timer of the process is due half a millisecond before one of the
        loop for the same moment, so that their order is always the same. One at a time."""

        def __init__(self, loop):
            assert loop.follower is None
            self.loop = loop
            self.ours, self.theirs = socket.socketpair()
            self.number = 0
            self.left_ms = None  # until its next timer; -1: it has none; None: it is busy
            self.behind_us = 500  # of the loop's time, what it has not been told yet
            loop.follower = self
            loop._selector.register(self.ours, selectors.EVENT_READ, self)

        def close(self):
            """The process has ended."""
            if self.loop.follower is self:
                self.loop.follower = None
                self.mute()
                self.ours.close()
                self.theirs.close()

        def mute(self):
            if self.ours in self.loop._selector.get_map():
                self.loop._selector.unregister(self.ours)

        def receive(self):
            """A record, (None, None) when the process has ended."""
            try:
                data = self.ours.recv(8, socket.MSG_WAITALL)
            except ConnectionResetError:
                data = b""
            return struct.unpack("<ii", data) if len(data) == 8 else (None, None)

        def hear(self):
            """The process has nothing to do any more; or it ends, and is busy with that until
            somebody has waited for its end."""
            self.number, self.left_ms = self.receive()
            if self.number is None:
                self.mute()

        def move(self, us):
            """Moves its clock; returns whether it has moved, or has had something to do."""
            ms, behind_us = divmod(self.behind_us + us, 1000)
            if ms:
                asked = self.number
                self.left_ms = None
                try:
                    self.ours.sendall(struct.pack("<ii", asked, ms))
                except OSError:
                    return False  # it ends, which `hear` will learn
                while True:
                    number, word = self.receive()
                    if number is None:
                        self.mute()
                        return False
                    if word == _NO:
                        return False
                    if word == _YES:
                        break
                    self.number, self.left_ms = number, word
            self.behind_us = behind_us
            return True

    class VirtualLoop(asyncio.SelectorEventLoop):
        """An event loop in virtual time, which begins at 0 whatever the host's uptime is and is
        counted in whole microseconds: timers that are due at the same instant are so exactly, by
        whatever sums they came there. With `step_ms` it is always late: it wakes only so often."""

        def __init__(self, step_ms=0):
            self.now_us = 500  # the middle of a millisecond: no rounding shows in whole ones
            self.step_us = step_ms * 1000
            self.executing = 0
            self.follower = None
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

    def run(coro, step_ms=0):
        """Runs it to its end in virtual time; returns its result. `step_ms`: see VirtualLoop."""
        unseen = []  # exceptions of tasks that nobody awaited
        with asyncio.Runner(loop_factory=lambda: VirtualLoop(step_ms)) as runner:
            runner.get_loop().set_exception_handler(
                lambda loop, context: unseen.append(context.get("exception"))
            )
            result = runner.run(coro)
            gc.collect()
        for error in unseen:
            if isinstance(error, Exception):  # not what Runner cancelled in the end
                raise error
        return result
