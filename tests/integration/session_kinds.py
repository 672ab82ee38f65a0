"""The SDK's sessions, each with its store, opened the same way."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agents import SQLiteSession
from agents.extensions.memory import AdvancedSQLiteSession, EncryptedSession, RedisSession, SQLAlchemySession
from agents.memory import OpenAIResponsesCompactionSession, Session, SessionSettings
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.servers import MARIADB, REDIS, engine_in, fresh_schema

OpenOne = Callable[[str, "int | None"], Awaitable[Session]]
Kind = Callable[[Path], AbstractAsyncContextManager[OpenOne]]


@asynccontextmanager
async def sqlite(folder: Path) -> AsyncIterator[OpenOne]:
    opened: list[SQLiteSession] = []

    async def open_one(session_id: str, limit: int | None) -> Session:
        opened.append(SQLiteSession(session_id, folder / "sessions.db", session_settings=SessionSettings(limit=limit)))
        return opened[-1]

    yield open_one
    for session in opened:
        session.close()


@asynccontextmanager
async def advanced_sqlite(folder: Path) -> AsyncIterator[OpenOne]:
    opened: list[SQLiteSession] = []

    async def open_one(session_id: str, limit: int | None) -> Session:
        settings = SessionSettings(limit=limit)
        session = AdvancedSQLiteSession(
            session_id=session_id, db_path=folder / "advanced.db", create_tables=True, session_settings=settings
        )
        opened.append(session)
        return session

    yield open_one
    for session in opened:
        session.close()


@asynccontextmanager
async def sqlalchemy_sqlite(folder: Path) -> AsyncIterator[OpenOne]:
    async with _sqlalchemy(create_async_engine(f"sqlite+aiosqlite:///{folder}/sqlalchemy.db")) as open_one:
        yield open_one


@asynccontextmanager
async def sqlalchemy_postgresql(folder: Path) -> AsyncIterator[OpenOne]:
    async with fresh_schema() as schema, _sqlalchemy(engine_in(schema)) as open_one:
        yield open_one


@asynccontextmanager
async def sqlalchemy_mariadb(folder: Path) -> AsyncIterator[OpenOne]:
    """The SDK's own DDL has strings without a length, which MariaDB refuses: the tables are made here."""
    name = f"t{uuid.uuid4().hex[:12]}"
    tables = {"sessions_table": f"{name}_sessions", "messages_table": f"{name}_messages"}
    engine = create_async_engine(MARIADB.url)
    async with engine.begin() as connection:
        for statement in _MARIADB_TABLES:
            await connection.execute(text(statement.format(**tables)))
    async with _sqlalchemy(engine, create_tables=False, **tables) as open_one:
        yield open_one
        async with engine.begin() as connection:
            for table in reversed(tables.values()):
                await connection.execute(text(f"DROP TABLE {table}"))


@asynccontextmanager
async def encrypted(folder: Path) -> AsyncIterator[OpenOne]:
    async with sqlite(folder) as open_inner:

        async def open_one(session_id: str, limit: int | None) -> Session:
            return EncryptedSession(session_id, await open_inner(session_id, limit), encryption_key="k" * 32)

        yield open_one


@asynccontextmanager
async def redis(folder: Path) -> AsyncIterator[OpenOne]:
    prefix = f"test-{uuid.uuid4().hex}"
    opened: list[RedisSession] = []

    async def open_one(session_id: str, limit: int | None) -> Session:
        settings = SessionSettings(limit=limit)
        opened.append(RedisSession.from_url(session_id, url=REDIS.url, key_prefix=prefix, session_settings=settings))
        return opened[-1]

    yield open_one
    for session in opened:
        await session.clear_session()
        await session.close()


@asynccontextmanager
async def compaction(folder: Path) -> AsyncIterator[OpenOne]:
    async with sqlite(folder) as open_inner:

        async def open_one(session_id: str, limit: int | None) -> Session:
            return compacting(session_id, await open_inner(session_id, limit), when=lambda _: False)

        yield open_one


KINDS: dict[str, Kind] = {
    "SQLiteSession": sqlite,
    "SQLAlchemySession-SQLite": sqlalchemy_sqlite,
    "SQLAlchemySession-PostgreSQL": sqlalchemy_postgresql,
    "SQLAlchemySession-MariaDB": sqlalchemy_mariadb,
    "AdvancedSQLiteSession": advanced_sqlite,
    "EncryptedSession": encrypted,
    "RedisSession": redis,
    "OpenAIResponsesCompactionSession": compaction,
}


@dataclass
class ScriptedCompaction:
    """The part of an OpenAI client that compacts: it keeps the user's messages out of its summary."""

    inputs: list[list[Any]] = field(default_factory=list)

    @property
    def responses(self) -> ScriptedCompaction:
        return self

    async def compact(self, *, model: str, input: list[Any] | None = None, **_: Any) -> Any:  # noqa: A002 - theirs
        self.inputs.append(list(input or []))
        summary = {"type": "compaction", "id": f"cmp_{len(self.inputs)}", "encrypted_content": "opaque"}
        return SimpleNamespace(output=[summary], usage=None)


def compacting(session_id: str, inner: Any, *, when: Callable[[dict[str, Any]], bool]) -> Any:
    return OpenAIResponsesCompactionSession(
        session_id,
        inner,
        client=ScriptedCompaction(),  # type: ignore[arg-type]
        compaction_mode="input",
        should_trigger_compaction=when,
    )


@asynccontextmanager
async def _sqlalchemy(engine: AsyncEngine, **given: Any) -> AsyncIterator[OpenOne]:
    async def open_one(session_id: str, limit: int | None) -> Session:
        settings = SessionSettings(limit=limit)
        return SQLAlchemySession(
            session_id, engine=engine, session_settings=settings, **{"create_tables": True} | given
        )

    yield open_one
    await engine.dispose()


_MARIADB_TABLES = (
    """
    CREATE TABLE {sessions_table} (
      session_id VARCHAR(255) PRIMARY KEY,
      created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
      updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
    )
    """,
    """
    CREATE TABLE {messages_table} (
      id INTEGER PRIMARY KEY AUTO_INCREMENT,
      session_id VARCHAR(255) NOT NULL,
      message_data LONGTEXT NOT NULL,
      created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
      FOREIGN KEY (session_id) REFERENCES {sessions_table} (session_id) ON DELETE CASCADE
    )
    """,
)
