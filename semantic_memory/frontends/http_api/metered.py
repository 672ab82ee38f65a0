"""A user's memory whose verbs are counted, whichever way they are asked for: over HTTP or MCP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from semantic_memory import CandidateFact, Fact, Learned, Lineage, Recall, SemanticMemory, UserMemory
from semantic_memory.facts import Asked, Source
from semantic_memory.frontends.http_api.telemetry import Telemetry
from semantic_memory.identity import check_user_id


class MeteredUser(UserMemory):
    """One user's facts; what is written, learned and recalled is counted."""

    def __init__(self, memory: SemanticMemory, user_id: str, telemetry: Telemetry) -> None:
        super().__init__(memory, check_user_id(user_id))
        self._telemetry = telemetry

    async def ask(self, asked: Asked) -> Recall:
        """As `UserMemory.ask`."""
        found = await super().ask(asked)
        self._telemetry.recalled(found)
        return found

    async def remember_all(
        self, statements: Sequence[str | CandidateFact], *, source: Source | None = None
    ) -> list[Fact]:
        """As `UserMemory.remember_all`."""
        kept = await super().remember_all(statements, source=source)
        self._telemetry.wrote(len(kept), "remember")
        return kept

    async def remember_quoted(self, *given: Any, **more: Any) -> Fact:
        """As `UserMemory.remember_quoted`."""
        kept = await super().remember_quoted(*given, **more)
        self._telemetry.wrote(1, "quoted")
        return kept

    async def correct(self, fact_id: str, text: str, *, reason: str | None = None) -> Fact:
        """As `UserMemory.correct`."""
        newer = await super().correct(fact_id, text, reason=reason)
        self._telemetry.wrote(1, "correct")
        return newer

    async def correct_quoted(self, *given: Any, **more: Any) -> Fact:
        """As `UserMemory.correct_quoted`."""
        newer = await super().correct_quoted(*given, **more)
        self._telemetry.wrote(1, "correct")
        return newer

    async def restore(self, lineages: Sequence[Lineage], **more: Any) -> list[Fact]:
        """As `UserMemory.restore`."""
        written = await super().restore(lineages, **more)
        self._telemetry.wrote(len(written), "import")
        return written

    async def learn_items(self, items: str | Sequence[Any], **more: Any) -> Learned:
        """As `UserMemory.learn_items`."""
        learned = await super().learn_items(items, **more)
        self._telemetry.learned(learned)
        return learned
