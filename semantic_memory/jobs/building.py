"""Vectors for the facts that have none: read in pieces, embedded, and written to the ledger by fingerprint.

A piece is a number of users whose facts fill about one batch. Nothing is kept of how far a build is: whoever goes on
asks the ledger what is missing.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Protocol

from semantic_memory.embedding import EmbeddingModel, Fingerprint, Matrix
from semantic_memory.errors import EmbeddingFailed
from semantic_memory.identity import ALPHABET
from semantic_memory.ledger import generations
from semantic_memory.ledger.generations import EVERY, Range, Standing, Unembedded
from semantic_memory.ledger.store import Clock, Ledger

log = logging.getLogger("semantic_memory")

BATCH = 256  # texts that are embedded and written at once; their users are settled beside the next. A kill loses it
MOST_USERS = 256  # in a piece
LARGE = 32  # batches of one user, who is divided into pieces of about half as many


@dataclass(frozen=True, slots=True)
class Piece:
    """Users whose missing vectors of one fingerprint are made together."""

    user_keys: tuple[str, ...]
    fingerprint: str  # its key
    ids: Range = EVERY  # of the facts: a large user is several pieces, for several workers


@dataclass(slots=True)
class Built:
    """A batch of a piece that is in the ledger; `last` when the piece has nothing missing any more."""

    piece: Piece
    texts: int = 0
    failed: dict[str, str] = field(default_factory=dict)  # user key -> why
    last: bool = False


class Engine(Protocol):
    """Makes vectors: in this process, or on many machines."""

    def build(self, pieces: Sequence[Piece]) -> AsyncIterator[Built]:
        """Give the facts of each piece their vectors, in any order of the pieces."""
        ...


def pieces(todo: Sequence[Standing], fingerprint: str) -> Iterator[Piece]:
    """Neighbouring users, about one batch of missing texts together; a large user in several pieces."""
    some: list[str] = []
    texts = 0
    for one in todo:
        if some and (texts + one.missing > BATCH or len(some) == MOST_USERS):
            yield Piece(tuple(some), fingerprint)
            some, texts = [], 0
        if one.missing > LARGE * BATCH:
            yield from (Piece((one.user_key,), fingerprint, ids) for ids in _ranges(2 * one.missing // (LARGE * BATCH)))
            continue
        some.append(one.user_key)
        texts += one.missing
    if some:
        yield Piece(tuple(some), fingerprint)


def _ranges(parts: int) -> Iterator[Range]:
    """All ids in so many ranges: they are random, so by their first letters these are of about the same size."""
    parts = min(parts, len(ALPHABET))
    starts = ["", *(ALPHABET[len(ALPHABET) * part // parts] for part in range(1, parts))]
    yield from zip(starts, [*starts[1:], ""], strict=True)


class LocalEngine:
    """Makes vectors with a model in this process."""

    def __init__(self, ledger: Ledger, embedding: EmbeddingModel, fingerprint: Fingerprint, clock: Clock) -> None:
        self._ledger = ledger
        self._embedding = embedding
        self._fingerprint = fingerprint
        self._clock = clock

    async def build(self, pieces: Sequence[Piece]) -> AsyncIterator[Built]:
        """One batch after the other, each written before the next begins."""
        for piece in pieces:
            async for built in self.build_piece(piece):
                yield built

    async def build_piece(self, piece: Piece) -> AsyncIterator[Built]:
        """The batches of one piece; a user whose facts can't be embedded is left out of the rest.

        Raises `EmbeddingFailed` where the model here isn't the one that the piece is for.
        """
        self._check_model(piece)
        failed: dict[str, str] = {}
        while batch := await self._batch([key for key in piece.user_keys if key not in failed], piece.ids):
            vectors, errors = await self._embedded(batch)
            failed |= errors
            kept = 0
            if vectors:
                database, key = self._ledger.database, self._fingerprint.key
                kept = await database.write(generations.embed, key, vectors, self._clock())
            yield Built(piece, kept, errors)
        yield Built(piece, last=True)

    def _check_model(self, piece: Piece) -> None:
        mine = self._fingerprint
        if mine.key != piece.fingerprint:
            raise EmbeddingFailed(
                f"the model that is loaded here, {mine.name} ({mine.key}), isn't the job's ({piece.fingerprint}): "
                "install the same model everywhere"
            )

    async def _batch(self, user_keys: Sequence[str], ids: Range) -> list[Unembedded]:
        if not user_keys:
            return []
        database, key = self._ledger.database, self._fingerprint.key
        return await database.read(generations.unembedded, key, user_keys, BATCH, ids)

    async def _embedded(self, batch: Sequence[Unembedded]) -> tuple[dict[tuple[str, str], Matrix], dict[str, str]]:
        """The vectors by (user key, fact id), and whose facts the model can't embed."""
        try:
            return await self._vectors(batch), {}
        except EmbeddingFailed as error:
            log.warning("a batch of %d texts failed, trying it user by user: %s", len(batch), error)
        vectors: dict[tuple[str, str], Matrix] = {}
        failed: dict[str, str] = {}
        for user_key, facts in groupby(batch, key=lambda one: one.user_key):
            try:
                vectors |= await self._vectors(list(facts))
            except EmbeddingFailed as error:
                failed[user_key] = str(error)
        return vectors, failed

    async def _vectors(self, facts: Sequence[Unembedded]) -> dict[tuple[str, str], Matrix]:
        rows = await self._embedding.embed_documents([one.text for one in facts])
        return {(one.user_key, one.fact_id): row for one, row in zip(facts, rows, strict=True)}
