"""Generations: what each lacks, the vectors that it gets, the switch from one to the next, and its end.

What a job has still to do is never stored: it is the facts that have words and no vector of a fingerprint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, and_, case, cast, delete, exists, func, insert, select, tuple_, update
from sqlalchemy.types import Text

from semantic_memory.embedding import Fingerprint, Matrix
from semantic_memory.errors import Conflict
from semantic_memory.ledger import reading, tables
from semantic_memory.ledger.rows import UserState, vector_bytes
from semantic_memory.ledger.writing import Writer, keep_fingerprint

Range = tuple[str, str]  # of fact ids: the first, and the one before which it ends; "" is no bound
EVERY: Range = ("", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far one user is on the way to a fingerprint."""

    user_key: str
    user_id: str
    revision: int
    fingerprint: str | None  # of the active generation
    facts: int  # with words, whatever their status
    missing: int  # of these, without a vector of the fingerprint
    characters: int  # of the missing ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Unembedded:
    """A fact without a vector of some fingerprint."""

    user_key: str
    fact_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One build of one user's index."""

    user_key: str
    id: str
    fingerprint: str
    dimension: int
    state: str  # building, active, retired
    since: datetime


UNKNOWN = Fingerprint(name="unknown", weights="", dimension=0)  # vectors that somebody wrote and never described


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUse:
    """What a memory has of one embedding model."""

    key: str  # of the fingerprint
    fingerprint: Fingerprint
    active: int  # users whose active generation is of it
    building: int
    retired: int
    vectors: int


# ---- looking -----------------------------------------------------------------------------------------


def standings(connection: Connection, fingerprint: str, user_keys: Sequence[str] | None = None) -> list[Standing]:
    """Where the users (all, or some) stand, in the order of their keys; who has no fact with words is left out."""
    user, generation, fact, vector = tables.users.c, tables.generations.c, tables.facts.c, tables.vectors.c
    missing = case((vector.fact_id.is_(None), 1), else_=0)
    active = and_(generation.user_key == user.user_key, generation.id == user.generation)
    query = (
        select(
            user.user_key,
            user.user_id,
            user.revision,
            generation.fingerprint,
            func.count().label("facts"),
            func.sum(missing).label("missing"),
            cast(func.sum(missing * func.length(fact.text)), BigInteger).label("characters"),
        )
        .select_from(
            tables.users.join(tables.facts, fact.user_key == user.user_key)
            .outerjoin(tables.generations, active)
            .outerjoin(tables.vectors, _of_fact(fingerprint))
        )
        .where(user.user_id.is_not(None), fact.text != "")
        .group_by(user.user_key, user.user_id, user.revision, generation.fingerprint)
        .order_by(user.user_key)
    )
    if user_keys is not None:
        query = query.where(user.user_key.in_(user_keys))
    return [Standing(**row._mapping) for row in connection.execute(query)]


def unembedded(
    connection: Connection, fingerprint: str, user_keys: Sequence[str], limit: int, ids: Range = EVERY
) -> list[Unembedded]:
    """The next facts of these users that lack a vector, in the order of their keys; only those with ids in a range."""
    fact, vector = tables.facts.c, tables.vectors.c
    query = (
        select(fact.user_key, fact.id, fact.text)
        .select_from(tables.facts.outerjoin(tables.vectors, _of_fact(fingerprint)))
        .where(fact.user_key.in_(user_keys), fact.text != "", vector.fact_id.is_(None))
        .order_by(fact.user_key, fact.id)
        .limit(limit)
    )
    first, before = ids
    if first:
        query = query.where(fact.id >= first)
    if before:
        query = query.where(fact.id < before)
    return [Unembedded(user_key=row.user_key, fact_id=row.id, text=row.text) for row in connection.execute(query)]


def has_vectors(connection: Connection, fingerprint: str) -> bool:
    """Whether any fact of any user has a vector of this fingerprint."""
    vector = tables.vectors.c
    return bool(connection.scalar(select(exists().where(vector.fingerprint == fingerprint))))


