"""Queries about one user; each takes the connection and the user's key."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, String, and_, bindparam, case, cast, exists, func, or_, select

from semantic_memory.embedding import Fingerprint, Matrix
from semantic_memory.facts import Change, Evidence, Fact, FactFilter, Lineage, Status
from semantic_memory.ledger import tables
from semantic_memory.ledger.rows import (
    Active,
    FailedMessage,
    UserState,
    change_from,
    evidence_from,
    fact_from,
    vector_from,
)

MOST_IDS = 1000  # in one query; databases limit the number of its parameters


def _user_state() -> Select[tuple[str, int, int, str, str]]:
    user, generation = tables.users, tables.generations
    active = and_(generation.c.user_key == user.c.user_key, generation.c.id == user.c.generation)
    return (
        select(user.c.user_id, user.c.revision, user.c.epoch, user.c.generation, generation.c.fingerprint)
        .select_from(user.outerjoin(generation, active))
        .where(user.c.user_key == bindparam("user_key"))
    )


_USER_STATE = _user_state()  # every recall asks it, and putting it together takes as long as asking


def user_state(connection: Connection, user_key: str) -> UserState | None:
    """Where the user stands; None for one never seen."""
    row = connection.execute(_USER_STATE, {"user_key": user_key}).first()
    if row is None:
        return None
    return UserState(
        user_key=user_key,
        user_id=row.user_id,
        revision=row.revision,
        epoch=row.epoch,
        generation=row.generation,
        fingerprint=row.fingerprint,
    )


def facts_with_vectors(
    connection: Connection, user: UserState, fingerprint: str, *, after: int
) -> list[tuple[Fact, Matrix | None]]:
    """The user's facts that changed after a revision, with their vectors of one fingerprint.

    With `after=0` only active ones: whoever knows nothing needn't be told what is gone.
    """
    query = _with_vectors(user, fingerprint).where(tables.facts.c.changed > after)
    if not after:
        query = query.where(tables.facts.c.status == "active")
    rows = connection.execute(query)
    return [(fact_from(row, user.user_id or ""), vector_from(row.vector)) for row in rows]


def active_facts(connection: Connection, user: UserState, fingerprint: str) -> Active:
    """The user's active facts with their vectors of one fingerprint, as they are kept."""
    query = _with_vectors(user, fingerprint).where(tables.facts.c.status == "active")
    return Active.of(connection.execute(query), user.user_id or "")


def _with_vectors(user: UserState, fingerprint: str) -> Select[Any]:
    fact, vector = tables.facts, tables.vectors
    kept = and_(
        vector.c.user_key == fact.c.user_key,
        vector.c.fact_id == fact.c.id,
        vector.c.fingerprint == fingerprint,
    )
    return (
        select(fact, vector.c.vector)
        .select_from(fact.outerjoin(vector, kept))
        .where(fact.c.user_key == user.user_key)
        .order_by(fact.c.recorded_at, fact.c.id)
    )


def facts(
    connection: Connection,
    user: UserState,
    wanted: FactFilter,
    *,
    now: datetime,
    limit: int | None = None,
    offset: int = 0,
) -> list[Fact]:
    """Facts that fit a filter, the last said first; what is over is called `expired`, even if no write has said so."""
    fact = tables.facts.c
    status = _status(now)
    query = select(tables.facts, status.label("status_now"))
    query = query.where(fact.user_key == user.user_key, *_conditions(wanted, status))
    query = query.order_by(fact.said_at.desc(), fact.id).limit(limit).offset(offset)
    return [_fact_now(row, user) for row in connection.execute(query)]


def _status(now: datetime) -> ColumnElement[str]:
    return case((_over(now), "expired"), else_=tables.facts.c.status)


def _fact_now(row: Any, user: UserState) -> Fact:
    return replace(fact_from(row, user.user_id or ""), status=row.status_now)


def over(connection: Connection, user: UserState, now: datetime) -> bool:
    """Whether a fact is still called active whose time is over."""
    fact = tables.facts.c
    return bool(connection.scalar(select(fact.id).where(fact.user_key == user.user_key, _over(now)).limit(1)))


def _over(now: datetime) -> ColumnElement[bool]:
    fact = tables.facts.c
    return and_(fact.status == "active", fact.expires_at <= now)


