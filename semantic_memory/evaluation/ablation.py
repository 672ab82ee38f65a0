"""What each group of signals adds to the order of facts: by data set, and by kind of question."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from semantic_memory import reasons
from semantic_memory.embedding.protocol import EmbeddingModel
from semantic_memory.evaluation import fitting, metrics, training
from semantic_memory.evaluation.datasets import FITTED_ON, HELD_OUT, Dataset, asides, load, unrelated_prompts
from semantic_memory.evaluation.details import Details
from semantic_memory.evaluation.elsewhere import FOLDS, Elsewhere
from semantic_memory.evaluation.fitting import ORDER, PRIORS, Example
from semantic_memory.evaluation.metrics import Estimate, estimate
from semantic_memory.evaluation.namesakes import namesakes
from semantic_memory.evaluation.trials import Embedded, Trial, embed, embed_queries
from semantic_memory.retrieval.relevance import relevance

GROUPS: Mapping[str, tuple[str, ...]] = {
    "nothing": (),
    "the fact's vector": ("cosine", "cosine_margin"),
    "the fact's words": tuple(signal for signal in ORDER if signal.startswith(("lexical", "coverage", "rarest")))[:8],
    "neighbours, by vector": ("cosine_around",),
    "neighbours, by words": ("lexical_nearby", "lexical_far"),
    "the answer to a question": ("answers", "asks"),
    "the session, by vector": ("cosine_session",),
    "the session, by words": ("session_told", "session_coverage", "session_lexical"),
    "the session's share": ("session_share",),
    "all neighbours and sessions": (
        *("cosine_around", "lexical_nearby", "lexical_far", "answers"),
        *("cosine_session", "session_told", "session_coverage", "session_lexical", "session_share"),
    ),
    "length": ("length", "lexical_length"),
}


SILENT: Mapping[str, tuple[str, ...]] = {
    "nothing": (),
    "the nearest fact's cosine": ("query_cosine",),
    "how much of the question the facts know": ("query_known", "query_coverage"),
    "names": ("unknown_names", "known_names", "no_names", *fitting.BESIDE_A_NAME),
    "what is known beside a name": fitting.BESIDE_A_NAME,
    "the best facts' scores": ("query_best", "query_best_three", "query_lead"),
    "whether they speak of themselves": ("personal",),
    "the probe": ("asks_user",),
    "both of these": ("personal", "asks_user"),
    "the time asked for": ("query_timed",),
    "how many facts there are": ("shelf_size",),
}


async def ablate(datasets: Sequence[Dataset], embedding: EmbeddingModel) -> dict[str, dict[str, Estimate]]:
    """all@cutoff by data set, out of fold, for an order learned without each group of signals."""
    everything = [one for dataset in datasets for one in await embed(dataset, embedding)]
    fold = training.folds(everything, FOLDS)
    trials = [trial for trial in training.trials(everything, []) if trial.right]
    found = list(zip(trials, fitting.examples(trials), strict=True))
    cutoffs = {dataset.name: dataset.cutoff for dataset in datasets}
    return {group: _measured(found, fold, cutoffs, without) for group, without in GROUPS.items()}


def _measured(
    found: Sequence[tuple[Trial, Example]],
    fold: Mapping[str, int],
    cutoffs: Mapping[str, int],
    without: tuple[str, ...],
) -> dict[str, Estimate]:
    results: dict[str, list[float]] = {name: [] for name in cutoffs}
    for held in range(FOLDS):
        order = fitting.learn_order([one for trial, one in found if fold[trial.group] != held], without)
        for trial, one in found:
            if fold[trial.group] == held and trial.source in cutoffs:
                ranked = [one.fact_ids[place] for place in np.argsort(-(one.order @ order), kind="stable")]
                results[trial.source].append(metrics.all_at(ranked, trial.evidence, cutoffs[trial.source]))
    return {name: estimate(values) for name, values in results.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Silenced:
    """What a silence lets through of one data set's users."""

    kept: Estimate  # of their questions that have a right fact among the first: those to which one is shown
    shown: Estimate  # of the questions and prompts that have nothing to do with them: those that get anything


async def ablate_silence(datasets: Sequence[Dataset], embedding: EmbeddingModel) -> dict[str, dict[str, Silenced]]:
    """By what the silence is learned without (`SILENT`), and by data set; out of fold, the order learned there too.

    Sets of the same users, as LoCoMo's turns and facts, count as one. On what calibrations are fitted on, small
    shelves included, and on each question's hardest facts; so not on the set that nothing is fitted on.
    """
    datasets = [dataset for dataset in datasets if dataset.name != HELD_OUT]
    everything = [one for dataset in datasets for one in await embed(dataset, embedding)]
    everything += [one for dataset in load(FITTED_ON) for one in await embed(dataset, embedding)]
    prompts, more = [await embed_queries(texts, embedding) for texts in (unrelated_prompts(), asides())]
    trials = training.trials(everything, [*prompts, *more]) + await namesakes(everything, embedding)
    elsewhere = Elsewhere(everything, trials, prompts, probed=True)
    of_set: dict[str, str] = {}
    for group, source in dict.fromkeys((trial.group, trial.source) for one in everything for trial in one.trials):
        of_set[group] = f"{of_set[group]}, {source}" if group in of_set else source
    cutoffs = {of_set[trial.group]: dataset.cutoff for dataset in datasets for trial in _some_of(dataset, everything)}
    return {
        left_out: {name: _silenced(elsewhere, of_set, name, cutoff, without) for name, cutoff in cutoffs.items()}
        for left_out, without in SILENT.items()
    }


