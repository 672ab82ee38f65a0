"""Where the ledger's functions run. They are synchronous, and a call of the ledger is one hop, however many
statements it makes: crossing between a thread and an event loop costs more than most of them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine

from semantic_memory.errors import LedgerFailed
from semantic_memory.ledger.engine import WRITES, async_engine, file_engine, file_url, our_errors, sibling

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

P = ParamSpec("P")
T = TypeVar("T")
Work = Callable[[Connection], T]

READERS = 4  # threads; they wait for the disk, and one large user's facts must not keep others waiting


class Lane(Protocol):
    """A way to run functions over a connection."""

    @property
    def engine(self) -> Engine:
        """The engine of its connections."""
        ...

    async def run(self, work: Work[T], *, writes: bool) -> T:
        """Run `work` on a connection that has begun nothing; what writes may have to wait for its turn."""
        ...

    async def close(self) -> None:
        """Give back every connection."""
        ...


class Database:
    """A database, and how one works on it: a snapshot to read from, or a transaction."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    @classmethod
    def at(cls, url: str) -> Database:
        """The database at a URL. Raises `InvalidInput`, `MissingExtra`."""
        file = file_url(url)
        return cls(Loop(async_engine(url)) if file is None else Threads(file_engine(file)))

    @classmethod
    def in_file(cls, path: Path) -> Database:
        """A SQLite database in a file."""
        return cls(Threads(file_engine(URL.create("sqlite", database=str(path)))))

    @classmethod
    def shared(cls, engine: AsyncEngine) -> Database:
        """The database of the caller's engine. Raises `InvalidInput` for one in memory."""
        return cls(Loop(sibling(engine)))

    @property
    def engine(self) -> Engine:
        """The engine of its connections."""
        return self._lane.engine

    @property
    def dialect(self) -> str:
        """The name of the dialect: `sqlite`, `postgresql` ..."""
        return self.engine.dialect.name

    async def read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` finds. Raises `LedgerFailed` for whatever the database doesn't do."""
        with our_errors():
            return await self._lane.run(lambda connection: work(connection, *args, **kwargs), writes=False)

    async def write(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns, once what it wrote is committed; whatever it raises leaves nothing.

        The transaction of a caller who is cancelled is rolled back, unless it has been committed by then.
        Raises `LedgerFailed`.
        """
        given_up = threading.Event()

        def transaction(connection: Connection) -> T:
            connection.execution_options(**{WRITES: True})
            with connection.begin():
                result = work(connection, *args, **kwargs)
                if given_up.is_set():
                    raise asyncio.CancelledError  # nobody hears it: it rolls back
                return result

        with our_errors():
            try:
                return await self._lane.run(transaction, writes=True)
            except asyncio.CancelledError:
                given_up.set()
                raise

    async def checkpoint(self) -> bool:
        """Empty SQLite's write-ahead log; False where a reader still needs it."""
        with our_errors():
            return await self._lane.run(_checkpoint, writes=True)

    async def faults(self) -> list[str]:
        """What is wrong inside a SQLite file, its indexes held against its tables; reads all of it."""
        try:
            return await self.read(_faults) if self.dialect == "sqlite" else []
        except LedgerFailed as error:
            return [str(error)]

    async def reindex(self) -> None:
        """Make a SQLite file's indexes again from its tables. Raises `LedgerFailed` where these are damaged too."""
        if self.dialect == "sqlite":
            await self.write(lambda connection: connection.exec_driver_sql("REINDEX"))

    async def close(self) -> None:
        """Give back every connection."""
        await self._lane.close()


class Threads:
    """Threads of their own for SQLite: some to read, and the one that writes, because SQLite has one writer."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="semantic-memory-ledger-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="semantic-memory-ledger-write")

    async def run(self, work: Work[T], *, writes: bool) -> T:
        """Run `work` in a thread; it ends there even if the caller is cancelled, but doesn't begin any more."""
        try:
            future = (self._writer if writes else self._readers).submit(self._connected, work)
        except RuntimeError as error:
            raise LedgerFailed("the ledger is closed") from error
        return await asyncio.wrap_future(future)

    def _connected(self, work: Work[T]) -> T:
        with self.engine.connect() as connection:
            return work(connection)

    async def close(self) -> None:
        """Wait for what is going on, and give back every connection."""
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        for threads in (self._readers, self._writer):
            threads.shutdown(cancel_futures=True)
        self.engine.dispose()


class Loop:
    """The event loop, for databases with a driver of their own for it, and for engines that the caller shares."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # SQLite has one writer: queueing here is fair, waiting for its lock is not.
        one_writer = engine.dialect.name == "sqlite"
        self._turn: contextlib.AbstractAsyncContextManager[None] = (
            asyncio.Lock() if one_writer else contextlib.nullcontext()
        )

    @property
    def engine(self) -> Engine:
        """The engine of its connections."""
        return self._engine.sync_engine

    async def run(self, work: Work[T], *, writes: bool) -> T:
        """Run `work` on this loop, which goes on wherever the driver waits."""
        async with self._turn if writes else contextlib.nullcontext(), self._engine.connect() as connection:
            return await connection.run_sync(work)

    async def close(self) -> None:
        """Give back every connection."""
        await self._engine.dispose()


def _faults(connection: Connection) -> list[str]:
    said = connection.exec_driver_sql("PRAGMA integrity_check(10)").scalars()
    return [line for line in said if line != "ok"]


def _checkpoint(connection: Connection) -> bool:
    connection.execution_options(isolation_level="AUTOCOMMIT")
    return not connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
