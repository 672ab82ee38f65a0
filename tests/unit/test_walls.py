"""What labels let through of a shelf."""

from __future__ import annotations

import asyncio

from semantic_memory.ledger.rows import UserState
from semantic_memory.retrieval.shelf import Shelf
from semantic_memory.vectors import Held
from semantic_memory.walls import AT_ONCE, KEPT, View
from tests.retrieval import fact, random_vectors

VECTORS = random_vectors(3 * AT_ONCE)


def held(*labels: tuple[str, ...]) -> Held:
    """A shelf with a fact for each of these, at revision 1."""
    shelf = Shelf()
    for number, own in enumerate(labels):
        shelf.put(fact(f"f{number}", f"Fact number {number}", labels=own), VECTORS[number])
    return Held(at(1), "model", shelf, filled=True)


def at(revision: int) -> UserState:
    return UserState(user_key="u", user_id="ada", revision=revision, epoch=0, generation="g", fingerprint="model")


async def seen(whole: Held, *labels: str) -> set[str]:
    return set((await whole.views.get(whole, labels)).ids)


async def test_seen_is_what_carries_one_of_the_labels() -> None:
    whole = held(("work",), ("home",), ("home", "work"), ())
    assert await seen(whole, "work") == {"f0", "f2"}
    assert await seen(whole, "work", "home") == {"f0", "f1", "f2"}
    assert await seen(whole, "garden") == set()


async def test_it_follows_the_whole_shelf_fact_by_fact() -> None:
    whole = held(("work",), ("work",), ("work",))
    shelf = await whole.views.get(whole, ["work"])
    whole.shelf.drop("f0")
    whole.shelf.put(fact("f1", "Said anew", labels=("work",)), VECTORS[9])
    whole.shelf.put(fact("f2", "Fact number 2", labels=("home",)), VECTORS[2])
    whole.shelf.put(fact("f3", "Fact number 3", labels=("work",)), VECTORS[3])
    whole.state = at(2)
    assert await whole.views.get(whole, ["work"]) is shelf
    assert {one.id: one.text for one in map(shelf.at, range(len(shelf)))} == {"f1": "Said anew", "f3": "Fact number 3"}
    assert (shelf.vectors_of(["f1"]) == VECTORS[9]).all()


async def test_a_long_way_is_gone_aside_and_what_was_placed_outlasts_an_interruption() -> None:
    whole = held(*[("work",)] * (3 * AT_ONCE))
    view = View({"work"})
    task = asyncio.ensure_future(view.of(whole))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(view.shelf) == 0
    assert view._draft is not None
    begun = view._draft
    assert len(begun) >= AT_ONCE
    assert await view.of(whole) is begun
    assert len(begun) == 3 * AT_ONCE


async def test_only_the_views_used_last_are_kept() -> None:
    whole = held(("work",))
    for number in range(KEPT + 3):
        await whole.views.get(whole, [f"label {number}"])
    assert len(whole.views.shelves) == KEPT
