"""Measure recall on data sets, beside dense-only and words-only ranking in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from semantic_memory.embedding.protocol import EmbeddingModel
from semantic_memory.evaluation import fitting, metrics, training
from semantic_memory.evaluation.datasets import (
    FITTED_ON,
    HELD_OUT,
    Dataset,
    asides,
    load,
    personal_prompts,
    unrelated_prompts,
)
from semantic_memory.evaluation.elsewhere import Elsewhere
from semantic_memory.evaluation.metrics import Estimate, Pieces, estimate
from semantic_memory.evaluation.namesakes import namesakes
from semantic_memory.evaluation.report import InBlock, Report, Scores, Silence
from semantic_memory.evaluation.trials import Embedded, Trial, embed, embed_queries, without_vector, without_vectors
from semantic_memory.retrieval.query import Query
from semantic_memory.retrieval.ranking import Scored, rank
from semantic_memory.retrieval.relevance import DEFAULT, WORDS_ALONE, Calibration
from semantic_memory.retrieval.selection import beside, select
from semantic_memory.retrieval.shelf import highest
from semantic_memory.settings import Settings

CUTOFFS = (1, 3, 5, 10, 20)
STRANGERS = 200  # questions of other users, per user
BEST = 10  # facts per question whose probabilities are checked

# What relevance rests on: one embedding model, any embedding model by its relative cosines, or words alone.
Basis = Literal["model", "any-model", "words"]

CalibrationOf = Callable[[Trial], Calibration]


async def evaluate(
    datasets: Sequence[Dataset],
    embedding: EmbeddingModel,
    *,
    calibration: Path | None = None,
    out_of_fold: bool = False,
    basis: Basis = "model",
) -> list[Report]:
    """A report per data set: with the calibration of a file or the shipped one, or refitted without who is asked."""
    ready = await prepared(datasets, embedding, calibration=calibration, out_of_fold=out_of_fold, basis=basis)
    return reports(ready)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All that an evaluation measures with."""

    datasets: Sequence[Dataset]
    embedding: EmbeddingModel
    embedded: Mapping[str, Sequence[Embedded]]  # by the data set's name
    prompts: Sequence[Query]  # unrelated ones
    personal: Sequence[Query]  # unrelated ones of people who speak of themselves
    calibration_of: CalibrationOf
    out_of_fold: bool


async def prepared(
    datasets: Sequence[Dataset],
    embedding: EmbeddingModel,
    *,
    calibration: Path | None = None,
    out_of_fold: bool = False,
    basis: Basis = "model",
) -> Prepared:
    """Embed data sets and choose who is ranked with which calibration, as `evaluate` does."""
    embedded = {dataset.name: await _embed(dataset, embedding, basis) for dataset in datasets}
    prompts = await _prompts(unrelated_prompts(), embedding, basis)
    if out_of_fold:
        learned = [one for name, of_set in embedded.items() if name != HELD_OUT for one in of_set]
        learned += await _embed(load(FITTED_ON)[0], embedding, basis)
        trials = await _trials(learned, prompts, embedding, basis)
        elsewhere = Elsewhere(learned, trials, prompts, relative=basis == "any-model", probed=basis == "model")
        calibration_of: CalibrationOf = partial(elsewhere.of, without=_without(basis))
    else:
        used = Calibration.read(calibration) if calibration else Calibration.load(_name(embedding, basis))
        calibration_of = _always(used)
    return Prepared(
        datasets=datasets,
        embedding=embedding,
        embedded=embedded,
        prompts=prompts,
        personal=await _prompts(personal_prompts(), embedding, basis),
        calibration_of=calibration_of,
        out_of_fold=out_of_fold,
    )


def reports(ready: Prepared) -> list[Report]:
    """A report per data set."""
    return [_report(_Measured.of(dataset, ready), ready.embedding, ready.out_of_fold) for dataset in ready.datasets]


async def fit(datasets: Sequence[Dataset], embedding: EmbeddingModel, *, basis: Basis = "model") -> Calibration:
    """A calibration from all of the data sets, for what `basis` says."""
    sets = [*(dataset for dataset in datasets if dataset.name != HELD_OUT), *load(FITTED_ON)]
    everything = [one for dataset in sets for one in await _embed(dataset, embedding, basis)]
    prompts = await _prompts(unrelated_prompts(), embedding, basis)
    trials = await _trials(everything, prompts, embedding, basis)
    found = fitting.examples(trials, relative=basis == "any-model")
    relative, probed = basis == "any-model", basis == "model"
    return fitting.fit(found, name=_name(embedding, basis), relative=relative, probed=probed, without=_without(basis))


