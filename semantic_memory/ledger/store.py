"""The ledger: one object over the database, whose methods say what the rest of the house needs."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, insert, select, text, update

from semantic_memory.embedding import Fingerprint, Matrix
from semantic_memory.errors import Erased, LedgerFailed
from semantic_memory.facts import Change, Evidence, Fact, FactFilter, Key, Lineage, Receipt
from semantic_memory.identity import keyed_digest, user_key
from semantic_memory.ledger import erasing, keys, reading, receipts, tables
from semantic_memory.ledger.database import Database, T
from semantic_memory.ledger.migrations import migrate
from semantic_memory.ledger.rows import Active, FailedMessage, Kept, Moved, UserState
from semantic_memory.ledger.writing import Writer

Clock = Callable[[], datetime]
MIGRATION_LOCK = 0x5E3A_71C  # PostgreSQL advisory lock: any number that nobody else uses


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Ledger:
    """Facts, evidence, vectors, receipts and generations in SQL: the truth.

    Each call is one hop to the database. It raises `LedgerFailed` for whatever the database does not do. All
    methods belong to the event loop that called `open`.
    """

    def __init__(self, database: Database, *, clock: Clock = utc_now) -> None:
        self.database = database
        self._clock = clock
        self._secret = b""
        self._fingerprints: dict[str, Fingerprint] = {}

    async def open(self) -> None:
        """Create or upgrade the tables and read the secret that keys every hash."""
        self._secret = await self.database.write(_prepare)

    async def close(self) -> None:
        """Give back every connection."""
        await self.database.close()

    def user_key(self, user_id: str) -> str:
        """The keyed hash that stands for a user in every table and folder name."""
        return user_key(user_id, self._secret)

    def keyed(self, *parts: str) -> str:
        """A keyed hash of some parts: session keys and message digests."""
        return keyed_digest(self._secret, *parts)

    async def write(
        self,
        user_key: str,
        user_id: str,
        work: Callable[[Writer], T],
        *,
        epoch: int | None = None,
        revision: int | None = None,
    ) -> T:
        """What `work` returns, once everything that it wrote about one user is committed together.

        Whatever it raises leaves nothing. Raises `Erased` when the user was erased since `epoch` was read, and
        `Moved` when a fact has changed since `revision` was.
        """

        def transaction(connection: Connection) -> T:
            user = _lock_user(connection, user_key, user_id, self._clock())
            if epoch is not None and user.epoch != epoch:
                raise Erased
            if revision is not None and user.revision != revision:
                raise Moved
            writer = Writer(connection, user, self._clock())
            result = work(writer)
            writer.finish()
            return result

        return await self.database.write(transaction)

    async def user(self, user_key: str) -> UserState | None:
        """Where a user stands; None for one never seen."""
        return await self.database.read(reading.user_state, user_key)

    async def user_and_replaced(self, user_key: str, texts: Sequence[str]) -> tuple[UserState | None, list[Fact]]:
        """Where a user stands; and the facts in these words that were replaced, with what is believed instead."""
        now = self._clock()

        def work(connection: Connection) -> tuple[UserState | None, list[Fact]]:
            state = reading.user_state(connection, user_key)
            return state, reading.replaced(connection, state, texts, now=now) if state else []

        return await self.database.read(work)

    async def fingerprint(self, key: str) -> Fingerprint:
        """What a generation was embedded with."""
        if key not in self._fingerprints:
            self._fingerprints[key] = await self.database.read(reading.fingerprint, key)
        return self._fingerprints[key]

    async def user_ids(self) -> list[str]:
        """The ids of all users."""
        return await self.database.read(reading.user_ids)

    async def facts_with_vectors(
        self, user: UserState, fingerprint: str, *, after: int = 0
    ) -> tuple[UserState, list[tuple[Fact, Matrix | None]]]:
        """The facts that changed after a revision with their vectors, and the state they belong to.

        The state is read first: what is committed meanwhile may be among the facts, and is never missed.
        """

        def work(connection: Connection) -> tuple[UserState, list[tuple[Fact, Matrix | None]]]:
            state = reading.user_state(connection, user.user_key) or user
            return state, reading.facts_with_vectors(connection, state, fingerprint, after=after)

        return await self.database.read(work)

    async def active_facts(self, user: UserState, fingerprint: str) -> tuple[UserState, Active]:
        """The active facts with their vectors as rows, and the state they belong to, read first as above."""

        def work(connection: Connection) -> tuple[UserState, Active]:
            state = reading.user_state(connection, user.user_key) or user
            return state, reading.active_facts(connection, state, fingerprint)

        return await self.database.read(work)

    async def facts_as_of(
        self, user: UserState, moment: datetime, fingerprint: str = ""
    ) -> list[tuple[Fact, Matrix | None]]:
        """The facts that were active at a moment, with their vectors; what was forgotten since is gone."""
        return await self.database.read(reading.facts_as_of, user, moment, fingerprint)

    async def facts(
        self, user: UserState, wanted: FactFilter, *, limit: int | None = None, offset: int = 0
    ) -> list[Fact]:
        """Facts that fit a filter, the last said first."""
        return await self.database.read(reading.facts, user, wanted, now=self._clock(), limit=limit, offset=offset)

    async def over(self, user: UserState) -> bool:
        """Whether a fact is still called active whose time is over."""
        return await self.database.read(reading.over, user, self._clock())

    async def facts_by_id(self, user: UserState, ids: Sequence[str]) -> dict[str, Fact]:
        """The user's own facts among `ids`, whatever their status; what is over is called `expired`."""
        found = await self.database.read(reading.facts_by_id, user, ids, now=self._clock())
        return {fact.id: fact for fact in found}

    async def count_facts(self, user_key: str) -> dict[str, int]:
        """How many facts the user has, by status."""
        return await self.database.read(reading.count_facts, user_key)

    async def evidence(self, user_key: str, fact_id: str) -> list[Evidence]:
        """Where a fact comes from, oldest first."""
        return await self.database.read(reading.evidence, user_key, fact_id=fact_id)

    async def changes(self, user_key: str, *, fact_id: str | None = None) -> list[Change]:
        """The change log of a user, or of one fact, oldest first."""
        return await self.database.read(reading.changes, user_key, fact_id=fact_id)

    async def lineages(self, user_key: str) -> list[Lineage]:
        """All facts of a user with their evidence and history, of one moment."""

        def work(connection: Connection) -> list[Lineage]:
            state = reading.user_state(connection, user_key)
            return reading.lineages(connection, state, now=self._clock()) if state else []

        return await self.database.read(work)

    async def learned(self, user_key: str, session_key: str) -> list[tuple[str, int]]:
        """Keyed digest and occurrence of what was learned from a session, in the transcript's order."""
        return await self.database.read(reading.learned, user_key, session_key)

    async def failed_messages(
        self, user_key: str | None = None, *, session_key: str | None = None
    ) -> list[FailedMessage]:
        """Messages that could not be learned: of all users, of one, or of one session."""
        return await self.database.read(reading.failed_messages, user_key, session_key)

    async def revive(self, user_key: str) -> int:
        """Give dead letters another chance; how many there were."""

        row = tables.attempts.c
        dead = update(tables.attempts).where(row.user_key == user_key, row.dead.is_(True))
        return await self.database.write(
            lambda connection: int(connection.execute(dead.values(dead=False, tries=0)).rowcount)
        )

    async def add_receipts(self, rows: Sequence[Kept]) -> None:
        """Write receipts, but none of a user who was erased since."""
        await self.database.write(receipts.add, rows)

    async def find_receipts(
        self, user_key: str, *, fact_id: str | None = None, limit: int | None = 100, **equal: str | None
    ) -> list[Receipt]:
        """The user's newest receipts; those that showed a fact, those whose `id`, `run_id` ... is the given one."""
        return await self.database.read(receipts.find, user_key, fact_id=fact_id, limit=limit, **equal)

    async def drop_receipts(self, *, older_than: timedelta) -> None:
        """Forget old receipts."""
        await self.database.write(receipts.drop_before, self._clock() - older_than)

    async def add_key(self, key: Key, key_hash: str) -> None:
        """Write a key of the server with the hash of its secret."""
        bound = None if key.user_id is None else self.user_key(key.user_id)
        await self.database.write(keys.add, key, key_hash, bound)

    async def key(self, key_id: str) -> tuple[Key, str] | None:
        """A key of the server and its hash."""
        return await self.database.read(keys.find, key_id)

    async def keys(self) -> list[Key]:
        """All keys of the server, oldest first."""
        return await self.database.read(keys.everyone)

    async def revoke_key(self, key_id: str) -> bool:
        """End a key; False where there is none that could be ended."""
        return await self.database.write(keys.revoke, key_id, self._clock())

    async def generations(self, user_key: str) -> list[tuple[str, int]]:
        """Id and dimension of each of the user's generations."""
        return await self.database.read(reading.generations, user_key)

    async def erase(self, user_key: str) -> tuple[dict[str, int], tuple[str, ...]]:
        """Delete all that is known of a user, and raise the epoch so that writes begun before abort.

        How many rows went from which table, and the ids of the sessions that had taught facts.
        """
        return await self.database.write(erasing.erase, user_key, self._clock())

    async def rows_of(self, user_key: str) -> dict[str, int]:
        """How many rows each table that erasing empties holds of a user."""
        return await self.database.read(erasing.rows_of, user_key)

    async def scrub(self) -> bool:
        """Have deleted bytes leave the files; False where a reader still holds old pages.

        SQLite overwrites deleted rows in place (`secure_delete`), but its write-ahead log keeps older pages until
        it is emptied. On PostgreSQL deleted rows stay in the table's files until a vacuum, and in its logs and
        backups as long as these are kept.
        """
        return self.database.dialect != "sqlite" or await self.database.checkpoint()


