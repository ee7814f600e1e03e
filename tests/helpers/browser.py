"""A headless Chromium, driven over a pipe: https://chromedevtools.github.io/devtools-protocol/"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["Browser", "browser", "found"]

_PATIENCE = 60.0
_START = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)


def found() -> str | None:
    """Return the browser of this machine."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


class Browser:
    """One tab. `events` are all that it told: requests, errors, what scripts logged."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._rest, self._number = b"", 0
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", {"url": "about:blank"}, session=None)
        attached = self.send(
            "Target.attachToTarget", {"targetId": target["targetId"], "flatten": True}, session=None
        )
        self._session: str = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(
        self, method: str, params: dict[str, Any] | None = None, session: str | None = ""
    ) -> dict[str, Any]:
        """Send a command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params or {}}
        if session is not None:
            message["sessionId"] = session or self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (told := self._next()).get("id") != self._number:
            self.events.append(told)
        if "error" in told:
            raise RuntimeError(f"{method}: {told['error']}")
        result: dict[str, Any] = told["result"]
        return result

    def open(self, path: Path) -> None:
        """Open a file and wait until it has loaded."""
        self.send("Page.navigate", {"url": path.as_uri()})
        self.until(f"location.href.startsWith({path.as_uri()!r}) && document.readyState")
        self.until("document.readyState == 'complete'")

    def ask(self, script: str) -> Any:  # noqa: ANN401 - whatever a script says
        """Return what a script comes to."""
        asked = {"expression": script, "returnByValue": True, "awaitPromise": True}
        told = self.send("Runtime.evaluate", asked)
        if "exceptionDetails" in told:
            raise RuntimeError(f"{script}: {told['exceptionDetails']}")
        return told["result"].get("value")

    def until(self, script: str) -> Any:  # noqa: ANN401
        """Return what a script comes to as soon as that is true."""
        end = time.monotonic() + _PATIENCE
        while not (value := self.ask(script)):
            if time.monotonic() > end:
                raise TimeoutError(script)
            time.sleep(0.02)
        return value

    def press(self, key: str, code: int = 0) -> None:
        """Press a key and let it go."""
        text = "\r" if key == "Enter" else ""
        for kind in ("keyDown", "keyUp"):
            asked = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code}
            self.send(
                "Input.dispatchKeyEvent", {**asked, **({"text": text} if kind == "keyDown" else {})}
            )

    def size(self, width: int, height: int, *, phone: bool = False) -> None:
        """Be a screen of this size."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone},
        )

    def scheme(self, name: str) -> None:
        """Prefer `light` or `dark`."""
        feature = {"name": "prefers-color-scheme", "value": name}
        self.send("Emulation.setEmulatedMedia", {"features": [feature]})

    def picture(self, path: Path) -> None:
        """Write a screenshot."""
        data = self.send("Page.captureScreenshot", {"format": "png"})["data"]
        path.write_bytes(base64.b64decode(data))

    def paper(self, path: Path) -> bytes:
        """Write the page as a PDF, and return it."""
        data = self.send("Page.printToPDF", {"printBackground": True})["data"]
        path.write_bytes(base64.b64decode(data))
        return path.read_bytes()

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + _PATIENCE
        while b"\0" not in self._rest:
            if not select.select([self._read], [], [], max(end - time.monotonic(), 0))[0]:
                raise TimeoutError("the browser says nothing")
            more = os.read(self._read, 1 << 20)
            if not more:
                raise EOFError("the browser has ended")
            self._rest += more
        first, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        return message


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Yield a browser with a fresh profile, and end it."""
    program = found()
    assert program is not None, "there is no Chromium here"
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    # It reads commands from its descriptor 3 and writes to 4.
    start = (sys.executable, "-c", _START, str(in_read), str(out_write))
    command = (*start, program, *_FLAGS, f"--user-data-dir={profile}")
    with subprocess.Popen(
        command, pass_fds=(in_read, out_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        os.close(in_read)
        os.close(out_write)
        try:
            made = Browser(in_write, out_read)
            yield made
            with contextlib.suppress(EOFError):
                made.send("Browser.close", session=None)
            process.wait(20)
        finally:
            process.kill()
            os.close(in_write)
            os.close(out_read)
