"""Calibrations for measuring: fitted on everybody but those who are asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache

from semantic_memory.evaluation import fitting, training
from semantic_memory.evaluation.fitting import Example, Learned
from semantic_memory.evaluation.trials import Embedded, Trial
from semantic_memory.retrieval.query import Query
from semantic_memory.retrieval.relevance import Calibration

FOLDS = 5


class Elsewhere:
    """For each trial, a calibration that was fitted without its user, without who asks and without the prompt.

    It is fitted on `trials`. Prompts among them that aren't in `prompts`, all are fitted on.
    """

    def __init__(
        self,
        everything: Sequence[Embedded],
        trials: Sequence[Trial],
        prompts: Sequence[Query],
        *,
        relative: bool = False,
        probed: bool = False,
    ) -> None:
        self._fold = training.folds(everything, FOLDS)
        self._by_prompt = {id(prompt): number % FOLDS for number, prompt in enumerate(prompts)}
        self._trials = trials
        self.found: list[Example] = fitting.examples(trials, relative=relative)
        self._relative, self._probed = relative, probed
        self._learned = cache(self._learn)
        self._calibration = cache(self._calibrate)

    def of(self, trial: Trial, without: Collection[str] = ()) -> Calibration:
        """The calibration for a trial, with a silence that does `without` some of its signals."""
        return self._calibration(self._places(trial), tuple(without))

    def _places(self, trial: Trial) -> frozenset[int]:
        fold = self._fold
        known = (fold.get(trial.group), fold.get(trial.asker or ""), self._by_prompt.get(id(trial.query)))
        return frozenset(one for one in known if one is not None)

    def _learn(self, held: frozenset[int]) -> Learned:
        measured = zip(self.found, self._trials, strict=True)
        seen = [one for one, trial in measured if not self._places(trial) & held]
        return Learned.of(seen, relative=self._relative, probed=self._probed)

    def _calibrate(self, held: frozenset[int], without: tuple[str, ...]) -> Calibration:
        return self._learned(held).calibration(f"without {sorted(held)}", without)
