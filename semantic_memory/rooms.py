"""The one place that picks concrete classes and connects the rooms."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from semantic_memory.blocks import Blocks
from semantic_memory.errors import LedgerFailed
from semantic_memory.explaining import Explainer
from semantic_memory.generations import Generations
from semantic_memory.identity import NewId, new_id
from semantic_memory.keys import Keys
from semantic_memory.ledger.database import Database
from semantic_memory.ledger.store import Clock, Ledger, utc_now
from semantic_memory.patience import in_time
from semantic_memory.receipts import ReceiptBook
from semantic_memory.secrets import Redactor, as_it_is
from semantic_memory.settings import Settings
from semantic_memory.workroom import Workroom

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from semantic_memory.embedding import EmbeddingModel
    from semantic_memory.erasure import Eraser
    from semantic_memory.extraction import Extractor
    from semantic_memory.filing import Filing
    from semantic_memory.following import Follower
    from semantic_memory.health import Doctor
    from semantic_memory.index import Index
    from semantic_memory.learning import Learner
    from semantic_memory.projection import Cartographer
    from semantic_memory.recalling import Recaller
    from semantic_memory.restoring import Restorer
    from semantic_memory.retrieval.rerank import Reranker
    from semantic_memory.vectors import Shelves

log = logging.getLogger("semantic_memory")

EMBEDDING_PATIENCE = 120.0  # seconds; many long texts on a slow processor take that
CLOSE_PATIENCE = 30.0  # seconds for each part

T = TypeVar("T")


class part(Generic[T]):  # noqa: N801 - it stands where `property` would
    """A part of `Rooms` that is made, and its module imported, when it is first asked for, from whichever thread.

    What needs few parts is soon ready: a list of facts needs no numpy, no patterns of time, no extractor.
    """

    def __init__(self, make: Callable[[Rooms], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, rooms: None, owner: type[Rooms]) -> part[T]: ...
    @overload
    def __get__(self, rooms: Rooms, owner: type[Rooms]) -> T: ...
    def __get__(self, rooms: Rooms | None, owner: type[Rooms]) -> part[T] | T:
        if rooms is None:
            return self
        with rooms.making:
            if self._name not in vars(rooms):
                vars(rooms)[self._name] = self._make(rooms)
            made: T = vars(rooms)[self._name]  # where Python looks first from now on
            return made


class Rooms:
    """A memory's parts, connected. Nothing is opened yet, but the folder is made."""

    def __init__(
        self,
        settings: Settings,
        *,
        embedding: EmbeddingModel | None = None,
        extractor: Extractor | None = None,
        engine: AsyncEngine | None = None,
        reranker: Reranker | None = None,
        clock: Clock = utc_now,
        new_id: NewId = new_id,
        redactor: Redactor = as_it_is,
    ) -> None:
        _make_folder(settings.path)
        self.settings = settings
        self.clock = clock
        self.new_id = new_id
        self.making = threading.RLock()
        self._given_embedding = embedding
        self._given_extractor = extractor
        self._given_reranker = reranker
        self._redactor = redactor
        self.ledger = Ledger(_database(settings, engine), clock=clock)
        self.workroom = Workroom()
        self.blocks = Blocks()

    def furnish(self) -> None:
        """Make every part there is: whoever is about to recall and to learn shouldn't wait for imports then."""
        for name, one in vars(Rooms).items():
            if isinstance(one, part):
                getattr(self, name)

    def closings(self) -> Iterator[Callable[[], Coroutine[Any, Any, None]]]:
        """How what was made is closed, in this order."""
        made = vars(self)
        if "receipts" in made:
            yield self.receipts.flush
        if "index" in made:
            yield self.index.close
        if "embedding" in made:
            yield self.embedding.close
        yield self.ledger.close

    @part
    def embedding(self) -> EmbeddingModel:
        """The embedding model, kept from taking too long."""
        from semantic_memory.embedding.guarded import GuardedEmbedding

        return GuardedEmbedding(self._given_embedding or embedding_model(self.settings), patience=EMBEDDING_PATIENCE)

    @part
    def extractor(self) -> Extractor:
        """Who finds statements in messages."""
        return self._given_extractor or extractor_of(self.settings)

    @part
    def index(self) -> Index:
        """The users' Chroma collections."""
        return _index(self.settings)

    @part
    def shelves(self) -> Shelves:
        """Users' active facts and vectors, in memory."""
        from semantic_memory.vectors import Shelves

        return Shelves(self.ledger, most_bytes=self.settings.cached_bytes)

    @part
    def follower(self) -> Follower:
        """Who brings the index to where the ledger is."""
        from semantic_memory.following import Follower

        return Follower(self.ledger, self.shelves, self.index, self.embedding, self.workroom, new_id=self.new_id)

    @part
    def filing(self) -> Filing:
        """Who writes facts."""
        from semantic_memory.filing import Filing

        return Filing(
            self.ledger,
            self.shelves,
            self.follower,
            self.embedding,
            clock=self.clock,
            new_id=self.new_id,
            trusted=self.settings.trusted,
            expiry=self.settings.expiry,
            redactor=self._redactor,
        )

    @part
    def recaller(self) -> Recaller:
        """Who answers questions."""
        from semantic_memory.recalling import Recaller
        from semantic_memory.retrieval.relevance import Calibration

        calibration = self.settings.calibration
        return Recaller(
            self.ledger,
            self.shelves,
            self.follower,
            self.index,
            self.embedding,
            clock=self.clock,
            calibration=Calibration.read(calibration) if calibration else None,
            reranker=self._given_reranker or _reranker(self.settings),
            redactor=self._redactor,
        )

    @part
    def restorer(self) -> Restorer:
        """Who takes over exported facts."""
        from semantic_memory.restoring import Restorer

        return Restorer(self.ledger, self.embedding, self.follower, new_id=self.new_id, redactor=self._redactor)

    @part
    def learner(self) -> Learner:
        """Who learns from sessions."""
        from semantic_memory.learning import Learner

        return Learner(
            self.ledger,
            self.shelves,
            self.filing,
            self.embedding,
            self.extractor,
            self.workroom,
            self.settings,
            clock=self.clock,
            redactor=self._redactor,
        )

    @part
    def eraser(self) -> Eraser:
        """Who forgets and erases."""
        from semantic_memory.erasure import Eraser

        return Eraser(
            self.ledger,
            self.shelves,
            self.index,
            self.follower,
            self.receipts,
            self.blocks,
            clock=self.clock,
            redactor=self._redactor,
        )

    @part
    def doctor(self) -> Doctor:
        """Who looks whether everything agrees."""
        from semantic_memory.health import Doctor

        return Doctor(
            self.settings,
            self.ledger,
            self.shelves,
            self.index,
            self.follower,
            self.filing,
            self.embedding,
            clock=self.clock,
        )

    @part
    def cartographer(self) -> Cartographer:
        """Who draws a user's facts."""
        from semantic_memory.projection import Cartographer

        return Cartographer(self.ledger, self.shelves)

    @part
    def generations(self) -> Generations:
        """Who drops what was embedded with older models."""
        return Generations(self.ledger, self.index, kept=self.settings.generations_kept, clock=self.clock)

    @part
    def receipts(self) -> ReceiptBook:
        """What was asked, and what was shown."""
        return ReceiptBook(
            self.ledger,
            self.workroom,
            kept=self.settings.receipts_kept,
            redactor=self._redactor,
            swept=self.generations.drop_old,
        )

    @part
    def keys(self) -> Keys:
        """The keys that callers of the server show."""
        return Keys(self.ledger, self.workroom, clock=self.clock, new_id=self.new_id)

    @part
    def explainer(self) -> Explainer:
        """Who tells why a fact is believed."""
        return Explainer(self.ledger, self.receipts)


async def open_rooms(rooms: Rooms, *, wait_for_model: bool) -> None:
    """Open the ledger and, for at most `load_timeout` seconds, wait for the embedding model."""
    named = rooms.settings
    if wait_for_model or any((named.embedding_model, named.extraction_model, named.rerank_model, named.calibration)):
        rooms.furnish()  # what the settings name may not be there: better told now
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
    for close in rooms.closings():
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
        return bundled(precision=settings.embedding_precision)
    from semantic_memory.embedding.sentence_transformers import SentenceTransformerEmbedding

    return SentenceTransformerEmbedding(settings.embedding_model, precision=settings.embedding_precision)


def _reranker(settings: Settings) -> Reranker | None:
    if not settings.rerank_model:
        return None
    from semantic_memory.retrieval.rerank import CrossEncoderReranker

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
