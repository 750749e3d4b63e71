"""Wi-Fi against a radio in software that behaves as ESP32's, and the time from an NTP server."""

import asyncio
import os
import socket
import sys

from firmware.base import runtime
from firmware.net import ntp
from host_tests import virtual
from host_tests.both.logs import Log


class Radio:
    """`network`, and its WLAN. `plan`: what each attempt to connect ends with: "ok", "stuck" or a
    status; the last one counts for all that follow."""

    STA_IF = 0
    PM_NONE = 0

    def __init__(self, *plan):
        self.plan = list(plan)
        self.on = self.up = False
        self.attempts = []
        self.actions = []
        self.settings = {}
        self.state = 1000
        self._connecting = False
        self.WLAN = self  # all three: the module, the class and its one instance
        sys.modules["network"] = self  # type: ignore
        from firmware.net import wifi

        wifi.network = self
        self.wifi = wifi

    def __call__(self, interface):
        assert interface == self.STA_IF
        return self

    def hostname(self, name):
        self.actions.append(name)

    def active(self, *on):
        if on:
            self.on = on[0]
            self.actions.append("on" if on[0] else "off")
            if not self.on:
                self.up = False
        return self.on

    def config(self, **settings):
        self.settings.update(settings)

    def connect(self, ssid, key):
        if self._connecting or self.up:
            raise OSError("Wifi Internal State Error")
        if self.plan[0] == "broken":
            self._next()
            raise OSError("Wifi Unknown Error")
        self.attempts.append((ssid, key))
        self._connecting = True
        self._ends = runtime.ticks_ms() + 3000

    def _next(self):
        return self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]

    def _look(self):
        if self._connecting and self.plan[0] != "stuck" and runtime.ticks_ms() >= self._ends:
            self._connecting = False
            found = self._next()
            self.up = found == "ok"
            self.state = 1010 if self.up else found

    def disconnect(self):
        if self._connecting and self.plan[0] == "stuck":
            self._next()
        self._connecting = self.up = False

    def isconnected(self):
        self._look()
        return self.up

    def status(self):
        return self.state

    def ifconfig(self):
        return ("192.0.2.7", "", "", "")

    def lose(self, status=200):
        self.up = False
        self.state = status


class Station:
    """What the task asks of its station."""

    build_epoch = 1700000000

    def __init__(self):
        self.clock = self.registration = self
        self.status = "none"
        self.is_set = False
        self.heard = []
        self.skipped = 0

    def ms(self):
        return runtime.ticks_ms() + self.skipped

    def set_time(self, epoch):
        self.is_set = True
        self.heard.append(epoch)


class Kept:
    """The task at work: `async with Kept(radio) as log`."""

    def __init__(self, radio, ntp="", station=None):
        self.log = Log()
        self.wifi = radio.wifi.Wifi("House", "secret word", self.log, ntp)
        self.station = station or Station()

    async def __aenter__(self):
        self.task = asyncio.create_task(self.wifi.run(self.station))
        await asyncio.sleep(0)
        return self.log

    async def __aexit__(self, *_):
        await runtime.stop([self.task])


async def until(condition, seconds=600):
    start = runtime.ticks_ms()
    while not condition():
        assert runtime.ticks_ms() - start < seconds * 1000, "it never came"
        await asyncio.sleep(0.1)
    return (runtime.ticks_ms() - start) / 1000


async def test_it_connects_without_saving_power():
    radio = Radio("ok")
    async with Kept(radio) as log:
        await until(radio.isconnected, 5)
        await asyncio.sleep(1)
        assert radio.attempts == [("House", "secret word")]
        assert radio.settings["reconnects"] == 0
        assert radio.actions == ["wallbridge", "on"]
        assert log.lines == ["connected, address 192.0.2.7"]
        await asyncio.sleep(600)
        assert len(radio.attempts) == 1


async def test_it_comes_back():
    radio = Radio("ok")
    async with Kept(radio) as log:
        await until(radio.isconnected)
        for _ in range(3):
            await asyncio.sleep(60)
            radio.lose()
            assert await until(radio.isconnected) < 8
        assert "the access point fell silent" in log.lines[1]


async def test_it_waits_longer_each_time_and_a_minute_and_a_half_at_most():
    radio = Radio(201)
    async with Kept(radio) as log:
        waits = []
        for count in range(1, 14):
            waits.append(await until(lambda count=count: len(radio.attempts) == count))
        waits = waits[1:]
        assert waits[0] < 25 and waits[0] < waits[4] < waits[6]
        assert max(waits) <= 20 + 90 + 2, waits
        assert min(waits[8:]) >= 60, waits
        assert "no such network" in log.lines[-1]
        radio.plan = ["ok"]
        assert await until(radio.isconnected) < 120


async def test_the_radio_is_started_afresh_after_many_failures():
    radio = Radio(203)
    async with Kept(radio):
        await until(lambda: len(radio.attempts) == 6)
        assert radio.actions == ["wallbridge", "on", "off", "on"]


async def test_a_driver_that_hangs_or_refuses():
    radio = Radio("stuck", "broken", "stuck", "broken", "ok")
    async with Kept(radio):
        await until(radio.isconnected)
        assert len(radio.attempts) == 3


