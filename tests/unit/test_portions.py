"""What is too long for one request goes in portions, and nothing is lost, doubled or torn apart."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from semantic_memory import portions
from semantic_memory.facts import Fact, Lineage
from semantic_memory.portions import MOST_BYTES, MOST_ITEMS, batches, linked
from semantic_memory.transcript import messages

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def said(*texts: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text} for text in texts]


def told_again(items: list[dict[str, Any]], *, context: int) -> list[Any]:
    """The messages that a server makes of the portions."""
    found = []
    for portion in portions.portions(messages(items), context=context):
        assert len(portion.items) <= MOST_ITEMS
        found += messages(portion.items, portion.part)
    return found


def test_a_server_reads_the_same_messages_out_of_portions() -> None:
    """Also those that repeat, and those between which others stand that carry nobody's words."""
    items = said(*(f"line {n % 700}" for n in range(5000)))
    items[3000:3000] = [{"type": "function_call", "name": "look", "call_id": "1", "arguments": "{}"}] * 2500
    assert told_again(items, context=0) == messages(items)


def test_a_portion_begins_with_what_came_before() -> None:
    items = said(*(f"line {n}" for n in range(4500)))
    found = told_again(items, context=6)
    assert len(found) == 4500 + 2 * 6
    assert {one.position for one in found} == set(range(4500))
    assert set(found) == set(messages(items))


def test_long_messages_make_short_portions() -> None:
    items = said(*("x" * (MOST_BYTES // 2) + str(n) for n in range(5)), "y" * (3 * MOST_BYTES))
    sizes = [len(one.items) for one in portions.portions(messages(items))]
    assert sizes == [2, 2, 1, 1] or max(sizes) <= 2
    assert told_again(items, context=0) == messages(items)


def test_batches_keep_the_order_and_the_limits() -> None:
    assert list(batches([], len, most=2)) == []
    assert list(batches("abcde", len, most=2)) == [["a", "b"], ["c", "d"], ["e"]]
    large = "x" * MOST_BYTES
    assert [len(one) for one in batches(["a", large, "b", "c"], len, most=9)] == [1, 1, 2]


def lineage(name: str, **links: str) -> Lineage:
    fact = Fact(
        id=name, user_id="ada", text=name, origin="user", status="active", said_at=NOW, recorded_at=NOW, **links
    )
    return Lineage(fact=fact)


def test_what_is_linked_stays_together() -> None:
    chain = [lineage("a", superseded_by="c"), lineage("c", supersedes="a"), lineage("e", conflicts_with="c")]
    alone = [lineage("b"), lineage("d")]
    mixed = [chain[0], alone[0], chain[1], alone[1], chain[2]]
    groups = [[one.fact.id for one in group] for group in linked(mixed)]
    assert sorted(groups) == [["a", "c", "e"], ["b"], ["d"]]
    late = [lineage("x"), lineage("y"), lineage("z", supersedes="x", conflicts_with="y")]
    assert [len(group) for group in linked(late)] == [3]
