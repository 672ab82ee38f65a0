"""What every embedding model promises, whoever runs it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest

from semantic_memory.embedding import EmbeddingModel, Matrix
from semantic_memory.embedding.bundled import bundled
from semantic_memory.embedding.guarded import GuardedEmbedding
from semantic_memory.embedding.openai import OpenAIEmbedding
from semantic_memory.embedding.sentence_transformers import SentenceTransformerEmbedding
from semantic_memory.testing import HashEmbeddingModel
from tests.embedding_api import KEY, EmbeddingApi, embedding_api, tiny_model

TEXTS = ["we deploy to hetzner", "i like oat milk", "a", "the two dogs live in berlin with you", "we deploy to aws"]
AWKWARD = {
    "empty": "",
    "blank": " \n\t ",
    "emoji": "🦜👩‍👩‍👧",
    "nul": "before\0after",
    "lone surrogate": "\ud800 alone",
    "one word of a megabyte": "x" * 1_000_000,
    "arabic": "صباح الخير",
    "longer than the model reads": "the " * 5_000,
}
SAME = 1e-4  # up to which cosines may differ when texts share a batch


@pytest.fixture(scope="module")
def bundled_model() -> Iterator[EmbeddingModel]:
    model = bundled()
    yield model
    asyncio.run(model.close())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def tiny(folder: str) -> Iterator[EmbeddingModel]:
    model = SentenceTransformerEmbedding(folder)
    yield model
    asyncio.run(model.close())


@pytest.fixture(scope="module")
def api() -> Iterator[EmbeddingApi]:
    with embedding_api() as server:
        yield server


class EmbeddingContract:
    async def test_it_is_an_embedding_model_with_a_name(self, model: EmbeddingModel) -> None:
        assert isinstance(model, EmbeddingModel)
        assert model.name

    async def test_vectors_are_float32_rows_of_length_one(self, model: EmbeddingModel) -> None:
        rows = await model.embed_documents(TEXTS)

        assert rows.dtype == np.float32
        assert rows.shape == (len(TEXTS), (await model.load()).dimension)
        assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)

    async def test_a_query_is_one_vector_of_the_same_dimension(self, model: EmbeddingModel) -> None:
        row = await model.embed_query("where do we deploy?")

        assert row.dtype == np.float32
        assert row.shape == ((await model.load()).dimension,)
        assert np.linalg.norm(row) == pytest.approx(1, abs=1e-5)

    async def test_no_texts_give_no_rows(self, model: EmbeddingModel) -> None:
        rows = await model.embed_documents([])

        assert rows.shape == (0, (await model.load()).dimension)
        assert rows.dtype == np.float32

    async def test_rows_come_in_the_order_of_the_texts_whatever_shares_their_batch(self, model: EmbeddingModel) -> None:
        together = await model.embed_documents(TEXTS * 30)
        alone = [(await model.embed_documents([text]))[0] for text in TEXTS]

        assert cosines(together, np.array(alone * 30)) == pytest.approx(1, abs=SAME)

    async def test_a_text_has_the_same_vector_every_time(self, model: EmbeddingModel) -> None:
        first, second = [await model.embed_documents(TEXTS) for _ in range(2)]

        assert cosines(first, second) == pytest.approx(1, abs=SAME)

    async def test_different_texts_have_different_vectors(self, model: EmbeddingModel) -> None:
        rows = await model.embed_documents(TEXTS)

        assert np.all(rows @ rows.T - 2 * np.eye(len(rows)) < 0.999)

    async def test_shared_words_bring_a_query_nearer(self, model: EmbeddingModel) -> None:
        query = await model.embed_query("we deploy to hetzner")
        rows = await model.embed_documents(["we deploy to hetzner", "i like oat milk"])

        assert rows[0] @ query > rows[1] @ query

    @pytest.mark.parametrize("text", AWKWARD.values(), ids=AWKWARD)
    async def test_no_text_is_too_strange(self, model: EmbeddingModel, text: str) -> None:
        query, rows = await model.embed_query(text), await model.embed_documents(["a", text])

        assert np.linalg.norm(query) == pytest.approx(1, abs=1e-5)
        assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
        assert model.count_tokens(text) >= 0

    async def test_tokens_are_counted_without_special_ones(self, model: EmbeddingModel) -> None:
        await model.load()

        assert model.count_tokens("") == 0
        assert 3 <= model.count_tokens("we deploy to hetzner") <= 8
        assert model.count_tokens("we deploy to hetzner " * 200) == pytest.approx(
            200 * model.count_tokens("we deploy to hetzner"), rel=0.15
        )

    async def test_many_may_load_at_once(self, model: EmbeddingModel) -> None:
        fingerprints = await asyncio.gather(*(model.load() for _ in range(8)))

        assert len({one.key for one in fingerprints}) == 1

    async def test_many_callers_get_their_own_vectors(self, model: EmbeddingModel) -> None:
        expected = await model.embed_documents(TEXTS)
        found = await asyncio.gather(*(model.embed_documents([text]) for text in TEXTS * 4))

        assert cosines(np.concatenate(found), np.tile(expected, (4, 1))) == pytest.approx(1, abs=SAME)

    async def test_callers_on_other_event_loops_get_the_same_vectors(self, model: EmbeddingModel) -> None:
        expected = await model.embed_query("we deploy to hetzner")
        found: list[Matrix] = []

        async def ask() -> None:
            found.append(await model.embed_query("we deploy to hetzner"))
            await self.leave(model)

        threads = [threading.Thread(target=lambda: asyncio.run(ask())) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)

        assert cosines(np.array(found), np.tile(expected, (3, 1))) == pytest.approx(1, abs=SAME)

    async def test_a_cancelled_call_leaves_the_model_usable(self, model: EmbeddingModel) -> None:
        call = asyncio.ensure_future(model.embed_documents(TEXTS * 40))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait({call})

        assert (await model.embed_query("still there")).shape

    async def test_closing_twice_is_closing_once(self, fresh: EmbeddingModel) -> None:
        await fresh.load()

        await fresh.close()
        await fresh.close()

    async def leave(self, model: EmbeddingModel) -> None:
        """What a caller does before its event loop ends, while others go on."""


def cosines(some: Matrix, others: Matrix) -> Matrix:
    return np.sum(some * others, axis=1)


class TestHashEmbeddingModel(EmbeddingContract):
    @pytest.fixture
    def model(self) -> EmbeddingModel:
        return HashEmbeddingModel()

    @pytest.fixture
    def fresh(self, model: EmbeddingModel) -> EmbeddingModel:
        return model


class TestGuardedEmbedding(EmbeddingContract):
    @pytest.fixture
    def model(self) -> EmbeddingModel:
        return GuardedEmbedding(HashEmbeddingModel(), patience=60)

    @pytest.fixture
    def fresh(self, model: EmbeddingModel) -> EmbeddingModel:
        return model


class TestBundledModel(EmbeddingContract):
    @pytest.fixture
    def model(self, bundled_model: EmbeddingModel) -> EmbeddingModel:
        return bundled_model

    @pytest.fixture
    def fresh(self) -> EmbeddingModel:
        return bundled()


class TestSentenceTransformerEmbedding(EmbeddingContract):
    @pytest.fixture
    def model(self, tiny: EmbeddingModel) -> EmbeddingModel:
        return tiny

    @pytest.fixture
    def fresh(self, folder: str) -> EmbeddingModel:
        return SentenceTransformerEmbedding(folder)

    async def test_queries_and_documents_are_encoded_with_the_prompts_of_the_model(self, model: EmbeddingModel) -> None:
        fingerprint = await model.load()
        query, rows = await model.embed_query("oat milk"), await model.embed_documents(["oat milk"])

        assert (fingerprint.query_prompt, fingerprint.document_prompt) == ("query: ", "passage: ")
        assert query @ rows[0] < 0.999


class TestOpenAIEmbedding(EmbeddingContract):
    @pytest.fixture
    async def model(self, api: EmbeddingApi, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EmbeddingModel]:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", api.url)
        model = OpenAIEmbedding()
        yield model
        await model.close()

    @pytest.fixture
    def fresh(self, model: EmbeddingModel) -> EmbeddingModel:
        return model

    async def leave(self, model: EmbeddingModel) -> None:
        await model.close()