def _conditions(wanted: FactFilter, status: ColumnElement[str]) -> list[Any]:
    fact = tables.facts.c
    same = {"kind": fact.kind, "subject": fact.subject, "origin": fact.origin}
    found = [column == getattr(wanted, name) for name, column in same.items() if getattr(wanted, name)]
    if wanted.status:
        found.append(status.in_(wanted.status))
    if wanted.since:
        found.append(fact.said_at >= wanted.since)
    if wanted.until:
        found.append(fact.said_at < wanted.until)
    if wanted.text:
        found.append(func.lower(fact.text).contains(wanted.text.lower(), autoescape=True))
    if wanted.label:
        # A JSON list of strings: with its quotes no label is found in another, and unlike LIKE case counts.
        kept = cast(fact.labels, String)
        found.append(func.replace(kept, json.dumps(wanted.label), "") != kept)
    if wanted.session_id:
        found.append(_was_said_in(wanted.session_id))
    said = {"agent": tables.evidence.c.agent, "run_id": tables.evidence.c.run_id}
    found += [_has_evidence(row == getattr(wanted, name)) for name, row in said.items() if getattr(wanted, name)]
    if wanted.disputed:
        found.append(_is_disputed())
    if wanted.never_recalled:
        found.append(~_was_shown())
    return found


def _was_said_in(session_id: str) -> ColumnElement[bool]:
    """What was taken back has no evidence left, and keeps the session that taught it last."""
    said_there = _has_evidence(tables.evidence.c.session_id == session_id)
    return or_(tables.facts.c.session_id == session_id, said_there)


