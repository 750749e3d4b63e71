"""Security profiles 0 to 2 over real connections: who is let in, with what, and what comes after.

The TLS checks themselves are in test_websocket_tls.py.
"""

import asyncio
import base64
import os
import subprocess
import sys

import pytest

from host_tests.station import BITS, Rig, play
from tools import runtimes

OLD = "an old password of more than 16"


NEW = "0123456789abcdef0123456789ABCDEF01234567"  # 20 bytes in hexadecimal


BOX = "BOX1"


def key(name, value):
    return ("--key", f"{name}={value}")


async def away(house, count):
    """Until so many connections were turned away."""
    async with asyncio.timeout(60):
        while len(house.turned_away) < count:
            await asyncio.sleep(0.05)


async def connections(house, count):
    """Until so many were let in."""
    async with asyncio.timeout(60):
        while house.connections < count:
            await asyncio.sleep(0.05)


async def said(rig, text, count=1):
    """Until so many of the log's lines hold a text."""
    async with asyncio.timeout(60):
        while len([line for line in await rig.console("log") if text in line]) < count:
            await asyncio.sleep(0.05)


def test_profile_0_sends_no_password(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, *key("AuthorizationKey", OLD), box=BOX) as rig:
            await rig.online()
            (headers,) = rig.house.headers
            assert "upgrade" in headers and "authorization" not in headers

    play(runtime, session())


def test_profile_1_sends_the_key_as_text_or_decoded(runtime, tmp_path):
    async def session():
        words = (*key("AuthorizationKey", NEW), *key("SecurityProfile", "1"))
        async with Rig(runtime, tmp_path, *words, box=BOX, start=False) as rig:
            rig.house.passwords = {BOX: [NEW.encode()]}  # a central system that takes the text
            await rig.start()
            await rig.online()
            assert rig.house.turned_away == [bytes.fromhex(NEW)]

    play(runtime, session())


def test_a_new_key_is_answered_then_used_and_the_old_one_ends(runtime, tmp_path):
    async def session():
        words = (*key("AuthorizationKey", OLD), *key("SecurityProfile", "1"))
        async with Rig(runtime, tmp_path, *words, box=BOX, start=False) as rig:
            house = rig.house
            house.passwords = {BOX: [OLD.encode()]}
            await rig.start()
            point = await rig.online()
            house.passwords = {BOX: [bytes.fromhex(NEW)]}
            answer = await point.ask("ChangeConfiguration", key="AuthorizationKey", value=NEW)
            assert answer.status == "Accepted"
            await connections(house, 2)
            point = await rig.online()
            assert house.turned_away == []
            answer = await point.ask("GetConfiguration", key=["AuthorizationKey"])
            assert answer.unknown_key == ["AuthorizationKey"]
            assert (await rig.console("config AuthorizationKey")) == ["AuthorizationKey=(set)"]

    play(runtime, session())


def test_the_old_key_is_tried_only_after_a_401(runtime, tmp_path):
    async def session():
        words = (*key("AuthorizationKey", OLD), *key("SecurityProfile", "1"))
        async with Rig(runtime, tmp_path, *words, box=BOX, start=False) as rig:
            house = rig.house
            house.passwords = {BOX: [OLD.encode()]}  # and it never learns the new one
            await rig.start()
            point = await rig.online()
            await point.ask("ChangeConfiguration", key="AuthorizationKey", value=NEW)
            await connections(house, 2)
            assert house.turned_away == [bytes.fromhex(NEW), NEW.encode()]
            await rig.online()

    play(runtime, session())


