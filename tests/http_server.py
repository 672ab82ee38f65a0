"""A real server on the loopback, in this process, and clients for it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from semantic_memory import SemanticMemory, Settings
from semantic_memory.facts import Scope
from semantic_memory.frontends.http_api.app import create_app
from semantic_memory.settings import ServerSettings
from semantic_memory.testing import HashEmbeddingModel

PATIENCE = 60.0  # seconds: this machine may be busy with other tests
ALL: tuple[Scope, ...] = ("read", "write", "admin")


@dataclass(frozen=True)
class Served:
    url: str
    app: FastAPI
    server: uvicorn.Server

    @property
    def memory(self) -> SemanticMemory:
        """The memory that it serves."""
        found: SemanticMemory = self.app.state.memory
        return found

    async def token(self, *scopes: Scope, user: str | None = None) -> str:
        """The token of a new key."""
        return (await self.memory.keys.create(scopes or ALL, user_id=user))[1]

    @asynccontextmanager
    async def client(self, *scopes: Scope, user: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """A client with a new key."""
        headers = {"Authorization": f"Bearer {await self.token(*scopes, user=user)}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=PATIENCE) as client:
            yield client


@asynccontextmanager
async def served(
    folder: Path, *, server: ServerSettings | None = None, app: Any = None, **parts: Any
) -> AsyncIterator[Served]:
    """A server over a memory in a folder; `parts` are settings and parts of the memory."""
    own = {name: parts.pop(name) for name in list(parts) if name in Settings.__dataclass_fields__}
    settings = Settings(**{"path": folder, "min_relevance": 0.05} | own)
    parts = {"embedding": HashEmbeddingModel()} | parts
    app = create_app(lambda: SemanticMemory.open(settings, **parts), server, **(app or {}))
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        running = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5))
        task = asyncio.ensure_future(running.serve(sockets=[place]))
        while not running.started:
            assert not task.done(), "the server could not start"
            await asyncio.sleep(0.01)
        try:
            yield Served(f"http://127.0.0.1:{place.getsockname()[1]}", app, running)
        finally:
            running.should_exit = True
            await task
