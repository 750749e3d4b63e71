"""The live view of `make demo`: its server, and its page in headless Chromium where there is one
(`apt-get install chromium chromium-driver`), with pictures of it in build/live."""

import asyncio
import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

import aiohttp
import pytest

from host_tests import virtual
from tools.demo import BOX, Demo
from tools.runtimes import BUILD


@contextlib.asynccontextmanager
async def demo():
    """A demo's station and central system with the view, without the demo's own session."""
    made = Demo("cpython", port=0)
    made.show = False
    url = await made.house.open()
    with tempfile.TemporaryDirectory() as state:
        try:
            await made.live.open(0)
            await made.start(url, state)
            await made.house.point(BOX)
            await asyncio.wait_for(made.house.booted.wait(), 30)
            yield made
        finally:
            if made.process.returncode is None:
                made.process.kill()
            await made.process.wait()
            await made.live.close()
            await made.house.close()


class Page:
    """What a page sees of the server."""

    def __init__(self, http, url):
        self.http = http
        self.url = url

    async def post(self, where, **words):
        async with self.http.post(self.url + where, json=words) as answer:
            return await answer.json()

    async def events(self):
        async with self.http.get(self.url + "events", timeout=None) as stream:
            async for line in stream.content:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])


async def test_a_page_is_told_everything_and_can_do_it():
    async with demo() as made, aiohttp.ClientSession() as http:
        page = Page(http, made.live.url)
        async with http.get(made.live.url) as answer:
            text = await answer.text()
        assert "<!doctype html>" in text and "http://" not in text.replace(
            "http://www.w3.org/2000/svg", ""
        ).replace("http://127.0.0.1:8080", "")  # nothing is fetched from a network
        assert await page.post("console", line="sim plug") == {"lines": [], "error": None}
        assert (await page.post("console", line="sim fly"))["error"].startswith("not understood")
        await page.post("console", line="sim ready")
        started = await page.post(
            "call",
            action="RemoteStartTransaction",
            payload={"connectorId": 1, "idTag": "T"},
        )
        assert started == {"answer": {"status": "Accepted"}}
        refused = await page.post("call", action="ClearCache", payload={})
        assert refused["error"].startswith("NotSupported")
        seen = set()
        async with asyncio.timeout(30):
            async for event in page.events():
                if "messages" in event:
                    names = [message["name"] for message in event["messages"]]
                    assert names[0] == "BootNotification"
                    assert {"way": ">", "kind": 2, "name": "RemoteStartTransaction"}.items() <= (
                        event["messages"][names.index("RemoteStartTransaction")].items()
                    )
                seen.update(event)
                state = event.get("state") or {}
                if state.get("status") == "Charging" and state["power_w"] > 20000:
                    seen.add("charging")
                if event.get("plan"):
                    assert event["plan"]["periods"][0][1] == 22080  # W
                if {"plan", "message", "charging"} <= seen:
                    break
        own = [m for m in made.live.messages if m["name"] == "GetCompositeSchedule"]
        assert not own  # what the view asks for itself is not shown


async def test_what_is_no_request_is_said():
    async with demo() as made, aiohttp.ClientSession() as http:
        page = Page(http, made.live.url)
        for where, body in (
            ("console", "{"),
            ("console", "{}"),
            ("console", "[]"),
            ("console", '{"line": 5}'),
            ("console", '{"line": "status\\nstatus"}'),
            ("console", '{"line": " "}'),
            ("call", '{"action": "Reset"}'),
            ("call", '{"action": "Reset", "payload": []}'),
        ):
            headers = {"Content-Type": "application/json"}
            async with http.post(page.url + where, data=body, headers=headers) as answer:
                assert answer.status == 400 and (await answer.json())["error"], body
        assert (await page.post("console", line="faults")) == {"lines": ["none"], "error": None}


async def test_a_station_that_has_ended_is_shown_as_that():
    async with demo() as made, aiohttp.ClientSession() as http:
        page = Page(http, made.live.url)
        told = await page.post("console", line="sim power off")
        assert told["error"].startswith("the station has ended")
        assert "console: sim power" in told["error"]  # the end of its log
        assert (await page.post("console", line="status"))["error"]
        call = await page.post("call", action="ClearCache", payload={})
        assert "not connected" in call["error"]
        async with asyncio.timeout(20):
            async for event in page.events():
                if event.get("gone"):
                    break
        assert event["gone"] == "the station has ended"


async def test_a_reply_that_comes_late_is_nobody_elses(monkeypatch):
    async with demo() as made:
        for task in made.live._tasks:
            task.cancel()
        wait_for = asyncio.wait_for
        late = [True]

        async def impatient(work, timeout):
            if late:
                late.pop()
                work.close()
                raise TimeoutError
            return await wait_for(work, timeout)

        monkeypatch.setattr(asyncio, "wait_for", impatient)
        with pytest.raises(TimeoutError):
            await made.type("config HeartbeatInterval")
        assert await made.type("config NumberOfConnectors") == (["NumberOfConnectors=1"], None)


async def test_a_terminal_is_left_when_the_station_ends(monkeypatch):
    ours, theirs = os.openpty()
    async with demo() as made:
        with open(theirs) as terminal:
            monkeypatch.setattr(sys, "stdin", terminal)
            playing = asyncio.create_task(made.play())
            os.write(ours, b"sim plug\n")
            async with asyncio.timeout(20):
                while not made.live.state.get("plugged"):
                    await asyncio.sleep(0.1)
                with contextlib.suppress(ConnectionError):
                    await made.type("sim power off")  # on the page
                await playing
            os.write(ours, b"\n")  # for the thread that reads it
    os.close(ours)


async def test_no_other_page_may_use_it():
    async with demo() as made, aiohttp.ClientSession() as http:
        body = '{"line": "sim plug"}'
        async with http.post(
            made.live.url + "console", data=body, headers={"Content-Type": "text/plain"}
        ) as answer:
            assert answer.status == 415
        for host in ("evil.example", "evil.example:8016"):
            async with http.get(made.live.url, headers={"Host": host}) as answer:
                assert answer.status == 403


async def test_the_page_outlives_the_station():
    async with demo() as made, aiohttp.ClientSession() as http:
        made.process.kill()
        page = Page(http, made.live.url)
        async with asyncio.timeout(20):
            async for event in page.events():
                if "gone" in event:
                    break
        assert "error" in await page.post("call", action="ClearCache", payload={})


class Browser:
    """Headless Chromium by WebDriver's protocol."""

    def __init__(self, port):
        self.driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.url = f"http://127.0.0.1:{port}/session"
        options = {
            "goog:chromeOptions": {"args": ["--headless=new", "--no-sandbox", "--disable-gpu"]},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        end = time.monotonic() + 30
        while True:
            try:
                made = self.ask("POST", "", {"capabilities": {"alwaysMatch": options}})
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        self.url += "/" + made["sessionId"]

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def js(self, code):
        return self.ask("POST", "/execute/sync", {"script": code, "args": []})

    def wait(self, code, timeout=30):
        end = time.monotonic() + timeout
        while not self.js("return " + code):
            assert time.monotonic() < end, (code, self.js("return document.body.innerText"))
            time.sleep(0.1)

    def chrome(self, command, **words):
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": words})

    def picture(self, name, width, mobile):
        self.chrome(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=mobile,
        )  # fmt: skip
        time.sleep(0.5)  # until the page has drawn itself anew
        shot = self.chrome("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        folder = BUILD / "live"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(base64.b64decode(shot["data"]))
        overflow = self.js("return document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"{overflow} pixels too wide for {width}"

    def close(self):
        with contextlib.suppress(OSError):
            self.ask("DELETE", "")
        self.driver.terminate()
        self.driver.wait()


def drive(url):
    """A person at the page: plugs in, starts, limits, breaks something."""
    browser = Browser(virtual.free_port())
    try:
        browser.ask("POST", "/url", {"url": url})
        status = "document.getElementById('status').textContent"
        browser.wait(status + " == 'Available'")
        for button in ("[data-sim=plug]", "[data-sim=ready]"):
            browser.js(f"document.querySelector('{button}').click()")
        browser.wait(status + " == 'Preparing'")
        browser.js("document.querySelector('[data-call=start]').click()")
        browser.wait(status + " == 'Charging'")
        browser.js("document.getElementById('amps').value = ''")
        browser.js("document.querySelector('[data-call=limit]').click()")
        browser.wait("document.getElementById('reply').textContent.includes('number is missing')")
        browser.js("document.getElementById('amps').value = '10'")
        browser.js("document.querySelector('[data-call=limit]').click()")
        browser.wait("document.querySelector('.limit.least').textContent.includes('10.0 A')")
        browser.wait("document.querySelectorAll('#plot path').length == 4")
        text = browser.js("return document.getElementById('pilot-text').textContent")
        assert text.startswith("State C, the car asks for energy; 16.6 % at 1 kHz"), text
        rows = "[...document.querySelectorAll('#messages .name')].map((n) => n.textContent)"
        browser.wait(rows + ".includes('SetChargingProfile')")
        browser.js(
            "const f = document.getElementById('filter'); f.value = 'profile -answer';"
            "f.dispatchEvent(new Event('input')); document.getElementById('calls').click();"
        )
        assert set(browser.js("return " + rows)) == {"SetChargingProfile"}
        browser.js("document.getElementById('filter').value = ''; list()")
        browser.picture("desktop.png", 1280, False)
        browser.picture("phone.png", 390, True)
        browser.js("document.querySelector('[data-fault=on]').click()")
        browser.wait(status + " == 'Faulted'")
        browser.wait("document.getElementById('fault').textContent.includes('Ground fault')")
        browser.picture("fault.png", 390, True)
        said = browser.ask("POST", "/se/log", {"type": "browser"})
        assert not said, said
        browser.js("type('sim power off')")
        browser.wait(status + " == 'ended'")
    finally:
        browser.close()


@pytest.mark.slow
async def test_the_page_in_a_browser():
    for program in ("chromium", "chromedriver"):
        if not shutil.which(program):
            raise virtual.Skip(f"no {program}: apt-get install chromium chromium-driver")
    async with demo() as made:
        await asyncio.to_thread(drive, made.live.url)
