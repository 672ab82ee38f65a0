"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations


def upgrade(op: Operations) -> None:
    """Create every table of the first release."""
    op.create_table(
        "memory_schema",
        sa.Column("step", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("applied_at", sa.String(32), nullable=False),
    )
    _people(op)
    _facts(op)
    _learning(op)
    _receipts(op)


def _people(op: Operations) -> None:
    op.create_table(
        "memory_meta",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
    )
    op.create_table(
        "memory_fingerprints",
        sa.Column("key", sa.String(16), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("weights", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("query_prompt", sa.Text(), nullable=False),
        sa.Column("document_prompt", sa.Text(), nullable=False),
    )
    op.create_table(
        "memory_users",
        sa.Column("user_key", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.Text()),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("generation", sa.String(32)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("erased_at", sa.BigInteger()),
    )
    op.create_table(
        "memory_generations",
        sa.Column("user_key", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("fingerprint", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )


def _facts(op: Operations) -> None:
    op.create_table(
        "memory_facts",
        sa.Column("user_key", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("subject", sa.Text()),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("stance", sa.String(16), nullable=False),
        sa.Column("said_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("valid_from", sa.BigInteger()),
        sa.Column("valid_to", sa.BigInteger()),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("superseded_by", sa.String(32)),
        sa.Column("supersedes", sa.String(32)),
        sa.Column("conflicts_with", sa.String(32)),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("session_id", sa.Text()),
        sa.Column("position", sa.Integer()),
        sa.Column("evidence_count", sa.Integer(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
    )
    op.create_index("memory_facts_by_change", "memory_facts", ["user_key", "changed"])
    op.create_index("memory_facts_by_status", "memory_facts", ["user_key", "status"])
    op.create_table(
        "memory_evidence",
        sa.Column("user_key", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("fact_id", sa.String(32), nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("quote", sa.Text(), nullable=False),
        sa.Column("span_start", sa.Integer()),
        sa.Column("span_end", sa.Integer()),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text()),
        sa.Column("session_key", sa.String(64)),
        sa.Column("position", sa.Integer()),
        sa.Column("digest", sa.String(64)),
        sa.Column("occurrence", sa.Integer()),
        sa.Column("agent", sa.Text()),
        sa.Column("extractor", sa.Text()),
        sa.Column("run_id", sa.Text()),
        sa.Column("trace_id", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("said_at", sa.BigInteger()),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
    )
    op.create_index("memory_evidence_by_fact", "memory_evidence", ["user_key", "fact_id"])
    op.create_index("memory_evidence_by_message", "memory_evidence", ["user_key", "session_key", "digest"])
    op.create_table(
        "memory_changes",
        sa.Column("user_key", sa.String(64), primary_key=True),
        sa.Column("revision", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("ordinal", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("fact_id", sa.String(32), nullable=False),
        sa.Column("before", sa.String(16)),
        sa.Column("after", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
    op.create_index("memory_changes_by_fact", "memory_changes", ["user_key", "fact_id"])
    op.create_table(
        "memory_vectors",
        sa.Column("user_key", sa.String(64), primary_key=True),
        sa.Column("fingerprint", sa.String(16), primary_key=True),
        sa.Column("fact_id", sa.String(32), primary_key=True),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
    )


def _learning(op: Operations) -> None:
    op.create_table(
        "memory_learned",
        sa.Column("user_key", sa.String(64), primary_key=True),
        sa.Column("session_key", sa.String(64), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("occurrence", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("extractor", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "memory_attempts",
        sa.Column("user_key", sa.String(64), primary_key=True),
        sa.Column("session_key", sa.String(64), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("occurrence", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("dead", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )


def _receipts(op: Operations) -> None:
    op.create_table(
        "memory_receipts",
        sa.Column("user_key", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("answered_by", sa.String(16), nullable=False),
        sa.Column("degraded", sa.Text()),
        sa.Column("latency_ms", sa.Float(), nullable=False),
        sa.Column("run_id", sa.Text()),
        sa.Column("trace_id", sa.Text()),
        sa.Column("session_id", sa.Text()),
        sa.Column("agent", sa.Text()),
        sa.Column("signals", sa.JSON(), nullable=False),
        sa.Column("near", sa.JSON(), nullable=False),
    )
    op.create_index("memory_receipts_by_time", "memory_receipts", ["user_key", "at"])
    op.create_table(
        "memory_receipt_facts",
        sa.Column("user_key", sa.String(64), primary_key=True),
        sa.Column("receipt_id", sa.String(32), primary_key=True),
        sa.Column("fact_id", sa.String(32), primary_key=True),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("relevance", sa.Float(), nullable=False),
    )
    op.create_index("memory_receipt_facts_by_fact", "memory_receipt_facts", ["user_key", "fact_id"])
