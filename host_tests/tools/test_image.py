"""The definitions of our own MicroPython images (tools/image): what can be checked of them without
building one, which needs ESP-IDF.
"""

import re
import subprocess

import pytest

from firmware import VERSION
from tools import bundle, image, runtimes
from tools.board import Trouble
from tools.image import __main__ as build

BLOCK = 4096
APP_ALIGNMENT = 0x10000  # ESP-IDF's: an application is mapped in pages of 64 KB
TABLE = 0x8000  # where ESP-IDF has the partition table, one block
GROWTH = 100 * 1024  # bytes that an application may grow by at least
FILE_SYSTEM = 512 * 1024

# Every name in the definitions, and the file at the pinned versions in which it was looked up.
ESP_IDF_NAMES = {
    "BT_ENABLED": "components/bt/Kconfig",
    "LWIP_PPP_SUPPORT": "components/lwip/Kconfig",
    "ETH_USE_SPI_ETHERNET": "components/esp_eth/Kconfig",
    "PARTITION_TABLE_CUSTOM": "components/partition_table/Kconfig.projbuild",
    "PARTITION_TABLE_CUSTOM_FILENAME": "components/partition_table/Kconfig.projbuild",
    "ESPTOOLPY_FLASHSIZE_4MB": "components/esptool_py/Kconfig.projbuild",
    "ESPTOOLPY_FLASHSIZE_8MB": "components/esptool_py/Kconfig.projbuild",
    "ESPTOOLPY_FLASHMODE_QIO": "components/esptool_py/Kconfig.projbuild",
    "ESPTOOLPY_FLASHFREQ_80M": "components/esptool_py/Kconfig.projbuild",
}
MICROPYTHON_NAMES = {
    "MICROPY_HW_BOARD_NAME": "extmod/modos.c",
    "MICROPY_HW_MCU_NAME": "extmod/modos.c",
    "MICROPY_GC_INITIAL_HEAP_SIZE": "ports/esp32/mpconfigport.h",
    "MICROPY_GC_SPLIT_HEAP": "ports/esp32/mpconfigport.h",
    "MICROPY_GC_SPLIT_HEAP_AUTO": "ports/esp32/mpconfigport.h",
    "MICROPY_PY_BLUETOOTH": "ports/esp32/mpconfigport.h",
    "MICROPY_PY_ESPNOW": "ports/esp32/mpconfigport.h",
    "MICROPY_PY_NETWORK_LAN": "ports/esp32/mpconfigport.h",
    "MICROPY_HW_ENABLE_UART_REPL": "ports/esp32/uart.h",
    "MICROPY_PY_MACHINE_I2C_TARGET": "ports/esp32/mpconfigport.h",
    "MP_CONFIGFILE": "py/mpconfig.h",
    "MICROPY_DEF_BOARD": "ports/esp32/esp32_common.cmake",
    "MICROPY_BOARD_DIR": "ports/esp32/CMakeLists.txt",
    "MICROPY_FROZEN_MANIFEST": "ports/esp32/CMakeLists.txt",
    "SDKCONFIG_DEFAULTS": "ports/esp32/CMakeLists.txt",
    "IDF_TARGET": "ports/esp32/CMakeLists.txt",
}
# MicroPython's own settings for boards that the definitions build upon.
MICROPYTHON_FILES = {
    "boards/sdkconfig.base",
    "boards/sdkconfig.spiram",
    "boards/sdkconfig.spiram_sx",
    "boards/sdkconfig.spiram_oct",
    "boards/sdkconfig.240mhz",
    "boards/sdkconfig.usb",
}


def definition(pattern):
    """The text of all files of the definitions that match, without comments."""
    text = ""
    for path in sorted(image.HERE.rglob(pattern)):
        text += re.sub(r"(?m)^\s*(#[^a-z]|//).*$", "", path.read_text()) + "\n"
    assert text, pattern
    return text


def names_of_esp_idf():
    text = definition("sdkconfig.*") + definition("*.cmake")
    return set(re.findall(r"CONFIG_(\w+)=", text))


def test_every_name_was_looked_up():
    assert names_of_esp_idf() == set(ESP_IDF_NAMES)
    text = definition("*.h") + definition("*.cmake")
    names = set(re.findall(r"\b((?:MICROPY|MP)_[A-Z0-9_]+|SDKCONFIG_DEFAULTS|IDF_TARGET)\b", text))
    assert names == set(MICROPYTHON_NAMES)
    assert set(re.findall(r"boards/\S+", definition("*.cmake"))) == MICROPYTHON_FILES


