"""The app: routes, limits and errors around one open memory."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.routing import Route

from semantic_memory import SemanticMemory
from semantic_memory.frontends.http_api import facts, health, people, recalls
from semantic_memory.frontends.http_api.backlog import Backlog, Ending
from semantic_memory.frontends.http_api.body_limit import BodyLimit
from semantic_memory.frontends.http_api.description import describe
from semantic_memory.frontends.http_api.guard import Guard
from semantic_memory.frontends.http_api.mcp_endpoint import McpEndpoint
from semantic_memory.frontends.http_api.problems import COMMON, add_handlers, unexpected
from semantic_memory.frontends.http_api.rates import Rates
from semantic_memory.frontends.http_api.requests import RequestMiddleware
from semantic_memory.frontends.http_api.telemetry import Telemetry
from semantic_memory.frontends.page import add_page
from semantic_memory.settings import ServerSettings

log = logging.getLogger("semantic_memory.server")

OpenMemory = Callable[[], AbstractAsyncContextManager[SemanticMemory]]


def create_app(
    open_memory: OpenMemory, settings: ServerSettings | None = None, *, telemetry: Telemetry | None = None
) -> FastAPI:
    """The server as an ASGI app; it opens its memory when it starts and closes it, drained, when it ends."""
    settings, telemetry, backlog = settings or ServerSettings(), telemetry or Telemetry(), Backlog()
    mcp = McpEndpoint(telemetry, trusted=settings.mcp_trusted)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                rates = Rates(settings.rate, settings.rate_storage)
                stack.push_async_callback(rates.close)
                app.state.memory = memory = await stack.enter_async_context(open_memory())
                app.state.guard = Guard(memory, rates)
                stack.push_async_callback(lambda: backlog.drain(app.state.ending.left()))
                await stack.enter_async_context(mcp.open(memory, app.state.guard))
            except Exception as error:
                app.state.failed = error
                log.error("the server could not start", exc_info=error)
                raise
            yield
            app.state.ending.begin()

    app = FastAPI(
        title="semantic-memory",
        version=version("semantic-memory"),
        summary="What is true about your users, for agents.",
        lifespan=lifespan,
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
        responses=COMMON,
        redirect_slashes=False,
    )
    app.state.telemetry, app.state.backlog, app.state.ending = telemetry, backlog, Ending(settings.drain_patience)
    app.state.failed = None  # what kept it from starting
    telemetry.watch_backlog(lambda: len(backlog))
    for routes in (facts, recalls, people, health):
        app.include_router(routes.router)
    add_page(app)
    app.router.routes.append(Route(mcp.path, mcp, include_in_schema=False))
    add_handlers(app)
    describe(app)
    app.add_middleware(BodyLimit, most=settings.max_body)
    app.add_middleware(RequestMiddleware, telemetry=telemetry, unexpected=unexpected)
    return app
