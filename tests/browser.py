"""A headless Chromium, spoken to by its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.servers import missing

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", "--disable-dev-shm-usage", "--remote-debugging-port=0", "about:blank"),
)
PATIENCE = 20.0  # seconds for something to appear


class Tab:
    """One page, and what it complained about."""

    def __init__(self, wire: ClientConnection, session: str) -> None:
        self._wire = wire
        self._session = session
        self._numbers = itertools.count(100)
        self.complaints: list[str] = []

    async def call(self, method: str, **given: Any) -> Any:
        """The answer to a command; what happens meanwhile is looked at."""
        number = next(self._numbers)
        await self._wire.send(json.dumps({"id": number, "sessionId": self._session, "method": method, "params": given}))
        while True:
            said = json.loads(await asyncio.wait_for(self._wire.recv(), PATIENCE))
            if said.get("id") == number:
                assert "error" not in said, said
                return said["result"]
            self._note(said)

    def _note(self, said: dict[str, Any]) -> None:
        event, given = said.get("method"), said.get("params", {})
        if event == "Log.entryAdded" and given["entry"]["level"] == "error":
            self.complaints.append(f"{given['entry']['text']} {given['entry'].get('url')}")
        if event == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(given["exceptionDetails"]))

    async def open(self, url: str) -> None:
        """Go to a page."""
        await self.call("Page.navigate", url=url)

    async def js(self, expression: str) -> Any:
        """What an expression is in the page."""
        result = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def wait(self, expression: str) -> Any:
        """The first true value of an expression."""
        for _ in range(int(PATIENCE / 0.05)):
            if found := await self.js(f"!!({expression})"):
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(f"never true: {expression}\n{await self.js('document.body.innerText')}\n{self.complaints}")

    async def sees(self, words: str) -> None:
        """Wait until words are on the page."""
        await self.wait(f"document.body.innerText.includes({json.dumps(words)})")

    async def fill(self, selector: str, words: str) -> None:
        """Type into a field."""
        await self.wait(f"document.querySelector({json.dumps(selector)})")
        await self.js(f"(one => {{ one.focus(); one.select(); }})(document.querySelector({json.dumps(selector)}))")
        await self.call("Input.insertText", text=words)

    async def press(self, key: str, code: int = 0, text: str | None = None) -> None:
        """Press a key."""
        more: dict[str, Any] = {"text": text} if text else {}
        await self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **more)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    async def click(self, words: str, within: str = "body") -> None:
        """Press the button or link with these words."""
        find = (
            f"[...document.querySelectorAll({json.dumps(within + ' :is(button, a, summary)')})]"
            f".find(one => one.textContent.trim().includes({json.dumps(words)}))"
        )
        await self.wait(f"Boolean({find})")
        await self.js(f"{find}.click()")

    async def picture(self, *, width: int = 1280, height: int = 860, dark: bool = False) -> bytes:
        """What it looks like, as a PNG."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.call("Emulation.setEmulatedMedia", features=scheme)
        await asyncio.sleep(0.3)
        shot = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Tab]:
    """A tab of a browser that knows nothing."""
    command = chromium()
    process = await asyncio.create_subprocess_exec(
        command, f"--user-data-dir={folder}", *FLAGS, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with connect(await _address(process), max_size=None) as wire:
            yield await _tab(wire)
    finally:
        process.terminate()
        await process.communicate()


def chromium() -> str:
    """The browser's command; skips the test where there is none, fails it where servers are required."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return next(filter(None, found), None) or missing("no Chromium: install Debian's chromium, or Chrome")


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    while line := await asyncio.wait_for(process.stderr.readline(), 60):
        if b"DevTools listening on " in line:
            return line.decode().partition("listening on ")[2].strip()
    raise AssertionError("Chromium ended")


async def _tab(wire: ClientConnection) -> Tab:
    async def ask(number: int, method: str, **given: Any) -> Any:
        await wire.send(json.dumps({"id": number, "method": method, "params": given}))
        while (said := json.loads(await wire.recv())).get("id") != number:
            pass
        return said["result"]

    target = (await ask(1, "Target.createTarget", url="about:blank"))["targetId"]
    session = (await ask(2, "Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
    tab = Tab(wire, session)
    for domain in ("Page", "Runtime", "Log"):
        await tab.call(f"{domain}.enable")
    return tab