def _prepare(connection: Connection) -> bytes:
    """Bring the schema up to date; the key of every hash."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
    migrate(connection)
    return _secret(connection)


def _secret(connection: Connection) -> bytes:
    """The key of every hash; made with the first tables, under the same lock."""
    row = tables.meta.c
    found = connection.scalar(select(row.value).where(row.key == "secret"))
    if found is None:
        if connection.scalar(select(tables.users.c.user_key).limit(1)):
            raise LedgerFailed("the ledger has lost its secret (memory_meta): its users can't be found")
        found = secrets.token_hex(32)
        connection.execute(insert(tables.meta).values(key="secret", value=found))
    return bytes.fromhex(found)


def _lock_user(connection: Connection, user_key: str, user_id: str, now: datetime) -> UserState:
    """The user's row, locked until the transaction ends; made when it is missing."""
    if connection.dialect.name == "postgresql":
        # Serialises the first writes of a user, when there is no row yet to lock.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": user_key})
    state = reading.user_state(connection, user_key)
    if state is None:
        new = insert(tables.users).values(user_key=user_key, user_id=user_id, revision=0, epoch=0, created_at=now)
        connection.execute(new)
        state = UserState(user_key=user_key, user_id=user_id, revision=0, epoch=0, generation=None, fingerprint=None)
    return replace(state, user_id=user_id)  # an erased user's id comes back with their next fact, not before
