"""Fit a calibration: first the order of facts, then its probability, then the silence."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from semantic_memory.evaluation import probing
from semantic_memory.evaluation.namesakes import NAMESAKE
from semantic_memory.evaluation.training import ELSEWHERE, PERHAPS
from semantic_memory.evaluation.trials import Trial
from semantic_memory.retrieval.reading import Reading, Words
from semantic_memory.retrieval.relevance import Calibration, Logistic, Probe, relevance, summit, timed
from semantic_memory.retrieval.signals import Signals, measure, told
from semantic_memory.retrieval.temporal import preferred

Floats = NDArray[np.float64]

ORDER = (
    "cosine", "cosine_margin", "lexical", "lexical_even", "lexical_place", "lexical_lead", "lexical_length",
    "coverage", "coverage_told", "rarest_term", "cosine_around", "cosine_session", "lexical_nearby", "lexical_far",
    "session_told", "session_coverage", "session_lexical", "session_share", "answers", "length", "asks",
)  # fmt: skip
LEVEL = (
    "query_cosine", "query_spread", "query_coverage", "query_known", "query_told", "query_length", "query_session",
    "shelf_size", "query_best", "query_best_three",
)  # fmt: skip
SILENCE = (
    "query_cosine", "query_known", "query_coverage", "unknown_names", "known_names", "no_names", "named",
    "named_cosine", "named_coverage", "shelf_size", "query_best", "query_best_three", "query_lead", "personal",
    "query_timed",
)  # fmt: skip

BESIDE_A_NAME = ("named", "named_cosine", "named_coverage")  # the signals of SILENCE that weigh what a name hides
PEAK = ("query_best", "query_best_three")  # the signals of LEVEL that are made of the facts' own scores

# The data sets say nothing about these: what they add to the log-odds is set by judgement, small against the rest.
PRIORS = {"evidence": 0.15, "own": 0.3, "recency": 0.2, "in_time": 1.5}

# How much a question counts, by where it comes from: for the order, and for the silence.
WEIGHTS: Mapping[str, tuple[float, float]] = {
    "locomo turns": (1.0, 6.0),
    "locomo facts": (1.0, 3.0),
    "own": (1.0, 4.0),
    "prefeval": (4.0, 2.5),
    "shaped": (0.0, 1.0),
    "small shaped": (0.0, 1.0),
    "small prefeval": (0.8, 1.0),
    "small locomo facts": (0.3, 1.0),
    "small locomo turns": (0.1, 0.5),
    "small own": (0.3, 1.0),
    ELSEWHERE: (0.0, 1.0),
    PERHAPS: (0.0, 0.3),
    NAMESAKE: (0.0, 0.2),
}
HARDEST = 60  # facts of each question that the order is learned on
PENALTY = 10.0  # on squared weights, of standardised signals
MIN_SHARE = 0.003  # of the best fact's odds: below it stand facts that only fill the block
TOP = 10  # facts whose probability is fitted
# Share of what is fitted on: small shelves and shared names make it harder than what is promised. Where cosines
# are relative, other people's models shall rather be silent than noisy.
UNRELATED_SHOWN, UNRELATED_SHOWN_RELATIVE = 0.038, 0.02
STEEPNESS = 6.0  # the silence is a step more than a slope: a user is answered or is not
STEP = 5.5  # log-odds below which the unrelated are pushed


@dataclass(frozen=True, slots=True)
class Example:
    """The signals of one question's hardest facts."""

    signals: Signals  # of those facts
    order: Floats  # shape (facts, len(ORDER))
    right: NDArray[np.bool_]  # of each fact
    fact_ids: tuple[str, ...]
    weights: tuple[float, float]
    trial: Trial

    @property
    def answerable(self) -> bool:
        """Whether anything helps."""
        return bool(self.right.any())


def examples(trials: Iterable[Trial], *, relative: bool = False) -> list[Example]:
    """Measured trials; `relative` as in `Reading.of`."""
    return [_example(trial, relative) for trial in trials if len(trial.shelf)]


def fit(
    found: Sequence[Example],
    *,
    name: str,
    relative: bool = False,
    probed: bool = False,
    without: Collection[str] = (),
) -> Calibration:
    """Constants for an embedding model, from measured trials; `probed` with a probe of its query vectors.

    The silence does `without` some of its signals.
    """
    return Learned.of(found, relative=relative, probed=probed).calibration(name, without)


