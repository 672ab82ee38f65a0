"""The one place that picks concrete classes and connects the rooms."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from semantic_memory.blocks import Blocks
from semantic_memory.embedding import EmbeddingModel
from semantic_memory.embedding.guarded import GuardedEmbedding
from semantic_memory.erasure import Eraser
from semantic_memory.errors import LedgerFailed
from semantic_memory.explaining import Explainer
from semantic_memory.extraction import Extractor
from semantic_memory.filing import Filing
from semantic_memory.following import Follower
from semantic_memory.generations import Generations
from semantic_memory.health import Doctor
from semantic_memory.identity import NewId, new_id
from semantic_memory.keys import Keys
from semantic_memory.learning import Learner
from semantic_memory.ledger.database import Database
from semantic_memory.ledger.store import Clock, Ledger, utc_now
from semantic_memory.patience import in_time
from semantic_memory.recalling import Recaller
from semantic_memory.receipts import ReceiptBook
from semantic_memory.restoring import Restorer
from semantic_memory.retrieval.relevance import Calibration
from semantic_memory.retrieval.rerank import CrossEncoderReranker, Reranker
from semantic_memory.secrets import Redactor, as_it_is
from semantic_memory.settings import Settings
from semantic_memory.vectors import Shelves
from semantic_memory.workroom import Workroom

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from semantic_memory.index import Index

log = logging.getLogger("semantic_memory")

EMBEDDING_PATIENCE = 120.0  # seconds; many long texts on a slow processor take that
CLOSE_PATIENCE = 30.0  # seconds for each part


@dataclass(slots=True)
class Rooms:
    """An open memory's parts."""

    settings: Settings
    workroom: Workroom
    ledger: Ledger
    shelves: Shelves
    index: Index
    embedding: EmbeddingModel
    extractor: Extractor
    follower: Follower
    recaller: Recaller
    filing: Filing
    restorer: Restorer
    learner: Learner
    eraser: Eraser
    doctor: Doctor
    receipts: ReceiptBook
    keys: Keys
    generations: Generations
    explainer: Explainer
    clock: Clock
    new_id: NewId
    blocks: Blocks


def build(
    settings: Settings,
    *,
    embedding: EmbeddingModel | None = None,
    extractor: Extractor | None = None,
    engine: AsyncEngine | None = None,
    reranker: Reranker | None = None,
    clock: Clock = utc_now,
    new_id: NewId = new_id,
    redactor: Redactor = as_it_is,
) -> Rooms:
    """Connect the rooms; nothing is opened yet, but the folder is made."""
    _make_folder(settings.path)
    embedding = GuardedEmbedding(embedding or embedding_model(settings), patience=EMBEDDING_PATIENCE)
    ledger = Ledger(_database(settings, engine), clock=clock)
    index = _index(settings)
    extractor = extractor or extractor_of(settings)
    workroom = Workroom()
    shelves = Shelves(ledger, most_bytes=settings.cached_bytes)
    follower = Follower(ledger, shelves, index, embedding, workroom, new_id=new_id)
    filing = Filing(
        ledger,
        shelves,
        follower,
        embedding,
        clock=clock,
        new_id=new_id,
        trusted=settings.trusted,
        expiry=settings.expiry,
        redactor=redactor,
    )
    generations = Generations(ledger, index, kept=settings.generations_kept, clock=clock)
    receipts = ReceiptBook(ledger, workroom, kept=settings.receipts_kept, redactor=redactor, swept=generations.drop_old)
    blocks = Blocks()
    return Rooms(
        settings=settings,
        workroom=workroom,
        ledger=ledger,
        shelves=shelves,
        index=index,
        embedding=embedding,
        extractor=extractor,
        follower=follower,
        recaller=Recaller(
            ledger,
            shelves,
            follower,
            index,
            embedding,
            clock=clock,
            calibration=Calibration.read(settings.calibration) if settings.calibration else None,
            reranker=reranker or _reranker(settings),
            redactor=redactor,
        ),
        filing=filing,
        restorer=Restorer(ledger, embedding, follower, new_id=new_id, redactor=redactor),
        learner=Learner(
            ledger, shelves, filing, embedding, extractor, workroom, settings, clock=clock, redactor=redactor
        ),
        eraser=Eraser(ledger, shelves, index, follower, receipts, blocks, clock=clock, redactor=redactor),
        doctor=Doctor(settings, ledger, shelves, index, follower, filing, embedding, clock=clock),
        receipts=receipts,
        keys=Keys(ledger, workroom, clock=clock, new_id=new_id),
        generations=generations,
        explainer=Explainer(ledger, shelves, receipts),
        blocks=blocks,
        clock=clock,
        new_id=new_id,
    )


async def open_rooms(rooms: Rooms, *, wait_for_model: bool) -> None:
    """Open the ledger and, for at most `load_timeout` seconds, wait for the embedding model."""
    await rooms.ledger.open()
    await rooms.receipts.drop_old()
    rooms.workroom.errand(rooms.generations.drop_old())
    rooms.workroom.errand(rooms.index.resume())
    if not wait_for_model:
        return  # whatever needs it first loads it: listing facts shouldn't
    loading = asyncio.ensure_future(rooms.embedding.load())
    loading.add_done_callback(lambda done: done.cancelled() or done.exception())  # recalls will tell
    # Both import much, and importing holds up every thread: better now than in the first recall.
    await asyncio.wait({loading, asyncio.ensure_future(rooms.index.prepare())}, timeout=rooms.settings.load_timeout)


async def close_rooms(rooms: Rooms) -> None:
    """Write what is still to be written and give everything back, whatever refuses to close."""
    for close in (rooms.receipts.flush, rooms.index.close, rooms.embedding.close, rooms.ledger.close):
        try:
            await in_time(close(), CLOSE_PATIENCE)
        except Exception:
            log.exception("something did not close as it should")


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerFailed(f"the memory's folder can't be made: {error}") from error


def embedding_model(settings: Settings) -> EmbeddingModel:
    """The embedding model that the settings name."""
    from semantic_memory.embedding.bundled import NAME, bundled

    if settings.embedding_model in (None, NAME):
        return bundled()
    from semantic_memory.embedding.sentence_transformers import SentenceTransformerEmbedding

    return SentenceTransformerEmbedding(settings.embedding_model)


def _reranker(settings: Settings) -> Reranker | None:
    if not settings.rerank_model:
        return None
    return CrossEncoderReranker(settings.rerank_model, within=settings.rerank_within)


def extractor_of(settings: Settings) -> Extractor:
    """The extractor that the settings name."""
    if settings.extraction_model:
        from semantic_memory.extraction.model import ModelExtractor

        return ModelExtractor(settings.extraction_model)
    from semantic_memory.extraction.sentences import SentenceExtractor

    return SentenceExtractor(assistant="assistant" in settings.learn_from)


def _database(settings: Settings, engine: AsyncEngine | None) -> Database:
    if engine is not None:
        return Database.shared(engine)
    return Database.at(settings.ledger_url) if settings.ledger_url else Database.in_file(settings.path / "ledger.db")


def _index(settings: Settings) -> Index:
    from semantic_memory.index import FolderIndex, ServerIndex

    if settings.chroma_url:
        return ServerIndex(settings.chroma_url)
    return FolderIndex(settings.path / "index", open_folders=settings.open_folders)
