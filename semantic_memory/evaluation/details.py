"""What recall did with each question of a data set: what figures, trade-offs and lists of failures are made of.

The fit of the shipped calibration has seen the shipped data set; `evaluate` with `out_of_fold` has the numbers to
believe, and `details_of` what they are made of.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from semantic_memory import context, reasons
from semantic_memory.embedding.protocol import EmbeddingModel
from semantic_memory.evaluation import metrics, training
from semantic_memory.evaluation.datasets import Dataset
from semantic_memory.evaluation.evaluate import Answer, CalibrationOf, Prepared, answer, by_meaning, by_words, prepared
from semantic_memory.evaluation.metrics import Estimate, estimate
from semantic_memory.evaluation.trials import Embedded, embed_queries
from semantic_memory.retrieval.relevance import Calibration
from semantic_memory.settings import Settings

RANKS = range(1, 11)
STRANGERS = 40  # questions of other users, per user
GAP = 0.1  # log-odds from which one fact stands before another

Ranking = Callable[[Answer], Sequence[str]]
Point = tuple[int, float, Estimate]  # a setting, mean tokens that are shown, the share that gets all it needs
RANKINGS: dict[str, Ranking] = {
    "recall": lambda one: one.ranked,
    "dense only": lambda one: by_meaning(one.trial),
    "words only": lambda one: by_words(one.trial),
}


@dataclass(frozen=True, kw_only=True)
class Details:
    """One data set, ranked question by question."""

    dataset: Dataset
    embedding: EmbeddingModel
    calibration_of: CalibrationOf
    embedded: tuple[Embedded, ...]
    answers: tuple[Answer, ...]  # to all questions of the set
    unrelated: tuple[Answer, ...]  # to what no fact of the user helps with
    kinds: tuple[str, ...]  # of `answers`

    @property
    def calibration(self) -> Calibration:
        """What the first question is ranked with; out of fold, every fold has one of its own."""
        return self.calibration_of(self.answerable[0][1].trial)

    @cached_property
    def answerable(self) -> tuple[tuple[str, Answer], ...]:
        """Kind and answer of every question that facts of the user help with."""
        return tuple((kind, one) for kind, one in zip(self.kinds, self.answers, strict=True) if one.trial.right)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeOff:
    """What thresholds let through, one element a threshold."""

    thresholds: NDArray[np.float64]
    kept: NDArray[np.float64]  # share of answerable questions with a right fact among those shown
    precision: NDArray[np.float64]  # share of right facts among those shown to answerable questions; nan: none is
    disturbed: NDArray[np.float64]  # share of unrelated questions that are shown anything


# Why a fact isn't shown: recall took the question for one without an answer, or the fact stood too low, or it
# wasn't looked at.
Why = Literal["silent", "too far down", "too little relevance", "no candidate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """An answerable question whose evidence isn't all among the facts that are shown."""

    kind: str
    question: str
    wanted: str  # text of a right fact that isn't shown
    rank: int | None  # of that fact, from 1; None: it wasn't even a candidate
    relevance: float
    answerable: float  # probability that any fact helps, as recall saw it
    why: Why
    best: str  # text of the fact that came first
    # By kind of signal, as in `reasons.Reason`: what spoke for the wanted fact, and for the one that came first.
    for_wanted: Mapping[str, float]
    for_best: Mapping[str, float]

    def against(self, most: int = 2) -> dict[str, tuple[float, float]]:
        """The kinds of signals that put the best fact before the wanted one, strongest first: of either, the share.

        Empty where the wanted one wasn't looked at.
        """
        pairs = {kind: (own, self.for_best[kind]) for kind, own in self.for_wanted.items()}
        behind = sorted((kind for kind in pairs if _gap(pairs[kind]) >= GAP), key=lambda kind: -_gap(pairs[kind]))
        return {kind: pairs[kind] for kind in behind[:most]}


async def details(dataset: Dataset, embedding: EmbeddingModel) -> Details:
    """Rank every question of a data set, and questions that have nothing to do with its users, as recall ships."""
    [found] = details_of(await prepared([dataset], embedding))
    return found


