"""Questions about the memory itself: why a fact is believed, what replaced what, what an answer was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from semantic_memory.chains import Chain, chains
from semantic_memory.errors import NotFound
from semantic_memory.facts import Explanation, Fact, FactFilter, Lineage, Receipt
from semantic_memory.ledger.store import Ledger
from semantic_memory.receipts import ReceiptBook


class Explainer:
    """Tells what the ledger knows about one user's facts and recalls; to be awaited on the workroom's loop."""

    def __init__(self, ledger: Ledger, receipts: ReceiptBook) -> None:
        self._ledger = ledger
        self._book = receipts

    async def facts(
        self, user_key: str, wanted: FactFilter | None, *, as_of: datetime | None, limit: int | None, offset: int
    ) -> list[Fact]:
        """Facts that fit a filter, the last said first; with `as_of` those of any status now, active then."""
        state = await self._ledger.user(user_key)
        if state is None:
            return []
        if as_of is None:
            return await self._ledger.facts(state, wanted or FactFilter(), limit=limit, offset=offset)
        fitting = await self._ledger.facts(state, replace(wanted or FactFilter(), status=()))
        ids = {fact.id for fact in fitting}
        then = [fact for fact, _ in await self._ledger.facts_as_of(state, as_of) if fact.id in ids]
        return sorted(then, key=lambda fact: (fact.said_at, fact.id), reverse=True)[offset:][:limit]

    async def fact(self, user_key: str, fact_id: str) -> Fact:
        """One fact, whatever its status. Raises `NotFound`, also for another user's."""
        state = await self._ledger.user(user_key)
        found = await self._ledger.facts_by_id(state, [fact_id]) if state else {}
        if fact_id not in found:
            raise NotFound(f"there is no fact {fact_id} for this user")
        return found[fact_id]

    async def explain(self, user_key: str, fact_id: str) -> Explanation:
        """A fact with its evidence, its history, its chain, and the recalls that showed it. Raises `NotFound`."""
        fact = await self.fact(user_key, fact_id)
        return Explanation(
            fact=fact,
            evidence=tuple(await self._ledger.evidence(user_key, fact_id)),
            history=tuple(await self._ledger.changes(user_key, fact_id=fact_id)),
            receipts=tuple(await self.receipts(user_key, {"fact_id": fact_id, "limit": None})),
            chain=await self._chain(user_key, fact),
        )

    async def receipts(self, user_key: str, wanted: Mapping[str, Any]) -> list[Receipt]:
        """The newest recalls that fit, those included that are being written."""
        await self._book.flush()
        return await self._ledger.find_receipts(user_key, **wanted)

    async def receipt(self, user_key: str, receipt_id: str) -> Receipt:
        """One recall. Raises `NotFound`."""
        found = await self.receipts(user_key, {"id": receipt_id})
        if not found:
            raise NotFound(f"there is no receipt {receipt_id} for this user")
        return found[0]

    async def shown(self, user_key: str, *, receipt_id: str | None, run_id: str | None) -> list[Lineage]:
        """What a recall, or all recalls of a run, showed, in the order of their rank. Raises `NotFound`."""
        if receipt_id is not None:
            found = [await self.receipt(user_key, receipt_id)]
        else:
            found = await self.receipts(user_key, {"run_id": run_id, "limit": None})
        ids = dict.fromkeys(fact_id for receipt in reversed(found) for fact_id, _ in receipt.shown)
        known = {one.fact.id: one for one in await self._ledger.lineages(user_key)} if ids else {}
        return [known[fact_id] for fact_id in ids if fact_id in known]

    async def timeline(self, user_key: str, about: str | None) -> list[Chain]:
        """Every fact in its chain, or the chains of a subject."""
        return chains(await self._ledger.lineages(user_key), about=about)

    async def _chain(self, user_key: str, fact: Fact) -> tuple[Fact, ...]:
        """The fact between those that it replaced and those that replaced it, oldest first."""
        chain = [fact]
        while chain[0].supersedes and all(one.id != chain[0].supersedes for one in chain):
            chain.insert(0, await self.fact(user_key, chain[0].supersedes))
        while chain[-1].superseded_by and all(one.id != chain[-1].superseded_by for one in chain):
            chain.append(await self.fact(user_key, chain[-1].superseded_by))
        return tuple(chain)