def _some_of(dataset: Dataset, everything: Sequence[Embedded]) -> Iterator[Trial]:
    return (trial for one in everything for trial in one.trials if trial.source == dataset.name)


def _silenced(
    elsewhere: Elsewhere, of_set: Mapping[str, str], name: str, cutoff: int, without: tuple[str, ...]
) -> Silenced:
    kept, shown = [], []
    for one in elsewhere.found:
        if of_set[one.trial.group] != name:
            continue
        calibration = elsewhere.of(one.trial, without)
        probe = calibration.probe(one.trial.query.vector) if calibration.probe else 0.0
        found = relevance(one.signals | {"asks_user": probe}, calibration)
        passes = found.probability >= calibration.min_relevance
        if not one.answerable:
            if one.weights[1] == 1.0:
                shown.append(bool(passes.any()))
        elif one.right[first := np.argsort(-found.log_odds)[:cutoff]].any():
            kept.append(bool((one.right & passes)[first].any()))
    return Silenced(kept=estimate(kept), shown=estimate(shown))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """What the order of one data set's facts loses without each kind of signal."""

    dataset: str
    cutoff: int
    counts: Mapping[str, int]  # questions, by their kind
    # By what is left out and by kind of question: all@cutoff without it, less all@cutoff with everything.
    change: Mapping[str, Mapping[str, Estimate]]


def lost_by_kind(founds: Sequence[Details]) -> list[Lost]:
    """For each data set, what every kind of signal (`reasons.KINDS`) gives to every kind of question.

    Empty where there is nothing to learn an order from: other users with questions that not every fact answers.
    The order is learned anew without these signals, from the questions of all sets but those of the fold that is
    asked. What isn't learned (the time asked for, where a fact comes from) is added as it ships, or left out.
    """
    embedded = [one for found in founds for one in found.embedded]
    asked = [(kind, one.trial) for found in founds for kind, one in found.answerable]
    measured = list(zip((t for _, t in asked), fitting.examples([t for _, t in asked]), strict=True))
    fold = training.folds(embedded, FOLDS)
    if not _can_be_learned(measured, fold):
        return []
    cutoffs = {found.dataset.name: found.dataset.cutoff for found in founds}
    whole = _complete(measured, fold, cutoffs)
    changes = {
        name: np.subtract(_complete(measured, fold, cutoffs, without), whole) for name, without in reasons.KINDS.items()
    }
    kinds = np.array([kind for kind, _ in asked])
    sources = np.array([trial.source for _, trial in asked])
    return [
        _lost(found, kinds[(its := sources == found.dataset.name)], {k: c[its] for k, c in changes.items()})
        for found in founds
    ]


def _can_be_learned(measured: Sequence[tuple[Trial, Example]], fold: Mapping[str, int]) -> bool:
    """Whether right and wrong facts of a question stand side by side outside of every fold."""
    telling = {fold[trial.group] for trial, one in measured if not one.right.all()}
    return all(telling - {fold[trial.group]} for trial, _ in measured)


def _lost(found: Details, kinds: np.ndarray, changes: Mapping[str, np.ndarray]) -> Lost:
    names = sorted(set(kinds.tolist()))
    # Where a fact comes from, for one, says nothing in a set whose facts all come from the users themselves.
    telling = {group: change for group, change in changes.items() if change.any()} or changes
    return Lost(
        dataset=found.dataset.name,
        cutoff=found.dataset.cutoff,
        counts={kind: int((kinds == kind).sum()) for kind in names},
        change={group: {kind: estimate(change[kinds == kind]) for kind in names} for group, change in telling.items()},
    )


def _complete(
    measured: Sequence[tuple[Trial, Example]],
    fold: Mapping[str, int],
    cutoffs: Mapping[str, int],
    without: Collection[str] = (),
) -> list[float]:
    """Of each trial: whether all evidence is among the first facts of an order learned elsewhere."""
    orders = {
        held: fitting.learn_order([one for trial, one in measured if fold[trial.group] != held], without)
        for held in {fold[trial.group] for trial, _ in measured}
    }
    told = {signal: weight for signal, weight in PRIORS.items() if signal not in without}
    complete = []
    for trial, one in measured:
        scores = one.order @ orders[fold[trial.group]]
        scores = scores + sum(weight * np.asarray(one.signals[signal]) for signal, weight in told.items())
        ranked = [one.fact_ids[place] for place in np.argsort(-scores, kind="stable")]
        complete.append(metrics.all_at(ranked, trial.evidence, cutoffs[trial.source]))
    return complete
