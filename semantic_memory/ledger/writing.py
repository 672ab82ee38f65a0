"""One transaction that changes what is known about a user."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Row, Table, and_, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from semantic_memory.embedding import Fingerprint, Matrix
from semantic_memory.errors import Conflict, NotFound
from semantic_memory.facts import Change, Fact, Lineage, Status
from semantic_memory.ledger import reading, receipts, tables
from semantic_memory.ledger.rows import Claim, Filed, UserState, evidence_values, fact_values, vector_bytes


@dataclass(slots=True)
class Writer:
    """What may be done to one user inside one transaction.

    The user's row is locked; whatever is written becomes visible at once, under one new revision,
    when the transaction commits, or not at all.
    """

    connection: Connection
    user: UserState
    now: datetime
    revision: int = field(init=False)
    changed: int = field(default=0, init=False)  # lines in the change log so far

    def __post_init__(self) -> None:
        self.revision = self.user.revision + 1

    def facts_by_id(self, ids: Sequence[str]) -> dict[str, Fact]:
        """The user's own facts among `ids`, as this transaction sees them."""
        return {fact.id: fact for fact in reading.facts_by_id(self.connection, self.user, ids, now=self.now)}

    def add_facts(self, facts: Sequence[Fact], evidence: Sequence[Filed]) -> None:
        """Write facts with their first evidence."""
        if not facts:
            return
        self._insert(tables.facts, *({"changed": self.revision, **fact_values(fact)} for fact in facts))
        self._insert(tables.evidence, *map(_evidence_row, evidence))
        reasons = {filed.evidence.fact_id: filed.evidence.reason for filed in evidence}
        self._log(*((fact.id, None, fact.status, reasons.get(fact.id)) for fact in facts))

    def restore(self, lineages: Sequence[Lineage]) -> None:
        """Write facts with the evidence and the history that they had in another ledger."""
        if not lineages:
            return
        said = [Filed(evidence=evidence) for one in lineages for evidence in one.evidence]
        self._insert(tables.facts, *({"changed": self.revision, **fact_values(one.fact)} for one in lineages))
        if said:
            self._insert(tables.evidence, *map(_evidence_row, said))
        self._keep_changes([change for one in lineages for change in one.history])
        self._log(*((one.fact.id, one.fact.status, one.fact.status, "imported") for one in lineages))

    def fact_ids(self) -> set[str]:
        """The ids of all the user's facts, whatever their status."""
        return set(self.connection.scalars(select(tables.facts.c.id).where(self._mine(tables.facts))))

    def evidence_ids(self) -> set[str]:
        """The ids of all evidence of the user."""
        return set(self.connection.scalars(select(tables.evidence.c.id).where(self._mine(tables.evidence))))

    def reaffirm(self, filed: Filed, *, labels: Sequence[str] = (), expires_at: datetime | None = None) -> None:
        """Add one more piece of evidence to a fact that is known; no second fact.

        It takes on the labels; one that would be over takes on a later end.
        """
        fact_id, fact = filed.evidence.fact_id, tables.facts.c
        known = self._fact(fact_id, fact.status, fact.labels, fact.expires_at)
        self._insert(tables.evidence, _evidence_row(filed))
        later = max(filter(None, (known.expires_at, expires_at)), default=None) if known.expires_at else None
        more = list(dict.fromkeys([*known.labels, *labels]))
        self._update_fact(fact_id, evidence_count=fact.evidence_count + 1, labels=more, expires_at=later)
        self._log((fact_id, known.status, known.status, "reaffirmed"))

    def expire(self) -> tuple[str, ...]:
        """Move the active facts whose time is over to `expired`; their ids."""
        fact = tables.facts.c
        over = self.connection.scalars(
            select(fact.id).where(self._mine(tables.facts), fact.status == "active", fact.expires_at <= self.now)
        )
        expired = tuple(over)
        for fact_id in expired:
            self.set_status(fact_id, "active", "expired", reason="its time is over")
        return expired

    def weaken(self, fact_id: str, evidence_left: int, *, reason: str) -> None:
        """Note that a fact has lost some of its evidence, and the labels that only this gave, and stands.

        It comes from the session of the oldest evidence that is left.
        """
        fact, row = tables.facts.c, tables.evidence.c
        known = self._fact(fact_id, fact.status, fact.labels)
        mine = self._mine(tables.evidence), row.fact_id == fact_id
        given: dict[bool, set[str]] = {True: set(), False: set()}
        for withdrawn, labels in self.connection.execute(select(row.withdrawn, row.labels).where(*mine)):
            given[withdrawn].update(labels)
        labels = [label for label in known.labels if label not in given[True] - given[False]]
        left = select(row.session_id, row.position).where(*mine, row.withdrawn.is_(False))
        session_id, position = self.connection.execute(left.order_by(row.recorded_at, row.id).limit(1)).one()
        here = {"session_id": session_id, "position": position}
        self._update_fact(fact_id, evidence_count=evidence_left, labels=labels, **here)
        self._log((fact_id, known.status, known.status, reason))

    def set_status(self, fact_id: str, before: Status, after: Status, *, reason: str | None, **columns: Any) -> None:
        """Move a fact from one status to another, by compare-and-swap.

        Raises `Conflict` when its status is no longer `before`, `NotFound` when there is no such fact.
        """
        fact = tables.facts.c
        moved = self.connection.execute(
            update(tables.facts)
            .where(self._mine(tables.facts), fact.id == fact_id, fact.status == before)
            .values(status=after, changed=self.revision, **columns)
        )
        if not moved.rowcount:
            now = self.status(fact_id)
            raise Conflict(f"fact {fact_id} is {now}, not {before}")
        self._log((fact_id, before, after, reason))

    def status(self, fact_id: str) -> Status:
        """The status of a fact as this transaction sees it."""
        status: Status = (self._fact(fact_id, tables.facts.c.status)).status
        return status

    def superseded_by(self, fact_id: str) -> list[Fact]:
        """The facts whose place this one took, whatever their status now, the newest first."""
        return reading.superseded_by(self.connection, self.user, fact_id)

    def alike(self, text: str) -> list[Fact]:
        """The active facts that are spelled like a text, whatever the case of its letters and its full stop."""
        found = reading.alike(self.connection, self.user, [text], status="active")
        return [fact for fact in found if fact.expires_at is None or fact.expires_at > self.now]

    def annotate(self, fact_id: str, **columns: Any) -> None:
        """Set links of a fact (`supersedes`, `conflicts_with` ...), which its status change explains."""
        self._update_fact(fact_id, **columns)

    def blank(self, fact_id: str) -> None:
        """Overwrite every word of a fact and drop its vectors; what stays says only that there was one.

        The reason of what this transaction itself has done to the fact stays too. Why it took another one's place
        is told in that one's history as well, and goes there too.
        """
        self._update_fact(fact_id, text="", subject=None, labels=[])
        row = tables.evidence.c
        self.connection.execute(
            update(tables.evidence)
            .where(self._mine(tables.evidence), row.fact_id == fact_id)
            .values(quote="", before="", after="", reason=None, labels=[], span_start=None, span_end=None)
        )
        change = tables.changes.c
        self.connection.execute(
            update(tables.changes)
            .where(self._mine(tables.changes), change.fact_id == fact_id, change.revision < self.revision)
            .values(reason=None)
        )
        self._blank_replacement(fact_id)
        self.connection.execute(
            delete(tables.vectors).where(self._mine(tables.vectors), tables.vectors.c.fact_id == fact_id)
        )
        receipts.forget(self.connection, self.user.user_key, fact_id)

    def _blank_replacement(self, fact_id: str) -> None:
        """Blank why the facts that a fact has replaced were superseded: that is said in its own words."""
        fact, change = tables.facts.c, tables.changes.c
        written = select(change.revision).where(self._mine(tables.changes), change.fact_id == fact_id)
        replaced = select(fact.supersedes).where(self._mine(tables.facts), fact.id == fact_id)
        self.connection.execute(
            update(tables.changes)
            .where(self._mine(tables.changes), change.after == "superseded", change.fact_id.in_(replaced))
            .where(change.revision.in_(written))
            .values(reason=None)
        )

    def add_vectors(self, vectors: Mapping[str, Matrix], fingerprint: str) -> None:
        """Keep the vectors of facts under a fingerprint."""
        if vectors:
            rows = [
                {"fingerprint": fingerprint, "fact_id": fact_id, "vector": vector_bytes(vector)}
                for fact_id, vector in vectors.items()
            ]
            self._insert(tables.vectors, *rows)

    def embedded(self, vectors: Mapping[str, Matrix], fingerprint: str) -> None:
        """Keep vectors of facts that were written without any, and let every reader know."""
        for fact_id in vectors:
            self._update_fact(fact_id)
        self.add_vectors(vectors, fingerprint)
        self._log(*((fact_id, "active", "active", "embedded") for fact_id in vectors))

    def claim(self, session_key: str, claims: Sequence[Claim], *, extractor: str) -> None:
        """Make messages learned. Raises `Conflict` when another worker was first with any of them."""
        rows = [
            {
                "session_key": session_key,
                "digest": claim.digest,
                "occurrence": claim.occurrence,
                "position": claim.position,
                "extractor": extractor,
                "at": self.now,
            }
            for claim in claims
        ]
        try:
            if rows:
                self._insert(tables.learned, *rows)
        except IntegrityError as error:
            raise Conflict("another worker has learned these messages") from error
        self._forget_attempts(session_key, claims)

    def note_failure(
        self, session_key: str, session_id: str, claims: Sequence[Claim], error: str, *, most: int
    ) -> None:
        """Count a failed try at some messages, unless another worker has learned them; after `most` they are dead."""
        for claim in claims:
            learned, tried = (
                _is_message(table, self._mine, session_key, claim) for table in (tables.learned, tables.attempts)
            )
            if self.connection.scalar(select(func.count()).where(learned)):
                continue
            before = self.connection.scalar(select(tables.attempts.c.tries).where(tried)) or 0
            self.connection.execute(delete(tables.attempts).where(tried))
            self._insert(
                tables.attempts,
                {
                    "session_key": session_key,
                    "digest": claim.digest,
                    "occurrence": claim.occurrence,
                    "session_id": session_id,
                    "tries": before + 1,
                    "dead": before + 1 >= most,
                    "error": error[:500],
                    "at": self.now,
                },
            )

    def unclaim(self, session_key: str, claims: Sequence[Claim]) -> None:
        """Take back that messages were learned, because they were taken back themselves."""
        for claim in claims:
            self.connection.execute(
                delete(tables.learned).where(_is_message(tables.learned, self._mine, session_key, claim))
            )

    def withdraw(self, session_key: str, claim: Claim) -> list[str]:
        """Withdraw the evidence that a message gave; the ids of the facts it was for."""
        message = _is_message(tables.evidence, self._mine, session_key, claim)
        standing = and_(message, tables.evidence.c.withdrawn.is_(False))
        found = self.connection.scalars(select(tables.evidence.c.fact_id).where(standing))
        fact_ids = list(found)
        self.connection.execute(update(tables.evidence).where(standing).values(withdrawn=True))
        return fact_ids

    def standing_evidence(self, fact_id: str) -> int:
        """How many pieces of evidence of a fact have not been withdrawn."""
        row = tables.evidence.c
        count = self.connection.scalar(
            select(func.count()).where(self._mine(tables.evidence), row.fact_id == fact_id, row.withdrawn.is_(False))
        )
        return int(count or 0)

    def activate(self, generation: str, fingerprint: Fingerprint) -> None:
        """Make a generation the user's active one, writing down its fingerprint."""
        keep_fingerprint(self.connection, fingerprint)
        self._insert(
            tables.generations,
            {"id": generation, "fingerprint": fingerprint.key, "state": "active", "created_at": self.now},
        )
        self.connection.execute(update(tables.users).where(self._mine(tables.users)).values(generation=generation))

    def finish(self) -> None:
        """Raise the user's revision if anything changed; called once, before the commit."""
        if self.changed:
            self.connection.execute(
                update(tables.users)
                .where(self._mine(tables.users))
                .values(revision=self.revision, user_id=self.user.user_id)
            )

    def _forget_attempts(self, session_key: str, claims: Sequence[Claim]) -> None:
        for claim in claims:
            self.connection.execute(
                delete(tables.attempts).where(_is_message(tables.attempts, self._mine, session_key, claim))
            )

    def _insert(self, table: Table, *rows: Mapping[str, Any]) -> None:
        self.connection.execute(insert(table), [{"user_key": self.user.user_key, **row} for row in rows])

    def _fact(self, fact_id: str, *columns: Column[Any]) -> Row[Any]:
        query = select(*columns).where(self._mine(tables.facts), tables.facts.c.id == fact_id)
        found: Row[Any] | None = self.connection.execute(query).first()
        if found is None:
            raise NotFound(f"there is no fact {fact_id} for this user")
        return found

    def _update_fact(self, fact_id: str, **columns: Any) -> None:
        self.connection.execute(
            update(tables.facts)
            .where(self._mine(tables.facts), tables.facts.c.id == fact_id)
            .values(changed=self.revision, **columns)
        )

    def _log(self, *moves: tuple[str, Status | None, Status, str | None]) -> None:
        revision, now = self.revision, self.now
        self._keep_changes(
            [
                Change(revision=revision, fact_id=fact_id, before=before, after=after, reason=reason, at=now)
                for fact_id, before, after, reason in moves
            ]
        )

    def _keep_changes(self, changes: Sequence[Change]) -> None:
        rows = [
            {
                "revision": self.revision,
                "ordinal": ordinal,
                "fact_id": change.fact_id,
                "before": change.before,
                "after": change.after,
                "reason": change.reason,
                "at": change.at,
            }
            for ordinal, change in enumerate(changes, start=self.changed)
        ]
        if rows:
            self._insert(tables.changes, *rows)
        self.changed += len(rows)

    def _mine(self, table: Table) -> Any:
        return table.c.user_key == self.user.user_key


def _evidence_row(filed: Filed) -> dict[str, Any]:
    where = {"session_key": filed.session_key, "occurrence": filed.occurrence}
    return evidence_values(filed.evidence) | where


def _is_message(table: Table, mine: Any, session_key: str, claim: Claim) -> Any:
    return and_(
        mine(table),
        table.c.session_key == session_key,
        table.c.digest == claim.digest,
        table.c.occurrence == claim.occurrence,
    )


def keep_fingerprint(connection: Connection, fingerprint: Fingerprint) -> None:
    """Write a fingerprint down, so that what is kept under its key can be named."""
    known = connection.scalar(select(tables.fingerprints.c.key).where(tables.fingerprints.c.key == fingerprint.key))
    if known is not None:
        return
    row = insert(tables.fingerprints).values(
        key=fingerprint.key,
        name=fingerprint.name,
        weights=fingerprint.weights,
        dimension=fingerprint.dimension,
        query_prompt=fingerprint.query_prompt,
        document_prompt=fingerprint.document_prompt,
    )
    # Another user's writer may be faster: fingerprints belong to all.
    with contextlib.suppress(IntegrityError), connection.begin_nested():
        connection.execute(row)
