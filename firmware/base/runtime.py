"""The one module that knows which Python runs: CPython, desktop MicroPython or the ESP32."""

import asyncio
import gc
import json
import os
import sys
import time
from collections import namedtuple

MICROPYTHON = sys.implementation.name == "micropython"
if MICROPYTHON:
    from micropython import const
else:

    def const(value):
        """MicroPython's compiler puts the value, an integer or a text, wherever the NAME of
        `NAME = const(value)` is used."""
        return value


DEVICE = sys.platform == "esp32"

# What a broken link, a refused certificate or a time-out raises, on every runtime.
LINK_ERRORS = (OSError, EOFError, ValueError, asyncio.TimeoutError)

# Seconds from the Unix epoch to the epoch of time.time(): 2000 on the device, 1970 elsewhere.
EPOCH_OFFSET = 946684800 if time.gmtime(0)[0] == 2000 else 0

# MicroPython collects garbage after each so many bytes of allocations, and not only when the heap
# is full: what lives then lies close together, and large blocks stay free. A collection goes over
# all that lives: where the heap has megabytes, it has time until there is something to find.
_COLLECT_AFTER = const(4096)  # with 8 KB, large blocks become few in a heap of 112 KB
_COLLECT_LARGE_AFTER = const(65536)
_LARGE = const(1 << 20)  # bytes of heap

# Free bytes. `heap_free`: of Python's own heap, 0 on CPython. The others are None on a PC, and
# `psram_free` on a chip without PSRAM: `chip_free` and `chip_largest` are of the chip's own heap,
# in which Wi-Fi, TCP and TLS live, in all and in one block; PSRAM is none of it, but a place into
# which Python's heap grows.
Memory = namedtuple("Memory", ("heap_free", "chip_free", "chip_largest", "psram_free"))
_PSRAM = const(1 << 20)  # bytes: a region of the chip's memory that is as large is PSRAM

# The boards that have an image of their own (tools/image): MicroPython names its build so.
IMAGES = ("wroom", "wrover", "s3")
_FIXED_HEAP = const("wroom")  # the one whose Python heap does not grow (mpconfigheap.h there)

if not DEVICE:
    from firmware.base.output import Output

if MICROPYTHON:
    import io
    from time import ticks_diff, ticks_ms

    def json_text(value) -> str:
        """A value as compact JSON."""
        return json.dumps(value, separators=(",", ":"))

    Event = asyncio.Event

    def sleep_ms(ms: int):
        """Awaitable: real milliseconds; callers keep it under six days (32-bit ticks)."""
        return asyncio.sleep_ms(ms)

    def trace(error: BaseException) -> str:
        """The traceback as text."""
        text = io.StringIO()
        try:
            sys.print_exception(error, text)
            return text.getvalue()
        except MemoryError:  # perhaps the error itself is a lack of memory
            return "an error, and no memory to tell which"

    class Stdin:
        """The console's input. A line half typed never holds the loop."""

        def __init__(self):
            self._stream = asyncio.StreamReader(sys.stdin.buffer)  # type: ignore

        async def read(self) -> bytes:
            """Some bytes as they come; b"" at the end of the file."""
            return await self._stream.read(1)

    async def wait(event, ms) -> bool:
        """Waits until the event is set, at most so many real milliseconds; returns whether it
        is."""
        try:
            await asyncio.wait_for(event.wait(), ms / 1000)
        except asyncio.TimeoutError:  # it was not set in time, which the result says
            pass
        return event.is_set()

    def run(work):
        """Runs a coroutine to its end: the whole program. Returns its result, or None where the
        user's Ctrl-C has ended it."""
        heap = gc.mem_alloc() + gc.mem_free()  # type: ignore[attr-defined]
        after = _COLLECT_LARGE_AFTER if heap > _LARGE else _COLLECT_AFTER
        gc.threshold(after)  # type: ignore[attr-defined]
        try:
            return asyncio.run(work)
        except KeyboardInterrupt:  # on a PC, or a developer's
            return None

