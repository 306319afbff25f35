"""A page in headless Chromium that is used as a person would: waited for, pressed, looked at, its console read.

Speaks the browser's DevTools protocol over tornado's web socket, which Jupyter brings along.
"""

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tornado.websocket import WebSocketClientConnection, websocket_connect

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-port=0"),
)
SECONDS = 90.0
"""For a page to show what it is asked for."""
CLOSE_SECONDS = 10.0
MESSAGE_BYTES = 64 * 2**20
"""Largest message: a picture."""


@dataclass
class Seen:
    """What a script found in a page, and the errors in its console."""

    found: Any
    errors: list[str] = field(default_factory=list)


def chromium() -> str:
    """The browser; skips where there is none, and fails in CI, where there has to be one."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        missing = "no Chromium here to open the page with; on Debian: apt-get install chromium"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return browser


def visit(
    address: str, script: str, picture: Path, width: int = 1400, height: int = 1300, downloads: Path | None = None
) -> Seen:
    """Open `address`, and run `script`, the body of an async function, again and again until it returns something.

    Files that the page saves go to the folder `downloads`.

    A picture of the page is then kept in the file `picture`, and in the folder SCREENSHOTS, where that is set.
    """
    with _browser(picture.with_suffix(".profile"), f"--window-size={width},{height}") as port:
        return asyncio.run(_visit(port, address, script, picture, downloads))


async def _visit(port: int, address: str, script: str, picture: Path, downloads: Path | None) -> Seen:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/json/new?about:blank", method="PUT")
    with urllib.request.urlopen(request, timeout=20) as answer:
        socket = json.load(answer)["webSocketDebuggerUrl"]
    page = _Page(await websocket_connect(socket, max_message_size=MESSAGE_BYTES))
    for domain in ("Page", "Runtime", "Log"):
        await page.ask(f"{domain}.enable")
    if downloads is not None:
        await page.ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
    await page.ask("Page.navigate", url=address)
    loaded = "if (document.readyState !== 'complete') return null;"
    expression = f"(async () => {{ {loaded} {script} }})()"
    until, found, answered = time.monotonic() + SECONDS, None, {}
    while found is None and time.monotonic() < until:
        await asyncio.sleep(0.25)
        answered = await page.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        found = answered["result"].get("value") if "exceptionDetails" not in answered else None
    if found is None and "exceptionDetails" in answered:
        page.errors.append(f"the script itself: {answered['exceptionDetails']}")
    image = await page.ask("Page.captureScreenshot", format="png")
    picture.write_bytes(base64.b64decode(image["data"]))
    keep = os.environ.get("SCREENSHOTS")
    if keep:
        Path(keep).mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, Path(keep) / picture.name)
    await page.close()
    return Seen(found, page.errors)


class _Page:
    def __init__(self, socket: WebSocketClientConnection) -> None:
        self.socket = socket
        self.errors: list[str] = []
        self._asked = 0

    async def close(self) -> None:
        self.socket.close()
        with suppress(TimeoutError):  # until the other end has closed too: nothing is left open
            while await asyncio.wait_for(self.socket.read_message(), CLOSE_SECONDS) is not None:
                pass

    async def ask(self, method: str, **arguments: Any) -> dict[str, Any]:
        """The answer to a command; what the console says meanwhile is noted."""
        self._asked += 1
        await self.socket.write_message(json.dumps({"id": self._asked, "method": method, "params": arguments}))
        while True:
            text = await asyncio.wait_for(self.socket.read_message(), SECONDS)
            assert text is not None, "the browser hung up"
            message: dict[str, Any] = json.loads(text)
            if message.get("id") == self._asked:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self._note(message.get("method"), message.get("params", {}))

    def _note(self, event: str | None, params: dict[str, Any]) -> None:
        if event == "Runtime.exceptionThrown":
            self.errors.append(str(params["exceptionDetails"].get("exception", params["exceptionDetails"])))
        elif event == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif event == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.errors.append(" ".join(str(argument.get("value", argument)) for argument in params["args"]))


@contextmanager
def _browser(profile: Path, *flags: str) -> Iterator[int]:
    """A browser with a fresh profile, gone at the end; gives the port that it listens on."""
    command = [chromium(), *FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield _port(profile / "DevToolsActivePort", process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _port(file: Path, process: subprocess.Popen[bytes]) -> int:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        if file.exists() and (text := file.read_text()).count("\n"):
            return int(text.splitlines()[0])
        time.sleep(0.1)
    raise AssertionError("the browser did not start")
