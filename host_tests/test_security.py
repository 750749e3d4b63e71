"""Security profiles 0 to 2 over real connections: who is let in, with what, and what comes after.

The TLS checks themselves are in test_websocket_tls.py.
"""

import asyncio
import ssl

import pytest
import trustme

from host_tests.station import RUNTIMES, Rig, play

OLD = "an old password of more than 16"
NEW = "0123456789abcdef0123456789ABCDEF01234567"  # 20 bytes in hexadecimal
BOX = "BOX1"


@pytest.fixture(params=RUNTIMES)
def runtime(request):
    return request.param


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A CA, its file, and a server's TLS context."""
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return path, context


def key(name, value):
    return ("--key", f"{name}={value}")


async def away(house, count):
    """Until so many connections were turned away."""
    while len(house.turned_away) < count:
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
            while house.connections < 2:
                await asyncio.sleep(0.05)
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
            while house.connections < 2:
                await asyncio.sleep(0.05)
            assert house.turned_away == [bytes.fromhex(NEW), NEW.encode()]
            await rig.online()

    play(runtime, session())


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
            while rig.house.connections < 2:
                await asyncio.sleep(0.05)
            point = await rig.online()
            assert await change("SecurityProfile", "2") == "Rejected"  # no CA
            assert await change("SecurityProfile", "1") == "Accepted"
            while rig.house.connections < 3:
                await asyncio.sleep(0.05)
            await rig.online()
            assert rig.house.headers[-1]["authorization"].startswith("Basic ")

    play(runtime, session())


def test_profile_2_verifies_the_server_and_sends_the_password(runtime, tmp_path, authority):
    path, context = authority

    async def session():
        words = (
            "--ca", str(path), *key("AuthorizationKey", OLD), *key("SecurityProfile", "2"),
        )  # fmt: skip
        async with Rig(runtime, tmp_path, *words, box=BOX, tls=context, start=False) as rig:
            rig.house.passwords = {BOX: [OLD.encode()]}
            await rig.start()
            await rig.online()

    play(runtime, session())


def test_no_password_goes_to_a_server_that_is_not_the_one(runtime, tmp_path, authority):
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))

    async def session():
        words = (
            "--ca", str(other), *key("AuthorizationKey", OLD), *key("SecurityProfile", "2"),
        )  # fmt: skip
        async with Rig(runtime, tmp_path, *words, box=BOX, tls=authority[1]) as rig:
            while not [line for line in await rig.console("log") if "security: TLS" in line]:
                await asyncio.sleep(0.05)
            assert rig.house.headers == [] and rig.house.turned_away == []
            assert (await rig.status())["link"] == "connecting"

    play(runtime, session())


def test_a_profile_that_never_connects_is_given_up(runtime, tmp_path, authority):
    async def session():
        words = ("--ca", str(authority[0]), *key("AuthorizationKey", OLD))
        async with Rig(runtime, tmp_path, *words, box=BOX) as rig:
            point = await rig.online()  # over ws: no TLS is to be had at this port
            answer = await point.ask("ChangeConfiguration", key="SecurityProfile", value="2")
            assert answer.status == "Accepted"
            while rig.house.connections < 2:
                await asyncio.sleep(0.05)
            await rig.online()
            assert await rig.console("config SecurityProfile") == ["SecurityProfile=0"]

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

    play(runtime, session())