def superfluous(connection: Connection, *, retired_before: datetime | None = None) -> list[Generation]:
    """The generations that are not active; only those retired before a moment, where one is given."""
    generation, user, described = tables.generations.c, tables.users.c, tables.fingerprints.c
    query = (
        select(tables.generations, described.dimension)
        .select_from(
            tables.generations.join(tables.users, user.user_key == generation.user_key).join(
                tables.fingerprints, described.key == generation.fingerprint
            )
        )
        .where(func.coalesce(user.generation, "") != generation.id)
        .order_by(generation.user_key, generation.since.desc())
    )
    if retired_before is not None:
        query = query.where(generation.state == "retired", generation.since < retired_before)
    return [
        Generation(
            user_key=row.user_key,
            id=row.id,
            fingerprint=row.fingerprint,
            dimension=row.dimension,
            state=row.state,
            since=row.since,
        )
        for row in connection.execute(query)
    ]


def models(connection: Connection) -> list[ModelUse]:
    """What there is of each embedding model, the most used first."""
    generation, vector = tables.generations.c, tables.vectors.c
    states = {
        (row.fingerprint, row.state): row.users
        for row in connection.execute(
            select(generation.fingerprint, generation.state, func.count().label("users")).group_by(
                generation.fingerprint, generation.state
            )
        )
    }
    vectors = {
        row.fingerprint: row.vectors
        for row in connection.execute(
            select(vector.fingerprint, func.count().label("vectors")).group_by(vector.fingerprint)
        )
    }
    described = reading.fingerprints(connection)
    found = [
        ModelUse(
            key=key,
            fingerprint=described.get(key, UNKNOWN),
            active=states.get((key, "active"), 0),
            building=states.get((key, "building"), 0),
            retired=states.get((key, "retired"), 0),
            vectors=vectors.get(key, 0),
        )
        for key in {key for key, _ in states} | vectors.keys()
    ]
    return sorted(found, key=lambda use: (-use.active, -use.vectors, use.fingerprint.name))


# ---- writing -----------------------------------------------------------------------------------------


def describe(connection: Connection, fingerprint: Fingerprint) -> None:
    """Write a fingerprint down, so that its vectors can be named."""
    keep_fingerprint(connection, fingerprint)


def embed(connection: Connection, fingerprint: str, vectors: dict[tuple[str, str], Matrix], now: datetime) -> int:
    """Keep vectors by (user key, fact id): of the facts that still have words and still lack one; how many.

    Users who have a generation of this fingerprint get a new revision with it, because shelves and indexes of
    that generation may exist and must hear of it. For all others it is as if nothing had happened.
    """
    users = sorted({user_key for user_key, _ in vectors})
    _lock(connection, users)
    waiting = _still_waiting(connection, fingerprint, list(vectors))
    generation = tables.generations.c
    built = set(
        connection.scalars(
            select(generation.user_key).where(generation.user_key.in_(users), generation.fingerprint == fingerprint)
        )
    )
    silent = [key for key, status in waiting.items() if key[0] not in built or status != "active"]
    if silent:
        rows = [
            {"user_key": key[0], "fact_id": key[1], "fingerprint": fingerprint, "vector": vector_bytes(vectors[key])}
            for key in silent
        ]
        connection.execute(insert(tables.vectors), rows)
    for user_key in sorted({key[0] for key in waiting.keys() - set(silent)}):
        loud = [key[1] for key in waiting.keys() - set(silent) if key[0] == user_key]
        _announce(connection, user_key, {one: vectors[user_key, one] for one in sorted(loud)}, fingerprint, now)
    return len(waiting)


