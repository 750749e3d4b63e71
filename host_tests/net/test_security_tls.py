"""Security profiles 2 and 3: certificates, and who is trusted with what."""

import asyncio
import datetime
import ssl

import pytest
import trustme

from host_tests.net.test_security import BOX, OLD, connections, key, said
from host_tests.station import BITS, Rig, play
from host_tests.transfers.test_diagnostics import Server


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A CA, its file, and a server's TLS context."""
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return path, context


def test_tls_without_a_ca_only_on_the_operators_word(runtime, tmp_path, authority):
    async def session():
        words = (*key("AuthorizationKey", OLD), *key("SecurityProfile", "2"))
        async with Rig(runtime, tmp_path, *words, box=BOX, tls=authority[1]) as rig:
            await said(rig, "CA")
            assert rig.house.headers == []
            await rig.end()
            rig.args.append("--insecure-tls")
            await rig.start()
            await rig.online()
            await said(rig, "anybody can pretend")
            await rig.console("sim link down")
            await rig.console("sim link up")
            await rig.online()
            await said(rig, "anybody can pretend", 2)

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
            await connections(rig.house, 2)
            await rig.online()
            assert await rig.console("config SecurityProfile") == ["SecurityProfile=0"]

    play(runtime, session())


def test_https_is_checked_as_the_link_is(runtime, tmp_path, authority):
    """`--insecure-tls` is for want of a CA: with one, everything is checked against it."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))

    async def session():
        async with Server(authority[1]) as server:
            place = f"https://localhost:{server.port}/"

            async def upload(rig):
                point = await rig.online()
                await point.ask("GetDiagnostics", location=place, retries=0)
                await rig.house.heard_of("DiagnosticsStatusNotification", count=2)
                return rig.house.calls("DiagnosticsStatusNotification")[-1]["status"]

            words = ("--insecure-tls", "--ca", str(other))
            async with Rig(runtime, tmp_path, *words, box=BOX) as rig:
                assert await upload(rig) == "UploadFailed"
                await said(rig, "security: TLS: certificate authority")
                assert server.files == {}
            # Another station: the first one may owe a status whose answer it has not seen.
            second = tmp_path / "second"
            second.mkdir()
            async with Rig(runtime, second, "--insecure-tls", box=BOX) as rig:
                assert await upload(rig) == "Uploaded"
                await said(rig, "TLS without a CA: anybody can pretend to be the server")

    play(runtime, session())


@pytest.mark.parametrize("runtime", BITS)
def test_without_a_clock_a_certificates_first_day_counts(runtime, tmp_path):
    """It is dialled again at once; here the clock is right, so it stays refused."""
    ca = trustme.CA()
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    day = datetime.timedelta(1)
    begin = datetime.datetime.now(datetime.UTC) + 2 * day
    leaf = ca.issue_cert("127.0.0.1", not_before=begin, not_after=begin + day)
    leaf.configure_cert(context)

    async def session():
        words = ("--ca", str(path), *key("AuthorizationKey", OLD), *key("SecurityProfile", "2"))
        async with Rig(runtime, tmp_path, *words, box=BOX, tls=context) as rig:
            await said(rig, "security: TLS: not yet valid", 2)
            await said(rig, "taking the certificate's first day, and dialling again", 2)
            assert rig.house.headers == []

    play(runtime, session())
