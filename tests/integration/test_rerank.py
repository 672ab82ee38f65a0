"""The second opinion on the order of the best facts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from semantic_memory import SemanticMemory, Settings
from semantic_memory.retrieval.ranking import Scored
from semantic_memory.retrieval.rerank import CrossEncoderReranker, reordered
from semantic_memory.testing import HashEmbeddingModel

FACTS = ["Rex is a dog.", "Miso is a cat.", "Tofu is a cat as well."]


class Opinion:
    """A reranker of few words: the shortest text first, after `seconds`."""

    def __init__(self, *, seconds: float = 0.0, within: float = 5.0, error: Exception | None = None) -> None:
        self.seconds, self.within, self.error = seconds, within, error

    async def score(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        await asyncio.sleep(self.seconds)
        if self.error:
            raise self.error
        return [-len(text) for text in texts]


async def recalled(folder: Path, reranker: Opinion | None) -> tuple[list[str], list[float], str | None]:
    settings = Settings(path=folder, min_relevance=0)
    async with SemanticMemory.open(settings, embedding=HashEmbeddingModel(), reranker=reranker) as memory:
        ada = memory.user("ada")
        if not await ada.facts():
            await ada.remember_all(FACTS)
        found = await ada.recall("Is Tofu a cat as well?")
        return [one.fact.text for one in found.facts], [one.relevance for one in found.facts], found.degraded


def test_the_opinion_moves_the_facts_and_leaves_the_relevances_where_they_are():
    scored = [Scored("a", 0.9, 1.0), Scored("b", 0.5, 1.0), Scored("c", 0.1, 1.0)]
    found = reordered(scored, [1.0, 2.0])
    assert [(one.fact_id, one.relevance) for one in found] == [("b", 0.9), ("a", 0.5), ("c", 0.1)]


async def test_the_best_facts_come_in_the_order_of_the_opinion(tmp_path: Path):
    before, relevances, _ = await recalled(tmp_path, None)
    assert before[0] == FACTS[2]
    assert await recalled(tmp_path, Opinion()) == (FACTS, relevances, None)


@pytest.mark.parametrize(
    ("opinion", "why"),
    [(Opinion(seconds=30, within=0.05), "TimeoutError"), (Opinion(error=ValueError("no")), "ValueError")],
)
async def test_an_opinion_that_is_late_or_fails_changes_nothing_and_is_told(tmp_path: Path, opinion: Opinion, why: str):
    before, relevances, _ = await recalled(tmp_path, None)
    began = time.perf_counter()
    assert await recalled(tmp_path, opinion) == (before, relevances, f"not reranked: {why}")
    assert time.perf_counter() - began < 10


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny CrossEncoder with weights of chance, saved to a folder."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder = tmp_path_factory.mktemp("cross-encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "dog", "is", "a", "tofu", "rex", "miso"]
    (folder / "vocab.txt").write_text("\n".join(words))
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertForSequenceClassification(BertConfig(vocab_size=len(words), num_labels=1, **sizes)).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return str(folder)


async def test_any_cross_encoder_scores_question_and_text_together(cross_encoder: str):
    from sentence_transformers import CrossEncoder

    expected = CrossEncoder(cross_encoder).predict([("cat?", text) for text in FACTS])
    found = await CrossEncoderReranker(cross_encoder).score("cat?", FACTS)
    assert found == pytest.approx(list(expected), abs=1e-5)


async def test_while_it_reads_for_one_question_it_has_no_opinion_on_another(cross_encoder: str):
    reranker = CrossEncoderReranker(cross_encoder)
    first = asyncio.ensure_future(reranker.score("cat?", FACTS))
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await reranker.score("dog?", FACTS)
    assert len(await first) == len(FACTS)


async def test_the_settings_name_a_cross_encoder(tmp_path: Path, cross_encoder: str):
    settings = Settings(path=tmp_path, min_relevance=0, rerank_model=cross_encoder, rerank_within=60)
    async with SemanticMemory.open(settings, embedding=HashEmbeddingModel()) as memory:
        ada = memory.user("ada")
        await ada.remember_all(FACTS)
        found = await ada.recall("Is Tofu a cat?")
    assert found.degraded is None
    expected = await CrossEncoderReranker(cross_encoder).score("Is Tofu a cat?", [one.fact.text for one in found.facts])
    assert list(expected) == sorted(expected, reverse=True)
