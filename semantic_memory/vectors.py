"""The bounded cache of shelves: each user's active facts and vectors, as the ledger has them.

A shelf is never older than the revision it is asked for, so it is never wrong, whoever wrote: what
changed since is read from the ledger and put on it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from semantic_memory.embedding import Fingerprint, Matrix
from semantic_memory.facts import Fact
from semantic_memory.ledger.rows import UserState
from semantic_memory.ledger.store import Ledger
from semantic_memory.reconcile import walled_off
from semantic_memory.retrieval.shelf import Shelf
from semantic_memory.walls import Views

NO_MODEL = Fingerprint(name="none", weights="", dimension=1)  # of shelves that know words alone
BYTES_BESIDE_THE_VECTOR = 1500  # of a fact on a shelf: its text, its words, its row (measured)
BYTES_OF_A_LOOK = 100  # at a fact, that labels let through or not

SLICE = 500  # facts that are placed before others get their turn: about five milliseconds


@dataclass(slots=True)
class Held:
    """A shelf in the cache, and where the user stood when it was read."""

    state: UserState
    fingerprint: str
    shelf: Shelf = field(default_factory=Shelf)
    unembedded: dict[str, Fact] = field(default_factory=dict)  # active facts without a vector yet
    filling: asyncio.Lock = field(default_factory=asyncio.Lock)
    filled: bool = False
    size: int = 0  # bytes, as last counted
    views: Views = field(default_factory=Views)  # what labels let through of it

    @property
    def read_up_to(self) -> int:
        """The revision that the shelf is at; 0 while it is empty."""
        return self.state.revision if self.filled else 0

    def is_behind(self, state: UserState) -> bool:
        """Whether something is missing that was written by then."""
        return not self.filled or self.state.revision < state.revision

    def is_of_another_life(self, state: UserState) -> bool:
        """Whether the user was erased since, or given a generation, whose vectors come without a new revision."""
        return (self.state.epoch, self.state.generation) != (state.epoch, state.generation)

    def fits(self, state: UserState, fingerprint: str) -> bool:
        """Whether this shelf is, or can be brought, to where the user stands now."""
        same = self.fingerprint == fingerprint and not self.is_of_another_life(state)
        return same and self.state.revision <= state.revision


class Shelves:
    """Shelves by user, least recently used given up first."""

    def __init__(self, ledger: Ledger, *, most_bytes: int) -> None:
        self._ledger = ledger
        self._most_bytes = most_bytes
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._bytes = 0  # of all that are held

    async def get(self, state: UserState, fingerprint: Fingerprint) -> Held:
        """The user's shelf at `state.revision` or later."""
        held = self._held.get(state.user_key)
        if held is not None and held.state.revision > state.revision:
            state = await self._ledger.user(state.user_key) or state  # that look was old, or the ledger is
        if held is None or not held.fits(state, fingerprint.key):
            self.drop(state.user_key)
            held = self._held[state.user_key] = Held(state, fingerprint.key)
        self._held.move_to_end(state.user_key)
        if held.is_behind(state):
            async with held.filling:
                await self._fill(held, state, fingerprint)
            self._make_room(state.user_key, held)
        return held

    async def seen(self, held: Held, labels: Collection[str]) -> Shelf:
        """What labels let through of a shelf, as a shelf of its own that is kept beside it; without any, all of it."""
        if not labels:
            return held.shelf
        shelf = await held.views.get(held, labels)
        self._make_room(held.state.user_key, held)
        return shelf

    async def as_of(
        self, state: UserState, fingerprint: Fingerprint, moment: datetime, labels: Collection[str] = ()
    ) -> Held:
        """A shelf of what was active at a moment and is seen under the labels; made for one question and not kept."""
        held = Held(state, fingerprint.key)
        for fact, vector in await self._ledger.facts_as_of(state, moment, fingerprint.key):
            if not walled_off(labels, fact.labels):
                _place(held, fact, vector, fingerprint.dimension)
        return held

    def fingerprint(self, user_key: str) -> str | None:
        """What the shelf that is cached of a user was embedded with; None where there is none."""
        held = self._held.get(user_key)
        return held.fingerprint if held else None

    def drop(self, user_key: str) -> None:
        """Forget what is cached of a user."""
        held = self._held.pop(user_key, None)
        if held is not None:
            self._bytes -= held.size

    def clear(self) -> None:
        """Forget what is cached of everybody."""
        for user_key in list(self._held):
            self.drop(user_key)

    async def _fill(self, held: Held, state: UserState, fingerprint: Fingerprint) -> None:
        while held.is_behind(state):
            fresh = await (self._update if held.filled else self._read)(held, state, fingerprint)
            if held.is_of_another_life(fresh):  # meanwhile: nothing on the shelf may stay
                held.shelf, held.unembedded, held.filled = Shelf(), {}, False
                held.state = state = fresh

    async def _update(self, held: Held, state: UserState, fingerprint: Fingerprint) -> UserState:
        """Put on the shelf what changed since it was read; where the user stands now."""
        now, rows = await self._ledger.facts_with_vectors(state, fingerprint.key, after=held.read_up_to)
        if not held.is_of_another_life(now):
            for fact, vector in rows:
                _place(held, fact, vector, fingerprint.dimension)
            held.state = now
        return now

    async def _read(self, held: Held, state: UserState, fingerprint: Fingerprint) -> UserState:
        """Fill an empty shelf; where the user stands now."""
        now, active = await self._ledger.active_facts(state, fingerprint.key)
        if held.is_of_another_life(now):
            return now
        held.shelf = Shelf(active.read)  # also where a fill was given up: what it has placed may be gone by now
        held.unembedded = {row.id: active.read(row) for row in active.rows if row.vector is None}
        for begin in range(0, len(active.rows), SLICE):
            part = slice(begin, begin + SLICE)
            held.shelf.extend(active.rows[part], active.vectors(part, fingerprint.dimension))
            await asyncio.sleep(0)  # nobody sees it before it is full, and others needn't wait
        held.state, held.filled = now, True
        return now

    def _make_room(self, user_key: str, held: Held) -> None:
        """Count a shelf that has changed, and give up those that were not used for longest."""
        if self._held.get(user_key) is held:
            self._held.move_to_end(user_key)
            self._count(held)
            while self._bytes > self._most_bytes and held.views.give_up_one():
                self._count(held)
        while len(self._held) > 1 and self._bytes > self._most_bytes:
            self.drop(next(iter(self._held)))

    def _count(self, held: Held) -> None:
        size = sum(map(_size, (held.shelf, *held.views.shelves))) + held.views.known * BYTES_OF_A_LOOK
        self._bytes, held.size = self._bytes + size - held.size, size


def _place(held: Held, fact: Fact, vector: Matrix | None, dimension: int) -> None:
    """Put a fact on its shelf, or take it off. One without a vector can still be found by its words."""
    held.unembedded.pop(fact.id, None)
    if fact.status != "active":
        held.shelf.drop(fact.id)
        return
    if vector is None:
        held.unembedded[fact.id] = fact
        vector = np.zeros(dimension, dtype=np.float32)
    held.shelf.put(fact, vector)


def _size(shelf: Shelf) -> int:
    return int(len(shelf) * (shelf.vectors.shape[1] * 4 + BYTES_BESIDE_THE_VECTOR))
