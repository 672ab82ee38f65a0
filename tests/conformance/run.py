"""The MCP conformance suite against a real server.

    python -m tests.conformance.run [OPTIONS OF THE SUITE]

The suite has no way to show a key, so a layer before the server shows one. `baseline.yml` names the scenarios that
don't apply, with the reason; the suite fails where one of the others does, and where one of these passes after all.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import tempfile
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from semantic_memory import SemanticMemory, Settings
from semantic_memory.frontends.http_api.app import create_app
from semantic_memory.settings import ServerSettings
from semantic_memory.testing import HashEmbeddingModel

SUITE = "@modelcontextprotocol/conformance@0.1.13"  # the last that runs on Node 20
BASELINE = Path(__file__).with_name("baseline.yml")


class ShowingKey:
    """An app that every request shows a key."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.token = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http":
            scope["headers"] = [*scope["headers"], (b"authorization", f"Bearer {self.token}".encode())]
        await self._app(scope, receive, send)


async def checked(folder: Path, *options: str) -> int:
    """How the suite ends."""
    settings = Settings(path=folder / "memory")
    app = create_app(lambda: SemanticMemory.open(settings, embedding=HashEmbeddingModel()), ServerSettings())
    showing = ShowingKey(app)
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(showing, log_config=None, lifespan="on", timeout_graceful_shutdown=5))
        running = asyncio.ensure_future(server.serve(sockets=[place]))
        while not server.started:
            assert not running.done(), "the server could not start"
            await asyncio.sleep(0.05)
        showing.token = (await app.state.memory.keys.create(("read", "write"), user_id="ada"))[1]
        url = f"http://127.0.0.1:{place.getsockname()[1]}/mcp"
        code = await _suite("--url", url, "--expected-failures", str(BASELINE), *options, folder=folder)
        server.should_exit = True
        await running
    return code


async def _suite(*options: str, folder: Path) -> int:
    process = await asyncio.create_subprocess_exec("npx", "--yes", SUITE, "server", *options, cwd=folder)
    return await process.wait()


def main() -> None:
    """Run it."""
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(asyncio.run(checked(Path(folder), *sys.argv[1:])))


if __name__ == "__main__":
    main()
