"""The demo without its own session, and headless Chromium that looks at its page."""

import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request

from tools.demo import BOX, Demo
from tools.runtimes import BUILD


@contextlib.asynccontextmanager
async def demo():
    """A demo's station and central system with the view, without the demo's own session."""
    made = Demo("cpython", port=0)
    made.show = False
    url = await made.house.open()
    with tempfile.TemporaryDirectory() as state:
        try:
            await made.live.open(0)
            await made.start(url, state)
            await made.house.point(BOX)
            await asyncio.wait_for(made.house.booted.wait(), 30)
            yield made
        finally:
            if made.process.returncode is None:
                made.process.kill()
            await made.process.wait()
            await made.live.close()
            await made.house.close()


def chromium_is_missing() -> bool:
    """Whether there is no browser on this machine."""
    return not (shutil.which("chromium") and shutil.which("chromedriver"))


class Browser:
    """Headless Chromium by WebDriver's protocol."""

    def __init__(self, port):
        self.driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.url = f"http://127.0.0.1:{port}/session"
        options = {
            "goog:chromeOptions": {"args": ["--headless=new", "--no-sandbox", "--disable-gpu"]},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        end = time.monotonic() + 30
        while True:
            try:
                made = self.ask("POST", "", {"capabilities": {"alwaysMatch": options}})
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        self.url += "/" + made["sessionId"]

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def js(self, code):
        return self.ask("POST", "/execute/sync", {"script": code, "args": []})

    def wait(self, code, timeout=30):
        end = time.monotonic() + timeout
        while not self.js("return " + code):
            assert time.monotonic() < end, (code, self.js("return document.body.innerText"))
            time.sleep(0.1)

    def chrome(self, command, **words):
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": words})

    def prefer(self, scheme):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.chrome("Emulation.setEmulatedMedia", features=features)

    def picture(self, name, width, mobile):
        self.chrome(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=mobile,
        )  # fmt: skip
        time.sleep(0.5)  # until the page has drawn itself anew
        shot = self.chrome("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        folder = BUILD / "live"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(base64.b64decode(shot["data"]))
        overflow = self.js("return document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"{overflow} pixels too wide for {width}"

    def close(self):
        with contextlib.suppress(OSError):
            self.ask("DELETE", "")
        self.driver.terminate()
        self.driver.wait()
