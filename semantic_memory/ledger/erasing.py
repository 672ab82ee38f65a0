"""Everything about a user, out of every table."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, func, select, text, update

from semantic_memory.ledger import tables

# Learned digests stay: they are keyed hashes, and keep a transcript from teaching the same again.
EMPTIED = (
    tables.facts,
    tables.evidence,
    tables.changes,
    tables.vectors,
    tables.attempts,
    tables.receipts,
    tables.receipt_facts,
    tables.generations,
    tables.keys,
)


def erase(connection: Connection, user_key: str, now: datetime) -> tuple[dict[str, int], tuple[str, ...]]:
    """Delete the user's rows; how many from which table, and the sessions that had taught facts."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": user_key})
    row = tables.evidence.c
    sessions = connection.scalars(
        select(row.session_id).where(row.user_key == user_key, row.session_id.is_not(None)).distinct()
    )
    taught = tuple(sorted(session for session in sessions if session is not None))
    user = tables.users.c
    connection.execute(
        update(tables.users)
        .where(user.user_key == user_key)
        .values(user_id=None, epoch=user.epoch + 1, revision=user.revision + 1, generation=None, erased_at=now)
    )
    removed = {}
    for table in EMPTIED:
        gone = connection.execute(delete(table).where(table.c.user_key == user_key))
        removed[table.name] = int(gone.rowcount)
    return removed, taught


def rows_of(connection: Connection, user_key: str) -> dict[str, int]:
    """How many rows each emptied table holds of a user."""
    counts = {}
    for table in EMPTIED:
        query = select(func.count()).select_from(table).where(table.c.user_key == user_key)
        counts[table.name] = int(connection.scalar(query) or 0)
    return counts
