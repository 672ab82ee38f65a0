"""Routes of users as a whole: who there is, moving, erasing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from semantic_memory import Certificate, Fact, InvalidInput, Key, Lineage, Placed, SemanticMemory
from semantic_memory.frontends.http_api.bodies import Name
from semantic_memory.frontends.http_api.examples import LINEAGE
from semantic_memory.frontends.http_api.guard import Admin, Reader, Writer, caller, everybody
from semantic_memory.frontends.transfer import read_lines, to_line

router = APIRouter(prefix="/v1", tags=["users"])

LINES = "application/x-ndjson"


class Imported(BaseModel):
    """What an import wrote."""

    written: list[Fact]
    known: int  # facts that stay as they are


@router.get("/key", summary="What the shown key may do")
async def key(shown: Annotated[Key, Depends(caller)]) -> Key:
    """Its scopes, and the user it is bound to."""
    return shown


@router.get("/users", summary="Everybody with a memory")
async def users(memory: Annotated[SemanticMemory, Depends(everybody("admin"))]) -> list[str]:
    """Their ids; for keys that are bound to no user."""
    return await memory.users()


@router.delete("/users/{user_id}", summary="Erase everything about a user")
async def erase(user: Admin) -> Certificate:
    """Facts, quotes, vectors, receipts, and the keys that are bound to the user. The answer certifies it."""
    return await user.erase()


@router.get("/users/{user_id}/timeline", summary="How what is known came about")
async def timeline(user: Reader, about: Name | None = None) -> list[list[Lineage]]:
    """Chains of facts of which each replaced the one before, oldest first; all, or those about a subject."""
    return [list(chain) for chain in await user.timeline(about)]


@router.get("/users/{user_id}/map", summary="The active facts on a plane")
async def map_(user: Reader) -> list[Placed]:
    """What is near in meaning is near on it, as far as a plane allows."""
    return await user.map()


@router.get(
    "/users/{user_id}/export",
    summary="All facts with their lineage, as JSON lines",
    response_class=StreamingResponse,
    responses={200: {"content": {LINES: {"schema": {"type": "string"}, "example": to_line(LINEAGE) + "\n"}}}},
)
async def export(user: Reader) -> StreamingResponse:
    """A line a fact, in the form that import reads."""
    found = await user.lineages()

    def lines() -> Iterator[str]:
        yield from (f"{to_line(one)}\n" for one in found)

    return StreamingResponse(lines(), media_type=LINES)


@router.post(
    "/users/{user_id}/import",
    summary="Take over exported facts",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {LINES: {"schema": {"type": "string"}, "example": '{"user_id": "ada", "text": "Likes tea"}'}},
        }
    },
)
async def import_(user: Writer, request: Request) -> Imported:
    """JSON lines, all about the user in the path. Facts whose ids are known stay as they are."""
    try:
        lines = (await request.body()).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InvalidInput("the lines are not UTF-8") from None
    given = await run_in_threadpool(read_lines, lines, now=datetime.now(UTC))
    if set(given) - {user.user_id}:
        raise InvalidInput("a line is about another user")
    lineages = given.get(user.user_id, [])
    written = await user.restore(lineages)
    return Imported(written=written, known=len({one.fact.id for one in lineages}) - len(written))
