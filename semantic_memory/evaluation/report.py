"""What an evaluation found, as values, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from semantic_memory.evaluation.metrics import Bin, Estimate

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How one way of ranking did on one data set."""

    ranker: str  # recall, dense only, words only
    any_at: dict[int, Estimate]  # by k
    all_at: dict[int, Estimate]
    reciprocal_rank: Estimate
    ndcg: Estimate  # at the data set's cutoff


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """What the default threshold lets through."""

    threshold: float
    share: float  # of the best fact's odds
    shown_to_unrelated: Estimate  # share of unrelated prompts, and of other users' questions, that get anything
    shown_to_prompts: Estimate  # of the unrelated prompts alone
    shown_to_personal: Estimate  # of unrelated prompts of people who speak of themselves, none of them ever fitted on
    shown_to_unanswerable: Estimate | None  # of the set's own questions that no fact answers; None: it has none
    any_kept: float  # any@cutoff with the threshold, over any@cutoff without one
    all_kept: float  # the same of all@cutoff
    facts_shown: float  # mean, over the answerable questions that get anything
    strangers: tuple[tuple[str, bool], ...] = ()  # questions of other users, and whether they got anything


@dataclass(frozen=True, slots=True, kw_only=True)
class InBlock:
    """What of the answers reaches the block, with recall's own limits."""

    limit: int  # facts
    max_tokens: int
    any: Estimate
    all: Estimate
    facts: float  # mean, over the questions that get anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One data set's results."""

    dataset: str
    embedding: str
    users: int
    facts: int
    questions: int
    cutoff: int
    out_of_fold: bool  # whether whatever is fitted was fitted on other users than it was measured on
    scores: tuple[Scores, ...]
    by_kind: dict[str, Estimate]  # all@cutoff of recall, by kind of question
    silence: Silence
    in_block: InBlock
    reliability: tuple[Bin, ...]  # of the ten best facts of each question
    calibration_error: float
    milliseconds: float  # median time of one ranking, embedding left out
    milliseconds_slow: float  # the 95th percentile

    def to_json(self) -> str:
        """Everything, for machines."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Report:
        """What `to_json`, or a line of `evaluate --json`, says; `ValueError` where that is no report."""
        from pydantic import TypeAdapter

        return TypeAdapter(cls).validate_json(text)

    def render(self) -> Group:
        """Everything, for a terminal."""
        from rich.console import Group

        return Group(self._table(), *self._lines())

    def _table(self) -> Table:
        from rich.table import Table

        how = "out of fold" if self.out_of_fold else "shipped calibration"
        size = f"{self.users} users, {self.facts} facts, {self.questions} questions"
        table = Table(title=f"{self.dataset}: {size}\n({self.embedding}, {how})")
        table.add_column("%")
        for one in self.scores:
            table.add_column(one.ranker, justify="right")
        ranks = sorted(self.scores[0].all_at)
        for k in ranks:
            table.add_row(f"all@{k}", *(percent(one.all_at[k]) for one in self.scores))
        for k in ranks:
            table.add_row(f"any@{k}", *(percent(one.any_at[k]) for one in self.scores))
        table.add_row("MRR", *(percent(one.reciprocal_rank) for one in self.scores))
        table.add_row(f"nDCG@{self.cutoff}", *(percent(one.ndcg) for one in self.scores))
        return table

    def _lines(self) -> Iterator[str]:
        silence = self.silence
        yield f"all@{self.cutoff} by kind: " + ", ".join(f"{kind} {percent(one)}" for kind, one in self.by_kind.items())
        yield (
            f"threshold {silence.threshold:.4f}, share {silence.share:.3f}:"
            f" shown to {percent(silence.shown_to_unrelated)} of unrelated questions"
            f" and {percent(silence.shown_to_prompts)} of unrelated prompts;"
            f" keeps {100 * silence.any_kept:.1f}% of any@{self.cutoff}"
            f" and {100 * silence.all_kept:.1f}% of all@{self.cutoff};"
            f" {silence.facts_shown:.1f} facts where it speaks"
        )
        yield (
            f"shown to {percent(silence.shown_to_personal)} of unrelated prompts of people who speak of themselves,"
            " which nothing was fitted on"
        )
        if silence.shown_to_unanswerable:
            yield f"shown to {percent(silence.shown_to_unanswerable)} of the set's own unanswerable questions"
        block = self.in_block
        yield (
            f"in a block of at most {block.limit} facts and {block.max_tokens} tokens: any {percent(block.any)},"
            f" all {percent(block.all)}; {block.facts:.1f} facts where it speaks"
        )
        yield (
            f"calibration error {self.calibration_error:.3f}; one ranking takes {self.milliseconds:.2f} ms"
            f" (median; 95th percentile {self.milliseconds_slow:.2f})"
        )
        yield "predicted -> observed: " + ", ".join(
            f"{one.predicted:.2f} -> {one.observed:.2f}" for one in self.reliability
        )


def percent(one: Estimate) -> str:
    """A mean and its interval in percent."""
    return f"{100 * one.mean:.1f} ({100 * one.low:.1f}-{100 * one.high:.1f})"
