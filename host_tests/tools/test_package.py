"""manifest.py and package.json hold what ships."""

import contextlib
import io
import subprocess

import pytest
from mpremote import mip

import firmware
from tools import flash, package, runtimes
from tools.board import Board


def test_the_package_is_up_to_date():
    text = (runtimes.ROOT / "package.json").read_text()
    assert text == package.package(), ".venv/bin/python tools/package.py"


@pytest.mark.micropython
def test_mip_installs_the_package(tmp_path, pty_board, monkeypatch):
    """With mpremote's mip, from this folder; the libraries would need a network."""
    monkeypatch.setattr(flash, "LIBRARIES", ())
    monkeypatch.setattr(package, "LIBRARIES", ())
    (tmp_path / "package.json").write_text(package.package())
    (tmp_path / "firmware").symlink_to(runtimes.ROOT / "firmware")
    with Board(pty_board.port) as target:
        target.enter()
        with contextlib.redirect_stdout(io.StringIO()):
            mip._install_package(
                target.transport, str(tmp_path / "package.json"), "", "lib", None, True
            )
        assert (
            target.run("import firmware.app; print(firmware.__file__)")
            .strip()
            .endswith("/lib/firmware/__init__.py")
        )


def test_the_manifest_freezes_what_flash_sends():
    frozen, required = runtimes.manifest()
    assert frozen[:2] == ["boot.py", "main.py"]
    sent = [path.replace(".mpy", ".py") for path in flash.application()]
    assert sorted(frozen[2:]) == sorted(sent)
    left_out = set(flash.application(True)) - set(flash.application())
    assert len(left_out) == 7  # what only a PC loads
    assert set(required) == {"aiohttp", "logging"}


def test_the_build_date_is_no_older_than_two_months():
    """It is the least that a device's clock can be, by which certificates are looked at."""
    done = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=runtimes.ROOT, capture_output=True, text=True
    )
    if done.returncode or not done.stdout.strip():
        pytest.skip("no history here")
    newest = int(done.stdout)
    assert newest - 60 * 86400 < firmware.BUILD <= newest + 86400, "set firmware.BUILD anew"
