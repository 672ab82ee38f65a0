"""How long a request may be: refused by what it declares, or as soon as more has come."""

from __future__ import annotations

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from semantic_memory.frontends.http_api.problems import Refused, refusal


class BodyLimit:
    """Lets no request through whose body is longer than `most` bytes."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._most:
                raise self._too_long()
            return message

        if scope["type"] == "http" and _declared(scope) > self._most:
            await refusal(self._too_long())(scope, receive, send)
        else:
            await self._app(scope, counted, send)

    def _too_long(self) -> Refused:
        return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has at most {self._most} bytes")


def _declared(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0
