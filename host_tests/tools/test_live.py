"""The live view of `make demo`: its server, and the demo that it shows. Its page in a browser is
tested by test_live_page.py."""

import asyncio
import contextlib
import datetime
import json
import os
import sys

import aiohttp
import pytest

import firmware
from host_tests.tools.live_browser import demo
from tools.demo import BOX, SPEED, Demo


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


async def gone(page):
    """What the page is told when nobody answers."""
    async with asyncio.timeout(20):
        async for event in page.events():
            if event.get("gone"):
                return event["gone"]


async def state_that(page, holds):
    """The first state that the page is told for which `holds(state)`."""
    async with asyncio.timeout(30):
        async for event in page.events():
            if event.get("state") and not event.get("gone") and holds(event["state"]):
                return event["state"]


async def test_a_station_that_has_ended_is_shown_as_that():
    async with demo() as made, aiohttp.ClientSession() as http:
        page = Page(http, made.live.url)
        await page.post("console", line="quit")
        await asyncio.wait_for(made.process.wait(), 20)
        told = await page.post("console", line="status")
        assert told["error"].startswith("the station has ended")
        assert "boot: registration Accepted" in told["error"]  # the end of its log
        call = await page.post("call", action="ClearCache", payload={})
        assert "not connected" in call["error"]
        assert (await gone(page))["why"] == "the station has ended"


async def test_the_power_is_cut_and_comes_back():
    async with demo() as made, aiohttp.ClientSession() as http:
        page = Page(http, made.live.url)
        for line in ("sim plug", "sim ready", "authorize DRIVER-1", "sim tic standard"):
            assert (await page.post("console", line=line))["error"] is None
        before = await state_that(page, lambda state: state["energy_wh"] > 500)
        assert before["switches"]["tic"] == "standard" and before["switches"]["car"] == "ready"
        assert before["elapsed_s"] > 60  # by the station's clock
        assert await page.post("power", on=False) == {"error": None}
        told = await page.post("console", line="status")
        assert told["error"].startswith("the power is cut")
        lost = await gone(page)
        assert lost["why"] == "the power is cut" and lost["switches"]["power"] is False
        assert await page.post("power", on=True) == {"error": None}
        after = await state_that(page, lambda state: state["last_session"])
        assert after["switches"]["tic"] == "off" and after["switches"]["car"] == "pause"
        assert after["energy_wh"] >= before["energy_wh"]
        last = after["last_session"]
        assert last["reason"] == "PowerLoss" and last["energy_wh"] >= 500
        # and in the other way
        assert (await page.post("console", line="sim power off"))["error"].startswith("the power")
        assert (await gone(page))["why"] == "the power is cut"
        assert await page.post("power", on=True) == {"error": None}
        await state_that(page, lambda state: state["registration"] == "Accepted")


async def test_messages_have_the_stations_time():
    async with demo() as made:
        async with asyncio.timeout(30):
            while not any(m["name"] == "StatusNotification" for m in made.live.messages):
                await asyncio.sleep(0.1)
        await asyncio.sleep(2)  # two minutes of the station's
        await made.type("sim plug")
        await made.type("sim ready")
        status = await made.house.heard_of(
            "StatusNotification", lambda told: told["status"] == "Preparing"
        )
        shown = [m for m in made.live.messages if m["body"] == status][-1]
        told = datetime.datetime.fromisoformat(status["timestamp"]).timestamp()
        assert abs(shown["at"] - told) < 60  # a second of this machine's, which may be slow


async def test_the_page_is_told_what_the_station_is_and_logs():
    async with demo() as made, aiohttp.ClientSession() as http:
        await made.type("sim link down")
        async with asyncio.timeout(20):
            async for event in Page(http, made.live.url).events():
                if "about" in event:
                    assert event["about"] == {
                        "box_id": BOX,
                        "speed": SPEED,
                        "vendor": "Schneider Electric",
                        "model": "Evh5A22N2S",
                        "version": firmware.VERSION,
                    }
                    logged = event["lines"]
                logged += [event["log"]] if "log" in event else []
                if any("link: closed" in line for line in logged):
                    break


