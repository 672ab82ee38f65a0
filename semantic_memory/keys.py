"""Keys: what callers in other processes show, and what a key lets them do."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from typing import get_args

from semantic_memory.errors import InvalidInput, NotFound
from semantic_memory.facts import Key, Scope
from semantic_memory.identity import NewId, check_text, check_user_id
from semantic_memory.ledger.store import Clock, Ledger
from semantic_memory.workroom import Workroom

PREFIX = "smk"  # so that scanners of credentials, ours among them, know one when they see it
SECRET_BYTES = 32  # random: a fast keyed hash of them is as safe as a slow one
NO_HASH = "0" * 64  # compared with where there is no such key, so that both cases take as long
LONGEST_NAME = 200  # characters


class Keys:
    """Makes keys, knows them again, and ends them. Only their keyed hashes are kept."""

    def __init__(self, ledger: Ledger, workroom: Workroom, *, clock: Clock, new_id: NewId) -> None:
        self._ledger = ledger
        self._workroom = workroom
        self._clock = clock
        self._new_id = new_id

    async def create(self, scopes: Sequence[Scope], *, user_id: str | None = None, name: str = "") -> tuple[Key, str]:
        """A new key and the token to show for it, which nobody can read again.

        With `user_id` it is good for that user's memory only. Raises `InvalidInput`.
        """
        if not scopes or not set(scopes) <= set(get_args(Scope)):
            raise InvalidInput(f"scopes are some of {', '.join(get_args(Scope))}, not {', '.join(scopes) or 'none'}")
        key = Key(
            id=self._new_id(),
            name=name and check_text(name, most=LONGEST_NAME),
            scopes=tuple(scope for scope in get_args(Scope) if scope in scopes),
            user_id=None if user_id is None else check_user_id(user_id),
            created_at=self._clock(),
        )
        secret = secrets.token_urlsafe(SECRET_BYTES)
        await self._workroom.finish(self._ledger.add_key(key, self._hash(key.id, secret)))
        return key, f"{PREFIX}_{key.id}_{secret}"

    async def known(self, token: str) -> Key | None:
        """The key that a token stands for; None for one that is made up, mistyped or revoked."""
        prefix, _, rest = token.partition("_")
        key_id, _, secret = rest.partition("_")
        found = await self._workroom.call(self._ledger.key(key_id))
        key, key_hash = found or (None, NO_HASH)
        same = hmac.compare_digest(self._hash(key_id, secret), key_hash)
        return key if key and same and prefix == PREFIX and key.revoked_at is None else None

    async def all(self) -> list[Key]:
        """Every key, also the revoked ones, oldest first."""
        return await self._workroom.call(self._ledger.keys())

    async def revoke(self, key_id: str) -> None:
        """End a key at once. Raises `NotFound`."""
        if not await self._workroom.finish(self._ledger.revoke_key(key_id)):
            raise NotFound(f"there is no key {key_id} that could be revoked")

    def _hash(self, key_id: str, secret: str) -> str:
        return self._ledger.keyed("key", key_id, secret)
