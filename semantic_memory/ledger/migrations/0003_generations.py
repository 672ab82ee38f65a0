"""Since when a generation is in its state, so that one that was retired long ago can be dropped."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations


def upgrade(op: Operations) -> None:
    """Add the column."""
    op.add_column("memory_generations", sa.Column("since", sa.BigInteger(), nullable=True))