async def test_a_lost_link_ends_what_waits_for_an_answer():
    async with demo() as made, aiohttp.ClientSession() as http:
        await made.type("sim link down")
        async with asyncio.timeout(10):  # and not after 30 s
            told = await Page(http, made.live.url).post(
                "call", action="UnlockConnector", payload={"connectorId": 1}
            )
        assert told["error"]


async def test_a_lost_meter_leaves_the_power_blank():
    async with demo() as made, aiohttp.ClientSession() as http:
        page = Page(http, made.live.url)
        await page.post("console", line="sim fault 0x10020F on")
        state = await state_that(page, lambda state: state["vendor_error"] == "0x10020F")
        assert state["power_w"] is None
        assert state["switches"]["faults"] == ["0x10020f"]
        assert "unplug the car" in state["faults"][0]


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


@contextlib.asynccontextmanager
async def terminal(made, monkeypatch):
    """The demo's console on a pty; yields the task and a function that types a line there."""
    ours, theirs = os.openpty()
    with open(theirs) as file:
        monkeypatch.setattr(sys, "stdin", file)
        playing = asyncio.create_task(made.play())
        yield playing, lambda line: os.write(ours, line.encode() + b"\n")
        os.write(ours, b"\n")  # for the thread that reads it
        await asyncio.sleep(0.1)
    os.close(ours)


async def said(capsys, text):
    """Waits until the demo has printed a text; returns all since the last call."""
    all_of_it = ""
    async with asyncio.timeout(20):
        while text not in all_of_it:
            await asyncio.sleep(0.05)
            all_of_it += capsys.readouterr().out
    return all_of_it


async def test_a_terminal_has_a_prompt_and_ok_and_is_left_with_the_last_words(monkeypatch, capsys):
    async with demo() as made, terminal(made, monkeypatch) as (playing, types):
        await said(capsys, "\n> ")
        types("sim plug")
        assert "ok\n> " in await said(capsys, "> ")
        assert made.live.switches.told()["car"] == "pause"
        types("sim fly")
        assert "error: not understood" in await said(capsys, "> ")
        types("show")
        shown = await said(capsys, "ok\n> ")
        assert "status: " in shown and "car: plugged in" in shown
        with contextlib.suppress(ConnectionError):
            await made.type("quit")  # on the page
        await asyncio.wait_for(playing, 20)
        assert "registration Accepted" in await said(capsys, "The station has ended.")


async def test_a_terminal_stays_when_the_power_is_cut(monkeypatch, capsys):
    async with demo() as made, terminal(made, monkeypatch) as (playing, types):
        await said(capsys, "\n> ")
        types("sim power off")
        assert "type power on" in await said(capsys, "\n> ")
        types("power on")
        await said(capsys, "ok\n> ")
        types("status")
        await said(capsys, '"status"')
        assert not playing.done()
        types("quit")
        await asyncio.wait_for(playing, 20)


def test_meter_values_are_told_in_one_line(capsys):
    made = Demo("cpython")
    values = [{"value": "%d", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}]
    for n in range(3):
        sampled = [{**values[0], "value": str(100 * n)}]
        payload = {"connectorId": 1, "meterValue": [{"sampledValue": sampled}]}
        made.message(BOX, "<", [2, str(n), "MeterValues", payload])
        made.message(BOX, ">", [3, str(n), {}])
    assert capsys.readouterr().out == ""
    made.message(BOX, "<", [2, "9", "StatusNotification", {"info": "x" * 200}])
    lines = capsys.readouterr().out.splitlines()
    assert "MeterValues" in lines[0] and "3 times, at last 200 Wh" in lines[0]
    assert len(lines) == 2 and len(lines[1]) == 120 and lines[1].endswith("...")


async def test_a_station_that_ends_at_once_has_last_words():
    made = Demo("cpython", port=0, speed=0)
    with pytest.raises(ConnectionError, match="--speed must be from 1 to 1000"):
        async with asyncio.timeout(25):
            await made.run()


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