@dataclass(frozen=True, slots=True)
class Learned:
    """What is learned before the silence: the order, its probability, the probe and what it says."""

    found: Sequence[Example]
    helps: Logistic
    level: Logistic
    relative: bool
    probe: Probe | None
    asks: Floats | None  # of each example: what a probe says that has not seen it

    @classmethod
    def of(cls, found: Sequence[Example], *, relative: bool = False, probed: bool = False) -> Learned:
        """The order is learned by a softmax over each question's facts (as in ListNet, Cao et al. 2007, with each
        right fact against the wrong ones only); its probability and the silence by logistic regression.
        """
        helps, level = _probability([one for one in found if one.answerable], learn_order(found))
        probe, asks = probing.fit(found) if probed else (None, None)
        return cls(found, helps, level, relative, probe, asks)

    def calibration(self, name: str, without: Collection[str] = ()) -> Calibration:
        """With a silence that does `without` some of its signals."""
        unrelated_shown = UNRELATED_SHOWN_RELATIVE if self.relative else UNRELATED_SHOWN
        loose = Calibration(
            name=name,
            answerable=_silence(self.found, self.helps, unrelated_shown, self.asks, without),
            helps=self.helps,
            level=self.level,
            relative=self.relative,
            min_relevance=0.0,
            min_share=MIN_SHARE,
            probe=self.probe,
        )
        asks = self.asks if self.asks is not None else np.zeros(len(self.found))
        told = (_told(one, value) for one, value in zip(self.found, asks, strict=True))
        shown = [_best(one, loose) for one in told if not one.answerable and one.weights[1] == 1.0]
        threshold = float(np.quantile(shown, 1 - unrelated_shown)) if shown else 0.0
        return replace(loose, min_relevance=round(threshold, 4))


def _told(one: Example, asks: float) -> Example:
    return replace(one, signals=one.signals | {"asks_user": asks})


def _example(trial: Trial, relative: bool) -> Example:
    asked_for = preferred(trial.query.text, trial.now, lambda _: None)
    words = Words.of(trial.shelf, trial.query)
    reading = Reading.of(trial.shelf, words, trial.query.vector, relative=relative)
    signals = measure(reading, told(trial.shelf, words, now=trial.now, asked_for=asked_for))
    ids = trial.shelf.ids
    right = np.array([ids[row] in trial.right for row in trial.shelf.timeline.order])
    hardest = _hardest(signals, right)
    kept = {name: signal[hardest] if isinstance(signal, np.ndarray) else signal for name, signal in signals.items()}
    order = np.column_stack([kept[signal] for signal in ORDER]).astype(np.float64)
    kept_ids = tuple(ids[trial.shelf.timeline.order[place]] for place in hardest)
    return Example(kept, order, right[hardest], kept_ids, WEIGHTS.get(trial.source, (1.0, 1.0)), trial)


def _hardest(signals: Signals, right: NDArray[np.bool_]) -> NDArray[np.intp]:
    rough = 3 * signals["cosine"] + signals["lexical"]
    rough = rough + 0.1 * signals["lexical_nearby"] + 0.05 * signals["session_told"]
    return np.union1d(np.argsort(-rough)[:HARDEST], np.flatnonzero(right))


def learn_order(found: Sequence[Example], without: Collection[str] = ()) -> Floats:
    """A weight for each signal of ORDER, 0 for those that it is to do `without`."""
    from scipy.optimize import minimize

    asked = [one for one in found if one.answerable and not one.right.all() and one.weights[0] > 0]
    signals = np.concatenate([one.order for one in asked])
    scale = signals.std(axis=0) + 1e-9
    signals = (signals - signals.mean(axis=0)) / scale * [signal not in without for signal in ORDER]
    right = np.concatenate([one.right for one in asked])
    question = np.repeat(np.arange(len(asked)), [len(one.right) for one in asked])
    per_fact = np.array([one.weights[0] / one.right.sum() for one in asked])[question[right]]

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = signals @ weights
        starts = np.flatnonzero(np.diff(question, prepend=-1))
        odds = np.exp(scores - np.maximum.reduceat(scores, starts)[question])
        wrong = np.add.reduceat(odds * ~right, starts)[question[right]]
        whole = odds[right] + wrong
        slope = odds * np.bincount(question[right], per_fact / whole, minlength=len(asked))[question]
        slope[right] = -per_fact * wrong / whole
        penalty = PENALTY * float(weights @ weights)
        return float(
            -(per_fact * np.log(odds[right] / whole)).sum()
        ) + penalty, signals.T @ slope + 2 * PENALTY * weights

    return np.asarray(minimize(loss, np.zeros(len(ORDER)), jac=True, method="L-BFGS-B").x / scale)


