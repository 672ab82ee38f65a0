"""One job at a time on a ledger. What holds the lock is a process or a connection, so that it ends with them:
a job that was killed leaves nothing behind that would have to be cleared away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from semantic_memory.errors import Conflict
from semantic_memory.ledger.engine import our_errors
from semantic_memory.ledger.store import Ledger

BUSY = "another job is running on this memory: `reembed status` shows how far it is"


@asynccontextmanager
async def job_lock(ledger: Ledger) -> AsyncIterator[None]:
    """Keep other jobs out for the length of a block. Raises `Conflict` while one is running."""
    lock = _on_server if ledger.database.dialect == "postgresql" else _in_file
    async with lock(ledger):
        yield


async def is_locked(ledger: Ledger) -> bool:
    """Whether a job is running."""
    try:
        async with job_lock(ledger):
            return False
    except Conflict:
        return True


@asynccontextmanager
async def _in_file(ledger: Ledger) -> AsyncIterator[None]:
    database = ledger.database.engine.url.database or ""
    lock = FileLock(Path(f"{database}.job"), thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Conflict(BUSY) from None
    try:
        yield
    finally:
        lock.release()


@asynccontextmanager
async def _on_server(ledger: Ledger) -> AsyncIterator[None]:
    number = int(ledger.keyed("job")[:15], 16)  # several ledgers may share a database
    with our_errors():
        async with AsyncEngine(ledger.database.engine).connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            if not await connection.scalar(select(func.pg_try_advisory_lock(number))):
                raise Conflict(BUSY)
            try:
                yield
            finally:
                await connection.scalar(select(func.pg_advisory_unlock(number)))
