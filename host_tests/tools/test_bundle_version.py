"""tools/bundle.py: the version that a bundle says is the one of the code in it."""

import re

import pytest

import firmware
from firmware import VERSION
from tools import bundle


def contents(data):
    """(the manifest's version, path to content)."""
    head, _, rest = data.partition(b"\n")
    manifest_size, signature_size = map(int, head.split()[2:])
    text = rest[signature_size:][:manifest_size].decode()
    at = signature_size + manifest_size
    files = {}
    for line in text.splitlines():
        words = line.split()
        if words[0] == "file":
            files[words[1]] = rest[at : at + int(words[2])]
            at += int(words[2])
    return re.search("^version (.*)$", text, re.M)[1], files


@pytest.mark.parametrize("suffix", [".py", ".mpy"])
@pytest.mark.parametrize("version", [None, "2.71.82-rc1"])
def test_the_code_inside_says_it_too(tmp_path, suffix, version):
    out = tmp_path / "out"
    words = ["make", str(out)] + (["--source"] if suffix == ".py" else [])
    assert bundle.main(words + (["--version", version] if version else [])) == 0
    said, files = contents(out.read_bytes())
    inside = files["firmware/__init__" + suffix]
    assert said == (version or VERSION) and said.encode() in inside
    if version:
        assert VERSION.encode() not in inside
    if suffix == ".py":
        found = {}
        exec(inside, found)
        assert (found["VERSION"], found["BUILD"]) == (said, firmware.BUILD)


@pytest.mark.parametrize("version", ["two words", "", "x" * 51, 'quo"te', "é"])
def test_a_version_that_can_not_be_one(tmp_path, version):
    with pytest.raises(SystemExit):
        bundle.main(["make", str(tmp_path / "out"), "--version", version])
    assert not (tmp_path / "out").exists()


def test_an_image_has_the_version_that_it_was_built_with(tmp_path):
    image, out = tmp_path / "image", tmp_path / "out"
    image.write_bytes(b"\xe9 an image with %s in it" % VERSION.encode())
    words = ["image", str(out), "wroom", str(image)]
    with pytest.raises(SystemExit):
        bundle.main([*words, "--version", "9.9.9"])
    assert not out.exists()
    assert bundle.main(words) == 0 and contents(out.read_bytes())[0] == VERSION
    # another MicroPython, without the application: only who built it knows
    assert bundle.main([*words, "--version", "1.26.1", "--reads", "6"]) == 0