def details_of(ready: Prepared) -> list[Details]:
    """The same of each data set that is being evaluated, with the calibration that it is evaluated with."""
    return [_details(dataset, ready) for dataset in ready.datasets]


def _details(dataset: Dataset, ready: Prepared) -> Details:
    embedded = ready.embedded[dataset.name]
    random = np.random.default_rng(training.SEED)
    unrelated = [
        trial
        for one in embedded
        for trial in (
            *training.elsewhere(one, embedded, STRANGERS, random),
            *training.misplaced(ready.prompts, one),
        )
    ]
    return Details(
        dataset=dataset,
        embedding=ready.embedding,
        calibration_of=ready.calibration_of,
        embedded=tuple(embedded),
        answers=tuple(answer(trial, ready.calibration_of(trial)) for one in embedded for trial in one.trials),
        unrelated=tuple(answer(trial, ready.calibration_of(trial)) for trial in unrelated),
        kinds=tuple(question.kind for case in dataset.cases for question in case.questions),
    )


async def ask(found: Details, user: str, question: str) -> Answer:
    """Ask one user's facts something of your own."""
    [one] = [one for one in found.embedded if one.case.user == user]
    [query] = await embed_queries([question], found.embedding)
    trial = dataclasses.replace(one.trials[0], query=query, evidence=())
    return answer(trial, found.calibration_of(trial))


def by_rank(found: Details) -> dict[str, list[Estimate]]:
    """all@k of each way of ranking, for k in `RANKS`."""
    return {
        name: [estimate([_all_at(one, ranking, k) for _, one in found.answerable]) for k in RANKS]
        for name, ranking in RANKINGS.items()
    }


def by_kind(found: Details) -> dict[str, dict[str, Estimate]]:
    """all@cutoff by kind of question, of each way of ranking."""
    k = found.dataset.cutoff
    return {
        kind: {
            name: estimate([_all_at(one, ranking, k) for its, one in found.answerable if its == kind])
            for name, ranking in RANKINGS.items()
        }
        for kind in sorted({kind for kind, _ in found.answerable})
    }


def trade_off(found: Details, thresholds: Sequence[float] | NDArray[np.float64]) -> TradeOff:
    """What each threshold would show, with at most `cutoff` facts a question."""
    k = found.dataset.cutoff
    relevant = [[(s.relevance, s.fact_id in one.trial.right) for s in one.scored[:k]] for _, one in found.answerable]
    needless = np.array([one.scored[0].relevance if one.scored else 0.0 for one in found.unrelated])
    points = [_kept([[right for relevance, right in one if relevance >= at] for one in relevant]) for at in thresholds]
    return TradeOff(
        thresholds=np.asarray(thresholds, dtype=np.float64),
        kept=np.array([kept for kept, _ in points]),
        precision=np.array([precision for _, precision in points]),
        disturbed=np.array([float((needless >= threshold).mean()) for threshold in thresholds]),
    )


def as_shipped(found: Details) -> TradeOff:
    """The same for what recall shows as it ships."""
    k = found.dataset.cutoff
    shown = [[fact_id in one.trial.right for fact_id in one.shown[:k]] for _, one in found.answerable]
    kept, precision = _kept(shown)
    return TradeOff(
        thresholds=np.array([found.calibration.min_relevance]),
        kept=np.array([kept]),
        precision=np.array([precision]),
        disturbed=np.array([np.mean([bool(one.shown) for one in found.unrelated])]),
    )


def cost_of_limits(found: Details, limits: Sequence[int]) -> list[Point]:
    """For each limit, with the default budget."""
    return _costs(found, [(limit, limit, Settings().max_tokens) for limit in limits])


def cost_of_budgets(found: Details, budgets: Sequence[int]) -> list[Point]:
    """For each budget of tokens, with the default limit."""
    return _costs(found, [(budget, Settings().limit, budget) for budget in budgets])


