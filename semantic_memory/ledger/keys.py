"""Keys of the server: their hashes, what they let one do, and whom they are bound to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from semantic_memory.facts import Key
from semantic_memory.ledger import tables


def add(connection: Connection, key: Key, key_hash: str, user_key: str | None) -> None:
    """Write a key."""
    values = {"id": key.id, "hash": key_hash, "name": key.name, "scopes": list(key.scopes)}
    bound = {"user_key": user_key, "user_id": key.user_id, "created_at": key.created_at}
    connection.execute(insert(tables.keys).values(**values, **bound))


def find(connection: Connection, key_id: str) -> tuple[Key, str] | None:
    """A key and its hash, revoked or not."""
    found = connection.execute(select(tables.keys).where(tables.keys.c.id == key_id)).one_or_none()
    return (_key(found), found.hash) if found else None


def everyone(connection: Connection) -> list[Key]:
    """All keys, oldest first."""
    rows = connection.execute(select(tables.keys).order_by(tables.keys.c.created_at, tables.keys.c.id))
    return [_key(row) for row in rows]


def revoke(connection: Connection, key_id: str, now: datetime) -> bool:
    """End a key; False where there is none that could be ended."""
    row = tables.keys.c
    done = connection.execute(
        update(tables.keys).where(row.id == key_id, row.revoked_at.is_(None)).values(revoked_at=now)
    )
    return bool(done.rowcount)


def _key(row: Any) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        scopes=tuple(row.scopes),
        user_id=row.user_id,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )
