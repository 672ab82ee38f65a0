"""Opening the database: the dialect's settings, transactions that mean it, and errors in our words."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import SQLAlchemyError

from semantic_memory.errors import InvalidInput, LedgerFailed, MissingExtra

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

WRITES = "semantic_memory_writes"  # execution option of a connection that is about to write

PATIENCE = 10.0  # seconds that a connection waits for the locks of others

# WAL lets readers go on beside the one writer; FULL makes a commit survive a power cut, not only a
# killed process; secure_delete overwrites what is deleted, which erasing relies on.
SQLITE_SETTINGS = (
    f"PRAGMA busy_timeout = {PATIENCE * 1000:.0f}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
)


def file_url(url: str) -> URL | None:
    """The URL of a SQLite database in a file, whatever driver was named; None for any other database.

    Raises `InvalidInput`.
    """
    try:
        parsed = make_url(url)
    except SQLAlchemyError as error:
        raise InvalidInput(f"not a ledger URL: {error}") from error
    if parsed.get_backend_name() != "sqlite":
        return None
    if parsed.database in (None, "", ":memory:"):
        raise InvalidInput("a SQLite database in memory can't be shared by several connections: give the ledger a file")
    return parsed.set(drivername="sqlite")


def file_engine(url: URL) -> Engine:
    """An engine for a ledger in a SQLite file."""
    engine = create_engine(url, hide_parameters=True, json_deserializer=_from_json)
    prepare(engine)
    return engine


def _from_json(text: str) -> Any:
    """Most facts have no labels."""
    return [] if text == "[]" else json.loads(text)


def async_engine(url: str) -> AsyncEngine:
    """An engine for a ledger on a server; `MissingExtra` where its driver is not installed."""
    from sqlalchemy.ext.asyncio import create_async_engine  # brings the ORM, which a SQLite file doesn't need

    try:
        engine = create_async_engine(url, pool_pre_ping=True, hide_parameters=True)
    except ModuleNotFoundError as error:
        raise MissingExtra.named(error.name or url, "postgresql") from error
    except SQLAlchemyError as error:
        raise InvalidInput(f"not a ledger URL: {error}") from error
    prepare(engine.sync_engine)
    return engine


def sibling(engine: AsyncEngine) -> AsyncEngine:
    """An engine of our own on the same database as the caller's, with the caller's connect settings.

    Connections belong to the event loop that made them, and the ledger works on a loop of its own,
    so the pool can't be shared; the database is.
    """
    from sqlalchemy.ext.asyncio import AsyncEngine

    theirs = engine.sync_engine
    if theirs.dialect.name == "sqlite" and not theirs.url.database:
        raise InvalidInput("an in-memory SQLite engine can't be shared: give the ledger a file")
    ours = AsyncEngine(Engine(theirs.pool.recreate(), theirs.dialect, theirs.url, hide_parameters=True))
    prepare(ours.sync_engine)
    return ours


def prepare(engine: Engine) -> None:
    """Make transactions what the ledger relies on, whatever the engine was made for.

    SQLite: reads see a snapshot, writes take the lock at their start. Elsewhere a writer, once it has the user's
    lock, sees what the one before it committed.
    """
    if engine.dialect.name != "sqlite":
        engine.update_execution_options(isolation_level="READ COMMITTED")
        return

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        cursor = connection.cursor()
        for setting in SQLITE_SETTINGS:
            _set(cursor, setting)
        cursor.close()
        # SQLite's own knows only the letters of ASCII.
        connection.create_function("lower", 1, lambda text: text and str(text).lower(), deterministic=True)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _set(cursor: Any, setting: str) -> None:
    """Execute a setting; where two processes make one new file a WAL database, SQLite itself waits for neither."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            cursor.execute(setting)
            return
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.005)


@contextmanager
def our_errors() -> Iterator[None]:
    """Translate what the database layer raises to `LedgerFailed`: the one place where that happens."""
    try:
        yield
    except SQLAlchemyError as error:
        # The database's own error may quote the user's words, and logs outlive an erasure: it isn't chained.
        raise LedgerFailed(f"the ledger failed: {_without_values(error)}") from None
    except OSError as error:  # asyncpg lets a refused connection through as it is
        raise LedgerFailed(f"the ledger can't be reached: {error}") from error


def _without_values(error: SQLAlchemyError) -> str:
    """What the database said, up to the first value that it quotes."""
    said = str(getattr(error, "orig", None) or "").partition("\n")[0].partition("'")[0].strip()
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
