"""A headless Chromium for tests, driven by its DevTools protocol over a pipe."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from tests.support.browser.chromium import find_chromium
from tests.support.waiting import PATIENCE_S, wait_until

FLAGS = (
    "--headless", "--no-sandbox", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--hide-scrollbars",
    "--disable-dev-shm-usage", "--disable-extensions", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--force-color-profile=srgb", "--font-render-hinting=none", "--mute-audio",
    "--no-zygote",
)  # fmt: skip

KEYS = {
    "ArrowLeft": 37, "ArrowRight": 39, "Enter": 13, "Escape": 27, "Tab": 9, "Home": 36, "End": 35, " ": 32,
}  # fmt: skip


class Browser:
    """One page of it. Whatever the page logs as an error, or its Content-Security-Policy blocks, is in `complaints`."""

    def __init__(self, send: int, receive: int) -> None:
        self._send = send
        self._receive = receive
        self._read = b""
        self._number = 0
        self._session: str | None = None
        self.complaints: list[str] = []
        """What a person would find in the console: errors, and what the policy blocked."""
        self.requested: list[str] = []
        """Addresses that were asked for."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.show_as(1280, 900)

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """A command of the protocol, and its result."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self._note(answer)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            chunk = os.read(self._receive, 1 << 20)
            assert chunk, "Chromium has ended"
            self._read += chunk
        message, _, self._read = self._read.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"]))
            case "Network.requestWillBeSent":
                self.requested.append(params["request"]["url"])
            case _:
                pass

    def show_as(self, width: int, height: int, *, dark: bool = False, scripts: bool = True) -> None:
        """As on a screen of that many CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.call("Emulation.setEmulatedMedia", features=[scheme, still])
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)

    def open(self, url: str) -> None:
        """Ends once the page and its images are there."""
        self.call("Page.navigate", url=url)
        self.settle()

    def settle(self) -> None:
        """Waits until the page that is loading is complete, and its images are, also those out of sight."""
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")
        self.evaluate("for (const each of document.images) each.loading = 'eager'")
        self.until("[...document.images].every(each => each.complete)")

    def evaluate(self, expression: str) -> Any:
        """What JavaScript makes of it, as JSON."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def until(self, condition: str) -> None:
        """Waits until the expression is something true."""

        def asked() -> bool:
            try:
                return self.evaluate(f"Boolean({condition})")
            except AssertionError:
                return False  # between two pages there is nobody who could say

        wait_until(asked, because=lambda: f"never true: {condition}\n{self.complaints}")

    def click(self, selector: str) -> None:
        """The middle of an element, as a person does it."""
        it = f"document.querySelector({json.dumps(selector)})"
        self.evaluate(f"{it}.scrollIntoView({{block: 'center'}})")
        place = self.box(selector)
        x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def box(self, selector: str) -> dict[str, float]:
        """x, y, width and height of an element, in what is in sight."""
        return self.evaluate(
            f"document.querySelector({json.dumps(selector)}).getBoundingClientRect().toJSON()"
        )

    def type(self, text: str) -> None:
        """Into what has the focus."""
        self.call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """A key, by its name in JavaScript."""
        code = KEYS.get(key) or ord(key.upper())
        text = {"text": "\r"} if key == "Enter" else {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def screenshot(self, *, whole: bool = False) -> Image.Image:
        """Of what is in sight, or of the whole page."""
        shot = self.call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=whole, **self._clip(whole)
        )
        return Image.open(BytesIO(base64.b64decode(shot["data"]))).convert("RGB")

    def _clip(self, whole: bool) -> dict[str, object]:
        if not whole:
            return {}
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """Starts it; it ends with the block, and leaves nothing behind."""
    program, environ = find_chromium()
    ours, theirs = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(prefix="mlxq-browser-", ignore_cleanup_errors=True) as profile:
        process = _start(program, environ, Path(profile), theirs[0], ours[1])
        os.close(theirs[0])
        os.close(ours[1])
        try:
            yield Browser(theirs[1], ours[0])
        finally:
            os.close(theirs[1])
            os.close(ours[0])
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE_S)


def _start(
    program: Path, environ: dict[str, str], profile: Path, receive: int, send: int
) -> "subprocess.Popen[bytes]":
    """Chromium reads commands from its descriptor 3, and answers on 4."""
    shell = f'exec 3<&{receive} 4>&{send}; exec "$@"'
    return subprocess.Popen(
        ["bash", "-c", shell, "bash", str(program), *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        env=os.environ | environ,
        pass_fds=(receive, send),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
