"""What a re-embedding would take: counted in the ledger, and timed on a sample."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from semantic_memory.embedding import EmbeddingModel, Fingerprint
from semantic_memory.errors import LedgerFailed, NotFound
from semantic_memory.jobs.values import Disk, Plan
from semantic_memory.ledger import generations
from semantic_memory.ledger.generations import Standing
from semantic_memory.ledger.store import Ledger
from semantic_memory.settings import Settings

SAMPLE = 64  # texts that are timed
WARM = 4  # of them are embedded first, and not timed
LEDGER_COPIES, INDEX_COPIES = 2, 3  # of a vector: ledger and log; Chroma's queue, graph and fresh folder (measured)
LEDGER_BESIDE, INDEX_BESIDE = 200, 400  # bytes of a fact beside its vector, in all of these (measured)


class Planner:
    """Plans one job."""

    def __init__(self, ledger: Ledger, embedding: EmbeddingModel, settings: Settings) -> None:
        self._ledger = ledger
        self._embedding = embedding
        self._settings = settings

    async def plan(self, user_ids: Sequence[str] | None = None, *, measure: bool = False) -> Plan:
        """What is to be done for some users, or for all who have facts.

        `measure` embeds a sample to estimate the time. Raises `NotFound` for a user who has no facts,
        `EmbeddingFailed`.
        """
        fingerprint = await self._embedding.load()
        todo = await self._todo(fingerprint, user_ids)
        characters, texts = sum(one.characters for one in todo), _unembedded(todo)
        return Plan(
            model=self._embedding.name,
            fingerprint=fingerprint.key,
            dimension=fingerprint.dimension,
            users=len(todo),
            facts=sum(one.facts for one in todo),
            texts=texts,
            characters=characters,
            seconds=await self._seconds(fingerprint, todo, characters) if measure else None,
            disks=self._disks(fingerprint, todo),
            todo=tuple(todo),
        )

    async def _todo(self, fingerprint: Fingerprint, user_ids: Sequence[str] | None) -> list[Standing]:
        keys = None if user_ids is None else [self._ledger.user_key(user_id) for user_id in user_ids]
        found = await self._ledger.database.read(generations.standings, fingerprint.key, keys)
        if missing := set(user_ids or ()) - {one.user_id for one in found}:
            raise NotFound(f"there is nothing to re-embed for {min(missing)!r}: no such user, or no facts")
        return [one for one in found if one.missing or one.fingerprint != fingerprint.key]

    def _disks(self, fingerprint: Fingerprint, todo: Sequence[Standing]) -> tuple[Disk, ...]:
        """This machine's disks that will be written to. What a server keeps isn't among them."""
        vector, found = 4 * fingerprint.dimension, dict[int, Disk]()
        for folder, facts, each in (
            (self._ledger_folder(), _unembedded(todo), LEDGER_COPIES * vector + LEDGER_BESIDE),
            (self._index_folder(), _unindexed(fingerprint, todo), INDEX_COPIES * vector + INDEX_BESIDE),
        ):
            if folder is not None:
                device = folder.stat().st_dev
                before = found[device].bytes_needed if device in found else 0
                free = shutil.disk_usage(folder).free
                found[device] = Disk(folder=str(folder), bytes_needed=before + facts * each, bytes_free=free)
        return tuple(found.values())

    def _ledger_folder(self) -> Path | None:
        url = self._ledger.database.engine.url
        return Path(url.database).absolute().parent if url.get_backend_name() == "sqlite" and url.database else None

    def _index_folder(self) -> Path | None:
        if self._settings.chroma_url is not None:
            return None
        folder = self._settings.path / "index"  # may be on a disk of its own
        return folder if folder.exists() else self._settings.path

    async def _seconds(self, fingerprint: Fingerprint, todo: Sequence[Standing], characters: int) -> float | None:
        """The time for all characters at the rate of a sample from all over the users."""
        keys = [one.user_key for one in todo if one.missing][:: 1 + len(todo) // SAMPLE]
        facts = await self._ledger.database.read(generations.unembedded, fingerprint.key, keys, 16 * SAMPLE)
        texts = [one.text for one in facts[:: 1 + len(facts) // SAMPLE]]
        if not texts:
            return None
        await self._embedding.embed_documents(texts[:WARM])
        began = time.perf_counter()
        await self._embedding.embed_documents(texts)
        return (time.perf_counter() - began) * characters / sum(map(len, texts))


def check_disk(plan: Plan) -> None:
    """Raise `LedgerFailed` where the plan won't fit."""
    for disk in plan.disks:
        if disk.bytes_needed > disk.bytes_free:
            needed, free = (f"{size / 1e9:.1f} GB" for size in (disk.bytes_needed, disk.bytes_free))
            raise LedgerFailed(
                f"about {needed} are needed on the disk of {disk.folder}, {free} are free: nothing was begun"
            )


def _unembedded(todo: Sequence[Standing]) -> int:
    return sum(one.missing for one in todo)


def _unindexed(fingerprint: Fingerprint, todo: Sequence[Standing]) -> int:
    """Facts that new folders will hold, those that an interrupted job has embedded already among them."""
    return sum(one.missing if one.fingerprint == fingerprint.key else one.facts for one in todo)
