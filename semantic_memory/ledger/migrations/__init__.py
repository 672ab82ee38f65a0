"""Numbered, append-only schema changes: a released file is never edited, a new one is added."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime

from sqlalchemy import Connection, inspect, text

from semantic_memory.errors import LedgerFailed

STEPS = ("0001_initial", "0002_keys", "0003_generations", "0004_answerable")


def schema_version(connection: Connection) -> int:
    """How many steps this database has seen; 0 for an empty one."""
    if not inspect(connection).has_table("memory_schema"):
        return 0
    return int(connection.execute(text("SELECT COALESCE(MAX(step), 0) FROM memory_schema")).scalar_one())


def migrate(connection: Connection) -> None:
    """Bring the schema up to the newest step, all in the caller's transaction.

    Raises `LedgerFailed` where a newer version of this library wrote the database.
    """
    done = schema_version(connection)
    if done > len(STEPS):
        raise LedgerFailed(f"the ledger has schema {done}, this version knows {len(STEPS)}: upgrade the package")
    for number, name in enumerate(STEPS[done:], start=done + 1):
        _apply(connection, number, name)


def _apply(connection: Connection, number: int, name: str) -> None:
    # Alembic is imported only when there is something to do: it costs a tenth of a second.
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    step = importlib.import_module(f"{__name__}.{name}")
    step.upgrade(Operations(MigrationContext.configure(connection)))
    connection.execute(
        text("INSERT INTO memory_schema (step, name, applied_at) VALUES (:step, :name, :at)"),
        {"step": number, "name": name, "at": datetime.now(UTC).isoformat()},
    )
