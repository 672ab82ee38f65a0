"""How likely the facts held an answer at all, for every recall."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations


def upgrade(op: Operations) -> None:
    """Add the column."""
    op.add_column("memory_receipts", sa.Column("answerable", sa.Float(), nullable=True))
