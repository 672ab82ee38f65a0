"""What is too long for one request, in portions: conversations, statements, facts with their links. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from semantic_memory.facts import Lineage, Message
from semantic_memory.transcript import WHOLE, Part

T = TypeVar("T")

MOST_ITEMS = 2000  # of a conversation in one request
MOST_STATEMENTS = 4096
MOST_BYTES = 2 * 2**20  # about so many, of which JSON makes more; a server takes 8 MiB unless it is told otherwise
ROOM = 100  # items that are kept free for those that are posted again
LONGEST_CONTEXT = 50_000  # characters of a message that is posted again
CONTEXT = 6  # messages that are posted again, so that an extractor sees what came before


@dataclass(frozen=True, slots=True)
class Portion:
    """Items of a conversation, each at its place, and where in the whole they stand."""

    items: list[dict[str, str]]
    part: Part = WHOLE


def portions(transcript: Sequence[Message], *, context: int = CONTEXT) -> Iterator[Portion]:
    """A transcript, whatever its length; each portion begins with the last messages of the one before it."""
    start = 0
    while start < len(transcript):
        end = start + _fitting(transcript[start:])
        first = start
        while _belongs_before(transcript, first, end) and start - first < context:
            first -= 1
        yield _portion(transcript[first:end])
        start = end


def batches(values: Iterable[T], size: Callable[[T], int], *, most: int) -> Iterator[list[T]]:
    """The values in their order, in lists that one request can carry."""
    batch: list[T] = []
    filled = 0
    for value in values:
        if batch and (len(batch) >= most or filled + size(value) > MOST_BYTES):
            yield batch
            batch, filled = [], 0
        batch.append(value)
        filled += size(value)
    if batch:
        yield batch


def linked(lineages: Iterable[Lineage]) -> list[list[Lineage]]:
    """Facts that are linked to one another together: a link may only lead to what is there."""
    groups: dict[str, list[Lineage]] = {}
    for one in lineages:
        names = _names(one)
        known = {id(group): group for name in names if (group := groups.get(name))}
        joined = [*(lineage for group in known.values() for lineage in group), one]
        groups |= dict.fromkeys((name for lineage in joined for name in _names(lineage)), joined)
    return list({id(group): group for group in groups.values()}.values())


def _names(one: Lineage) -> tuple[str, ...]:
    """The ids of a fact and of those that it is linked to."""
    ids = (one.fact.id, one.fact.superseded_by, one.fact.supersedes, one.fact.conflicts_with)
    return tuple(name for name in ids if name)


def _fitting(messages: Sequence[Message]) -> int:
    """How many of the messages one request can carry: one at least."""
    filled = 0
    for count, message in enumerate(messages):
        filled += len(message.text.encode())
        if count and (message.position - messages[0].position >= MOST_ITEMS - ROOM or filled > MOST_BYTES):
            return count
    return len(messages)


def _belongs_before(transcript: Sequence[Message], first: int, end: int) -> bool:
    """Whether the message before the `first` one has room in front of it."""
    if first == 0:
        return False
    before = transcript[first - 1]
    return transcript[end - 1].position - before.position < MOST_ITEMS and len(before.text) <= LONGEST_CONTEXT


def _portion(messages: Sequence[Message]) -> Portion:
    """The messages as items; what carries nobody's words stays where it is."""
    first = messages[0].position
    items: list[dict[str, str]] = [{} for _ in range(messages[-1].position - first + 1)]
    for one in messages:
        items[one.position - first] = {"role": one.role, "content": one.text}
    before = {one.digest: one.occurrence for one in reversed(messages)}
    return Portion(items, Part(position=first, before={digest: count for digest, count in before.items() if count}))


def body_of(portion: Portion) -> dict[str, Any]:
    """A portion as a request carries it."""
    return {"items": portion.items, "position": portion.part.position, "before": dict(portion.part.before)}
