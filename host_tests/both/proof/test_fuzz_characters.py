"""What strangers write leaves nothing behind: MicroPython keeps each character that `text[i]`,
`chr()` or a loop over a str gives, and each attribute's name, until its heap is full."""

import gc

from firmware import options
from firmware.net.url import parse_url, percent_decode, percent_encode
from firmware.ocpp import keys

SHAPES = "%s", "a%sb", "1%s", "0.%s"


def characters():
    """Texts of 64 characters each, none of them twice, 5,000 in all."""
    for block in range(0x100, 0x1500, 64):
        data = bytearray()
        for code in range(block, block + 64):
            if code > 0x7FF:
                data.append(0xE0 | code >> 12)
            data.append((0x80 if code > 0x7FF else 0xC0) | code >> 6 & 0x3F)
            data.append(0x80 | code & 0x3F)
        yield str(data, "utf-8")


def leaves_nothing(take):
    """Lets `take` have them all, in several shapes; fails when it keeps more than a few bytes."""
    kept = hasattr(gc, "mem_alloc")  # CPython's are neither kept nor so easily counted
    before = 0
    for number, text in enumerate(characters()):
        for shape in SHAPES:
            try:
                take(shape % text)
            except ValueError:
                pass  # as it should be
        if not kept:
            return
        text = None
        if number == 20:
            gc.collect()
            before = gc.mem_alloc()
    gc.collect()
    assert gc.mem_alloc() - before < 400, gc.mem_alloc() - before


def test_urls():
    def take(text):
        for url in (text, "ws://%s/a", "ws://a:%s/", "ws://a/%s", "ws://%s:b@c", "ws://[%s]/"):
            parse_url(url.replace("%s", text))

    leaves_nothing(take)
    leaves_nothing(lambda text: percent_encode(text[:3]))
    leaves_nothing(lambda text: percent_decode(percent_encode(text[:8])))


def test_keys():
    leaves_nothing(lambda text: keys.find(text[:50]))
    tried = []
    for key in keys.rows():
        if key.type not in tried:
            tried.append(key.type)
            leaves_nothing(lambda text, key=key: keys.check(key, text[:9]))


def test_options():
    leaves_nothing(lambda text: options.parse(["--key", "BoxIdentifier=" + text[:9]]))