def pairs(found: Details) -> dict[str, NDArray[np.float64]]:
    """The relevance of every pair of a question and a fact of whom it was asked; 0 for what was no candidate."""
    asked = [one for _, one in found.answerable]
    return {
        "right fact": np.concatenate([_relevances(one, right=True) for one in asked]),
        "wrong fact": np.concatenate([_relevances(one, right=False) for one in asked]),
        "unrelated question": np.concatenate([[], *(_relevances(one, right=False) for one in found.unrelated)]),
    }


def missed(found: Details, limit: int) -> list[Missed]:
    """Answerable questions that don't get all they need, the least understood first."""
    failed = [
        _missed(kind, one, limit)
        for kind, one in found.answerable
        if not metrics.all_at(one.shown, one.trial.evidence, limit)
    ]
    return sorted(failed, key=lambda one: one.relevance)


def _costs(found: Details, choices: Sequence[tuple[int, int, int]]) -> list[Point]:
    count = found.embedding.count_tokens
    size = {fact.id: count(context.line(fact)) for case in found.dataset.cases for fact in case.facts}
    frame = count(context.FRAME)
    points = []
    for setting, limit, budget in choices:
        shown = [_within(one.shown, size, limit, budget - frame) for _, one in found.answerable]
        complete = [
            metrics.all_at(ids, one.trial.evidence, limit)
            for ids, (_, one) in zip(shown, found.answerable, strict=True)
        ]
        tokens = float(np.mean([frame + sum(size[fact_id] for fact_id in ids) if ids else 0 for ids in shown]))
        points.append((setting, tokens, estimate(complete)))
    return points


def _within(shown: Sequence[str], size: Mapping[str, int], limit: int, budget: int) -> list[str]:
    """What of a ranking has room: as in a recall, a fact that is too long lets a shorter one pass."""
    taken: list[str] = []
    for fact_id in shown:
        if len(taken) < limit and size[fact_id] <= budget:
            taken.append(fact_id)
            budget -= size[fact_id]
    return taken


def _relevances(one: Answer, *, right: bool) -> NDArray[np.float64]:
    """Of all facts that are right, or of all that aren't."""
    count = len(one.trial.right) if right else len(one.trial.shelf) - len(one.trial.right)
    found = [scored.relevance for scored in one.scored if (scored.fact_id in one.trial.right) == right]
    return np.array(found + [0.0] * (count - len(found)))


def _gap(pair: tuple[float, float]) -> float:
    own, its = pair
    return its - own


def _all_at(one: Answer, ranking: Ranking, k: int) -> float:
    return metrics.all_at(ranking(one), one.trial.evidence, k)


def _kept(shown: Sequence[Sequence[bool]]) -> tuple[float, float]:
    """The share of questions with a right fact, and of right facts among all; given is whether each fact is right."""
    everything = [right for one in shown for right in one]
    return float(np.mean([any(one) for one in shown])), float(np.mean(everything)) if everything else float("nan")


def _missed(kind: str, one: Answer, limit: int) -> Missed:
    shown, shelf = set(one.shown[:limit]), one.trial.shelf
    wanted = next(piece for piece in one.trial.evidence if not piece & shown)
    places = {fact_id: place for place, fact_id in enumerate(one.ranked) if fact_id in wanted}
    nearest = min(places, key=lambda fact_id: places[fact_id]) if places else min(wanted)
    place = places.get(nearest)
    considered = [scored.signals for scored in one.scored]
    spoke = [reasons.shares(signals, considered) for signals in considered]
    return Missed(
        kind=kind,
        question=one.trial.query.text,
        wanted=shelf.get(nearest).text,
        rank=None if place is None else place + 1,
        relevance=0.0 if place is None else one.scored[place].relevance,
        answerable=one.scored[0].answerable if one.scored else 0.0,
        why=_why(one, place),
        best=shelf.get(one.ranked[0]).text if one.ranked else "",
        for_wanted={} if place is None else spoke[place],
        for_best=spoke[0] if spoke else {},
    )


def _why(one: Answer, place: int | None) -> Why:
    if not one.shown:
        return "silent"
    if place is None:
        return "no candidate"
    return "too far down" if place < len(one.shown) else "too little relevance"
