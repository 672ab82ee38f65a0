"""What labels let through of a shelf: a shelf of its own, so that nothing behind a wall can move an answer."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from semantic_memory.facts import Fact
from semantic_memory.reconcile import walled_off
from semantic_memory.retrieval.shelf import Shelf

if TYPE_CHECKING:
    from semantic_memory.vectors import Held

KEPT = 8  # views of one user; those used last
AT_ONCE = 500  # facts that are placed before others get their turn


class Views:
    """What labels let through of one user's shelf, by labels; least recently used given up first."""

    def __init__(self) -> None:
        self._views: OrderedDict[frozenset[str], View] = OrderedDict()

    @property
    def shelves(self) -> tuple[Shelf, ...]:
        """All that are kept."""
        return tuple(view.shelf for view in self._views.values())

    @property
    def known(self) -> int:
        """How many facts they were made of, over all of them."""
        return sum(view.known for view in self._views.values())

    async def get(self, held: Held, labels: Collection[str]) -> Shelf:
        """What is seen of `held` under these labels, as it is now."""
        key = frozenset(labels)
        view = self._views.setdefault(key, View(key))
        self._views.move_to_end(key)
        while len(self._views) > KEPT:
            self.give_up_one()
        return await view.of(held)

    def give_up_one(self) -> bool:
        """Forget the one that was not used for longest, unless it is the only one; whether there was another."""
        if len(self._views) > 1:
            self._views.popitem(last=False)
            return True
        return False


class View:
    """What some labels let through. It follows the whole shelf, and costs what has changed there."""

    def __init__(self, labels: Collection[str]) -> None:
        self.shelf = Shelf()
        self._labels = labels
        self._draft: Shelf | None = None  # of what will take its place; outlasts an interruption
        self._known: dict[str, Fact] = {}  # the facts of the whole shelf that were looked at, as they were
        self._whole: Shelf | None = None  # the shelf that it was made of, at
        self._revision = 0
        self._making = asyncio.Lock()

    @property
    def known(self) -> int:
        """How many facts it was made of, seen and unseen."""
        return len(self._known)

    async def of(self, held: Held) -> Shelf:
        """The shelf, with exactly what is seen of `held` now."""
        async with self._making:
            while (self._whole, self._revision) != (held.shelf, held.read_up_to):
                await self._bring(held)
        return self.shelf

    async def _bring(self, held: Held) -> None:
        """One step towards what `held` has. A long way is gone aside: others may be looking at the shelf."""
        whole = held.shelf
        facts = map(whole.at, range(len(whole)))
        # Whatever is written to a fact, its vector too, makes another object of it.
        new = [fact for fact in facts if self._known.get(fact.id) is not fact]
        if len(new) > AT_ONCE and self._draft is None:
            self._draft, self._known = Shelf(), {}
            return
        shelf = self.shelf if self._draft is None else self._draft
        self._take_off(shelf, [fact_id for fact_id in self._known if fact_id not in whole])
        self._place(shelf, new[:AT_ONCE], whole)
        if len(new) > AT_ONCE:
            await asyncio.sleep(0)
            return
        self.shelf, self._draft = shelf, None
        self._whole, self._revision = whole, held.read_up_to

    def _take_off(self, shelf: Shelf, gone: Iterable[str]) -> None:
        for fact_id in gone:
            del self._known[fact_id]
            shelf.drop(fact_id)

    def _place(self, shelf: Shelf, facts: Iterable[Fact], whole: Shelf) -> None:
        for fact in facts:
            self._known[fact.id] = fact
            if walled_off(self._labels, fact.labels):
                shelf.drop(fact.id)
            else:
                shelf.put(fact, whole.vectors[whole.row(fact.id)])
