"""What an extractor is to this library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from semantic_memory.facts import CandidateFact, Fact, Message


@runtime_checkable
class Extractor(Protocol):
    """Messages to candidate facts."""

    @property
    def version(self) -> str:
        """Name and version, kept with every piece of evidence: "sentences/1"."""
        ...

    async def extract(
        self, messages: Sequence[Message], *, known: Sequence[Fact] = (), context: Sequence[Message] = ()
    ) -> Sequence[CandidateFact]:
        """What `messages` say about the user.

        `known` are the user's related facts, which a candidate may repeat or replace by id;
        `context` are earlier messages, to understand the new ones and not to learn from.
        """
        ...
