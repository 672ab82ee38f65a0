"""Receipts are written behind the answers: nobody waits for them, and nothing is said before they are kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from semantic_memory import secrets
from semantic_memory.errors import InvalidInput
from semantic_memory.facts import Receipt
from semantic_memory.ledger.rows import Kept
from semantic_memory.ledger.store import Ledger
from semantic_memory.secrets import Redactor
from semantic_memory.statements import fit_name
from semantic_memory.transcript import clean
from semantic_memory.workroom import Workroom

log = logging.getLogger("semantic_memory")

PAUSE = 0.05  # seconds in which receipts gather before they are written together
SWEEP = timedelta(days=1)
MAX_SOURCE = 16  # characters
NAMES = ("run_id", "trace_id", "session_id", "agent", "degraded")
TRIED = 3  # receipts that fail one after the other before the ledger is taken to be away
MOST_WAITING = 10_000  # then the oldest are given up: the ledger has been away for long


class ReceiptBook:
    """Takes receipts at once and writes them soon; once a day it sweeps out old ones, and whatever else is `swept`."""

    def __init__(
        self,
        ledger: Ledger,
        workroom: Workroom,
        *,
        kept: timedelta,
        redactor: Redactor,
        swept: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self._ledger = ledger
        self._workroom = workroom
        self._kept = kept
        self._redactor = redactor
        self._waiting: list[Kept] = []
        self._sweep_others = swept
        self._swept: datetime | None = None
        self._writing = asyncio.Lock()

    def add(self, user_key: str, receipt: Receipt, *, epoch: int | None = None) -> None:
        """Keep a receipt of a user's epoch, unless they are erased meanwhile; to be called on the workroom's loop.

        Without an epoch, which only the ledger knows, the time of the receipt decides.
        """
        self._waiting.append(Kept(user_key, epoch, receipt))
        del self._waiting[:-MOST_WAITING]
        if len(self._waiting) == 1:
            self._workroom.errand(self._flush_soon())
        if self._swept is None or receipt.at - self._swept >= SWEEP:  # a memory may stay open for months
            self._swept = receipt.at
            self._workroom.errand(self.drop_old())
            self._workroom.errand(self._sweep_others())

    def drop(self, user_key: str) -> None:
        """Give up a user's receipts that are not written yet."""
        self._waiting = [kept for kept in self._waiting if kept.user_key != user_key]

    async def flush(self) -> None:
        """Write what is waiting. Where the ledger fails, it goes on waiting."""
        async with self._writing:
            batch, self._waiting = self._waiting, []
            if not batch:
                return
            rows = await asyncio.to_thread(self._fit_to_store, batch)
            try:
                await self._ledger.add_receipts(rows)
            except Exception as error:
                left = await self._one_by_one(rows)
                self._waiting = left + self._waiting
                if left:
                    log.warning("%d receipts wait to be written: %s", len(self._waiting), error)

    async def _one_by_one(self, rows: Sequence[Kept]) -> list[Kept]:
        """Write the rows of a batch that failed; those that wait on.

        One that can't be written must not keep the others: it is given up where they can. Where none can, the ledger
        is away, and those that were tried wait behind the others.
        """
        failed: list[Kept] = []
        for place, row in enumerate(rows):
            try:
                await self._ledger.add_receipts([row])
            except Exception as error:
                failed.append(row)
                if len(failed) > place and len(failed) == min(TRIED, len(rows)):  # none could be written
                    return [*rows[place + 1 :], *failed]
                log.debug("a receipt could not be written: %s", error)
        log.warning("%d receipts are given up: they can't be written", len(failed))
        return []

    async def drop_old(self) -> None:
        """Forget the receipts whose time is over."""
        await self._ledger.drop_receipts(older_than=self._kept)

    def _fit_to_store(self, batch: Sequence[Kept]) -> list[Kept]:
        """The receipts, their questions without what may not be stored, their names as they can be."""
        return [replace(kept, receipt=replace(_fit(kept.receipt), query=self._redacted(kept))) for kept in batch]

    def _redacted(self, kept: Kept) -> str:
        try:
            return secrets.redacted(self._redactor, secrets.mask(clean(kept.receipt.query)))
        except InvalidInput as error:
            log.warning("a receipt is kept without its question: %s", error)
            return ""

    async def _flush_soon(self) -> None:
        await asyncio.sleep(PAUSE)
        await self.flush()


def _fit(receipt: Receipt) -> Receipt:
    given = {name: getattr(receipt, name) for name in NAMES}
    names: dict[str, Any] = {name: None if one is None else fit_name(name, str(one)) for name, one in given.items()}
    return replace(receipt, source=clean(str(receipt.source))[:MAX_SOURCE], **names)
