"""Fit a probe: a linear model of the query's vector that knows what is asked of a user's facts from what isn't."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from semantic_memory.evaluation.training import ELSEWHERE
from semantic_memory.evaluation.trials import Trial
from semantic_memory.retrieval.relevance import Probe

if TYPE_CHECKING:
    from semantic_memory.evaluation.fitting import Example

# Where people speak to an assistant of themselves. Questions about two others' dialogue would teach another difference.
SPOKEN = ("own", "prefeval", "shaped")
STRENGTH = 0.3  # of the fit: with 0.1 to 1, a set that is left out gains the same within two points
PARTS = 5


def fit(found: Sequence[Example]) -> tuple[Probe, NDArray[np.float64]]:
    """A probe, and for each example what one says that was fitted without its question's user, or its prompt."""
    texts = {one.trial.query.text: one for one in found if _asks(one) or _is_prompt(one.trial)}
    vectors = np.array([one.trial.query.vector for one in texts.values()], dtype=np.float64)
    asks = np.array([_asks(one) for one in texts.values()])
    part = np.array([_part(one.trial) for one in texts.values()])
    without = [_fitted(vectors[part != held], asks[part != held]) for held in range(PARTS)]
    said = [without[_part(one.trial)](one.trial.query.vector) for one in found]
    return _fitted(vectors, asks), np.array(said, dtype=np.float64)


def _asks(one: Example) -> bool:
    return one.answerable and one.trial.source in SPOKEN


def _is_prompt(trial: Trial) -> bool:
    return trial.source == ELSEWHERE and trial.asker is None


def _part(trial: Trial) -> int:
    whose = trial.query.text if _is_prompt(trial) else trial.asker or trial.group
    return int(hashlib.sha256(whose.encode()).hexdigest(), 16) % PARTS


def _fitted(vectors: NDArray[np.float64], asks: NDArray[np.bool_]) -> Probe:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=3000).fit(vectors, asks)
    return Probe(float(f"{model.intercept_[0]:.4g}"), tuple(float(f"{weight:.4g}") for weight in model.coef_[0]))