def _probability(found: Sequence[Example], order: Floats) -> tuple[Logistic, Logistic]:
    """The chance that a fact helps, given that some fact does: a logistic of its score, and of the query's level."""
    rows, right, weights = [], [], []
    for one in found:
        scores = one.order @ order
        best = np.argsort(-scores)[:TOP]
        level = _level(one, scores)
        rows += [
            [scores[fact], apart, *level]
            for fact, apart in zip(best, np.asarray(one.signals["apart"])[best], strict=True)
        ]
        right += one.right[best].tolist()
        weights += [min(one.weights[0], 1.0)] * len(best)
    (steepness, apart, *levels), bias = _logistic(np.array(rows, dtype=np.float64), right, weights)
    helps = dict(zip(ORDER, steepness * order, strict=True)) | {"apart": apart}
    # The peak is of scores as they ship: steepened, and with the priors that nearly every fact of the sets has.
    lift = dict(zip(LEVEL, levels, strict=True)) | {one: levels[LEVEL.index(one)] / steepness for one in PEAK}
    usual = PRIORS["own"] + PRIORS["recency"]
    bias -= usual * (1 + sum(lift[one] for one in PEAK))
    return _logistic_of(0.0, helps | PRIORS), _logistic_of(bias, lift)


def _silence(
    found: Sequence[Example],
    helps: Logistic,
    unrelated_shown: float,
    asks: Floats | None = None,
    without: Collection[str] = (),
) -> Logistic:
    """The chance that any fact helps, made steep and set so that few unrelated questions pass.

    `asks` is what a probe says of each, that has not seen it.
    """
    rows = np.array([_query(one, helps) for one in found], dtype=np.float64)
    names: tuple[str, ...] = SILENCE
    if asks is not None:
        rows, names = np.column_stack([rows, asks]), (*SILENCE, "asks_user")
    rows = rows * [signal not in without for signal in names]
    weights = np.array([one.weights[1] for one in found])
    answerable = [one.answerable for one in found]
    slopes, bias = _logistic(rows, answerable, weights)
    log_odds = rows @ slopes + bias
    unrelated = log_odds[~np.array(answerable) & (weights == 1.0)]
    step = float(np.quantile(unrelated, 1 - unrelated_shown)) + STEP / STEEPNESS
    return _logistic_of((bias - step) * STEEPNESS, dict(zip(names, slopes * STEEPNESS, strict=True)))


def _level(one: Example, scores: Floats) -> list[float]:
    signals = one.signals | summit(scores.astype(np.float32))
    return [float(signals[signal]) for signal in LEVEL]


def _query(one: Example, helps: Logistic) -> list[float]:
    score = helps(one.signals)
    signals = one.signals | summit(score) | {"query_timed": timed(score, one.signals, helps)}
    return [float(signals[signal]) for signal in SILENCE]


def _best(one: Example, calibration: Calibration) -> float:
    return float(relevance(one.signals, calibration).probability.max())


def _logistic(rows: Floats, right: Sequence[bool], weights: Sequence[float] | Floats) -> tuple[Floats, float]:
    from sklearn.linear_model import LogisticRegression

    scale = rows.std(axis=0) + 1e-9
    model = LogisticRegression(C=10.0, max_iter=5000).fit(rows / scale, right, sample_weight=weights)
    return np.asarray(model.coef_[0] / scale), float(model.intercept_[0])


def _logistic_of(bias: float, weights: Mapping[str, float]) -> Logistic:
    return Logistic(_short(bias), {signal: _short(weight) for signal, weight in weights.items()})


def _short(weight: float) -> float:
    return float(f"{weight:.5g}")
