"""What every request goes through: its id, its log line, its span, and the headers of every answer."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from contextvars import ContextVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from semantic_memory.frontends.http_api.telemetry import Telemetry
from semantic_memory.identity import new_id

log = logging.getLogger("semantic_memory.server")
request_id: ContextVar[str] = ContextVar("semantic_memory_request_id", default="")

USABLE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class RequestMiddleware:
    """Numbers, times and logs requests. A log line names the route, never the path: user ids stand in paths."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry, unexpected: Callable[[Exception], ASGIApp]) -> None:
        self._app = app
        self._telemetry = telemetry
        self._unexpected = unexpected  # the answer to an error that no handler knows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # As it was sent: a user id may hold a slash, and %2F must not become a separator.
        scope["path"] = (scope.get("raw_path") or scope["path"].encode()).decode("ascii", "replace")
        headers = Headers(scope=scope)
        request_id.set(_id(headers))
        status, began = 0, time.perf_counter()

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _complete(MutableHeaders(scope=message))
            await send(message)

        with self._telemetry.request(scope["method"], headers) as span:
            try:
                await self._app(scope, receive, answer)
            except Exception as error:
                self._telemetry.failed(span, error)
                if status:  # too late for another answer: the server cuts this one off
                    status = 500
                    raise
                await self._unexpected(error)(scope, receive, answer)
            finally:
                status = status or 500
                seconds, route = time.perf_counter() - began, _route(scope)
                self._telemetry.answered(span, scope["method"], route, status, seconds)
                log.info(
                    "request",
                    extra={"method": scope["method"], "route": route, "status": status, "ms": round(seconds * 1000, 1)}
                    | {"key": scope.get("state", {}).get("key_id")},
                )


def _id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if USABLE_ID.fullmatch(given) else new_id()


def _complete(headers: MutableHeaders) -> None:
    headers["X-Request-ID"] = request_id.get()
    for name, value in HEADERS.items():
        headers.setdefault(name, value)


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", None) or "unknown"
