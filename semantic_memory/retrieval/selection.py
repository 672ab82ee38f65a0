"""From ranked facts to the few that are shown, and why the others are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from semantic_memory import context
from semantic_memory.facts import Fact, NearMiss, RecalledFact
from semantic_memory.reasons import Stop
from semantic_memory.retrieval.ranking import Scored
from semantic_memory.retrieval.shelf import OWN_ORIGINS, Shelf

DUPLICATE = 0.9  # cosine from which two facts say the same, if one has all the words of the other
FOREIGN_QUOTA = 2  # facts shown whose origin is not the user's own


@dataclass(frozen=True, slots=True)
class Selection:
    """What a recall shows and what it passed over, each best first."""

    shown: tuple[RecalledFact, ...]
    near: tuple[NearMiss, ...]


def select(
    scored: Sequence[Scored],
    shelf: Shelf,
    *,
    min_relevance: float,
    min_share: float = 0.0,
    limit: int,
    depth: int | None = None,
    max_tokens: int,
    tokens: Callable[[str], int],
    foreign_quota: int = FOREIGN_QUOTA,
) -> Selection:
    """Take facts in their order until the limit; each that is passed over says what stopped it.

    Shown is what reaches `min_relevance` and, in odds, `min_share` of the best fact's relevance, of the first
    `depth`; the rest is only told of.
    At most `foreign_quota` facts come from an assistant or a tool. `tokens` counts those of a text; the block of
    what is shown has at most `max_tokens`, all of it counted.
    """
    chosen = partial(_chosen, scored, shelf, min_relevance=min_relevance, min_share=min_share, depth=depth)
    picked, stops = chosen(_Picked(shelf, limit, foreign_quota))
    if picked.facts and tokens(context.render(picked.facts)) > max_tokens:
        picked, stops = chosen(_Picked(shelf, limit, foreign_quota, tokens, max_tokens))
        stops |= dict.fromkeys(picked.give_back(), "budget")
    return Selection(tuple(picked.facts), tuple(_missed(one, stops) for one in scored if one.fact_id in stops))


def _chosen(
    scored: Sequence[Scored],
    shelf: Shelf,
    picked: _Picked,
    *,
    min_relevance: float,
    min_share: float,
    depth: int | None,
) -> tuple[_Picked, dict[str, Stop]]:
    """What was taken, and what stopped each of the others."""
    stops: dict[str, Stop] = {}
    least: float | None = None
    for place, one in enumerate(scored):
        fact = shelf.get(one.fact_id)
        if one.relevance < min_relevance:
            stop: Stop | None = "gate" if one.relevance >= min_relevance * one.answerable else "threshold"
        elif least is not None and one.relevance < least:
            stop = "share"
        elif depth is not None and place >= depth:
            stop = "limit"
        else:
            least = beside(one.relevance, min_share) if least is None else least
            stop = picked.take(one, _as_seen(fact, shelf))
        if stop is not None:
            stops[fact.id] = stop
    return picked, stops


def _missed(one: Scored, stops: Mapping[str, Stop]) -> NearMiss:
    stop = stops[one.fact_id]
    return NearMiss(
        fact_id=one.fact_id,
        relevance=one.relevance,
        stopped_by=stop,
        answerable=one.answerable,
        signals=one.signals,
    )


def beside(best: float, min_share: float) -> float:
    """The least relevance that is shown beside the best fact: the one that has `min_share` of its odds."""
    return min_share * best / (1 - best + min_share * best) if best else 0.0


def _as_seen(fact: Fact, shelf: Shelf) -> Fact:
    """The fact, in conflict with what contradicts it now and can be seen here: links outlive that."""
    rival = next((one.id for one in shelf.rivals(fact.id)), None)
    return fact if fact.conflicts_with == rival else replace(fact, conflicts_with=rival)


class _Picked:
    """The facts taken so far, and whether there is room for one more; tokens count where `tokens` counts them."""

    def __init__(
        self,
        shelf: Shelf,
        limit: int,
        foreign_quota: int,
        tokens: Callable[[str], int] = lambda _: 0,
        max_tokens: int = 0,
    ) -> None:
        self.facts: list[RecalledFact] = []
        self._shelf = shelf
        self._max_tokens, self._count = max_tokens, tokens
        self._places, self._foreign = limit, foreign_quota  # what is left of each
        self._tokens = max_tokens - tokens(context.FRAME)

    def take(self, one: Scored, fact: Fact) -> Stop | None:
        """Take a fact, or say what stops it."""
        foreign = fact.origin not in OWN_ORIGINS
        if self._places <= 0:
            return "limit"
        if self._repeats(fact):
            return "duplicate"
        if foreign and self._foreign <= 0:
            return "quota"
        if (size := self._count(f"\n{context.line(fact)}")) > self._tokens:
            return "budget"
        self._places, self._tokens, self._foreign = self._places - 1, self._tokens - size, self._foreign - foreign
        rank = len(self.facts) + 1
        self.facts.append(RecalledFact(fact=fact, relevance=one.relevance, rank=rank, signals=one.signals))
        return None

    def give_back(self) -> Iterator[str]:
        """Let go of the last facts while the block is too long: a tokenizer may see more in it than in its lines."""
        while self.facts and self._count(context.render(self.facts)) > self._max_tokens:
            yield self.facts.pop().fact.id

    def _repeats(self, fact: Fact) -> bool:
        """Whether a fact already taken says the same: near it, and one of them has no word of its own.

        What contradicts another is no repetition, however few words they differ in.
        """
        rivals = {one.id for one in self._shelf.rivals(fact.id)}
        taken = [one.fact.id for one in self.facts if one.fact.id not in rivals]
        if not taken:
            return False
        near = self._shelf.vectors_of(taken) @ self._shelf.vectors_of([fact.id])[0] >= DUPLICATE
        own = self._words(fact.id)
        return any(own <= (words := self._words(taken[place])) or words <= own for place in near.nonzero()[0])

    def _words(self, fact_id: str) -> set[str]:
        return set(self._shelf.lexicon.terms_of(self._shelf.row(fact_id)))
