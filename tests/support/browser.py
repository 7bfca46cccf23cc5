"""A real browser without a window, driven over its debugging pipe.

with open_page(folder, width=390) as page:
    page.go("http://127.0.0.1:8000/")
    page.run("return document.title")        JavaScript, awaited; its value as JSON
    page.save(folder / "page.png")
"""

import base64
import contextlib
import json
import os
import shutil
import subprocess


class Page:
    """One tab; commands of the DevTools protocol, one after another."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer
        self._number, self._session = 0, None

    def call(self, method, **parameters):
        self._number += 1
        asked = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            asked["sessionId"] = self._session
        self._writer.write(json.dumps(asked).encode() + b"\0")
        self._writer.flush()
        while True:
            told = json.loads(self._read())
            if told.get("id") == self._number:
                assert "error" not in told, told
                return told["result"]

    def _read(self):
        parts = []
        while (letter := self._reader.read(1)) != b"\0":
            assert letter, "the browser has ended"
            parts.append(letter)
        return b"".join(parts)

    def attach(self, width, height):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call("Page.enable")

    def go(self, url):
        self.call("Page.navigate", url=url)
        self.run(
            "while (document.readyState !== 'complete') await new Promise(requestIdleCallback)"
        )

    def run(self, body):
        told = self.call(
            "Runtime.evaluate",
            expression=f"(async () => {{ {body} }})()",
            awaitPromise=True,
            returnByValue=True,
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def save(self, path):
        size = self.run("return document.documentElement.scrollHeight")
        width = self.run("return innerWidth")
        told = self.call(
            "Page.captureScreenshot",
            captureBeyondViewport=True,
            clip={"x": 0, "y": 0, "width": width, "height": size, "scale": 1},
        )
        path.write_bytes(base64.b64decode(told["data"]))


@contextlib.contextmanager
def open_page(folder, *, width, height=900):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser, "this test drives a browser; apt-get install chromium"
    to_browser, from_test = os.pipe()
    to_test, from_browser = os.pipe()
    flags = "--headless --no-sandbox --disable-gpu --remote-debugging-pipe"
    process = subprocess.Popen(
        # it reads from 3 and writes to 4
        ["bash", "-c", f'exec "$0" {flags} "$@" 3<&{to_browser} 4>&{from_browser}', browser]
        + [f"--user-data-dir={folder / 'profile'}"],
        pass_fds=(to_browser, from_browser),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_browser)
    os.close(from_browser)
    try:
        with open(to_test, "rb") as reader, open(from_test, "wb") as writer:  # noqa: PTH123
            page = Page(reader, writer)
            page.attach(width, height)
            yield page
    finally:
        process.terminate()
        process.wait(timeout=60)
