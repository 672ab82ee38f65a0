"""The tables of the ledger as the newest code sees them; `migrations` says how they came about.

Every table but `memory_meta`, `memory_fingerprints` and `memory_keys` is keyed by `user_key`, the keyed hash of a
user id, so that no query can forget whose rows it means. Instants are microseconds since 1970 in UTC:
exact, sortable and the same in every database.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.types import JSON, TypeDecorator

metadata = MetaData()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """A point in time, kept as whole microseconds since 1970 (UTC)."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To microseconds."""
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """From microseconds."""
        return None if value is None else EPOCH + timedelta(microseconds=value)


def user_key_column() -> Column[str]:
    """The first part of every primary key."""
    return Column("user_key", String(64), primary_key=True)


meta = Table(
    "memory_meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

fingerprints = Table(
    "memory_fingerprints",
    metadata,
    Column("key", String(16), primary_key=True),
    Column("name", Text, nullable=False),
    Column("weights", Text, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("query_prompt", Text, nullable=False),
    Column("document_prompt", Text, nullable=False),
)

users = Table(
    "memory_users",
    metadata,
    user_key_column(),
    Column("user_id", Text),  # NULL once erased: only the keyed hash stays
    Column("revision", BigInteger, nullable=False),  # +1 with every transaction that changes a fact
    Column("epoch", Integer, nullable=False),  # +1 with every erase: a write begun before it aborts
    Column("generation", String(32)),  # the active one
    Column("created_at", Instant, nullable=False),
    Column("erased_at", Instant),
)

generations = Table(
    "memory_generations",
    metadata,
    user_key_column(),
    Column("id", String(32), primary_key=True),
    Column("fingerprint", String(16), nullable=False),
    Column("state", String(16), nullable=False),  # building, active, retired
    Column("created_at", Instant, nullable=False),
    Column("since", Instant),  # when it took this state; NULL: when it was created
)

facts = Table(
    "memory_facts",
    metadata,
    user_key_column(),
    Column("id", String(32), primary_key=True),
    Column("text", Text, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("subject", Text),
    Column("origin", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("stance", String(16), nullable=False),
    Column("said_at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("valid_from", Instant),
    Column("valid_to", Instant),
    Column("expires_at", Instant),
    Column("superseded_by", String(32)),
    Column("supersedes", String(32)),
    Column("conflicts_with", String(32)),
    Column("labels", JSON, nullable=False),
    Column("session_id", Text),
    Column("position", Integer),
    Column("evidence_count", Integer, nullable=False),
    Column("changed", BigInteger, nullable=False),  # the user's revision of its last change
    Index("memory_facts_by_change", "user_key", "changed"),
    Index("memory_facts_by_status", "user_key", "status"),
)

evidence = Table(
    "memory_evidence",
    metadata,
    user_key_column(),
    Column("id", String(32), primary_key=True),
    Column("fact_id", String(32), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("quote", Text, nullable=False),
    Column("span_start", Integer),
    Column("span_end", Integer),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("session_id", Text),
    Column("session_key", String(64)),
    Column("position", Integer),
    Column("digest", String(64)),  # keyed, as in memory_learned
    Column("occurrence", Integer),
    Column("agent", Text),
    Column("extractor", Text),
    Column("run_id", Text),
    Column("trace_id", Text),
    Column("reason", Text),
    Column("labels", JSON, nullable=False),
    Column("said_at", Instant),
    Column("recorded_at", Instant, nullable=False),
    Column("withdrawn", Boolean, nullable=False),  # its source was taken back
    Index("memory_evidence_by_fact", "user_key", "fact_id"),
    Index("memory_evidence_by_message", "user_key", "session_key", "digest"),
)

changes = Table(
    "memory_changes",
    metadata,
    user_key_column(),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("fact_id", String(32), nullable=False),
    Column("before", String(16)),
    Column("after", String(16), nullable=False),
    Column("reason", Text),
    Column("at", Instant, nullable=False),
    Index("memory_changes_by_fact", "user_key", "fact_id"),
)

vectors = Table(
    "memory_vectors",
    metadata,
    user_key_column(),
    Column("fingerprint", String(16), primary_key=True),
    Column("fact_id", String(32), primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # little-endian float32
)

learned = Table(
    "memory_learned",
    metadata,
    user_key_column(),
    Column("session_key", String(64), primary_key=True),
    Column("digest", String(64), primary_key=True),  # keyed hash of the message's digest
    Column("occurrence", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, nullable=False),
    Column("extractor", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

attempts = Table(
    "memory_attempts",
    metadata,
    user_key_column(),
    Column("session_key", String(64), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("occurrence", Integer, primary_key=True, autoincrement=False),
    Column("session_id", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("dead", Boolean, nullable=False),
    Column("error", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

receipts = Table(
    "memory_receipts",
    metadata,
    user_key_column(),
    Column("id", String(32), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("query", Text, nullable=False),
    Column("source", String(16), nullable=False),
    Column("answered_by", String(16), nullable=False),
    Column("degraded", Text),
    Column("latency_ms", Float, nullable=False),
    Column("run_id", Text),
    Column("trace_id", Text),
    Column("session_id", Text),
    Column("agent", Text),
    Column("signals", JSON, nullable=False),  # of each fact that was shown, in the order of their rank
    Column("near", JSON, nullable=False),
    Column("answerable", Float),
    Index("memory_receipts_by_time", "user_key", "at"),
)

receipt_facts = Table(
    "memory_receipt_facts",
    metadata,
    user_key_column(),
    Column("receipt_id", String(32), primary_key=True),
    Column("fact_id", String(32), primary_key=True),
    Column("rank", Integer, nullable=False),
    Column("relevance", Float, nullable=False),
    Index("memory_receipt_facts_by_fact", "user_key", "fact_id"),
)

keys = Table(
    "memory_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("hash", String(64), nullable=False),  # keyed; the secret itself is kept nowhere
    Column("name", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("user_key", String(64)),  # of the one user whom it is good for; NULL: every user
    Column("user_id", Text),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
)