def begin(writer: Writer, fingerprint: Fingerprint, new_id: str) -> str:
    """The user's generation of a fingerprint: the one that there is, or a new one that is being built."""
    generation = tables.generations.c
    mine = generation.user_key == writer.user.user_key
    found = writer.connection.scalar(select(generation.id).where(mine, generation.fingerprint == fingerprint.key))
    if found is not None:
        return str(found)
    keep_fingerprint(writer.connection, fingerprint)
    _insert_generation(writer, new_id, fingerprint.key, "building")
    return new_id


def switch(writer: Writer, generation: str) -> None:
    """Make another generation the active one; the one before it is kept, retired.

    Raises `Conflict` where that generation is gone: the user was erased, or somebody has dropped it.
    """
    row, user = tables.generations.c, tables.users.c
    mine = row.user_key == writer.user.user_key
    one = and_(mine, row.id == generation)
    if writer.user.generation != generation:
        activated = update(tables.generations).where(one).values(state="active", since=writer.now)
        if not writer.connection.execute(activated).rowcount:
            raise Conflict("the generation that was built is gone")
        retired = update(tables.generations).where(mine, row.id == writer.user.generation)
        writer.connection.execute(retired.values(state="retired", since=writer.now))
        pointer = update(tables.users).where(user.user_key == writer.user.user_key)
        writer.connection.execute(pointer.values(generation=generation))


def drop(connection: Connection, dropped: Generation) -> None:
    """Delete a generation that is not active, and its vectors."""
    _lock(connection, [dropped.user_key])
    state = reading.user_state(connection, dropped.user_key)
    if state is None or state.generation == dropped.id:
        return  # erased, or back in use, meanwhile
    row, vector = tables.generations.c, tables.vectors.c
    connection.execute(delete(tables.generations).where(row.user_key == dropped.user_key, row.id == dropped.id))
    if state.fingerprint != dropped.fingerprint:
        connection.execute(
            delete(tables.vectors).where(vector.user_key == dropped.user_key, vector.fingerprint == dropped.fingerprint)
        )


def drop_strays(connection: Connection) -> int:
    """Delete the vectors that belong to no generation: of a build that was given up; how many."""
    vector, generation = tables.vectors.c, tables.generations.c
    owned = (
        select(generation.id)
        .where(generation.user_key == vector.user_key, generation.fingerprint == vector.fingerprint)
        .exists()
    )
    return int(connection.execute(delete(tables.vectors).where(~owned)).rowcount)


def _of_fact(fingerprint: str) -> Any:
    fact, vector = tables.facts.c, tables.vectors.c
    return and_(vector.user_key == fact.user_key, vector.fingerprint == fingerprint, vector.fact_id == fact.id)


def _lock(connection: Connection, user_keys: Sequence[str]) -> None:
    """Keep the users' writers out until the transaction ends; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import ARRAY

        keys = func.unnest(cast(list(user_keys), ARRAY(Text))).column_valued("user_key")
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(keys, 0))))


def _still_waiting(
    connection: Connection, fingerprint: str, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """The status of those facts that still have words and no vector."""
    fact, vector = tables.facts.c, tables.vectors.c
    query = (
        select(fact.user_key, fact.id, fact.status)
        .select_from(tables.facts.outerjoin(tables.vectors, _of_fact(fingerprint)))
        .where(tuple_(fact.user_key, fact.id).in_(keys), fact.text != "", vector.fact_id.is_(None))
    )
    return {(row.user_key, row.id): row.status for row in connection.execute(query)}


def _announce(
    connection: Connection, user_key: str, vectors: dict[str, Matrix], fingerprint: str, now: datetime
) -> None:
    state: UserState | None = reading.user_state(connection, user_key)
    if state is not None:
        writer = Writer(connection, state, now)
        writer.embedded(vectors, fingerprint)
        writer.finish()


def _insert_generation(writer: Writer, generation: str, fingerprint: str, state: str) -> None:
    connection, now = writer.connection, writer.now
    connection.execute(
        insert(tables.generations).values(
            user_key=writer.user.user_key,
            id=generation,
            fingerprint=fingerprint,
            state=state,
            created_at=now,
            since=now,
        )
    )