else:
    import signal
    import threading
    import traceback

    json_text = json.JSONEncoder(separators=(",", ":")).encode  # dumps would make it each time

    def ticks_ms() -> int:
        """Milliseconds of a clock that never goes back; the loop's own clock while one runs,
        so that a test's loop in virtual time carries the whole station."""
        try:
            return int(asyncio.get_running_loop().time() * 1000)
        except RuntimeError:
            return int(time.monotonic() * 1000)

    def ticks_diff(end: int, start: int) -> int:
        """Milliseconds from start to end."""
        return end - start

    def sleep_ms(ms: int):
        """Awaitable: real milliseconds."""
        return asyncio.sleep(ms / 1000)

    def trace(error: BaseException) -> str:
        """The traceback as text."""
        return "".join(traceback.format_exception(error))

    class Stdin:
        """The console's input, read in a thread of its own: a line half typed never holds the
        loop. To be made where the loop runs."""

        def __init__(self):
            self._data = asyncio.Queue()
            self._room = threading.Semaphore(4)  # reads; whoever types faster has to wait
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._pump, args=(loop,), daemon=True).start()

        def _pump(self, loop):
            data = b"x"
            while data:
                try:
                    data = os.read(0, 256)
                except OSError:
                    data = b""
                self._room.acquire()
                try:
                    loop.call_soon_threadsafe(self._data.put_nowait, data)
                except RuntimeError:  # the loop has ended
                    return

        async def read(self) -> bytes:
            """Some bytes as they come; b"" at the end of the file."""
            data = await self._data.get()
            self._room.release()
            return data

    class Event:
        """As asyncio's, whose queue of tasks takes 0.6 KB though none may ever wait: a station has
        twenty events, and a fleet a thousand stations."""

        __slots__ = ("_is_set", "_waiting")

        def __init__(self):
            self._is_set = False
            self._waiting = []  # a future of each task that waits

        def is_set(self) -> bool:
            return self._is_set

        def set(self) -> None:
            self._is_set = True
            for future in self._waiting:
                _wake(future)

        def clear(self) -> None:
            self._is_set = False

        async def wait(self, ms=None) -> bool:
            """Waits until it is set, at most so many real milliseconds where they are given.
            Returns whether it is, or has been."""
            if self._is_set:
                return True
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            timer = None if ms is None else loop.call_later(ms / 1000, _wake, future)
            self._waiting.append(future)
            try:
                await future
            finally:
                self._waiting.remove(future)
                if timer:
                    timer.cancel()
            return True if ms is None else self._is_set

    def _wake(future):
        if not future.done():
            future.set_result(None)

    async def wait(event, ms) -> bool:
        """Waits until the event is set, at most so many real milliseconds; returns whether it
        is."""
        return await event.wait(ms)

    def run(work):
        """Runs a coroutine to its end: the whole program. Returns its result, or None where Ctrl-C
        or SIGTERM has ended it, in order."""

        async def main():
            task = asyncio.ensure_future(work)
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
            try:
                return await task
            except asyncio.CancelledError:  # by one of the signals
                return None

        return asyncio.run(main())


def host_epoch() -> int:
    """The host's wall clock, Unix seconds. Not to be trusted on the device before it was set."""
    return int(time.time()) + EPOCH_OFFSET


def set_host_epoch(epoch: int) -> None:
    """Sets the device's clock, by which TLS looks at certificates; a PC's is right by itself."""
    if DEVICE:
        import machine  # only the device has it

        when = time.gmtime(epoch - EPOCH_OFFSET)
        machine.RTC().datetime(when[:3] + (when[6],) + when[3:6] + (0,))


def urandom(n: int) -> bytes:
    """Bytes that nobody can guess."""
    return os.urandom(n)


