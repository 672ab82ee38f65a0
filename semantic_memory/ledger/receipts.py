"""Receipts: written in batches behind the answers, read by fact and by time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from semantic_memory.facts import Receipt
from semantic_memory.ledger import tables
from semantic_memory.ledger.reading import MOST_IDS
from semantic_memory.ledger.rows import Kept, near_values, receipt_from

RECEIPT_COLUMNS = (
    "id",
    "at",
    "query",
    "source",
    "answered_by",
    "degraded",
    "latency_ms",
    "answerable",
    "run_id",
    "trace_id",
    "session_id",
    "agent",
)


def add(connection: Connection, kept: Sequence[Kept]) -> None:
    """Write receipts: none of a user who was erased since, and no question that a forgotten fact was the answer to."""
    receipts = [(one.user_key, one.receipt) for one in _not_erased(connection, kept)]
    if not receipts:
        return
    forgotten = _forgotten(connection, receipts)
    rows = [
        {"user_key": user_key, "signals": list(map(dict, receipt.signals)), "near": near_values(receipt.near)}
        | {name: getattr(receipt, name) for name in RECEIPT_COLUMNS}
        | ({"query": ""} if any((user_key, fact_id) in forgotten for fact_id, _ in receipt.shown) else {})
        for user_key, receipt in receipts
    ]
    shown = [
        {
            "user_key": user_key,
            "receipt_id": receipt.id,
            "fact_id": fact_id,
            "rank": rank,
            "relevance": relevance,
        }
        for user_key, receipt in receipts
        for rank, (fact_id, relevance) in enumerate(receipt.shown, start=1)
    ]
    connection.execute(insert(tables.receipts), rows)
    if shown:
        connection.execute(insert(tables.receipt_facts), shown)


def _not_erased(connection: Connection, kept: Sequence[Kept]) -> list[Kept]:
    """Receipts wait behind the answers, also in other processes: an erasure may have been faster."""
    user = tables.users.c
    query = select(user.user_key, user.epoch, user.erased_at).where(user.user_key.in_({one.user_key for one in kept}))
    known = {row.user_key: row for row in connection.execute(query.with_for_update(read=True))}

    def stands(one: Kept) -> bool:
        row = known.get(one.user_key)
        if one.epoch is not None or row is None:
            return (one.epoch or 0) == (row.epoch if row else 0)
        return row.erased_at is None or bool(one.receipt.at > row.erased_at)

    return [one for one in kept if stands(one)]


def _forgotten(connection: Connection, receipts: Sequence[tuple[str, Receipt]]) -> set[tuple[str, str]]:
    fact, shown = tables.facts.c, {fact_id for _, receipt in receipts for fact_id, _ in receipt.shown}
    users = {user_key for user_key, _ in receipts}
    gone = and_(fact.user_key.in_(users), fact.id.in_(shown), fact.status == "forgotten")
    return {(row.user_key, row.id) for row in connection.execute(select(fact.user_key, fact.id).where(gone))}


def forget(connection: Connection, user_key: str, fact_id: str) -> None:
    """Blank the questions that a fact was the answer to, and those of the runs that taught it: they hold its words."""
    row, link, said = tables.receipts.c, tables.receipt_facts.c, tables.evidence.c
    showed = select(link.receipt_id).where(link.user_key == user_key, link.fact_id == fact_id)
    taught = (said.user_key == user_key, said.fact_id == fact_id)
    runs = select(said.run_id).where(*taught, said.run_id.is_not(None))
    traces = select(said.trace_id).where(*taught, said.trace_id.is_not(None))
    holds_words = or_(row.id.in_(showed), row.run_id.in_(runs), row.trace_id.in_(traces))
    connection.execute(update(tables.receipts).where(row.user_key == user_key, holds_words).values(query=""))


def find(
    connection: Connection, /, user_key: str, *, fact_id: str | None, limit: int | None, **equal: str | None
) -> list[Receipt]:
    """The user's newest receipts; those that showed a fact, those with the given columns."""
    row = tables.receipts.c
    query = select(tables.receipts).where(row.user_key == user_key).order_by(row.at.desc(), row.id).limit(limit)
    query = query.where(*(row[name] == value for name, value in equal.items() if value is not None))
    if fact_id is not None:
        link = tables.receipt_facts.c
        showed = select(link.receipt_id).where(link.user_key == user_key, link.fact_id == fact_id)
        query = query.where(row.id.in_(showed))
    found = list(connection.execute(query))
    shown = _shown(connection, user_key, [receipt.id for receipt in found])
    return [receipt_from(receipt, tuple(shown.get(receipt.id, ()))) for receipt in found]


def _shown(connection: Connection, user_key: str, receipt_ids: Sequence[str]) -> dict[str, list[tuple[str, float]]]:
    link = tables.receipt_facts.c
    shown: dict[str, list[tuple[str, float]]] = {}
    for start in range(0, len(receipt_ids), MOST_IDS):
        some = link.receipt_id.in_(receipt_ids[start : start + MOST_IDS])
        rows = select(link.receipt_id, link.fact_id, link.relevance).where(link.user_key == user_key, some)
        for receipt_id, fact_id, relevance in connection.execute(rows.order_by(link.receipt_id, link.rank)):
            shown.setdefault(receipt_id, []).append((fact_id, relevance))
    return shown


def drop_before(connection: Connection, moment: datetime) -> None:
    """Forget receipts older than `moment`."""
    row, link = tables.receipts.c, tables.receipt_facts.c
    old = select(row.id).where(row.at < moment, row.user_key == link.user_key)
    connection.execute(delete(tables.receipt_facts).where(link.receipt_id.in_(old)))
    connection.execute(delete(tables.receipts).where(row.at < moment))
