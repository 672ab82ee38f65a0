"""Rows to values and back."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CursorResult, Row

from semantic_memory.embedding import Matrix
from semantic_memory.errors import LedgerFailed
from semantic_memory.facts import Change, Evidence, Fact, NearMiss, Receipt

VECTOR = "<f4"  # little-endian on every machine, so that a ledger can be copied
NUMBER = 4  # bytes


class Moved(Exception):
    """A fact of the user has changed since what was to be written was decided: it is to be decided anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserState:
    """Where a user stands: what a reader compares its caches with."""

    user_key: str
    user_id: str | None
    revision: int
    epoch: int
    generation: str | None
    fingerprint: str | None  # of the active generation


@dataclass(frozen=True, slots=True)
class Kept:
    """A receipt that waits to be written, and whose it is."""

    user_key: str
    epoch: int | None  # of the user when the answer was given; None where only the ledger could tell
    receipt: Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One message of one session that a learn pass makes its own."""

    digest: str  # keyed
    occurrence: int
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """A piece of evidence and the message, as `memory_learned` names it, that gave it."""

    evidence: Evidence
    session_key: str | None = None
    occurrence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedMessage:
    """A message that could not be learned."""

    session_id: str
    digest: str
    occurrence: int
    tries: int
    dead: bool
    error: str


@dataclass(frozen=True, slots=True)
class Active:
    """A user's active facts with their vectors of one fingerprint, as rows: `read` makes a fact of one."""

    user_id: str
    rows: Sequence[Any]

    @classmethod
    def of(cls, result: CursorResult[Any], user_id: str) -> Active:
        """The rows of a result as named tuples, whose attributes cost a tenth of a `Row`'s."""
        row = namedtuple("row", result.keys())  # type: ignore[misc]
        return cls(user_id, list(map(row._make, result.all())))

    def read(self, row: Any) -> Fact:
        """The fact of a row."""
        return fact_from(row, self.user_id)

    def vectors(self, part: slice, dimension: int) -> Matrix:
        """The vectors of some rows, zeros where there is none: shape (rows, dimension)."""
        none, size = bytes(NUMBER * dimension), NUMBER * dimension
        blobs = [none if row.vector is None else row.vector for row in self.rows[part]]
        if any(len(blob) != size for blob in blobs):
            raise LedgerFailed(f"the ledger holds a vector that has not {dimension} numbers")
        return _numbers(b"".join(blobs)).reshape(-1, dimension)


def fact_from(row: Any, user_id: str) -> Fact:
    """A fact from its row."""
    return Fact(
        id=row.id,
        user_id=user_id,
        text=row.text,
        origin=row.origin,
        status=row.status,
        kind=row.kind,
        subject=row.subject,
        stance=row.stance,
        said_at=row.said_at,
        recorded_at=row.recorded_at,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        expires_at=row.expires_at,
        superseded_by=row.superseded_by,
        supersedes=row.supersedes,
        conflicts_with=row.conflicts_with,
        labels=tuple(row.labels),
        session_id=row.session_id,
        position=row.position,
        evidence_count=row.evidence_count,
    )


FACT_COLUMNS = (
    "id",
    "text",
    "origin",
    "status",
    "kind",
    "subject",
    "stance",
    "said_at",
    "recorded_at",
    "valid_from",
    "valid_to",
    "expires_at",
    "superseded_by",
    "supersedes",
    "conflicts_with",
    "session_id",
    "position",
    "evidence_count",
)


def fact_values(fact: Fact) -> dict[str, Any]:
    """The columns of a fact's row, but for its key and revision."""
    return {name: getattr(fact, name) for name in FACT_COLUMNS} | {"labels": list(fact.labels)}


EVIDENCE_COLUMNS = (
    "id",
    "fact_id",
    "origin",
    "quote",
    "before",
    "after",
    "session_id",
    "position",
    "digest",
    "agent",
    "extractor",
    "run_id",
    "trace_id",
    "reason",
    "said_at",
    "recorded_at",
)


def evidence_from(row: Row[Any]) -> Evidence:
    """A piece of evidence from its row."""
    span = None if row.span_start is None else (row.span_start, row.span_end)
    return Evidence(span=span, labels=tuple(row.labels), **{name: getattr(row, name) for name in EVIDENCE_COLUMNS})


def evidence_values(evidence: Evidence) -> dict[str, Any]:
    """The columns of a piece of evidence, but for its key and session key."""
    start, end = evidence.span or (None, None)
    values = {name: getattr(evidence, name) for name in EVIDENCE_COLUMNS}
    return values | {"span_start": start, "span_end": end, "labels": list(evidence.labels), "withdrawn": False}


def change_from(row: Row[Any]) -> Change:
    """A line of the change log from its row."""
    return Change(
        revision=row.revision,
        fact_id=row.fact_id,
        before=row.before,
        after=row.after,
        reason=row.reason,
        at=row.at,
    )


def near_values(near: tuple[NearMiss, ...]) -> list[dict[str, Any]]:
    """Near misses as plain JSON."""
    return [
        {
            "fact": miss.fact_id,
            "relevance": miss.relevance,
            "by": miss.stopped_by,
            "answerable": miss.answerable,
            "signals": dict(miss.signals),
        }
        for miss in near
    ]


def receipt_from(row: Row[Any], shown: tuple[tuple[str, float], ...]) -> Receipt:
    """A receipt from its row and the facts it showed."""
    return Receipt(
        id=row.id,
        at=row.at,
        query=row.query,
        shown=shown,
        signals=tuple(row.signals),
        near=tuple(_near_from(miss) for miss in row.near),
        source=row.source,
        answered_by=row.answered_by,
        degraded=row.degraded,
        latency_ms=row.latency_ms,
        answerable=row.answerable,
        run_id=row.run_id,
        trace_id=row.trace_id,
        session_id=row.session_id,
        agent=row.agent,
    )


def _near_from(miss: Mapping[str, Any]) -> NearMiss:
    return NearMiss(
        fact_id=miss["fact"],
        relevance=miss["relevance"],
        stopped_by=miss["by"],
        answerable=miss.get("answerable"),  # older receipts don't tell
        signals=miss["signals"],
    )


def vector_bytes(vector: Matrix) -> bytes:
    """A vector as it is kept."""
    return vector.astype(VECTOR, copy=False).tobytes()


def vector_from(blob: bytes | None) -> Matrix | None:
    """A kept vector, read-only."""
    return None if blob is None else _numbers(blob)


def _numbers(blob: bytes) -> Matrix:
    import numpy as np  # here, because most that is asked of the ledger is about words

    return np.frombuffer(blob, dtype=VECTOR).astype(np.float32, copy=False)
