"""Running the server: where it listens, what it logs, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from math import ceil
from socket import socket

import uvicorn
from fastapi import FastAPI

from semantic_memory import InvalidInput, Key, SemanticMemory, SemanticMemoryError, Settings
from semantic_memory.frontends.http_api.app import create_app
from semantic_memory.frontends.http_api.backlog import Ending
from semantic_memory.frontends.http_api.hosts import is_loopback
from semantic_memory.frontends.http_api.logs import JsonLines
from semantic_memory.settings import ServerSettings

NOTICE = 1.0  # seconds in which whoever balances the load can see it


class GentleServer(uvicorn.Server):
    """Says that it isn't ready while it still answers, then takes nothing new, and ends what was begun in time."""

    def __init__(self, config: uvicorn.Config, ending: Ending) -> None:
        super().__init__(config)
        self._ending = ending

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begin, and tell the garbage collector that what there is by now stays: modules, routes, models.

        Its full rounds stop every thread, and went through 217,000 objects in 0.2 s.
        """
        await super().startup(sockets)
        gc.collect()
        gc.freeze()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """End, a moment after `/health/ready` has begun to fail."""
        self._ending.begin()
        await asyncio.sleep(min(NOTICE, self._ending.left() / 2))
        self.config.timeout_graceful_shutdown = ceil(self._ending.left())
        await super().shutdown(sockets)


def check_address(settings: ServerSettings, keys: list[Key]) -> None:
    """Raise `InvalidInput` for an address that others can reach while nobody has a key."""
    if not is_loopback(settings.host) and not any(key.revoked_at is None for key in keys):
        raise InvalidInput(f"{settings.host} can be reached by others: make a key first, with `keys create`")


async def serve(memory_settings: Settings, settings: ServerSettings) -> None:
    """Serve until a signal comes, then end what was begun. Raises `InvalidInput` where it can't listen."""
    _log_as_json()
    app = create_app(lambda: SemanticMemory.open(memory_settings), settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,  # it would write paths, and user ids with them
        server_header=False,
    )
    try:
        await GentleServer(config, app.state.ending).serve()
    except SystemExit:  # how uvicorn says that it could not begin
        raise _why_not(app, settings) from None


def _why_not(app: FastAPI, settings: ServerSettings) -> SemanticMemoryError:
    """What kept a server from beginning, in its own words where they are the library's."""
    failed = app.state.failed
    if isinstance(failed, SemanticMemoryError):
        return failed
    if failed is not None:
        return InvalidInput(f"the server could not start: {type(failed).__name__}; the log says where")
    return InvalidInput(f"can't listen on {settings.host}:{settings.port}")


def _log_as_json() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
