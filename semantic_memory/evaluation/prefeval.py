"""PrefEval (Zhao et al. 2025): stated preferences, and questions that they should shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from semantic_memory.evaluation.datasets import Case, Dataset, Question, statement

SAID_AT = datetime(2025, 1, 1, tzinfo=UTC)  # the set has no times


def read(entries: Sequence[Mapping[str, str]]) -> tuple[Dataset, ...]:
    """All preferences pooled in one user; a question's evidence is its own preference."""
    facts = [statement("prefeval", number, entry["preference"], SAID_AT) for number, entry in enumerate(entries)]
    questions = [
        Question(text=entry["question"], evidence=(frozenset({fact.id}),), asked_at=SAID_AT, group=entry["topic"])
        for entry, fact in zip(entries, facts, strict=True)
    ]
    case = Case(user="prefeval", facts=tuple(facts), questions=tuple(questions))
    return (Dataset(name="prefeval", cases=(case,), cutoff=5),)