async def test_the_password_is_never_logged():
    radio = Radio(202, 202, "ok")
    async with Kept(radio) as log:
        await until(radio.isconnected)
        radio.lose()
        await until(radio.isconnected)
        assert "wrong password" in log.lines[0]
        assert "secret" not in " ".join(log.lines)


async def test_a_failure_is_told_in_words():
    radio = Radio(15, 1001, 211, 77, "ok")
    async with Kept(radio) as log:
        await until(lambda: len(log.lines) == 1)
        known = "not connected: wrong password, or too weak a signal"
        assert radio.wifi.describe() == (False, known)
        await until(radio.isconnected)
        assert log.lines[0].startswith(known)
        assert "DHCP" in log.lines[1] and "open one" in log.lines[2] and ": 77;" in log.lines[3]


async def test_a_restarted_task_keeps_the_connection():
    radio = Radio("ok")
    async with Kept(radio):
        await until(radio.isconnected)
    async with Kept(radio):
        await asyncio.sleep(100)
        assert radio.up and len(radio.attempts) == 1


async def test_it_tells_whether_there_is_a_network():
    radio = Radio(201, "ok")
    kept = Kept(radio)
    joined = kept.wifi.joined
    async with kept:
        await until(lambda: len(radio.attempts) == 1)
        assert not joined.is_set()
        await asyncio.wait_for(joined.wait(), 60)
        assert radio.isconnected()
        radio.lose()
        await asyncio.sleep(1.1)
        assert not joined.is_set()
        await asyncio.wait_for(joined.wait(), 60)
    assert joined.is_set()  # its task ended, and not what it has brought about
    radio.lose()
    kept = Kept(radio)
    async with kept:
        assert not kept.wifi.joined.is_set()


# the time


class Server:
    """An NTP server on this machine; `change(answer)` spoils its answers."""

    def __init__(self, seconds, change=lambda answer: answer):
        self.seconds = seconds
        self.change = change
        self.asked = 0
        self.port = virtual.free_port()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(socket.getaddrinfo("127.0.0.1", self.port)[0][-1])
        self.sock.setblocking(False)

    async def run(self):
        while True:
            await asyncio.sleep(0.02)
            try:
                question, where = self.sock.recvfrom(100)
            except OSError:
                continue
            self.asked += 1
            assert len(question) == 48 and question[0] == 0x23
            answer = bytearray(48)
            answer[:2] = b"\x24\x02"
            answer[24:32] = question[40:48]
            answer[40:44] = self.seconds.to_bytes(4, "big")
            answer = self.change(answer)
            if answer:
                self.sock.sendto(bytes(answer), where)

    async def __aenter__(self):
        self.task = asyncio.create_task(self.run())
        return self

    async def __aexit__(self, *_):
        await runtime.stop([self.task])
        self.sock.close()


async def test_the_time_of_a_server():
    async with Server(3913056000) as server:
        assert await ntp.ask("127.0.0.1", Log(), server.port) == 1704067200


async def test_the_time_after_the_era_ends_in_2036():
    async with Server(1000) as server:
        assert await ntp.ask("127.0.0.1", Log(), server.port) == 2085978496 + 1000


async def test_answers_that_are_none():
    def spoilt(at, value):
        def change(answer):
            answer[at] = value
            return answer

        return change

    wrong = [spoilt(0, 0xE4), spoilt(0, 0x23), spoilt(1, 0), spoilt(1, 16), spoilt(24, 1)]
    for change in wrong + [lambda answer: answer[:47], lambda answer: None, lambda answer: b"x"]:
        log = Log()
        async with Server(3913056000, change) as server:
            assert await ntp.ask("127.0.0.1", log, server.port) == 0
            assert server.asked == 1
            assert "no answer" in log.lines[0]


async def test_no_server():
    log = Log()
    assert await ntp.ask("127.0.0.1", log, virtual.free_port()) == 0
    assert len(log.lines) == 1


def test_any_bytes_are_an_answer_or_none():
    question = os.urandom(48)
    for size in (0, 1, 47, 48, 100):
        for _ in range(50):
            assert ntp.epoch_of(os.urandom(size), question) == 0


async def test_the_clock_without_a_central_system():
    radio = Radio("ok")
    station = Station()
    answers = [0, 1704067200, 1704153601]

    async def ask(host, log):
        assert host == "pool"
        asked.append(station.ms())
        return answers[min(len(asked), len(answers)) - 1]

    asked = []
    before = ntp.ask
    ntp.ask = ask
    try:
        async with Kept(radio, "pool", station):
            await until(lambda: len(asked) == 2)
            assert station.heard == [1704067200]
            assert 60000 <= asked[1] - asked[0] <= 62000  # none: again in a minute
            station.skipped += 86400000  # then once a day
            await asyncio.sleep(50)
            assert len(asked) == 2
            await until(lambda: len(asked) == 3, 20)
            assert station.heard == answers[1:]
            station.status = "Accepted"
            station.skipped += 100000000
            await asyncio.sleep(100)
            assert len(asked) == 3  # the central system's time is the one that counts
    finally:
        ntp.ask = before


async def test_a_clock_that_is_known_is_left_alone():
    radio = Radio("ok")
    station = Station()
    station.is_set = True
    async with Kept(radio, "pool", station) as log:
        await asyncio.sleep(100)
        assert not station.heard
        assert len(log.lines) == 1
