"""How well a model extractor and `reconcile` do together on the labelled pairs: the one proposes, the other checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from semantic_memory.embedding import EmbeddingModel
from semantic_memory.errors import ExtractionFailed
from semantic_memory.evaluation.reconciliation import Pair, Score, Split, known_fact, read_pairs, scores, user_message
from semantic_memory.extraction import Extractor
from semantic_memory.reconcile import Action, Thresholds, reconcile

# A message may hold several facts; the outcome of a pair is what does most to the known one.
_FIRMEST: tuple[Action, ...] = ("replaces", "same", "conflicts", "new")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposingReport:
    """What `evaluate_proposing` found."""

    extractor: str
    model: str
    split: Split
    scores: tuple[Score, ...]
    silent: int  # pairs in which it found no fact, or failed: nothing is written


async def evaluate_proposing(
    extractor: Extractor,
    embedding: EmbeddingModel,
    *,
    split: Split = "test",
    most: int | None = None,
) -> ProposingReport:
    """Have an extractor read the candidate of each pair as a user's message, the other being known.

    `most` takes that many pairs, spread over the split. Raises `EmbeddingFailed`.
    """
    pairs = [pair for pair in read_pairs() if pair.split == split]
    pairs = spread(pairs, most) if most else pairs
    await embedding.load()
    outcomes = [await _outcome(pair, extractor, embedding) for pair in pairs]
    return ProposingReport(
        extractor=extractor.version,
        model=embedding.name,
        split=split,
        scores=scores([pair.label for pair in pairs], outcomes),
        silent=outcomes.count(None),
    )


def spread(pairs: Sequence[Pair], most: int) -> list[Pair]:
    """At most so many pairs, evenly over each label and then over the split."""
    by_label, count = sorted(pairs, key=lambda pair: pair.label), min(most, len(pairs))
    return [by_label[place * len(by_label) // count] for place in range(count)]


async def _outcome(pair: Pair, extractor: Extractor, embedding: EmbeddingModel) -> Action | None:
    """What becomes of a pair; None where the extractor finds nothing or fails."""
    message, fact = user_message(pair.candidate), known_fact(pair.known)
    try:
        candidates = await extractor.extract([message], known=[fact])
    except ExtractionFailed:
        return None
    if not candidates:
        return None
    vectors = await embedding.embed_documents([fact.text, *(one.text for one in candidates)])
    decisions = reconcile(
        candidates,
        [fact],
        vectors[1:] @ vectors[:1].T,
        messages=[message],
        among=vectors[1:] @ vectors[1:].T,
        thresholds=Thresholds.of_model(embedding.name),
    )
    actions = {decision.action for decision in decisions}
    return next((action for action in _FIRMEST if action in actions), None)
