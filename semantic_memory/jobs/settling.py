"""The end of one user's re-embedding: what was learned meanwhile, the index, the verification, the switch."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from semantic_memory.embedding import Fingerprint
from semantic_memory.errors import Conflict, EmbeddingFailed, Erased, IndexFailed, IndexLocked
from semantic_memory.following import Follower
from semantic_memory.identity import NewId
from semantic_memory.jobs.building import LocalEngine, Piece
from semantic_memory.jobs.values import Settled, Verified, WhereIndexed
from semantic_memory.jobs.verifying import Verifier
from semantic_memory.ledger import generations
from semantic_memory.ledger.generations import Standing
from semantic_memory.ledger.rows import Moved, UserState
from semantic_memory.ledger.store import Ledger
from semantic_memory.vectors import Held, Shelves

if TYPE_CHECKING:
    from semantic_memory.index import Index, Place

ROUNDS = 20  # in which a user's facts may go on changing before the job gives up on them, for now


class Settler:
    """Brings users whose vectors are made to their new generation."""

    def __init__(
        self,
        ledger: Ledger,
        shelves: Shelves,
        follower: Follower,
        index: Index,
        engine: LocalEngine,
        verifier: Verifier,
        fingerprint: Fingerprint,
        *,
        new_id: NewId,
        hold: bool,
    ) -> None:
        self._ledger = ledger
        self._shelves = shelves
        self._follower = follower
        self._index = index
        self._engine = engine
        self._verifier = verifier
        self._fingerprint = fingerprint
        self._new_id = new_id
        self._hold = hold

    async def settle(self, user: Standing) -> Settled | None:
        """Complete, verify and switch one user; None for one who was erased meanwhile.

        Raises `EmbeddingFailed`, `IndexFailed`, `VerificationFailed`, and `Conflict` for a user whose facts
        never stop changing.
        """
        began = time.perf_counter()
        place: Place | None = None
        try:
            place = await self._begin(user)
            verified = await self._complete(user, place)
        except Erased:
            if place is not None:  # what was written after the user's folders were removed
                await self._index.drop(place)
            return None
        finally:
            self._shelves.drop(user.user_key)
            if place is not None:
                await self._index.release(place)  # whoever answers with this model is to own it
        seconds = time.perf_counter() - began
        return Settled(user_id=user.user_id, switched=not self._hold, verified=verified, seconds=seconds)

    async def _begin(self, user: Standing) -> Place:
        from semantic_memory.index import Place

        state = await self._state(user.user_key)
        generation = await self._ledger.write(
            user.user_key,
            user.user_id,
            lambda writer: generations.begin(writer, self._fingerprint, self._new_id()),
            epoch=state.epoch,
        )
        return Place(user_key=user.user_key, generation=generation, dimension=self._fingerprint.dimension)

    async def _complete(self, user: Standing, place: Place) -> Verified:
        """Follow the user's changes to their end, and switch in a transaction that finds none left."""
        verified: Verified | None = None
        for _ in range(ROUNDS):
            held = await self._held(user)
            if held.unembedded:
                continue
            index = await self._bring(place, held)
            await self._count(held, place, index)
            if verified is None:
                verified = await self._verify(held, place, index)
            verified = replace(verified, facts=len(held.shelf), index=index)
            if self._hold or await self._switched(held, place.generation):
                return verified
        raise Conflict("the user's facts went on changing: start the job again when they are quieter")

    async def _held(self, user: Standing) -> Held:
        """The user's facts with the vectors of the new model, those included that were learned meanwhile."""
        async for built in self._engine.build_piece(Piece((user.user_key,), self._fingerprint.key)):
            for error in built.failed.values():
                raise EmbeddingFailed(error)
        return await self._shelves.get(await self._state(user.user_key), self._fingerprint)

    async def _bring(self, place: Place, held: Held) -> WhereIndexed:
        """Bring the index to the shelf's revision; where another process keeps its folder, that one follows."""
        if not len(held.shelf):
            return "none"
        try:
            await self._follower.bring(place, held, self._fingerprint)
        except IndexLocked:
            return "elsewhere"
        except IndexFailed:  # once more: a forgotten fact has the folder removed under whoever builds it
            await self._follower.bring(place, held, self._fingerprint)
        return "built"

    async def _count(self, held: Held, place: Place, index: WhereIndexed) -> None:
        """Raise `IndexFailed` where the new index doesn't hold what is about to be switched to."""
        if index == "built" and (count := await self._index.count(place)) != len(held.shelf):
            raise IndexFailed(f"the new index holds {count} facts, the ledger {len(held.shelf)}")

    async def _verify(self, held: Held, place: Place, index: WhereIndexed) -> Verified:
        """Once is enough, however often the facts change: it is the model and the index that are judged."""
        asked = partial(self._index.nearest, place) if index == "built" else None
        return Verified(
            facts=len(held.shelf),
            index=index,
            found_themselves=await self._verifier.find_themselves(held.shelf, asked),
            questions=await self._verifier.questions(held),
        )

    async def _switched(self, held: Held, generation: str) -> bool:
        """Switch, unless a fact has changed since the shelf was read."""
        state = held.state
        try:
            await self._ledger.write(
                state.user_key,
                state.user_id or "",
                lambda writer: generations.switch(writer, generation),
                epoch=state.epoch,
                revision=state.revision,
            )
        except Moved:
            return False
        return True

    async def _state(self, user_key: str) -> UserState:
        state = await self._ledger.user(user_key)
        if state is None or state.user_id is None:
            raise Erased
        return state
