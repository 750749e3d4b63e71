"""What can't work is refused where it is asked for, and says why."""

import asyncio

import pytest

from firmware import options
from host_tests.net.test_security import OLD, key, said
from host_tests.net.test_security_tls import authority  # noqa: F401 (a fixture)
from host_tests.station import Rig, play
from host_tests.talk import change


def test_a_box_identifier_with_a_colon_and_a_password(runtime, tmp_path):
    """RFC 7617: the user's name ends at the first colon, so nobody could log in so."""

    async def session():
        words = key("AuthorizationKey", OLD)
        async with Rig(runtime, tmp_path, *words, box="HOUSE:1") as rig:
            point = await rig.online()  # profile 0: any name
            assert await change(point, "SecurityProfile", "1") == "Rejected"
            await said(rig, "Rejected SecurityProfile: a BoxIdentifier with a colon")
        second = tmp_path / "second"
        second.mkdir()
        words = (*key("AuthorizationKey", OLD), *key("SecurityProfile", "1"))
        async with Rig(runtime, second, *words, box="HOUSE1") as rig:
            point = await rig.online()
            assert await change(point, "BoxIdentifier", "HOUSE:1") == "Rejected"
            await said(rig, "Rejected BoxIdentifier: a BoxIdentifier with a colon")
            assert await change(point, "BoxIdentifier", "HOUSE1") == "Accepted"

    play(runtime, session())


@pytest.mark.parametrize("profile", ["1", "2"])
def test_not_from_the_command_line_either(profile):
    words = ["--box-id", "A:B", "--key", "AuthorizationKey=" + OLD]
    assert options.parse(words).run_keys["BoxIdentifier"] == "A:B"
    with pytest.raises(ValueError, match="colon"):
        options.parse([*words, "--key", "SecurityProfile=" + profile])


def test_a_401_in_profile_0_says_that_it_sends_no_password(runtime, tmp_path):
    async def session():
        words = key("AuthorizationKey", OLD)
        async with Rig(runtime, tmp_path, *words, box="BOX", start=False) as rig:
            rig.house.passwords = {"BOX": [OLD.encode()]}
            await rig.start()
            await said(rig, "SecurityProfile 0 sends no password")

    play(runtime, session())


def test_wss_without_a_ca_needs_the_installers_word(runtime, tmp_path, authority):  # noqa: F811
    async def session():
        async with Rig(runtime, tmp_path, tls=authority[1], box="BOX") as rig:
            await said(rig, "no CA certificate")
            assert rig.house.headers == [] and (await rig.status())["link"] == "connecting"
            await rig.end()
            rig.args.append("--insecure-tls")
            await rig.start()
            await rig.online()
            await said(rig, "anybody can pretend")

    play(runtime, session())


def test_a_wss_url_is_refused_where_there_is_no_ca(tmp_path, authority):  # noqa: F811
    url = "wss://127.0.0.1:9/ocpp"

    async def session():
        async with Rig("cpython", tmp_path, box="BOX") as rig:
            point = await rig.online()
            assert await change(point, "SupervisionUrl", url) == "Rejected"
            lines = await rig.console("config SupervisionUrl " + url)
            assert lines[0] == "Rejected" and "CA" in lines[1] and "make provision" in lines[1]
        second = tmp_path / "second"
        second.mkdir()
        for number, words in enumerate((["--insecure-tls"], ["--ca", str(authority[0])])):
            folder = second / str(number)
            folder.mkdir()
            async with Rig("cpython", folder, *words, box="BOX") as rig:
                point = await rig.online()
                assert await change(point, "SupervisionUrl", url) == "Accepted"
                await asyncio.sleep(0.1)

    play("cpython", session())