def memory() -> Memory:
    """What is free. Garbage counts as taken: who wants to know what lives collects it first, and
    lets others have a turn in between, since each goes over all of the heap."""
    heap_free = gc.mem_free() if MICROPYTHON else 0  # type: ignore[attr-defined]
    regions = _chip_regions()
    if not regions:
        return Memory(heap_free, None, None, None)
    return chip_memory(heap_free, regions, board_name() != _FIXED_HEAP)


def chip_memory(mem_free: int, regions, heap_grows: bool) -> Memory:
    """What `gc.mem_free()` and the regions of the chip's memory say together. `regions`: (size,
    free, largest free block, fewest ever free) of each. A heap that grows does so into the largest
    block that there is, which MicroPython counts as free in it."""
    own = [region for region in regions if region[0] < _PSRAM]
    psram = [region for region in regions if region[0] >= _PSRAM]
    if heap_grows:
        mem_free -= max([region[2] for region in regions])
    return Memory(
        max(mem_free, 0),
        sum([region[1] for region in own]),
        max([region[2] for region in own]),
        sum([region[1] for region in psram]) if psram else None,
    )


def chip() -> str:
    """The name of the chip, with `+psram` behind it where it has some: "esp32+psram"; "" on a
    PC."""
    return chip_name(getattr(sys.implementation, "_machine", ""), _chip_regions())


def chip_name(machine: str, regions) -> str:
    """See `chip`. `machine`: what MicroPython calls the board, with the chip's name at its end;
    `regions`: of the chip's memory, none on a PC."""
    if not regions:
        return ""
    has_psram = max([region[0] for region in regions]) >= _PSRAM
    return machine.split(" ")[-1].lower() + ("+psram" if has_psram else "")


def board_name() -> str:
    """What this is, as a firmware bundle names it: one of IMAGES, "stock" for a MicroPython of
    another make on a chip, "pc"."""
    if not DEVICE:
        return "pc"
    build = getattr(sys.implementation, "_build", "")
    return build if build in IMAGES else "stock"


def scarce_memory() -> int | None:
    """Free bytes of the chip's own heap, on a board where that is all there is for Wi-Fi, TCP and
    TLS; None on a PC and with PSRAM."""
    regions = _chip_regions()
    if not regions or max([region[0] for region in regions]) >= _PSRAM:
        return None
    return sum([region[1] for region in regions])


def _chip_regions():
    """The regions of the chip's memory that hold data, see `chip_memory`; none on a PC."""
    try:
        import esp32  # only the device has it
    except ImportError:
        return ()
    return esp32.idf_heap_info(esp32.HEAP_DATA)


def collect() -> None:
    """Collects garbage now, where the heap is small (MicroPython)."""
    if MICROPYTHON:
        gc.collect()


def spawn(tasks: list, work, failed):
    """Runs a coroutine as a task of its own and returns the task. It is in `tasks` until it ends;
    `failed(error)` is told of the exception that it raises."""
    task = asyncio.create_task(_spawned(tasks, work, failed))
    tasks.append(task)
    return task


async def _spawned(tasks, work, failed):
    try:
        await work
    except Exception as error:
        failed(error)
    finally:
        tasks.remove(asyncio.current_task())


async def stop(tasks) -> None:
    """Cancels tasks and waits for their end. Asks again until they are done: MicroPython's
    wait_for can swallow a cancellation that comes as it times out."""
    for task in tasks:
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)


def stdout():
    """The console's output: a function that writes a text and returns how many of its characters
    there was room for, or None for all of them."""
    return sys.stdout.write if DEVICE else Output(sys.stdout).put


def stderr():
    """A stream for log lines."""
    return sys.stderr if DEVICE else Output(sys.stderr)


def power_off() -> None:
    """Ends the process at once, as a power cut would: nothing is flushed (a PC only)."""
    if MICROPYTHON:
        import ffi  # a PC's

        ffi.open(None).func("v", "_exit", "i")(1)
    os._exit(1)  # type: ignore
