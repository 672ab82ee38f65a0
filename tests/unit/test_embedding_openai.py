from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import openai
import pytest

from semantic_memory.embedding import openai as module
from semantic_memory.embedding.openai import OpenAIEmbedding
from semantic_memory.errors import EmbeddingFailed
from tests.embedding_api import DIMENSION, KEY, EmbeddingApi, embedding_api


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddingApi]:
    with embedding_api() as server:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


@pytest.fixture
async def model(api: EmbeddingApi) -> AsyncIterator[OpenAIEmbedding]:
    model = OpenAIEmbedding()
    yield model
    await model.close()


async def test_it_learns_its_dimension_and_version_from_the_provider(model: OpenAIEmbedding) -> None:
    fingerprint = await model.load()

    assert (fingerprint.name, fingerprint.weights) == ("text-embedding-3-small", "text-embedding-3-small")
    assert fingerprint.dimension == DIMENSION


async def test_the_dimension_can_be_shortened(api: EmbeddingApi) -> None:
    model = OpenAIEmbedding(dimensions=16)

    assert (await model.embed_query("we deploy")).shape == (16,)
    assert {asked["dimensions"] for asked in api.requests} == {16}
    await model.close()


async def test_many_texts_take_as_few_requests_as_the_limits_allow(
    model: OpenAIEmbedding, api: EmbeddingApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    await model.load()
    monkeypatch.setattr(module, "MOST_INPUTS", 3)
    monkeypatch.setattr(module, "MOST_TOKENS", 10)
    texts = ["aaaa", "bbbb", "cccc", "dddd", "x" * 36, "eeee"]
    await model.embed_documents(texts)

    assert [asked["input"] for asked in api.requests[1:]] == [texts[:3], texts[3:5], texts[5:]]


async def test_a_text_beyond_the_longest_input_is_cut_without_breaking_a_character(
    model: OpenAIEmbedding, api: EmbeddingApi
) -> None:
    await model.embed_documents(["ü" * 10_000])

    assert api.requests[-1]["input"] == ["ü" * 4_095]


async def test_with_tiktoken_texts_are_counted_and_cut_by_tokens(
    model: OpenAIEmbedding, api: EmbeddingApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiktoken = pytest.importorskip("tiktoken")
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"th": 256, b"the": 257}
    words = tiktoken.Encoding("words", pat_str=r"\w+|\W+", mergeable_ranks=ranks, special_tokens={})
    monkeypatch.setattr(tiktoken, "encoding_for_model", {"text-embedding-3-small": words}.__getitem__)
    await model.load()
    await model.embed_documents(["the " * 5_000])

    assert model.count_tokens("the the") == 3
    assert model.count_tokens("") == 0
    assert api.requests[-1]["input"] == [("the " * 5_000)[: 4_096 * 4 - 1]]


async def test_without_tiktoken_tokens_are_estimated(model: OpenAIEmbedding, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "tiktoken":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    await model.load()

    assert model.count_tokens("twelve bytes") == 3


async def test_a_busy_provider_is_asked_again_by_the_client(model: OpenAIEmbedding, api: EmbeddingApi) -> None:
    api.failures = [429]

    assert (await model.embed_query("we deploy")).shape == (DIMENSION,)


@pytest.mark.parametrize(
    ("name", "client", "message"),
    [
        ("no-such-model", {}, "no-such-model: BadRequestError.*does not exist"),
        ("text-embedding-3-small", {"api_key": "wrong"}, "AuthenticationError.*Incorrect API key"),
        ("text-embedding-3-small", {"base_url": "http://127.0.0.1:9/v1", "max_retries": 0}, "APIConnectionError"),
    ],
)
async def test_what_the_client_raises_is_translated(
    api: EmbeddingApi, name: str, client: dict[str, Any], message: str
) -> None:
    async with openai.AsyncOpenAI(**client) as given:
        with pytest.raises(EmbeddingFailed, match=message):
            await OpenAIEmbedding(name, client=given).load()


async def test_without_a_key_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    with pytest.raises(EmbeddingFailed, match="OPENAI_API_KEY"):
        await OpenAIEmbedding().load()


@pytest.mark.parametrize(
    ("embedding", "message"),
    [([1.0] * (DIMENSION - 1), "shape"), ([float("nan")] * DIMENSION, "NaN"), ([0.0] * DIMENSION, "zeros")],
)
async def test_vectors_that_cannot_be_used_are_refused(
    model: OpenAIEmbedding, api: EmbeddingApi, embedding: list[float], message: str
) -> None:
    await model.load()
    api.change = lambda body: body | {"data": [body["data"][0] | {"embedding": embedding}]}

    with pytest.raises(EmbeddingFailed, match=message):
        await model.embed_query("we deploy")


async def test_an_answer_that_lacks_a_vector_is_refused(model: OpenAIEmbedding, api: EmbeddingApi) -> None:
    await model.load()
    api.change = lambda body: body | {"data": body["data"][:1]}

    with pytest.raises(EmbeddingFailed, match="expected 2 vectors"):
        await model.embed_documents(["one", "two"])


def test_a_client_that_was_given_works_on_several_event_loops(api: EmbeddingApi) -> None:
    given = openai.AsyncOpenAI()
    model = OpenAIEmbedding(client=given)

    async def ask() -> np.ndarray:
        try:
            return await model.embed_query("we deploy")
        finally:
            await model.close()
            await given.close()

    first, second = [asyncio.run(ask()) for _ in range(2)]
    assert first == pytest.approx(second)


async def test_a_client_that_was_given_is_not_closed(api: EmbeddingApi) -> None:
    async with openai.AsyncOpenAI() as given:
        model = OpenAIEmbedding(client=given)
        await model.load()
        await model.close()

        assert not given.is_closed()
