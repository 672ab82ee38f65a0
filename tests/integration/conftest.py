"""A memory with a fast embedding model, and agents that say what they are told to say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from agents.memory import Session

from semantic_memory import SemanticMemory, Settings, UserMemory, recalling
from semantic_memory.testing import HashEmbeddingModel
from tests.integration.session_kinds import KINDS

OpenSession = Callable[..., Awaitable[Session]]


@pytest.fixture
async def open_memory(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[SemanticMemory]]]:
    """Open a memory on the test's folder as often as you like; all are closed at the end."""
    async with AsyncExitStack() as stack:

        async def open_memory(**parts: Any) -> SemanticMemory:
            own = {name: parts.pop(name) for name in list(parts) if name in Settings.__dataclass_fields__}
            settings = Settings(**{"path": tmp_path / "memory", "min_relevance": 0.05} | own)
            opened = SemanticMemory.open(settings, **{"embedding": HashEmbeddingModel()} | parts)
            return await stack.enter_async_context(opened)

        yield open_memory


@pytest.fixture
async def memory(open_memory: Callable[..., Awaitable[SemanticMemory]]) -> SemanticMemory:
    return await open_memory()


@pytest.fixture
def ada(memory: SemanticMemory) -> UserMemory:
    return memory.user("ada")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine may be busy: that the index answers is not a matter of milliseconds where this is used."""
    monkeypatch.setattr(recalling, "INDEX_PATIENCE", 5.0)


@pytest.fixture(params=KINDS)
async def open_session(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenSession]:
    """Open a session of one kind by its id; the same id is the same transcript."""
    async with AsyncExitStack() as stack:
        open_one = await stack.enter_async_context(KINDS[request.param](tmp_path))

        async def open_session(session_id: str = "acme-billing", *, limit: int | None = None) -> Session:
            return await open_one(session_id, limit)

        yield open_session
