"""Forgetting one fact and erasing a user, down to the bytes, with the proof."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from semantic_memory import secrets
from semantic_memory.blocks import Blocks
from semantic_memory.errors import IndexLocked, NotFound, SemanticMemoryError
from semantic_memory.facts import Certificate
from semantic_memory.following import Follower
from semantic_memory.ledger.rows import UserState
from semantic_memory.ledger.store import Clock, Ledger
from semantic_memory.ledger.writing import Writer
from semantic_memory.receipts import ReceiptBook
from semantic_memory.secrets import Redactor
from semantic_memory.vectors import Shelves

if TYPE_CHECKING:
    from semantic_memory.index import Index, Place

log = logging.getLogger("semantic_memory")

ON_CHROMA = "the Chroma server dropped the collections; its own files may keep bytes of them"
ON_DATABASE = "the database deleted the rows; its files keep them until a vacuum, its logs, replicas and backups longer"


class Eraser:
    """Removes what must not be kept."""

    def __init__(
        self,
        ledger: Ledger,
        shelves: Shelves,
        index: Index,
        follower: Follower,
        receipts: ReceiptBook,
        blocks: Blocks,
        *,
        clock: Clock,
        redactor: Redactor = secrets.as_it_is,
    ) -> None:
        self._ledger = ledger
        self._shelves = shelves
        self._index = index
        self._follower = follower
        self._receipts = receipts
        self._blocks = blocks
        self._clock = clock
        self._redactor = redactor

    async def forget(self, user_id: str, fact_id: str, *, reason: str | None) -> None:
        """Blank a fact for good, whatever its status: text, quotes, vectors and the questions that it answered.

        Raises `NotFound`.
        """
        reason = reason and secrets.redacted(self._redactor, secrets.mask(reason))
        state = await self._ledger.user(self._ledger.user_key(user_id))
        known = await self._ledger.facts_by_id(state, [fact_id]) if state else {}
        if state is None or fact_id not in known:
            raise NotFound(f"there is no fact {fact_id} for this user")

        def work(writer: Writer) -> None:
            status = writer.status(fact_id)
            if status != "forgotten":
                writer.set_status(fact_id, status, "forgotten", reason=reason)
            writer.blank(fact_id)

        await self._receipts.flush()  # what is asked and not written yet would be written with its words
        await self._ledger.write(state.user_key, user_id, work, epoch=state.epoch)
        self._blocks.drop(user_id)
        await self._ledger.scrub()
        # Deleting from a collection leaves the vector in its files; only a folder that is gone leaves nothing.
        for place in await self._places(state.user_key):
            if not await self._dropped(place):
                log.warning("an index that held a forgotten fact is in use elsewhere: whoever has it removes it")
        if state.fingerprint is not None:
            fingerprint = await self._ledger.fingerprint(state.fingerprint)
            self._follower.notice(state.user_key, fingerprint, anew=True)

    async def erase(self, user_id: str) -> Certificate:
        """Remove everything about a user; only keyed hashes stay, so that nothing is learned again."""
        user_key = self._ledger.user_key(user_id)
        self._receipts.drop(user_key)
        state = await self._ledger.user(user_key)
        places = await self._places(user_key)
        removed, sessions = await self._ledger.erase(user_key)
        self._shelves.drop(user_key)
        self._blocks.drop(user_id)
        pending = [place for place in places if not await self._dropped(place)]
        scrubbed = await self._ledger.scrub()
        own_file = self._ledger.database.dialect == "sqlite"
        return Certificate(
            user_key=user_key,
            at=self._clock(),
            removed=removed,
            index="pending" if pending else "removed" if self._index.own_disk else "dropped",
            ledger="pending" if not scrubbed else "scrubbed" if own_file else "deleted",
            transcripts=sessions,
            checked=await self._checked(user_key, state),
            unproven=(*(() if self._index.own_disk else (ON_CHROMA,)), *(() if own_file else (ON_DATABASE,))),
        )

    async def _places(self, user_key: str) -> list[Place]:
        from semantic_memory.index import Place

        return [
            Place(user_key=user_key, generation=generation, dimension=dimension)
            for generation, dimension in await self._ledger.generations(user_key)
        ]

    async def _dropped(self, place: Place) -> bool:
        try:
            return await self._index.drop(place)
        except IndexLocked:
            return False
        except SemanticMemoryError as error:
            log.warning("an index folder could not be removed yet: %s", error)
            return False

    async def _checked(self, user_key: str, before: UserState | None) -> tuple[str, ...]:
        """What was looked at afterwards, in words for the certificate."""
        left = {table: count for table, count in (await self._ledger.rows_of(user_key)).items() if count}
        if left:
            return tuple(f"{count} rows left in {table}" for table, count in left.items())
        known = "the user was known" if before is not None and before.user_id is not None else "the user was not known"
        return (known, "no row of the user in any table but keyed hashes of learned messages")