async def _trials(
    everything: Sequence[Embedded], prompts: Sequence[Query], embedding: EmbeddingModel, basis: Basis
) -> list[Trial]:
    """All that is fitted on."""
    more = await _prompts(asides(), embedding, basis)
    strange = [] if basis == "words" else await namesakes(everything, embedding)
    return training.trials(everything, [*prompts, *more]) + strange


async def _prompts(texts: Sequence[str], embedding: EmbeddingModel, basis: Basis) -> list[Query]:
    found = await embed_queries(texts, embedding)
    return [without_vector(one) for one in found] if basis == "words" else found


async def _embed(dataset: Dataset, embedding: EmbeddingModel, basis: Basis) -> list[Embedded]:
    found = await embed(dataset, embedding)
    return [without_vectors(one) for one in found] if basis == "words" else found


def _name(embedding: EmbeddingModel, basis: Basis) -> str:
    return {"model": embedding.name, "any-model": DEFAULT, "words": WORDS_ALONE}[basis]


def _without(basis: Basis) -> Sequence[str]:
    """The signals that a silence does without: a name brings nothing near where there are no vectors."""
    return fitting.BESIDE_A_NAME if basis == "words" else ()


def _always(calibration: Calibration) -> CalibrationOf:
    return lambda _: calibration


@dataclass(frozen=True, slots=True)
class Answer:
    """What recall ranked for a trial."""

    trial: Trial
    calibration: Calibration
    scored: list[Scored]
    seconds: float

    @property
    def ranked(self) -> list[str]:
        """Fact ids, best first."""
        return [one.fact_id for one in self.scored]

    @property
    def shown(self) -> list[str]:
        """Fact ids that reach the threshold, and the share of the best."""
        best = self.scored[0].relevance if self.scored else 0.0
        least = max(self.calibration.min_relevance, beside(best, self.calibration.min_share))
        return [one.fact_id for one in self.scored if one.relevance >= least]


def answer(trial: Trial, calibration: Calibration) -> Answer:
    """Rank a trial's shelf."""
    began = time.perf_counter()
    scored = rank(trial.shelf, trial.query, calibration=calibration, now=trial.now)
    return Answer(trial, calibration, scored, time.perf_counter() - began)


def by_meaning(trial: Trial) -> list[str]:
    """Dense ranking alone: what a vector store gives."""
    return [one.fact_id for one in trial.shelf.nearest(trial.query.vector, max(CUTOFFS))]


def by_words(trial: Trial) -> list[str]:
    """BM25 alone."""
    scores = trial.shelf.lexicon.scores(trial.query.terms)
    return [trial.shelf.at(int(row)).id for row in highest(scores, max(CUTOFFS)) if scores[row] > 0]


@dataclass(frozen=True, slots=True)
class _Measured:
    """What a data set is measured with."""

    dataset: Dataset
    embedded: Sequence[Embedded]
    prompts: Sequence[Query]
    personal: Sequence[Query]
    calibration_of: CalibrationOf

    @classmethod
    def of(cls, dataset: Dataset, ready: Prepared) -> _Measured:
        """What `ready` has for a data set."""
        embedded = ready.embedded[dataset.name]
        return cls(dataset, embedded, ready.prompts, ready.personal, ready.calibration_of)

    def answers(self, trials: Iterable[Trial]) -> list[Answer]:
        """Each trial's answer, with the calibration that is meant for it."""
        return [answer(trial, self.calibration_of(trial)) for trial in trials]


def _report(one: _Measured, embedding: EmbeddingModel, out_of_fold: bool) -> Report:
    dataset, answers = one.dataset, one.answers(trial for user in one.embedded for trial in user.trials)
    answerable = [found for found in answers if found.trial.right]
    bins, seconds = _reliability(answers), [found.seconds for found in answers]
    return Report(
        dataset=dataset.name,
        embedding=embedding.name,
        users=len(one.embedded),
        facts=sum(len(user.case.facts) for user in one.embedded),
        questions=len(answers),
        cutoff=dataset.cutoff,
        out_of_fold=out_of_fold,
        scores=tuple(_scores(name, ranked, dataset.cutoff) for name, ranked in _rankings(answerable).items()),
        by_kind=_by_kind(dataset, answerable),
        silence=_silence(one, answers),
        in_block=_in_block(answerable, embedding),
        reliability=bins,
        calibration_error=metrics.calibration_error(bins),
        milliseconds=1000 * float(np.median(seconds)),
        milliseconds_slow=1000 * float(np.quantile(seconds, 0.95)),
    )


Ranked = Sequence[tuple[list[str], Trial]]


def _rankings(answerable: Sequence[Answer]) -> Mapping[str, Ranked]:
    return {
        "recall": [(one.ranked, one.trial) for one in answerable],
        "dense only": [(by_meaning(one.trial), one.trial) for one in answerable],
        "words only": [(by_words(one.trial), one.trial) for one in answerable],
    }