@pytest.mark.parametrize("name", image.BOARDS)
def test_a_board_has_its_definition(name):
    folder = image.HERE / name
    board = image.BOARDS[name]
    cmake = (folder / "mpconfigboard.cmake").read_text()
    assert f"set(IDF_TARGET {board.chip})" in cmake
    assert f"set(PARTITIONS {board.partitions})" in cmake
    assert ("boards/sdkconfig.spiram" in cmake) == board.psram
    assert "sdkconfig.ble" not in cmake
    header = (folder / "mpconfigboard.h").read_text()
    assert '#include "../mpconfigimage.h"' in header
    assert f'MICROPY_HW_MCU_NAME             "{board.chip.upper()}"' in header
    size = f"CONFIG_ESPTOOLPY_FLASHSIZE_{board.flash >> 20}MB=y"
    assert size in (folder / "sdkconfig.board").read_text()
    assert image.fitting(board.chip, board.psram) == name


def test_pythons_heap_is_fixed_where_there_is_no_psram():
    for name, board in image.BOARDS.items():
        header = (image.HERE / name / "mpconfigboard.h").read_text()
        cmake = (image.HERE / name / "mpconfigboard.cmake").read_text()
        assert ("(112 * 1024)" in header) == (not board.psram)
        assert ('MP_CONFIGFILE="mpconfigheap.h"' in cmake) == (not board.psram)
    heap = (image.HERE / "wroom" / "mpconfigheap.h").read_text()
    assert "#define MICROPY_GC_SPLIT_HEAP           (0)" in heap


