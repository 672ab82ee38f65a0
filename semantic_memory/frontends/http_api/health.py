"""Routes that say how the server is."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from semantic_memory import Health, MemoryUnavailable, SemanticMemory
from semantic_memory.frontends.http_api.guard import everybody
from semantic_memory.patience import in_time

router = APIRouter(tags=["health"])

PATIENCE = 2.0  # seconds


class Alive(BaseModel):
    """That the server answers."""

    status: Literal["ok"] = "ok"


@router.get("/health/live", summary="Whether the process answers")
async def live() -> Alive:
    """Restart it when this fails."""
    return Alive()


@router.get("/health/ready", summary="Whether requests can be served")
async def ready(request: Request) -> Alive:
    """Send no requests here while this fails: the ledger is away, or the server shuts down."""
    memory: SemanticMemory = request.app.state.memory
    if request.app.state.ending.begun:
        raise MemoryUnavailable("the server shuts down")
    try:
        await in_time(memory.keys.known(""), PATIENCE)
    except TimeoutError:
        raise MemoryUnavailable("the ledger does not answer") from None
    return Alive()


@router.get("/v1/health", summary="What the doctor sees")
async def health(memory: Annotated[SemanticMemory, Depends(everybody("admin"))]) -> Health:
    """Counts, sizes, and whether ledger, index and model agree; for keys that are bound to no user."""
    return await memory.health()
