"""The page of the live view, in headless Chromium where there is one (`apt-get install chromium
chromium-driver`), with pictures of it in build/live."""

import asyncio

from host_tests import virtual
from host_tests.tools.live_browser import Browser, chromium_is_missing, demo

STATUS = "document.getElementById('status').textContent"
WIDTHS = (375, 768, 1000, 1280)
WORST_CONTRAST = """
const parse = (c) => c.match(/[\\d.]+/g).map(Number);
const light = (c) => { const [r, g, b] = parse(c).map((v) => (v /= 255) <= 0.03928 ? v / 12.92 :
  ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const ground = (node) => { for (; node; node = node.parentElement) {
  const c = getComputedStyle(node).backgroundColor; if ((parse(c)[3] ?? 1) > 0) return c; }
  return "rgb(255, 255, 255)"; };
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement, style = getComputedStyle(node);
  if (!walker.currentNode.textContent.trim() || node.tagName == "SCRIPT") continue;
  if (!node.getClientRects().length) continue;
  const colour = node.closest("svg") ? style.fill : style.color;
  const [a, b] = [light(colour), light(ground(node))].sort();
  found.push([(b + 0.05) / (a + 0.05), node.tagName, walker.currentNode.textContent.trim()]);
}
return found.sort((a, b) => a[0] - b[0])[0];
"""
SMALL_TARGETS = """
return [...document.querySelectorAll("button, select, input, textarea, summary")].map((n) =>
  n.type == "checkbox" ? n.closest("label") : n).filter((n) => n.getClientRects().length).map(
  (n) => [n.getBoundingClientRect(), n.outerHTML.slice(0, 60)]).filter(([r]) => r.height < 44 ||
  r.width < 44).map(([r, html]) => [r.width, r.height, html]);
"""
# Texts of the plot that are not within it.
OUTSIDE = """
const box = document.getElementById("plot").getBoundingClientRect();
return [...document.querySelectorAll("#plot text")].map((n) => [n.getBoundingClientRect(),
  n.textContent]).filter(([r]) => r.left < box.left || r.right > box.right ||
  r.top < box.top || r.bottom > box.bottom).map(([r, text]) => text);
"""


class Person:
    """Who uses the page."""

    def __init__(self, url):
        self.browser = Browser(virtual.free_port())
        self.browser.ask("POST", "/url", {"url": url})
        self.js, self.wait = self.browser.js, self.browser.wait

    def click(self, button):
        self.js(f"document.querySelector('{button}').click()")

    def set(self, name, value):
        self.js(
            f"const n = document.getElementById('{name}'); n.value = '{value}';"
            "n.dispatchEvent(new Event('input'));"
        )

    def becomes(self, status):
        self.wait(f"{STATUS} == '{status}'")

    def text(self, name):
        return self.js(f"return document.getElementById('{name}').textContent")

    def is_on(self, button):
        return self.js(f"return document.querySelector('{button}').classList.contains('on')")

    def answered(self, button, text):
        """The answer is under the row of the button, with nothing between."""
        row = f"document.querySelector('{button}').closest('.row').nextElementSibling"
        self.wait(f"({row} && {row}.className.startsWith('answer') && {row}.textContent || '')"
                  f".includes('{text}')")  # fmt: skip

    def charge(self):
        self.becomes("Available")
        for button in ("[data-sim=plug]", "[data-sim=ready]"):
            self.click(button)
        self.becomes("Preparing")
        self.click("[data-call=start]")
        self.becomes("Charging")

    def pictures(self, name, widths=WIDTHS):
        for scheme in ("light", "dark"):
            self.browser.prefer(scheme)
            for width in widths:
                self.browser.picture(f"{name}-{width}-{scheme}.png", width, width < 640)
                self.looks_right(width)

    def looks_right(self, width):
        worst = self.js(WORST_CONTRAST)
        assert worst[0] >= 4.5, worst
        assert not self.js(OUTSIDE)
        if width < 640:
            assert not self.js(SMALL_TARGETS)
        self.js("scrollTo(0, 1000)")
        top = "return document.querySelector('header').getBoundingClientRect()"
        assert self.js(top + ".top") == 0
        assert self.js(top + ".height") < 140
        self.js("scrollTo(0, 0)")

    def close(self):
        said = self.browser.ask("POST", "/se/log", {"type": "browser"})
        self.browser.close()
        assert not said, said


async def with_a_person(does):
    """Runs `does(person, demo)` in a thread, at the page of a demo."""
    if chromium_is_missing():
        raise virtual.Skip("no chromium: apt-get install chromium chromium-driver")

    def visit(made):
        person = Person(made.live.url)
        try:
            does(person, made)
            person.close()
        finally:
            person.browser.close()

    async with demo() as made:
        await asyncio.to_thread(visit, made)