def test_the_heap_is_what_the_compiler_sees(tmp_path):
    """The port sets the split heap without asking: what counts is what is left of that."""
    (tmp_path / "mpconfigport.h").write_text(
        '#include "mpconfigboard.h"\n'
        "#define MICROPY_GC_SPLIT_HEAP (1)\n#define MICROPY_GC_SPLIT_HEAP_AUTO (1)\n"
    )
    (tmp_path / "asks.c").write_text(
        "#include MP_CONFIGFILE\n"
        "found: MICROPY_GC_SPLIT_HEAP MICROPY_GC_SPLIT_HEAP_AUTO MICROPY_GC_INITIAL_HEAP_SIZE "
        "MICROPY_PY_BLUETOOTH MICROPY_PY_ESPNOW MICROPY_PY_NETWORK_LAN\n"
    )
    words = ["cc", "-E", "-P", "-I", tmp_path, "-I", image.HERE / "wroom"]
    try:
        said = subprocess.run(
            [*words, '-DMP_CONFIGFILE="mpconfigheap.h"', tmp_path / "asks.c"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    except FileNotFoundError:
        pytest.skip("no C preprocessor")
    assert said.split("found: ")[1].strip() == "(0) (0) (112 * 1024) (0) (0) (0)"


@pytest.mark.parametrize("name", image.BOARDS)
def test_the_partition_table(name):
    board = image.BOARDS[name]
    rows = image.partitions(board)
    by_name = {row.name: row for row in rows}
    assert len(by_name) == len(rows)
    end = TABLE + BLOCK
    for row in rows:
        alignment = APP_ALIGNMENT if row.type == "app" else BLOCK
        assert row.offset % alignment == 0 and row.size % BLOCK == 0 and row.size > 0, row
        assert row.offset >= end, f"{row} overlaps"
        end = row.offset + row.size
    assert end == board.flash
    assert by_name["nvs"].size >= 3 * BLOCK and by_name["otadata"].size == 2 * BLOCK
    slots = [row for row in rows if row.type == "app"]
    assert [row.subtype for row in slots] == ["ota_0", "ota_1"]
    assert slots[0].size == slots[1].size == image.slot_size(board)
    assert rows[-1].name == "vfs" and rows[-1].size >= FILE_SYSTEM
    assert rows[-1].offset == image.file_system(board)


def test_the_application_fits_and_may_grow():
    """What is frozen is measured as .mpy files; the rest of the application was measured once."""
    frozen = sum(len(data) for data in runtimes.shipped(everything=False).values())
    application = image.MEASURED_APPLICATION - image.MEASURED_FROZEN + frozen
    for board in image.BOARDS.values():
        assert application + GROWTH <= image.slot_size(board)


def test_what_is_frozen_is_the_manifest():
    """It has its own _boot.py in the place of MicroPython's, and no library for what is left
    out."""
    found = []
    names = {
        "options": type("Options", (), {"pc": None}),
        "include": lambda path: found.append(path),
        "require": found.append,
        "module": lambda path, base_path="", opt=0: found.append(f"{base_path}/{path}"),
    }
    exec((runtimes.ROOT / "manifest.py").read_text(), names)
    assert "tools/image/modules/_boot.py" in found and "/boot.py" in found and "/main.py" in found
    assert "$(PORT_DIR)/boards/manifest.py" not in found
    assert "/firmware/app.py" in found and "/firmware/base/restart.py" not in found
    assert "image.cmake" in (image.HERE / "wroom" / "mpconfigboard.cmake").read_text()


BOOT = """
import os, sys, vfs
class Flash:
    blocks = {}
    def __init__(self, block_size=4096):
        pass
    def readblocks(self, n, buf, off=0):
        block = self.blocks.get(n) or b"\\xff" * 4096
        buf[:] = block[off:off + len(buf)]
    def writeblocks(self, n, buf, off=None):
        block = bytearray(self.blocks.get(n) or b"\\xff" * 4096)
        block[off or 0:(off or 0) + len(buf)] = buf
        self.blocks[n] = bytes(block)
    def ioctl(self, op, arg):
        if op == 4:
            return 176
        if op == 5:
            return 4096
        if op == 6:
            self.blocks.pop(arg, None)
        return 0
class flashbdev:
    bdev = Flash()
sys.modules["flashbdev"] = flashbdev
with open(sys.argv[1]) as f:
    boot = f.read()
vfs.umount("/")
exec(boot, {})
with open("/kept", "w") as f:
    f.write("a transaction")
print(os.listdir("/"))
vfs.umount("/")
exec(boot, {})
with open("/kept") as f:
    print(f.read())
vfs.umount("/")
for n in list(Flash.blocks):
    Flash.blocks[n] = bytes(4096)
exec(boot, {})
print(set(Flash.blocks.values()) == {bytes(4096)})
"""


@pytest.mark.micropython
def test_the_file_system_is_made_once_and_mounted(tmp_path, micropython):
    """_boot.py on a simulated flash: formatted when it is empty, kept when it is not, and not
    touched when it can't be read."""
    micropython(64)
    (tmp_path / "life.py").write_text(BOOT)
    done = subprocess.run(
        [*runtimes.command(64), str(tmp_path / "life.py"), image.HERE / "modules" / "_boot.py"],
        capture_output=True, text=True,
    )  # fmt: skip
    lines = done.stdout.split("\n")
    assert lines[:2] == ["['kept']", "a transaction"], done.stdout + done.stderr
    assert "can't be mounted" in lines[2] and lines[3] == "True"


def test_the_file_system_is_mounted_as_the_firmware_does():
    """_boot.py can't import it: a slot's firmware is to come before what is frozen."""
    boot = (image.HERE / "modules" / "_boot.py").read_text()
    store = (runtimes.ROOT / "firmware" / "base" / "store.py").read_text()
    for ours, theirs in (
        ("READ_BYTES", "_READ"),
        ("PROGRAM_BYTES", "_PROGRAM"),
        ("LOOKAHEAD_BYTES", "_LOOKAHEAD"),
    ):
        size = re.search(rf"(?m)^{ours} = (\d+)", boot)[1]
        assert re.search(rf"(?m)^{theirs} = const\((\d+)\)", store)[1] == size, ours
    assert "mtime=False" in boot and "mtime=False" in store


@pytest.fixture
def nothing_installed(monkeypatch):
    there = set()
    monkeypatch.setattr(
        build.shutil, "which", lambda name: f"/usr/bin/{name}" if name in there else None
    )
    return there


def test_what_a_build_needs(nothing_installed, monkeypatch):
    with pytest.raises(Trouble, match=f"Install docker or podman.*\n.*v{image.ESP_IDF}"):
        build.how_to_build()
    nothing_installed.add("podman")
    assert build.how_to_build()[0] == "podman"
    assert build.how_to_build()[-1].endswith(f"espressif/idf:v{image.ESP_IDF}")
    nothing_installed.add("idf.py")
    for said, fits in ((f"ESP-IDF v{image.ESP_IDF}", True), ("ESP-IDF v5.0.1", False)):
        done = subprocess.CompletedProcess([], 0, stdout=said + "\n")
        monkeypatch.setattr(build.subprocess, "run", lambda *_, done=done, **__: done)
        if fits:
            assert build.how_to_build() == []
        else:
            with pytest.raises(Trouble, match="5.0.1, and the image"):
                build.how_to_build()


def test_a_build(tmp_path, monkeypatch, nothing_installed):
    nothing_installed.add("docker")
    monkeypatch.setattr(image, "BUILT", tmp_path)
    monkeypatch.setattr(build.image, "BUILT", tmp_path)
    ran = []

    def do(command, quietly=False):
        ran.append(" ".join(map(str, command)))
        if command[0] == "git":
            command[-1].mkdir()
        else:
            objects = tmp_path / "wroom" / "objects"
            objects.mkdir()
            (objects / image.FIRMWARE).write_bytes(b"all")
            (objects / image.APPLICATION).write_bytes(b"\xe9" * 1000)
        return ""

    monkeypatch.setattr(build, "do", do)
    said = []
    assert image.built("wroom") is None
    build.build("wroom", None, said.append)
    assert f"--branch v{image.MICROPYTHON}" in ran[0]
    assert f"BOARD_DIR={image.HERE / 'wroom'} " in ran[1] and " submodules && " in ran[1]
    assert image.built("wroom").read_bytes() == b"all"
    text = "\n".join(said)
    assert "leaves 1702936 of its slot" in text and "No chip has run it" in text
    assert "write-flash 0x1000 " in text and "erase-flash" in text
    too_large = tmp_path / "wroom" / "objects" / image.APPLICATION
    too_large.write_bytes(bytes(image.slot_size(image.BOARDS["wroom"]) + 1))
    with pytest.raises(Trouble, match="has 1703937 bytes, its slot 1703936"):
        build.take("wroom", too_large.parent)


def test_a_build_that_fails(capfd):
    with pytest.raises(Trouble, match="(?s)what it said is above.* false'$"):
        build.do(["sh", "-c", "echo no disk; false"])
    assert "no disk" in capfd.readouterr().out


def test_other_sources_must_be_the_pinned_ones(tmp_path, monkeypatch):
    with pytest.raises(Trouble, match="no MicroPython"):
        build.sources(tmp_path, str(tmp_path))
    (tmp_path / "ports" / "esp32").mkdir(parents=True)
    for said, fits in ((f"v{image.MICROPYTHON}\n", True), ("v1.20.0-5-gabc\n", False)):
        monkeypatch.setattr(build, "do", lambda *_, said=said, **__: said)
        if fits:
            assert build.sources(tmp_path, str(tmp_path)) == tmp_path
        else:
            with pytest.raises(Trouble, match="is MicroPython v1.20.0-5-gabc: the image"):
                build.sources(tmp_path, str(tmp_path))


def test_the_versions_are_pinned_in_one_place():
    """Nobody else names the pair: who needs it takes it from there, or says where it is."""
    for path in sorted((runtimes.ROOT / "tools").rglob("*")):
        if path.suffix in (".py", ".cmake", ".csv") and path != image.HERE / "__init__.py":
            assert image.ESP_IDF not in path.read_text(), path


def test_a_bundle_of_an_image(tmp_path, monkeypatch, capsys):
    """The image that was built, for its board alone; files, for the boards with PSRAM."""
    monkeypatch.setattr(image, "BUILT", tmp_path)
    out = tmp_path / "new.bundle"
    with pytest.raises(SystemExit):
        bundle.main(["image", str(out), "wroom"])
    assert "make image BOARD=wroom" in capsys.readouterr().err
    (tmp_path / "wroom").mkdir()
    (tmp_path / "wroom" / image.APPLICATION).write_bytes(b"\xe9 version " + VERSION.encode())
    for words, line in (
        (["image", str(out), "wroom"], "boards wroom"),
        (["image", str(out), "wroom", "--boards", "wroom", "wrover"], "boards wroom wrover"),
        (["make", str(out)], "boards stock wrover s3 pc"),
        (["make", str(out), "--source"], "boards pc"),
    ):
        assert bundle.main(words) == 0
        text = bundle.show(out.read_bytes(), None).split("\n")
        assert line in text
        assert ("reads 0" in text) == (words[0] == "image")


def test_the_firmware_knows_the_images():
    from firmware.base import runtime

    assert set(runtime.IMAGES) == set(image.BOARDS)
