"""Vectors made on many machines: Ray Data hands out pieces of users, its workers read and write the ledger.

Nothing but user keys, ranges of ids and counts goes through Ray. A worker that dies takes the piece with it that it was
at; another one asks the ledger what of it is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any

from semantic_memory import errors
from semantic_memory.embedding import EmbeddingModel
from semantic_memory.embedding.guarded import GuardedEmbedding
from semantic_memory.errors import EmbeddingFailed, InvalidInput, MissingExtra, SemanticMemoryError
from semantic_memory.jobs.building import Built, LocalEngine, Piece
from semantic_memory.ledger.database import Database
from semantic_memory.ledger.store import Ledger, utc_now
from semantic_memory.rooms import EMBEDDING_PATIENCE
from semantic_memory.settings import keep_ray_quiet

if TYPE_CHECKING:
    from semantic_memory.memory import SemanticMemory

MakeModel = Callable[[], EmbeddingModel]
"""Makes the model in each worker; it must be picklable, such as a `functools.partial` of a class."""


class RayEngine:
    """`Engine` on a Ray cluster: the one that `ray.init` finds (`RAY_ADDRESS`), else one on this machine.

    `workers` is the number of processes that hold a model; by default one for each GPU, or else for each CPU but one,
    which is left to this process and to Ray. Raises `InvalidInput` for a ledger in a SQLite file, which other machines
    can't reach, and `MissingExtra`.
    """

    def __init__(self, memory: SemanticMemory, make_model: MakeModel, *, workers: int | None = None) -> None:
        url = memory._rooms.ledger.database.engine.url
        if url.get_backend_name() == "sqlite":
            raise InvalidInput("Ray's workers can't reach a SQLite file: the ledger must be in PostgreSQL")
        _ray()
        self._url = url.render_as_string(hide_password=False)
        self._make_model = make_model
        self._workers = workers

    async def build(self, pieces: Sequence[Piece]) -> AsyncIterator[Built]:
        """The pieces as they are done. Raises what a worker raised, and `EmbeddingFailed` where Ray itself fails."""
        try:
            rows = iter((await asyncio.to_thread(self._dataset, pieces)).iter_rows())
            while (row := await asyncio.to_thread(next, rows, None)) is not None:
                yield _built(pieces, row)
        except _ray().exceptions.RayError as error:  # its first line says what, the rest is a trace of its own
            raise EmbeddingFailed(f"Ray failed: {str(error).partition(chr(10))[0]}") from error

    def _dataset(self, pieces: Sequence[Piece]) -> Any:
        ray = _ray()
        keep_ray_quiet()
        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        there = ray.cluster_resources()
        gpus = int(there.get("GPU", 0))
        workers = self._workers or gpus or max(1, int(there.get("CPU", 1)) - 1)
        rows = [
            {"piece": number, "users": list(piece.user_keys), "fingerprint": piece.fingerprint, "ids": list(piece.ids)}
            for number, piece in enumerate(pieces)
        ]
        return ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            Worker,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(rows))),
            num_gpus=1 if gpus else 0,
            fn_constructor_args=(self._make_model, self._url),
        )


def _ray() -> Any:
    """The package. Raises `MissingExtra`."""
    try:
        import ray.data
    except ImportError as error:
        raise MissingExtra.named("ray", "ray") from error
    return ray


class Worker:
    """Holds one model and one connection to the ledger; Ray makes it once in each of its processes.

    Both are made with the first piece: what goes wrong there is told like everything else.
    """

    def __init__(self, make_model: MakeModel, url: str) -> None:
        self._runner = asyncio.Runner()
        self._make_model = make_model
        self._url = url
        self._engine: LocalEngine | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Build the one piece of a batch; errors come back as words, since Ray would wrap them in its own."""
        try:
            texts, failed = self._runner.run(self._build(_piece(batch)))
        except SemanticMemoryError as error:
            return _row(batch, error=type(error).__name__, message=str(error))
        return _row(batch, texts=texts, failed=list(failed), why=list(failed.values()))

    async def _build(self, piece: Piece) -> tuple[int, dict[str, str]]:
        self._engine = self._engine or await self._open()
        texts, failed = 0, dict[str, str]()
        async for built in self._engine.build_piece(piece):
            texts, failed = texts + built.texts, failed | built.failed
        return texts, failed

    async def _open(self) -> LocalEngine:
        ledger = Ledger(Database.at(self._url))
        await ledger.open()
        embedding = GuardedEmbedding(self._make_model(), patience=EMBEDDING_PATIENCE)
        return LocalEngine(ledger, embedding, await embedding.load(), utc_now)


def _built(pieces: Sequence[Piece], row: dict[str, Any]) -> Built:
    """What a worker's row says. Raises the error that the worker raised."""
    if row["error"]:
        raise getattr(errors, row["error"])(row["message"])
    failed = dict(zip(row["failed"], row["why"], strict=True))
    return Built(pieces[row["piece"]], row["texts"], failed, last=True)


def _piece(batch: dict[str, Any]) -> Piece:
    first, before = map(str, batch["ids"][0])
    return Piece(tuple(batch["users"][0]), str(batch["fingerprint"][0]), (first, before))


def _row(batch: dict[str, Any], **found: Any) -> dict[str, list[Any]]:
    row = {"piece": int(batch["piece"][0]), "texts": 0, "failed": [], "why": [], "error": "", "message": ""} | found
    return {name: [value] for name, value in row.items()}
