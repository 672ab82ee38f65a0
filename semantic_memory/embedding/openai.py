"""Embedding models behind OpenAI's API, or any server that speaks its /v1/embeddings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from semantic_memory.embedding.protocol import Fingerprint, Matrix
from semantic_memory.embedding.rows import unit_rows
from semantic_memory.embedding.text import encodable, estimated_tokens
from semantic_memory.errors import EmbeddingFailed

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types import CreateEmbeddingResponse
    from tiktoken import Encoding

# https://platform.openai.com/docs/api-reference/embeddings/create
MOST_INPUTS = 2_048  # in one request
MOST_TOKENS = 300_000  # in one request
LONGEST = 8_191  # tokens of one input
LONGEST_CHARACTERS = 8 * LONGEST  # beyond this a text is cut before its tokens are counted


class OpenAIEmbedding:
    """A model of the embeddings API; `dimensions` shortens the vectors of models that allow it.

    Without a `client` the key and the address come from where the `openai` package looks for them. A `client`
    that you pass stays yours to close; on other event loops than the first a copy of it is used, with a
    connection pool of its own. Retries and timeouts are the client's. Tokens are counted with tiktoken where
    that is installed and has its tables, else as a quarter of the UTF-8 bytes.
    """

    def __init__(
        self,
        model: str = "text-embedding-3-small",
        client: AsyncOpenAI | None = None,
        dimensions: int | None = None,
    ) -> None:
        self._model = model
        self._given = client
        self._given_used = False
        self._options: dict[str, Any] = {} if dimensions is None else {"dimensions": dimensions}
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = WeakKeyDictionary()
        self._fingerprint: Fingerprint | None = None
        self._encoding: Encoding | None = None

    @property
    def name(self) -> str:
        """The model's name at the provider."""
        return self._model

    async def load(self) -> Fingerprint:
        """Embed one word, to learn the dimension and the version, and to find out that the API answers."""
        if self._fingerprint is None:
            self._encoding = await asyncio.to_thread(_encoding, self._model)
            response = await self._request(["hello"])
            self._fingerprint = Fingerprint(
                name=self._model,
                weights=response.model,
                dimension=_rows(response, count=1, dimension=self._options.get("dimensions")).shape[1],
            )
        return self._fingerprint

    async def embed_documents(self, texts: Sequence[str]) -> Matrix:
        """Vectors of shape (len(texts), dimension), in as few requests as the limits of the API allow."""
        dimension = (await self.load()).dimension
        parts = [
            _rows(await self._request(batch), count=len(batch), dimension=dimension)
            for batch in self._batches([self._fitting(text) for text in texts])
        ]
        return np.concatenate([np.empty((0, dimension), dtype=np.float32), *parts])

    async def embed_query(self, text: str) -> Matrix:
        """One vector of shape (dimension,)."""
        row: Matrix = (await self.embed_documents([text]))[0]
        return row

    def count_tokens(self, text: str) -> int:
        """How many tokens the model makes of `text`, or an estimate (see the class)."""
        if self._encoding is None:
            return estimated_tokens(text)
        return len(self._encoding.encode_ordinary(encodable(text))) if text else 0

    async def close(self) -> None:
        """Close the connections of this event loop; those of loops that are gone went with them."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None and client is not self._given:
            await client.close()

    async def _request(self, texts: list[str]) -> CreateEmbeddingResponse:
        try:
            return await self._client().embeddings.create(input=texts, model=self._model, **self._options)
        except Exception as error:
            raise EmbeddingFailed(f"{self._model}: {type(error).__name__}: {error}") from error

    def _client(self) -> AsyncOpenAI:
        """The client of the running event loop: connections must not wander between loops."""
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            self._clients[loop] = self._new_client()
        return self._clients[loop]

    def _new_client(self) -> AsyncOpenAI:
        import openai

        if self._given is None:
            return openai.AsyncOpenAI()
        if not self._given_used:
            self._given_used = True
            return self._given
        return self._given.copy(http_client=openai.DefaultAsyncHttpxClient())

    def _fitting(self, text: str) -> str:
        """`text`, cut to the longest input; without tiktoken by bytes, of which a token has at least one."""
        text = encodable(text, LONGEST_CHARACTERS)
        if self._encoding is None:
            return text.encode()[:LONGEST].decode(errors="ignore")
        tokens = self._encoding.encode_ordinary(text)
        return text if len(tokens) <= LONGEST else self._encoding.decode(tokens[:LONGEST], errors="ignore")

    def _batches(self, texts: Sequence[str]) -> Iterator[list[str]]:
        batch: list[str] = []
        room = MOST_TOKENS
        for text in texts:
            size = self.count_tokens(text)
            if batch and (len(batch) == MOST_INPUTS or size > room):
                yield batch
                batch, room = [], MOST_TOKENS
            batch.append(text)
            room -= size
        if batch:
            yield batch


def _rows(response: CreateEmbeddingResponse, *, count: int, dimension: int | None) -> Matrix:
    rows = [item.embedding for item in sorted(response.data, key=lambda item: item.index)]
    return unit_rows(rows, count=count, dimension=dimension)


def _encoding(model: str) -> Encoding | None:
    """The model's tokenizer; None without tiktoken, for models it doesn't know, or without its tables."""
    try:
        import tiktoken

        return tiktoken.encoding_for_model(model)
    except Exception:  # tiktoken downloads its tables: any network error may come out of it
        return None
