"""What an extractor proposes of the labelled pairs is counted by what reconcile makes of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from semantic_memory.errors import ExtractionFailed
from semantic_memory.evaluation.proposing import evaluate_proposing, spread
from semantic_memory.evaluation.reconciliation import PROPOSED, read_pairs
from semantic_memory.facts import CandidateFact
from semantic_memory.testing import HashEmbeddingModel

LABELS = {(pair.known, pair.candidate): pair.label for pair in read_pairs()}


class Knowing:
    """Proposes what is right of each pair, in the words of the known fact where it is the same; or fails."""

    version = "knowing/1"

    async def extract(self, messages: Any, *, known: Any = (), context: Any = ()) -> list[CandidateFact]:
        [message], [fact] = messages, known
        label = LABELS[fact.text, message.text]
        if label == "unrelated":
            return []
        if label == "contradicts":
            raise ExtractionFailed("junk")
        text = fact.text if label == "same" else f"No longer: {fact.text}"
        return [
            CandidateFact(
                text=text,
                position=0,
                quote=message.text,
                operation=PROPOSED[label],
                target=fact.id,
            )
        ]


async def test_right_proposals_are_counted_as_found_and_silence_as_nothing() -> None:
    report = await evaluate_proposing(Knowing(), HashEmbeddingModel(), most=40)
    found = {score.label: score for score in report.scores}
    # All but one, which is said by a negation: "I'm vegan", "I eat nothing that comes from animals".
    assert (found["same"].precision, found["same"].recall) == (1.0, (found["same"].pairs - 1) / found["same"].pairs)
    assert (found["contradicts"].recall, found["unrelated"].recall) == (0.0, 0.0)
    assert report.silent == found["contradicts"].pairs + found["unrelated"].pairs + 1
    assert sum(score.pairs for score in report.scores) == 40


def test_a_few_pairs_are_spread_over_the_labels() -> None:
    pairs = [pair for pair in read_pairs() if pair.split == "test"]
    few = spread(pairs, 20)
    assert len(set(map(id, few))) == 20
    assert min(Counter(pair.label for pair in few).values()) >= 4
    assert spread(few, 100) == sorted(few, key=lambda pair: pair.label)