def charges_and_limits(person, made):
    person.charge()
    for text in ("WALLBRIDGE-DEMO", "Evh5A22N2S", "version 0.1.0", "simulated", "speed 60"):
        assert text in person.text("about"), text
    assert person.is_on("[data-sim=plug]") and person.is_on("[data-sim=ready]")
    assert not person.is_on("[data-sim=pause]")
    person.set("amps", "")
    person.click("[data-call=limit]")
    person.answered("[data-call=limit]", "number is missing")
    person.set("amps", "10")
    # of a session that is older than the limit lasts
    person.set("minutes", "5")
    person.wait("state.elapsed_s > 330")
    person.click("[data-call=limit]")
    person.answered("[data-call=limit]", "SetChargingProfile: Accepted")
    person.wait("document.querySelector('.limit.least').textContent.includes('10.0 A')")
    assert person.text("pilot-text").startswith(
        "State C, the car asks for energy; 16.6 % at 1 kHz"
    )
    rows = "[...document.querySelectorAll('#messages .name')].map((n) => n.textContent)"
    person.wait(rows + ".includes('SetChargingProfile')")
    person.set("filter", "profile -answer")
    person.click("#calls")
    assert set(person.js("return " + rows)) == {"SetChargingProfile"}
    person.set("filter", "")
    person.click("#calls")
    person.set("logfilter", "contactor")
    lines = "[...document.querySelectorAll('#log div')].map((n) => n.textContent)"
    assert [line.split(" ", 2)[2] for line in person.js("return " + lines)] == [
        "evse: contactor closes"
    ]
    person.set("logfilter", "")
    person.wait("document.querySelectorAll('#plot path').length >= 4")
    assert len(person.js("return [...document.querySelectorAll('#plot .kwh')]")) > 3
    person.pictures("charging")


async def test_a_person_charges_and_limits():
    await with_a_person(charges_and_limits)


def pauses_and_fails(person, made):
    person.charge()
    person.set("amps", "0")
    person.click("[data-call=limit]")
    person.wait("document.getElementById('why').textContent.includes('a charging profile allows')")
    assert person.is_on("[data-sim=ready]")  # it is not the car that pauses
    assert not person.is_on("[data-sim=pause]")
    person.wait("state.pilot == 'B'")
    assert "the station offers nothing" in person.text("pilot-text")
    person.pictures("paused", (375, 1000))
    person.set("code", "0x10020F")
    person.click("[data-fault=on]")
    person.becomes("Faulted")
    assert "unplug the car" in person.text("fault")
    assert "\u2013 kW" in person.text("figures")  # nobody knows what flows
    assert person.is_on("[data-fault=on]")
    person.pictures("fault", (375, 768))


async def test_a_person_sees_a_pause_and_a_fault():
    await with_a_person(pauses_and_fails)


def cuts_the_link_and_the_power(person, made):
    person.charge()
    person.click('[data-sim="link down"]')
    person.wait("document.getElementById('link').className == 'bad'", timeout=3)
    person.click("[data-call=unlock]")
    person.answered("[data-call=unlock]", "error")
    assert person.is_on('[data-sim="link down"]')
    person.pictures("offline", (375, 1000))
    person.wait("state.transaction.energy_wh > 500")
    charged = person.js("return state.energy_wh")
    person.click("[data-power=off]")
    person.becomes("Power cut")
    assert person.is_on("[data-power=off]")
    person.pictures("cut", (375, 1280))
    person.click("[data-power=on]")
    person.becomes("Available")
    person.wait("document.getElementById('sessions').textContent.includes('ended: PowerLoss')")
    assert person.js("return state.energy_wh") >= charged  # nothing is lost
    assert person.js("return state.last_session.energy_wh") >= 500
    person.js("type(document.querySelector('#line').closest('.row'), 'quit')")
    person.becomes("ended")


async def test_a_person_cuts_the_link_and_the_power():
    await with_a_person(cuts_the_link_and_the_power)


def uses_full(person, made):
    person.becomes("Available")
    assert not person.js("return document.querySelector('[data-call=cache]').offsetParent")
    person.click("[data-call=full]")
    person.wait("document.querySelector('[data-call=cache]').offsetParent != null")
    person.wait("state.link == 'online' && state.registration == 'Accepted'")
    for button, answer in (
        ("list", "SendLocalList: Accepted"),
        ("version", "listVersion"),
        ("cache", "ClearCache: Accepted"),
        ("inoperative", "ChangeAvailability: Accepted"),
    ):
        person.click(f"[data-call={button}]")
        person.answered(f"[data-call={button}]", answer)
    person.becomes("Unavailable")
    person.click("[data-call=operative]")
    person.becomes("Available")
    person.pictures("full", (375,))


async def test_a_person_uses_feature_set_full():
    await with_a_person(uses_full)


def asks_twice(person, made):
    person.becomes("Available")
    person.js(
        "window.answers = [];"
        "post = () => new Promise((done) => window.answers.push(done));"
        "const row = document.querySelector('#line').closest('.row');"
        "type(row, 'first'); type(row, 'second');"
        "window.answers[1]({ lines: ['newer'] }); window.answers[0]({ lines: ['older'] });"
    )
    person.answered("#line", "newer")
    person.js("return new Promise((done) => setTimeout(done, 200))")
    person.answered("#line", "newer")


async def test_a_late_answer_never_overwrites_a_newer():
    await with_a_person(asks_twice)
