"""The learn pass of a memory on a server, as runs know it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from semantic_memory.facts import Learned, Message, Source
from semantic_memory.transcript import WHOLE, Part

if TYPE_CHECKING:
    from semantic_memory.client import RemoteUser


@dataclass(frozen=True, slots=True)
class PostedLearner:
    """The learn pass as runs know it, on a server.

    What was popped from a session is never inferred here: between this side's look at the session and the server's at
    what was learned, others may have learned more. `rewind` is the certain way.
    """

    user: RemoteUser

    async def known(self, user_id: str, source: Source) -> tuple[()]:
        """Nothing that this side could conclude anything from."""
        return ()

    def popped_claims(self, known: Any, transcript: Sequence[Message], items: Sequence[Any]) -> tuple[()]:
        """Nothing is inferred."""
        return ()

    async def learn(self, user_id: str, transcript: Sequence[Message], source: Source, *, gone: Any = ()) -> Learned:
        """Post the messages, each at its position."""
        known = {"agent": source.agent, "run_id": source.run_id, "trace_id": source.trace_id}
        return await self.user.learn_transcript(transcript, source.session_id, source.labels, known)

    def turn_claims(self, items: Sequence[Any], turn: Sequence[Any], part: Part = WHOLE) -> tuple[Sequence[Any], int]:
        """The items, and where the turn begins."""
        return items, len(items) - len(turn)

    async def take_back(self, user_id: str, source: Source, gone: Any, *, reason: str) -> Learned:
        """Retract what only the turn taught."""
        items, start = gone
        return await self.user.take_back(items, session_id=source.session_id, start=start)
