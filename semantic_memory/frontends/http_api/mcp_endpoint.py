"""MCP over streamable HTTP: the same tools, for the user whom the key is bound to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from http import HTTPStatus
from urllib.parse import urlsplit

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from semantic_memory import InvalidInput, Key, MemoryUnavailable, SemanticMemory, UserMemory, facts
from semantic_memory.frontends.http_api.guard import Guard
from semantic_memory.frontends.http_api.hosts import is_loopback
from semantic_memory.frontends.http_api.metered import MeteredUser
from semantic_memory.frontends.http_api.problems import Refused
from semantic_memory.frontends.http_api.telemetry import Telemetry
from semantic_memory.frontends.mcp_server import mcp_server

caller: ContextVar[Key] = ContextVar("semantic_memory_caller")


class McpEndpoint:
    """An ASGI app; it keeps no sessions, so that any of several servers can answer any request."""

    path = "/mcp"  # what logs, traces and metrics call it

    def __init__(self, telemetry: Telemetry, *, trusted: bool) -> None:
        self._telemetry = telemetry
        self._trusted = trusted
        self._guard: Guard | None = None
        self._manager: StreamableHTTPSessionManager | None = None

    @asynccontextmanager
    async def open(self, memory: SemanticMemory, guard: Guard) -> AsyncIterator[None]:
        """Serve until the end of the block."""

        def whose(scope: facts.Scope) -> UserMemory:
            key = caller.get()
            if scope not in key.scopes:
                raise InvalidInput(f"this key has no scope {scope}")
            return MeteredUser(memory, key.user_id or "", self._telemetry)

        server = mcp_server(whose, trusted=self._trusted)
        # Origins are looked at below. Names of hosts say nothing here: a proxy passes on whichever is its own.
        security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        server.streamable_http_app(stateless_http=True, json_response=True, transport_security=security)
        async with server.session_manager.run():
            self._guard, self._manager = guard, server.session_manager
            yield
            self._manager = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; its key says whose memory it is."""
        scope["route"] = self
        if self._guard is None or self._manager is None:
            raise MemoryUnavailable("the server shuts down")
        request = Request(scope)
        _refuse_pages_from_elsewhere(request.headers.get("origin"))
        key = await self._guard.key(request)
        if key.user_id is None:
            raise Refused(HTTPStatus.FORBIDDEN, "MCP needs a key that is bound to a user: keys create --user")
        if scope["method"] != "POST":  # no stream without a session: it would only hold a connection
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "this endpoint takes POST", Allow="POST")
        caller.set(key)
        await self._manager.handle_request(scope, await _read(scope, receive), send)


def _refuse_pages_from_elsewhere(origin: str | None) -> None:
    """Raise `Refused` for a page of another machine, by whichever name it reached this one.

    Programs send no origin.
    """
    if origin is not None and not is_loopback(_host(origin)):
        raise Refused(HTTPStatus.FORBIDDEN, "pages of other machines may not use this endpoint")


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


async def _read(scope: Scope, receive: Receive) -> Receive:
    """What receives the request again, once it has come: one that is too long is refused here, not by the protocol."""
    body = [await Request(scope, receive).body()]

    async def again() -> Message:
        return {"type": "http.request", "body": body.pop()} if body else await receive()

    return again
