"""Facts that replaced one another, put in their order. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from semantic_memory.facts import Fact, Lineage

Chain = tuple[Lineage, ...]  # oldest first; each replaced the one before


def chains(lineages: Sequence[Lineage], *, about: str | None = None) -> list[Chain]:
    """Every fact in its chain, the chain with the oldest beginning first.

    With `about` only the chains with a fact whose subject or text holds each of these words, whatever their case.
    A fact that several have replaced one after the other, since the first was taken back, is in the chain of each.
    """
    known = {one.fact.id: one for one in lineages}
    replaced = {one.fact.supersedes for one in lineages}
    found = [tuple(_back(one, known))[::-1] for one in lineages if one.fact.id not in replaced]
    found.sort(key=lambda chain: (chain[0].fact.recorded_at, chain[-1].fact.recorded_at))
    return [chain for chain in found if about is None or any(_is_about(one.fact, about) for one in chain)]


def _back(last: Lineage, known: Mapping[str, Lineage]) -> Iterator[Lineage]:
    """The fact and those that it replaced, newest first; a circle is gone through once."""
    seen: set[str] = set()
    one: Lineage | None = last
    while one is not None and one.fact.id not in seen:
        seen.add(one.fact.id)
        yield one
        one = known.get(one.fact.supersedes or "")


def _is_about(fact: Fact, words: str) -> bool:
    said = f"{fact.subject or ''} {fact.text}".casefold()
    return all(word in said for word in words.casefold().split())


def broken_links(facts: Sequence[Fact]) -> list[tuple[Fact, str]]:
    """The facts whose place in a chain can't be right, and why."""
    known = {fact.id: fact for fact in facts}
    return [(fact, fault) for fact in facts for fault in _faults(fact, known)]


def _faults(fact: Fact, known: Mapping[str, Fact]) -> Iterator[str]:
    if fact.status == "superseded" and fact.superseded_by is None:
        yield "it is superseded, and nothing says by what"
    if fact.status == "active" and fact.superseded_by is not None:
        yield "it is active, and says what superseded it"
    for link in (fact.superseded_by, fact.supersedes, fact.conflicts_with):
        if link is not None and link not in known:
            yield f"it is linked to {link}, which is not there"
    older = known.get(fact.supersedes or "")
    if older is not None and fact.status == older.status == "active":
        yield f"it is active, and so is {fact.supersedes}, which it replaced"
