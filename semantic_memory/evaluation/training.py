"""What a calibration is fitted on: the data sets' own questions, and what they leave out.

The data sets have users with hundreds of facts and questions that have an answer. Real users start with six
facts and mostly ask for something else; so small shelves are cut from the large ones, and questions are asked
of users whom they have nothing to do with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeVar

import numpy as np

from semantic_memory.evaluation.datasets import FITTED_ON
from semantic_memory.evaluation.trials import Embedded, Trial, shelve
from semantic_memory.facts import Fact
from semantic_memory.retrieval.query import Query
from semantic_memory.retrieval.shelf import Shelf

T = TypeVar("T")

SEED = 20
SMALL = (1, 2, 4, 6, 8, 12, 20, 35, 60)  # facts
SMALL_SHELVES = 40  # per case
ASKED_OF_SMALL = 12  # questions per small shelf that it answers
STRANGERS = 300  # questions of other users, per case
FOREIGNERS = 60  # questions of other data sets, per case
UNRELATED = 150  # prompts that concern no user, per case

# Sources of questions asked of the wrong user. Who asks "where do I live?" may well get an answer from the
# facts of another; it is no proof of a wrong one.
ELSEWHERE = "elsewhere"
PERHAPS = "elsewhere, of oneself"


def trials(embedded: Sequence[Embedded], unrelated: Sequence[Query]) -> list[Trial]:
    """Everything that a calibration is fitted on; the same for the same input."""
    random = np.random.default_rng(SEED)
    made = chain.from_iterable(_of_case(one, embedded, unrelated, random) for one in embedded)
    return [*chain.from_iterable(one.trials for one in embedded), *made]


def elsewhere(one: Embedded, embedded: Sequence[Embedded], most: int, random: np.random.Generator) -> Iterator[Trial]:
    """Questions of the same data set's other users, asked of this one."""
    yield from _ask(others(one, embedded), one, most, random)


def others(one: Embedded, embedded: Sequence[Embedded]) -> list[Trial]:
    """Questions of the same data set's other users that their own facts answer."""
    return [
        trial for other in embedded if _alike(other, one) and other is not one for trial in other.trials if trial.right
    ]


def folds(embedded: Sequence[Embedded], count: int) -> dict[str, int]:
    """The fold in which each group is held out: every data set's groups are dealt over all folds."""
    dealt: dict[str, int] = {}
    for source in dict.fromkeys(trial.source for one in embedded for trial in one.trials):
        groups = {trial.group for one in embedded for trial in one.trials if trial.source == source}
        dealt |= {group: number % count for number, group in enumerate(sorted(groups))}
    return dealt


def _of_case(
    one: Embedded, embedded: Sequence[Embedded], unrelated: Sequence[Query], random: np.random.Generator
) -> Iterator[Trial]:
    strangers = list(elsewhere(one, embedded, STRANGERS, random))
    yield from strangers
    foreign = [trial for other in embedded if not _alike(other, one) for trial in other.trials if trial.right]
    yield from _ask(foreign, one, FOREIGNERS, random)
    for prompt in some(unrelated, UNRELATED, random):
        yield stray(prompt, one, one.shelf)
    for _ in range(SMALL_SHELVES):
        yield from _on_small_shelf(one, strangers, unrelated, random)


def _on_small_shelf(
    one: Embedded, strangers: Sequence[Trial], unrelated: Sequence[Query], random: np.random.Generator
) -> Iterator[Trial]:
    """A shelf of a few of the user's facts: questions it answers, and questions it has nothing to do with."""
    facts = _few(one, random)
    shelf, held = shelve(facts, one.vectors), {fact.id for fact in facts}
    answered = [trial for trial in one.trials if trial.evidence and all(piece & held for piece in trial.evidence)]
    for trial in some(answered, ASKED_OF_SMALL, random):
        evidence = tuple(piece & held for piece in trial.evidence)
        yield dataclasses.replace(trial, shelf=shelf, evidence=evidence, source=f"small {trial.source}")
    for stranger in some(strangers, 8, random):
        yield _strange(stranger, one, shelf)
    for prompt in some(unrelated, 6, random):
        yield stray(prompt, one, shelf)


def _few(one: Embedded, random: np.random.Generator) -> list[Fact]:
    """Some facts of a case: from one stretch of conversation or from anywhere, in their sessions or in none."""
    facts = one.case.facts
    size = min(int(random.choice(SMALL)), len(facts))
    start = int(random.integers(0, len(facts) - size + 1))
    stretch = range(start, start + size)
    chosen = stretch if random.random() < 0.5 else sorted(random.choice(len(facts), size, replace=False))
    picked = [facts[int(number)] for number in chosen]
    return picked if random.random() < 0.5 else [dataclasses.replace(fact, session_id=None) for fact in picked]


def _ask(asked: Sequence[Trial], one: Embedded, most: int, random: np.random.Generator) -> Iterator[Trial]:
    for trial in some(asked, most, random):
        yield _strange(trial, one, one.shelf)


def misplaced(queries: Iterable[Query], one: Embedded) -> Iterator[Trial]:
    """Queries that the user's facts have nothing to do with, asked of them."""
    for query in queries:
        yield stray(query, one, one.shelf)


def _strange(asked: Trial, one: Embedded, shelf: Shelf) -> Trial:
    perhaps = asked.query.personal or asked.source.endswith(FITTED_ON)
    return stray(asked.query, one, shelf, PERHAPS if perhaps else ELSEWHERE, asker=asked.group)


def stray(query: Query, one: Embedded, shelf: Shelf, source: str = ELSEWHERE, *, asker: str | None = None) -> Trial:
    """A query that a shelf of the user's facts has no answer to."""
    like = one.trials[0]
    return Trial(shelf=shelf, query=query, evidence=(), now=like.now, group=like.group, source=source, asker=asker)


def _alike(one: Embedded, other: Embedded) -> bool:
    return one.trials[0].source == other.trials[0].source


def some(things: Sequence[T], most: int, random: np.random.Generator) -> list[T]:
    """At most that many of the things, drawn without putting back."""
    if not things:
        return []
    return [things[int(number)] for number in random.choice(len(things), min(most, len(things)), replace=False)]
