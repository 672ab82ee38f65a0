"""Who calls and what they may do: told by the key that they show, and by nothing else in the request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from semantic_memory import Key, NotFound, SemanticMemory, UserMemory
from semantic_memory.facts import Scope
from semantic_memory.frontends.http_api.metered import MeteredUser
from semantic_memory.frontends.http_api.problems import Refused
from semantic_memory.frontends.http_api.rates import Rates

bearer = HTTPBearer(auto_error=False, description="A key: `semantic-memory keys create`")


class Guard:
    """Lets in who shows a key that is known, and not too often."""

    def __init__(self, memory: SemanticMemory, rates: Rates) -> None:
        self._memory = memory
        self._rates = rates

    async def key(self, request: Request) -> Key:
        """The key that the request shows. Raises `Refused` for none, for an unknown one, for too many requests."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        host = request.client.host if request.client else ""
        key = await self._memory.keys.known(token.strip()) if kind.lower() == "bearer" and token.isascii() else None
        await self._rates.count(*(("key", key.id) if key else ("host", host)))
        if key is None:
            raise Refused(HTTPStatus.UNAUTHORIZED, "show a key: Authorization: Bearer ...", WWW_Authenticate="Bearer")
        request.state.key_id = key.id
        return key


async def caller(request: Request, _shown: Annotated[object, Depends(bearer)]) -> Key:
    """The key that a request shows."""
    guard: Guard = request.app.state.guard
    return await guard.key(request)


def require(key: Key, scope: Scope) -> None:
    """Raise `Refused` unless the key has the scope."""
    if scope not in key.scopes:
        raise Refused(HTTPStatus.FORBIDDEN, f"this key has no scope {scope}")


def everybody(scope: Scope) -> Callable[..., Awaitable[SemanticMemory]]:
    """A dependency: the whole memory, for a key that is bound to no user."""

    async def allowed(request: Request, key: Annotated[Key, Depends(caller)]) -> SemanticMemory:
        if key.user_id is not None:
            raise NotFound
        require(key, scope)
        memory: SemanticMemory = request.app.state.memory
        return memory

    return allowed


def somebody(scope: Scope) -> Callable[..., Awaitable[UserMemory]]:
    """A dependency: the memory of the user in the path; for a key of another user there is none."""

    async def allowed(request: Request, user_id: str, key: Annotated[Key, Depends(caller)]) -> UserMemory:
        try:
            named = unquote(user_id, errors="strict")
        except UnicodeDecodeError:
            raise NotFound from None
        if key.user_id not in (None, named):
            raise NotFound
        require(key, scope)
        return MeteredUser(request.app.state.memory, named, request.app.state.telemetry)

    return allowed


Reader = Annotated[UserMemory, Depends(somebody("read"))]
Writer = Annotated[UserMemory, Depends(somebody("write"))]
Admin = Annotated[UserMemory, Depends(somebody("admin"))]
