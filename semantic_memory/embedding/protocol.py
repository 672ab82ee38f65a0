"""What an embedding model is to this library."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Matrix: TypeAlias = "NDArray[np.float32]"  # quoted: whoever only reads the ledger needs no numpy


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What makes two vectors comparable; vectors of different fingerprints are never mixed."""

    name: str
    weights: str  # sha256 of the weights, or what the provider gives as version
    dimension: int
    query_prompt: str = ""
    document_prompt: str = ""

    @property
    def key(self) -> str:
        """Sixteen hex characters that stand for the whole fingerprint."""
        return _key_of(self)


@lru_cache(maxsize=64)
def _key_of(fingerprint: Fingerprint) -> str:
    text = json.dumps(asdict(fingerprint), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@runtime_checkable
class EmbeddingModel(Protocol):
    """Text to unit vectors; queries and documents may be encoded differently.

    Implementations do their work off the caller's event loop, raise `EmbeddingFailed` for
    whatever goes wrong, and return float32 rows of length 1.
    """

    @property
    def name(self) -> str:
        """The name a person would use."""
        ...

    async def load(self) -> Fingerprint:
        """Make the model ready and tell what it is. Idempotent; safe to call concurrently."""
        ...

    async def embed_documents(self, texts: Sequence[str]) -> Matrix:
        """Vectors of shape (len(texts), dimension)."""
        ...

    async def embed_query(self, text: str) -> Matrix:
        """One vector of shape (dimension,)."""
        ...

    def count_tokens(self, text: str) -> int:
        """How many tokens the model's tokenizer makes of `text`, special tokens left out."""
        ...

    async def close(self) -> None:
        """Give back threads and connections."""
        ...