def _has_evidence(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    row, fact = tables.evidence.c, tables.facts.c
    mine = and_(row.user_key == fact.user_key, row.fact_id == fact.id, row.withdrawn.is_(False))
    return exists().where(mine, condition)


def _is_disputed() -> ColumnElement[bool]:
    fact, other = tables.facts.c, tables.facts.alias("other").c
    either = or_(other.id == fact.conflicts_with, other.conflicts_with == fact.id)
    return exists().where(other.user_key == fact.user_key, other.status == "active", either)


def _was_shown() -> ColumnElement[bool]:
    row, fact = tables.receipt_facts.c, tables.facts.c
    return exists().where(row.user_key == fact.user_key, row.fact_id == fact.id)


def facts_as_of(
    connection: Connection, user: UserState, moment: datetime, fingerprint: str
) -> list[tuple[Fact, Matrix | None]]:
    """The facts that were active at a moment by the change log, with their vectors; forgotten ones are gone.

    What took their place later was not known then.
    """
    change = tables.changes.c
    rows = connection.execute(
        select(change.fact_id, change.after)
        .where(change.user_key == user.user_key, change.at <= moment)
        .order_by(change.revision, change.ordinal)
    )
    last = {row.fact_id: row.after for row in rows}
    then = {fact_id for fact_id, status in last.items() if status == "active"}
    known = connection.execute(_with_vectors(user, fingerprint))
    return [
        (replace(fact_from(row, user.user_id or ""), status="active", superseded_by=None), vector_from(row.vector))
        for row in known
        if row.id in then and row.status != "forgotten" and (row.expires_at is None or row.expires_at > moment)
    ]


def facts_by_id(connection: Connection, user: UserState, ids: Sequence[str], *, now: datetime) -> list[Fact]:
    """The user's own facts among `ids`, whatever their status; see `facts` for what is over."""
    fact = tables.facts.c
    found: list[Any] = []
    possible = [one for one in ids if isinstance(one, str) and one.isascii() and "\0" not in one]
    for start in range(0, len(possible), MOST_IDS):
        some = fact.id.in_(possible[start : start + MOST_IDS])
        query = select(tables.facts, _status(now).label("status_now"))
        found += connection.execute(query.where(fact.user_key == user.user_key, some))
    return [_fact_now(row, user) for row in found]


def superseded_by(connection: Connection, user: UserState, fact_id: str) -> list[Fact]:
    """The facts whose place one took, the newest first."""
    fact = tables.facts.c
    query = select(tables.facts).where(fact.user_key == user.user_key, fact.superseded_by == fact_id)
    rows = connection.execute(query.order_by(fact.recorded_at.desc(), fact.id))
    return [fact_from(row, user.user_id or "") for row in rows]


def alike(connection: Connection, user: UserState, texts: Sequence[str], *, status: Status) -> list[Fact]:
    """The facts of a status that are spelled like any of the texts, whatever their case and full stop."""
    fact = tables.facts.c
    spelled = sorted({spelling for text in texts for spelling in _spellings(text)})
    found: list[Any] = []
    for start in range(0, len(spelled), MOST_IDS):
        some = spelled[start : start + MOST_IDS]
        query = select(tables.facts).where(fact.user_key == user.user_key, fact.status == status)
        found += connection.execute(query.where(or_(fact.text.in_(some), func.lower(fact.text).in_(some))))
    return [fact_from(row, user.user_id or "") for row in {row.id: row for row in found}.values()]


def _spellings(text: str) -> set[str]:
    stem = text.rstrip(".!")
    return {form for end in ("", ".", "!") for form in (stem + end, (stem + end).lower())}


def replaced(connection: Connection, user: UserState, texts: Sequence[str], *, now: datetime) -> list[Fact]:
    """The facts in these words that were replaced, and those that are believed in their place."""
    old = alike(connection, user, texts, status="superseded")
    found = {fact.id: fact for fact in old}
    while ahead := {fact.superseded_by for fact in old if fact.superseded_by} - found.keys():
        old = facts_by_id(connection, user, list(ahead), now=now)
        found |= {fact.id: fact for fact in old}
    return list(found.values())


def count_facts(connection: Connection, user_key: str) -> dict[str, int]:
    """How many facts the user has, by status."""
    fact = tables.facts.c
    rows = connection.execute(
        select(fact.status, func.count().label("facts")).where(fact.user_key == user_key).group_by(fact.status)
    )
    return {row.status: row.facts for row in rows}


def evidence(connection: Connection, user_key: str, *, fact_id: str | None) -> list[Evidence]:
    """Where the user's facts come from, oldest first, or where one fact does."""
    row = tables.evidence.c
    query = select(tables.evidence).where(row.user_key == user_key, row.withdrawn.is_(False))
    if fact_id is not None:
        query = query.where(row.fact_id == fact_id)
    rows = connection.execute(query.order_by(row.recorded_at, row.id))
    return [evidence_from(found) for found in rows]


def lineages(connection: Connection, user: UserState, *, now: datetime) -> list[Lineage]:
    """All facts of a user with their evidence and history, the first recorded first."""
    known = facts(connection, user, FactFilter(status=()), now=now)
    said: defaultdict[str, list[Evidence]] = defaultdict(list)
    for one in evidence(connection, user.user_key, fact_id=None):
        said[one.fact_id].append(one)
    happened: defaultdict[str, list[Change]] = defaultdict(list)
    for change in changes(connection, user.user_key, fact_id=None):
        happened[change.fact_id].append(change)
    return [
        Lineage(fact=fact, evidence=tuple(said[fact.id]), history=tuple(happened[fact.id]))
        for fact in sorted(known, key=lambda fact: (fact.recorded_at, fact.id))
    ]


def changes(connection: Connection, user_key: str, *, fact_id: str | None) -> list[Change]:
    """The user's change log, oldest first, or the lines of one fact."""
    row = tables.changes.c
    query = select(tables.changes).where(row.user_key == user_key).order_by(row.revision, row.ordinal)
    if fact_id is not None:
        query = query.where(row.fact_id == fact_id)
    return [change_from(found) for found in connection.execute(query)]


def learned(connection: Connection, user_key: str, session_key: str) -> list[tuple[str, int]]:
    """Keyed digest and occurrence of the messages learned from a session, in the order of the transcript."""
    row = tables.learned.c
    rows = connection.execute(
        select(row.digest, row.occurrence)
        .where(row.user_key == user_key, row.session_key == session_key)
        .order_by(row.position, row.at)
    )
    return [(digest, occurrence) for digest, occurrence in rows]


def failed_messages(connection: Connection, user_key: str | None, session_key: str | None) -> list[FailedMessage]:
    """Messages that could not be learned, of one user or (None) of all, of one session or (None) of all."""
    row = tables.attempts.c
    query = select(tables.attempts).order_by(row.at)
    if user_key is not None:
        query = query.where(row.user_key == user_key)
    if session_key is not None:
        query = query.where(row.session_key == session_key)
    return [
        FailedMessage(
            session_id=found.session_id,
            digest=found.digest,
            occurrence=found.occurrence,
            tries=found.tries,
            dead=found.dead,
            error=found.error,
        )
        for found in connection.execute(query)
    ]


def generations(connection: Connection, user_key: str) -> list[tuple[str, int]]:
    """Id and dimension of each of the user's generations."""
    row, described = tables.generations.c, tables.fingerprints.c
    rows = connection.execute(
        select(row.id, described.dimension)
        .select_from(tables.generations.join(tables.fingerprints, row.fingerprint == described.key))
        .where(row.user_key == user_key)
    )
    return [(found.id, found.dimension) for found in rows]


def fingerprint(connection: Connection, key: str) -> Fingerprint:
    """The fingerprint that a key stands for."""
    found = connection.execute(select(tables.fingerprints).where(tables.fingerprints.c.key == key))
    return _fingerprint_from(found.one())


def fingerprints(connection: Connection) -> dict[str, Fingerprint]:
    """All fingerprints that were ever written down, by key."""
    return {row.key: _fingerprint_from(row) for row in connection.execute(select(tables.fingerprints))}


def _fingerprint_from(row: Any) -> Fingerprint:
    return Fingerprint(
        name=row.name,
        weights=row.weights,
        dimension=row.dimension,
        query_prompt=row.query_prompt,
        document_prompt=row.document_prompt,
    )


def user_ids(connection: Connection) -> list[str]:
    """The ids of all users who were not erased."""
    row = tables.users.c
    found = connection.scalars(select(row.user_id).where(row.user_id.is_not(None)).order_by(row.user_id))
    return [user_id for user_id in found if user_id is not None]
