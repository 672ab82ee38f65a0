"""The database servers that some tests talk to, and what to do where one isn't there."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

REQUIRED = "SEMANTIC_MEMORY_TEST_SERVERS"


def missing(what: str) -> NoReturn:
    """Skip the test for something that isn't here; fail it where all that tests talk to is required."""
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(what)
    pytest.skip(what)


@dataclass(frozen=True)
class Server:
    name: str
    variable: str
    default: str  # tried where the variable isn't set and the port answers

    @property
    def url(self) -> str:
        """Its address; skips the test where there is no server, fails it where servers are required."""
        url = os.environ.get(self.variable) or self.default
        if _answers(url):
            return url
        missing(f"no {self.name} at {make_url(url).render_as_string()}: set {self.variable}")


POSTGRESQL = Server("PostgreSQL", "SEMANTIC_MEMORY_TEST_POSTGRESQL", "postgresql+asyncpg://root@127.0.0.1:5432/test")
MARIADB = Server("MariaDB", "SEMANTIC_MEMORY_TEST_MARIADB", "mysql+aiomysql://root@127.0.0.1:3306/test")
REDIS = Server("Redis", "SEMANTIC_MEMORY_TEST_REDIS", "redis://127.0.0.1:6379/0")


@asynccontextmanager
async def fresh_schema() -> AsyncIterator[str]:
    """The name of an empty PostgreSQL schema, which is dropped afterwards."""
    schema = f"test_{uuid.uuid4().hex}"
    engine = create_async_engine(POSTGRESQL.url)
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"CREATE SCHEMA {schema}"))
        yield schema
        async with engine.begin() as connection:
            await connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    finally:
        await engine.dispose()


@asynccontextmanager
async def fresh_database() -> AsyncIterator[str]:
    """The URL of an empty PostgreSQL database, which is dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    engine = create_async_engine(POSTGRESQL.url, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f"CREATE DATABASE {name}"))
            yield make_url(POSTGRESQL.url).set(database=name).render_as_string(hide_password=False)
            await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        await engine.dispose()


def engine_in(schema: str, **given: Any) -> AsyncEngine:
    """An engine whose tables are in a schema of their own."""
    return create_async_engine(POSTGRESQL.url, connect_args={"server_settings": {"search_path": schema}}, **given)


def _answers(url: str) -> bool:
    parsed = make_url(url)
    try:
        with socket.create_connection((parsed.host or "127.0.0.1", parsed.port or 0), timeout=1):
            return True
    except OSError:
        return False
