"""From signals to relevance: a fitted logistic model whose constants ship with the package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semantic_memory.embedding.protocol import Matrix
from semantic_memory.errors import InvalidInput
from semantic_memory.retrieval.signals import Signals

DEFAULT = "default"
WORDS_ALONE = "words-alone"
SUREST = 4.0  # log-odds beyond which a probe is not believed
BEST_TIMED = 3  # facts whose time tells whether the facts hold an answer


@dataclass(frozen=True, slots=True)
class Logistic:
    """A linear model of log-odds: bias + the sum of weight * signal."""

    bias: float
    weights: Mapping[str, float]  # by signal

    def __call__(self, signals: Signals) -> NDArray[np.float32]:
        """The log-odds of every fact that the signals describe; of shape () where they describe the query alone."""
        return np.asarray(sum((w * signals[name] for name, w in self.weights.items()), self.bias), dtype=np.float32)

    def shares(self, signals: Signals, places: NDArray[np.intp]) -> list[dict[str, float]]:
        """What each signal adds to the log-odds of the facts at these places; with the bias they are the sum."""
        table = np.empty((len(self.weights), len(places)), dtype=np.float32)
        for line, (name, weight) in zip(table, self.weights.items(), strict=True):
            signal = signals[name]
            line[:] = weight * (signal[places] if isinstance(signal, np.ndarray) else signal)
        return [dict(zip(self.weights, shares, strict=True)) for shares in table.T.tolist()]


@dataclass(frozen=True, slots=True)
class Probe:
    """A linear model of the query's vector: the log-odds that what is said to an assistant asks for the user's facts.

    It knows "Suggest a drink for the party" from "Write a limerick", which share neither words with a fact.
    """

    bias: float
    weights: tuple[float, ...]  # by dimension of one model's vectors

    def __call__(self, vector: Matrix) -> float:
        """The log-odds, within bounds in which the silence stays a weighing; 0 for vectors of another dimension."""
        if len(vector) != len(self.weights):
            return 0.0
        return float(np.clip(self.bias + vector @ np.asarray(self.weights, dtype=np.float32), -SUREST, SUREST))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The fitted constants for one embedding model.

    Relevance = P(these facts hold an answer) * P(this fact helps, given that they do). The first is the same
    for all facts of a query and makes the silence; the second makes the order. Shown is what reaches
    `min_relevance` and `min_share` of the best fact's odds.
    """

    name: str
    answerable: Logistic  # of the query
    helps: Logistic  # of a fact
    level: Logistic  # of the query: what it adds to the log-odds of all facts alike
    relative: bool  # whether cosines are measured against the user's other facts, as in `Reading.of`
    min_relevance: float  # the threshold at which at most 3% of unrelated prompts get anything
    min_share: float  # the odds below which a fact only fills the block, as a share of the best fact's
    probe: Probe | None = None  # of one embedding model only; without it, words tell who speaks of themselves

    def bar(self, min_relevance: float | None, min_share: float | None) -> tuple[float, float]:
        """The threshold and the share to hold facts to. A threshold that is given stands alone."""
        if min_relevance is None:
            return self.min_relevance, self.min_share if min_share is None else min_share
        return min_relevance, min_share or 0.0

    @classmethod
    def load(cls, name: str) -> Calibration:
        """The shipped constants of an embedding model; for one never calibrated, the default's."""
        return _load(name)

    @classmethod
    def words_alone(cls) -> Calibration:
        """The constants for a query without a vector."""
        return _load(WORDS_ALONE)

    @classmethod
    def read(cls, file: Path) -> Calibration:
        """The constants in a file that holds what `to_json` wrote. Raises `InvalidInput`."""
        try:
            return cls.from_json(file.read_text("utf-8"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"{file} holds no calibration: {type(error).__name__}: {error}") from error

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Read what `to_json` wrote."""
        parts = json.loads(text)
        probe = parts.get("probe")
        return cls(
            name=parts["name"],
            answerable=Logistic(**parts["answerable"]),
            helps=Logistic(**parts["helps"]),
            level=Logistic(**parts["level"]),
            relative=parts["relative"],
            min_relevance=parts["min_relevance"],
            min_share=parts["min_share"],
            probe=probe and Probe(probe["bias"], tuple(probe["weights"])),
        )

    def to_json(self) -> str:
        """The constants as they ship: a probe's many weights on one line."""
        parts = asdict(self)
        probe = parts.pop("probe")
        text = json.dumps(parts, indent=2)
        return text + "\n" if probe is None else f'{text[:-2]},\n  "probe": {json.dumps(probe)}\n}}\n'


@dataclass(frozen=True, slots=True)
class Relevance:
    """The relevance of every fact of a shelf to one query, in the order of its timeline."""

    log_odds: NDArray[np.float32]  # that the fact helps, given that the facts hold an answer
    answerable: float  # probability that the facts hold an answer
    probability: NDArray[np.float32]  # their product: of the same order as `log_odds`


def relevance(signals: Signals, calibration: Calibration) -> Relevance:
    """What the signals say of every fact."""
    score = calibration.helps(signals)
    peak = signals | summit(score) | {"query_timed": timed(score, signals, calibration.helps)}
    log_odds = score + calibration.level(peak)
    answerable = float(probability(calibration.answerable(peak)))
    return Relevance(log_odds, answerable, probability(log_odds) * np.float32(answerable))


def summit(score: NDArray[np.float32]) -> Signals:
    """How high and how far above the others the best facts stand."""
    best = np.sort(score)[::-1][:6]
    return {
        "query_best": float(best[0]),
        "query_best_three": float(best[:3].mean()),
        "query_lead": float(best[0] - best[-1]),
    }


def timed(score: NDArray[np.float32], signals: Signals, helps: Logistic) -> float:
    """Whether a fact that is among the best for other reasons is of the time asked for."""
    in_time = np.asarray(signals["in_time"])
    best = np.argsort(helps.weights.get("in_time", 0.0) * in_time - score, kind="stable")[:BEST_TIMED]
    return float(in_time[best].max())


def probability(log_odds: NDArray[np.float32]) -> NDArray[np.float32]:
    """The logistic function, safe for large numbers of either sign."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * log_odds)), dtype=np.float32)


@lru_cache(maxsize=16)
def _load(name: str) -> Calibration:
    folder = resources.files(__package__) / "calibrations"
    shipped = {entry.name for entry in folder.iterdir()}
    file = f"{name.rsplit('/', 1)[-1].lower()}.json"
    return Calibration.from_json((folder / (file if file in shipped else f"{DEFAULT}.json")).read_text("utf-8"))