def test_the_old_key_is_not_tried_after_a_network_error(runtime, tmp_path):
    """Nor after any other answer than 401: else who cuts the line would be told it."""
    heard = []
    answers = [b"", b"HTTP/1.1 500 x\r\n\r\n", b"HTTP/1.1 403 x\r\n\r\n"]

    async def meet(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        line = head.partition(b"Authorization: Basic ")[2].partition(b"\r\n")[0]
        heard.append(base64.b64decode(line).partition(b":"))
        writer.write(answers[len(heard) % 3])
        writer.close()

    async def session():
        words = (*key("AuthorizationKey", OLD), *key("SecurityProfile", "1"))
        async with Rig(runtime, tmp_path, *words, box=BOX, start=False) as rig:
            house = rig.house
            house.passwords = {BOX: [OLD.encode()]}
            await rig.start()
            await rig.online()
            port = rig.url.rpartition(":")[2].partition("/")[0]
            await house.close()
            server = await asyncio.start_server(meet, "127.0.0.1", int(port))
            assert await rig.console("config AuthorizationKey " + NEW) == ["Accepted"]
            async with asyncio.timeout(90):
                while len(heard) < 3:
                    await asyncio.sleep(0.05)
            server.close()
            assert heard == [(BOX.encode(), b":", bytes.fromhex(NEW))] * len(heard)

    play(runtime, session())


def test_who_only_knows_the_old_key_is_found_again_after_any_restart(runtime, tmp_path):
    async def session():
        words = key("SecurityProfile", "1")
        async with Rig(runtime, tmp_path, *words, box=BOX, start=False) as rig:
            rig.house.passwords = {BOX: [OLD.encode()]}
            rig.args += key("AuthorizationKey", OLD)
            await rig.start()
            point = await rig.online()
            for new in (NEW, NEW[::-1]):  # never learnt either
                seen = rig.house.connections
                await point.ask("ChangeConfiguration", key="AuthorizationKey", value=new)
                await connections(rig.house, seen + 1)
                point = await rig.online()
            rig.args = list(words)  # the key is in flash by now
            for _ in range(2):
                await rig.end()
                rig.house.headers.clear()
                await rig.start()
                await rig.online()
                await rig.house.heard_of("BootNotification", count=1)
                await rig.sleep(2)
            assert {bytes.fromhex(NEW[::-1]), NEW[::-1].encode()} < set(rig.house.turned_away)

    play(runtime, session())


def test_the_old_key_is_void_once_the_new_one_has_worked(runtime, tmp_path):
    async def session():
        words = (*key("AuthorizationKey", OLD), *key("SecurityProfile", "1"))
        async with Rig(runtime, tmp_path, *words, box=BOX, start=False) as rig:
            house = rig.house
            house.passwords = {BOX: [OLD.encode(), bytes.fromhex(NEW)]}
            await rig.start()
            point = await rig.online()
            await point.ask("ChangeConfiguration", key="AuthorizationKey", value=NEW)
            await connections(house, 2)
            point = await rig.online()
            await point.ask("GetConfiguration")
            house.passwords = {BOX: [OLD.encode()]}
            await rig.console("sim link down")
            await rig.console("sim link up")
            await away(house, 4)
            assert set(house.turned_away) == {bytes.fromhex(NEW), NEW.encode()}

    play(runtime, session())


def test_the_old_key_ends_with_the_first_answer_to_a_boot_under_the_new_one(tmp_path):
    """Not with anything else that is said: a central system may let a station in and be unable to
    serve it."""

    async def session():
        words = (*key("AuthorizationKey", OLD), *key("SecurityProfile", "1"))
        async with Rig("cpython", tmp_path, *words, box=BOX, start=False) as rig:
            house = rig.house
            house.passwords = {BOX: [OLD.encode(), bytes.fromhex(NEW)]}
            await rig.start()
            point = await rig.online()
            house.registrations = ["CALLERROR"]
            await point.ask("ChangeConfiguration", key="AuthorizationKey", value=NEW)
            await connections(house, 2)
            await house.heard_of("BootNotification", count=2)
            point = await house.point(BOX)
            await point.ask("GetConfiguration", key=["CpoName"])
            house.passwords = {BOX: [OLD.encode()]}  # and forgets the new one
            await rig.console("sim link down")
            await rig.console("sim link up")
            await connections(house, 3)
            await rig.until(timeout=200, registration="Accepted")
            # now it learns it: registered anew once, then never again
            house.passwords = {BOX: [OLD.encode(), bytes.fromhex(NEW)]}
            boots = len(house.calls("BootNotification"))
            for n in (4, 5):
                await rig.console("sim link down")
                await rig.console("sim link up")
                await connections(house, n)
                await rig.online()
                await rig.sleep(5)
            assert len(house.calls("BootNotification")) == boots + 1

    play("cpython", session())


def test_a_profile_that_has_worked_is_never_lowered(runtime, tmp_path):
    """Or who cuts the line three times would be told the password in clear."""

    async def session():
        words = key("AuthorizationKey", OLD)
        async with Rig(runtime, tmp_path, *words, box=BOX) as rig:
            house = rig.house
            point = await rig.online()
            answer = await point.ask("ChangeConfiguration", key="SecurityProfile", value="1")
            assert answer.status == "Accepted"
            await connections(house, 2)
            point = await rig.online()
            await point.ask("GetConfiguration")
            house.passwords = {}
            await rig.console("sim link down")
            await rig.console("sim link up")
            await away(house, 5)
            assert await rig.console("config SecurityProfile") == ["SecurityProfile=1"]

    play(runtime, session())


def test_no_connection_without_the_key_that_the_profile_asks_for(runtime, tmp_path):
    async def session():
        words = key("SecurityProfile", "1")
        async with Rig(runtime, tmp_path, *words, box=BOX) as rig:
            await said(rig, "AuthorizationKey")
            assert rig.house.headers == []
            await rig.console("config AuthorizationKey " + OLD)
            point = await rig.online()
            answer = await point.ask("ChangeConfiguration", key="AuthorizationKey", value="")
            assert answer.status == "Rejected"

    play(runtime, session())


def test_no_password_is_taken_in_a_url(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, box=BOX) as rig:
            point = await rig.online()
            await rig.console("log debug")
            url = rig.url.replace("//", "//user:a-secret@")
            answer = await point.ask("ChangeConfiguration", key="SupervisionUrl", value=url)
            assert answer.status == "Rejected"
            assert "a-secret" not in "".join(await rig.console("log"))

    play(runtime, session())


def test_what_a_security_log_wants_to_know(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, box=BOX) as rig:
            point = await rig.online()
            await point.ask("ChangeConfiguration", key="AuthorizationKey", value=OLD)
            await said(rig, "security: AuthorizationKey changed")
            await connections(rig.house, 2)
            point = await rig.online()
            await rig.console("sim fault 0x10020C on")
            await said(rig, "security: Tamper detected")
            await point.ask("Reset", type="Soft")
            await said(rig, "security: soft reset")

    play(runtime, session())


def test_a_ca_that_is_none_is_said_at_once(runtime, tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
    command = [sys.executable, str(runtimes.ROOT / "main.py")]
    if runtime != "cpython":
        if runtimes.find(BITS[runtime]) is None:
            pytest.skip(runtimes.why_missing(BITS[runtime]))
        runtimes.compile_mpy()
        command = [*runtimes.command(BITS[runtime]), "-m", "main"]
    done = subprocess.run(
        [*command, "--state", str(tmp_path / "state"), "--ca", str(path)],
        cwd=runtimes.MPY,
        env=runtimes.environment(),
        input="quit\n",
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 2
    assert "CA" in done.stderr and len(done.stderr.splitlines()) == 1


def test_profiles_only_go_up_and_only_with_what_they_need(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, box=BOX) as rig:
            point = await rig.online()

            async def change(name, value):
                return (await point.ask("ChangeConfiguration", key=name, value=value)).status

            assert await change("SecurityProfile", "1") == "Rejected"  # no key yet
            assert await change("SecurityProfile", "0") == "Rejected"
            assert await change("SecurityProfile", "3") == "Rejected"
            assert await change("AuthorizationKey", "short") == "Rejected"
            assert await change("AuthorizationKey", "x" * 41) == "Rejected"
            assert await change("AuthorizationKey", OLD) == "Accepted"
            await connections(rig.house, 2)
            point = await rig.online()
            assert await change("SecurityProfile", "2") == "Rejected"  # no CA
            assert await change("SecurityProfile", "1") == "Accepted"
            await connections(rig.house, 3)
            await rig.online()
            assert rig.house.headers[-1]["authorization"].startswith("Basic ")

    play(runtime, session())


def test_a_password_is_not_logged_however_it_is_typed(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, box=BOX) as rig:
            await rig.online()
            await rig.console("log debug")
            await rig.console("config ConsolePassword  open sesame ")
            for line in ("login swordfish open", "login", "status x", "login swordfish"):
                assert (await rig.ask(line))[1]
            lines, error = await rig.ask("login   open sesame")
            assert error is None
            log = "\n".join(await rig.console("log"))
            assert log.count("security: console: a wrong password") == 3
            assert "console: config ConsolePassword" in log
            assert "swordfish" not in log and "sesame" not in log

    play(runtime, session())


def test_no_stranger_writes_a_line_of_the_log(runtime, tmp_path):
    """Nor moves the cursor of who reads it, nor ends a reply of the console."""
    tag = "A\n0 W x: y\nok\x1b[2J"

    async def session():
        async with Rig(runtime, tmp_path, box=BOX) as rig:
            point = await rig.online()
            rig.house.refused = {tag: "Blocked"}
            await rig.console("sim plug")
            await rig.until(status="Preparing")
            answer = await point.ask("RemoteStartTransaction", id_tag=tag, connector_id=1)
            assert answer.status == "Accepted"
            await said(rig, "may not charge: Blocked")
            lines = await rig.console("log")
            assert not [line for line in lines if line.startswith(("0 W x", "ok"))]
            assert "\x1b" not in "".join(lines)
            assert (await rig.status())["transaction"] is None

    play(runtime, session())


def test_a_name_that_basic_authentication_cannot_carry(runtime, tmp_path):
    """The server would take what follows the colon for the password (RFC 7617)."""

    async def session():
        async with Rig(runtime, tmp_path, box="BOX") as rig:
            await rig.online()
            for line in ("AuthorizationKey " + OLD, "SecurityProfile 1"):
                assert await rig.console("config " + line) == ["Accepted"]
            await rig.end()
            heard = len(rig.house.headers)
            rig.box = "BOX:1"
            await rig.start()
            await said(rig, "a BoxIdentifier with a colon")
            assert rig.house.headers[heard:] == [] and rig.house.turned_away == []

    play(runtime, session())


@pytest.mark.parametrize("runtime", BITS)
def test_no_port_is_open(runtime, tmp_path):
    async def session():
        async with Rig(runtime, tmp_path, box=BOX) as rig:
            await rig.online()
            mine = os.listdir(f"/proc/{rig.process.pid}/fd")
            mine = {os.readlink(f"/proc/{rig.process.pid}/fd/{number}") for number in mine}
            sockets = []  # (state, inode): 01 a connection, 0A listens
            for table in ("tcp", "tcp6", "udp", "udp6", "raw"):
                path = f"/proc/{rig.process.pid}/net/{table}"
                for line in open(path).readlines()[1:] if os.path.exists(path) else ():
                    words = line.split()
                    if f"socket:[{words[9]}]" in mine:
                        sockets.append((table, words[3]))
            assert sockets == [("tcp", "01")]

    play(runtime, session())


def test_secrets_are_nowhere(runtime, tmp_path):
    async def session():
        words = (*key("AuthorizationKey", OLD), *key("SecurityProfile", "1"))
        async with Rig(runtime, tmp_path, *words, box=BOX, start=False) as rig:
            rig.house.passwords = {}
            await rig.start()
            await away(rig.house, 1)
            await rig.console("log debug")
            await rig.console("config AuthorizationKey " + NEW)
            await away(rig.house, 3)
            said = []
            for line in ("config", "config AuthorizationKey", "log", "status", "help"):
                said += await rig.console(line)
            text = "\n".join(said) + (rig.log() if rig.process else "")
            for secret in (OLD, NEW, NEW.lower()):
                assert secret not in text
            rig.house.passwords = {BOX: [OLD.encode()]}
            await rig.console("config AuthorizationKey " + OLD)
            point = await rig.online()
            await rig.console("config ConsolePassword swordfish")
            answer = await point.ask("GetConfiguration")
            text = str(answer) + "\n".join(map(str, rig.house.messages))
            assert "SecurityProfile" in text
            for secret in (OLD, NEW, NEW.lower(), "swordfish"):
                assert secret not in text
            await rig.ask("login swordfish")  # for `quit`

    play(runtime, session())