def _scores(name: str, ranked: Ranked, cutoff: int) -> Scores:
    def of(metric: Callable[..., float], *at: int) -> Estimate:
        values = [metric(one, trial.evidence, *at) for one, trial in ranked]
        return estimate(values, [trial.group for _, trial in ranked])

    return Scores(
        ranker=name,
        any_at={k: of(metrics.any_at, k) for k in CUTOFFS},
        all_at={k: of(metrics.all_at, k) for k in CUTOFFS},
        reciprocal_rank=of(metrics.reciprocal_rank),
        ndcg=of(metrics.ndcg_at, cutoff),
    )


def _by_kind(dataset: Dataset, answerable: Sequence[Answer]) -> dict[str, Estimate]:
    kinds = [question.kind for case in dataset.cases for question in case.questions if question.evidence]
    found: dict[str, list[Answer]] = {kind: [] for kind in sorted(set(kinds))}
    for kind, one in zip(kinds, answerable, strict=True):
        found[kind].append(one)
    return {
        kind: estimate(
            [metrics.all_at(one.ranked, one.trial.evidence, dataset.cutoff) for one in those],
            [one.trial.group for one in those],
        )
        for kind, those in found.items()
    }


def _silence(one: _Measured, answers: Sequence[Answer]) -> Silence:
    answerable, cutoff = [found for found in answers if found.trial.right], one.dataset.cutoff
    unanswerable = [found for found in answers if not found.trial.right]
    strangers, prompted = one.answers(_strangers(one.embedded)), one.answers(_prompted(one.embedded, one.prompts))
    used = answerable[0].calibration
    return Silence(
        threshold=used.min_relevance,
        share=used.min_share,
        shown_to_unrelated=_shown_to([*strangers, *prompted]),
        shown_to_prompts=_shown_to(prompted),
        shown_to_personal=_shown_to(one.answers(_prompted(one.embedded, one.personal))),
        shown_to_unanswerable=_shown_to(unanswerable) if unanswerable else None,
        any_kept=_kept(metrics.any_at, answerable, cutoff),
        all_kept=_kept(metrics.all_at, answerable, cutoff),
        facts_shown=float(np.mean([len(found.shown) for found in answerable if found.shown] or [0])),
        strangers=tuple((found.trial.query.text, bool(found.shown)) for found in strangers),
    )


def _shown_to(answers: Sequence[Answer]) -> Estimate:
    """How many are shown anything; a question that several users are asked counts as one draw."""
    return estimate([bool(one.shown) for one in answers], [one.trial.query.text for one in answers])


def _in_block(answers: Sequence[Answer], embedding: EmbeddingModel) -> InBlock:
    """What reaches a model that is asked, with the limits that recall has by default."""
    limits, blocks = Settings(), []
    for one in answers:
        chosen = select(
            one.scored,
            one.trial.shelf,
            min_relevance=one.calibration.min_relevance,
            min_share=one.calibration.min_share,
            limit=limits.limit,
            max_tokens=limits.max_tokens,
            tokens=embedding.count_tokens,
        )
        blocks.append([found.fact.id for found in chosen.shown])
    pairs = [(block, one.trial.evidence) for block, one in zip(blocks, answers, strict=True)]
    groups = [one.trial.group for one in answers]
    return InBlock(
        limit=limits.limit,
        max_tokens=limits.max_tokens,
        any=estimate([metrics.any_at(block, pieces, limits.limit) for block, pieces in pairs], groups),
        all=estimate([metrics.all_at(block, pieces, limits.limit) for block, pieces in pairs], groups),
        facts=float(np.mean([len(block) for block in blocks if block] or [0])),
    )


def _kept(metric: Callable[[Sequence[str], Pieces, int], float], answers: Sequence[Answer], k: int) -> float:
    """What the threshold keeps of a metric."""
    whole = sum(metric(one.ranked, one.trial.evidence, k) for one in answers)
    kept = sum(metric(one.shown, one.trial.evidence, k) for one in answers)
    return kept / whole if whole else 1.0


def _strangers(embedded: Sequence[Embedded]) -> Iterator[Trial]:
    random = np.random.default_rng(training.SEED + 1)
    for one in embedded:
        yield from training.elsewhere(one, embedded, STRANGERS, random)


def _prompted(embedded: Sequence[Embedded], prompts: Sequence[Query]) -> Iterator[Trial]:
    for one in embedded:
        yield from training.misplaced(prompts, one)


def _reliability(answers: Sequence[Answer]) -> tuple[metrics.Bin, ...]:
    best = [(scored.relevance, scored.fact_id in one.trial.right) for one in answers for scored in one.scored[:BEST]]
    chance, right = zip(*best, strict=True)
    return metrics.reliability(chance, right)
