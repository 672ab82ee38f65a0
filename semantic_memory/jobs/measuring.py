"""Recall before and after a change of model, on labelled questions."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from semantic_memory.embedding import EmbeddingModel

if TYPE_CHECKING:
    from semantic_memory.memory import SemanticMemory


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How well one model does on an evaluation file."""

    event: Literal["measured"] = field(default="measured", init=False)
    model: str
    questions: int
    cutoff: int  # facts that are looked at
    any_at: float  # share of the questions for which some right fact is among them
    all_at: float  # share for which all are


async def measure(memory: SemanticMemory, model: EmbeddingModel, path: Path) -> tuple[Measured, Measured]:
    """Recall with the memory's own model, and with another one, on a file of JSON lines as `evaluate` takes it.

    The users of the file are its own: nothing of the memory is looked at. Raises `InvalidInput`, `EmbeddingFailed`.
    """
    before = await memory._rooms.workroom.call(_measured(memory._rooms.embedding, path))
    return before, await memory._rooms.workroom.call(_measured(model, path))


async def _measured(model: EmbeddingModel, path: Path) -> Measured:
    from semantic_memory.evaluation.datasets import load
    from semantic_memory.evaluation.evaluate import evaluate

    (report,) = await evaluate(load("file", path), model)
    scores = report.scores[0]
    return Measured(
        model=model.name,
        questions=report.questions,
        cutoff=report.cutoff,
        any_at=scores.any_at[report.cutoff].mean,
        all_at=scores.all_at[report.cutoff].mean,
    )
