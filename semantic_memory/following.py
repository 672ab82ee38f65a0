"""The index follows the ledger: behind the answers, in small steps, and never in anybody's way."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from semantic_memory.embedding import EmbeddingModel, Fingerprint, Matrix
from semantic_memory.errors import Conflict, EmbeddingFailed, IndexLocked, SemanticMemoryError
from semantic_memory.identity import NewId
from semantic_memory.ledger.rows import Moved, UserState
from semantic_memory.ledger.store import Ledger
from semantic_memory.ledger.writing import Writer
from semantic_memory.vectors import Held, Shelves
from semantic_memory.workroom import Workroom

if TYPE_CHECKING:
    from semantic_memory.index import Index, Place

log = logging.getLogger("semantic_memory")


class Follower:
    """Brings each user's Chroma collection to the ledger's revision, from wherever it is."""

    def __init__(
        self,
        ledger: Ledger,
        shelves: Shelves,
        index: Index,
        embedding: EmbeddingModel,
        workroom: Workroom,
        *,
        new_id: NewId,
    ) -> None:
        self._ledger = ledger
        self._shelves = shelves
        self._index = index
        self._embedding = embedding
        self._workroom = workroom
        self._new_id = new_id
        self._anew: set[str] = set()  # users whose collection is to be built again
        self._busy: dict[str, bool] = {}  # user key -> whether to go round once more

    def current(self, held: Held) -> Place | None:
        """Where the index can answer for a shelf: it is open here, healthy and at the same revision."""
        if not len(held.shelf) or held.fingerprint != held.state.fingerprint:
            return None  # the active generation is another model's, and vectors of two models have nothing in common
        if held.unembedded:
            return None  # it holds what there are vectors of; following it once more may find the model back
        place = self.place(held.state, held.shelf.vectors.shape[1])
        if place is None or self._index.watermark(place) != held.state.revision:
            return None
        return place

    def place(self, state: UserState, dimension: int) -> Place | None:
        """The user's collection; None for a user without any generation."""
        from semantic_memory.index import Place

        if state.generation is None:
            return None
        return Place(user_key=state.user_key, generation=state.generation, dimension=dimension)

    def notice(self, user_key: str, fingerprint: Fingerprint, *, anew: bool = False) -> None:
        """Follow this user soon. However often it is called meanwhile, one more round is enough.

        `anew` builds the collection again, so that nothing deleted stays in its files.
        """
        if anew:
            self._anew.add(user_key)
        if user_key in self._busy:
            self._busy[user_key] = True
            return
        self._busy[user_key] = False
        self._workroom.errand(self._follow_until_done(user_key, fingerprint))

    async def follow(self, user_key: str, fingerprint: Fingerprint, *, anew: bool = False) -> None:
        """Bring one user's collection to where the ledger is. Raises `IndexLocked`, `IndexFailed`.

        `anew` as in `notice`.
        """
        if anew:
            self._anew.add(user_key)
        state = await self._ledger.user(user_key)
        if state is not None and state.generation is None and state.revision and state.user_id is not None:
            state = await self._begin(state, fingerprint)
        if state is None or state.fingerprint != fingerprint.key:
            return
        held = await self._completed(await self._shelves.get(state, fingerprint), fingerprint)
        place = self.place(held.state, fingerprint.dimension)
        if place is not None:
            await self.bring(place, held, fingerprint)

    async def _follow_until_done(self, user_key: str, fingerprint: Fingerprint) -> None:
        try:
            await self._follow_quietly(user_key, fingerprint)
            while self._busy.get(user_key):
                self._busy[user_key] = False
                await self._follow_quietly(user_key, fingerprint)
        finally:
            self._busy.pop(user_key, None)

    async def _follow_quietly(self, user_key: str, fingerprint: Fingerprint) -> None:
        try:
            await self.follow(user_key, fingerprint)
        except IndexLocked:
            log.debug("another process keeps this user's index; the ledger answers here")
        except SemanticMemoryError as error:
            log.warning("the index is behind the ledger, which answers meanwhile: %s", error)

    async def bring(self, place: Place, held: Held, fingerprint: Fingerprint) -> None:
        """Bring a collection of this fingerprint to a shelf's revision or beyond. Raises as `follow`."""
        at = self._index.watermark(place)
        if at is None:
            at = await self._index.open(place)
        revision = held.state.revision
        if at is None or at > revision or place.user_key in self._anew:
            await self._index.rebuild(place, _vectors(held), revision)
            self._anew.discard(place.user_key)
        elif at < revision:
            state, rows = await self._ledger.facts_with_vectors(held.state, fingerprint.key, after=max(at, 1))
            if any(fact.status == "forgotten" for fact, _ in rows):  # deleting would leave its vector in the files
                await self._index.rebuild(place, _vectors(held), revision)
                return
            active = [(fact.id, vector) for fact, vector in rows if fact.status == "active" and vector is not None]
            gone = [fact.id for fact, _ in rows if fact.status != "active"]
            await self._index.apply(place, upserts=active, deletes=gone, revision=state.revision)

    async def _begin(self, state: UserState, fingerprint: Fingerprint) -> UserState | None:
        """The first generation of a user whose facts were all written while the embedding model was away."""

        def work(writer: Writer) -> None:
            if writer.user.generation is None:
                writer.activate(self._new_id(), fingerprint)

        await self._ledger.write(state.user_key, state.user_id or "", work, epoch=state.epoch)
        return await self._ledger.user(state.user_key)

    async def _completed(self, held: Held, fingerprint: Fingerprint) -> Held:
        """The shelf with a vector of every fact; while the model is away, with the vectors that there are."""
        if not held.unembedded:
            return held
        try:
            state = await self._embed(held, fingerprint)
        except EmbeddingFailed as error:
            log.warning("%d facts of a user stay without a vector for now: %s", len(held.unembedded), error)
            return held
        return await self._shelves.get(state, fingerprint)

    async def _embed(self, held: Held, fingerprint: Fingerprint) -> UserState:
        """Give vectors to the facts that were written while the embedding model was away."""
        if (await self._embedding.load()).key != fingerprint.key:
            return held.state
        waiting = dict(held.unembedded)
        vectors = await self._embedding.embed_documents([fact.text for fact in waiting.values()])
        found: Mapping[str, Matrix] = dict(zip(waiting, vectors, strict=True))
        state = held.state

        def work(writer: Writer) -> int:
            writer.embedded(found, fingerprint.key)
            return writer.revision

        try:
            revision = await self._ledger.write(
                state.user_key, state.user_id or "", work, epoch=state.epoch, revision=state.revision
            )
        except Moved as error:
            raise Conflict("the user's facts changed while they were embedded; the next round tries again") from error
        return replace(state, revision=revision)


def _vectors(held: Held) -> list[tuple[str, Matrix]]:
    rows = enumerate(held.shelf.ids)
    return [(fact_id, held.shelf.vectors[row].copy()) for row, fact_id in rows if fact_id not in held.unembedded]
