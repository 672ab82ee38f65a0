"""The Chroma folders that this process owns: taken, looked at, opened, built, let go.

Everything here blocks, and what concerns one place runs in one thread at a time (its lane, see `workers`);
only `reading` and `watermark` come from anywhere.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from semantic_memory.errors import IndexFailed, IndexLocked
from semantic_memory.index.chroma import (
    close_folder,
    create_folder,
    open_folder,
    opened_folder,
    require_chroma,
    translated,
)
from semantic_memory.index.files import Folder
from semantic_memory.index.locks import Locks
from semantic_memory.index.protocol import Place, Vector
from semantic_memory.index.workers import Workers

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from filelock import BaseFileLock

    from semantic_memory.index.collection import FactCollection

logger = logging.getLogger("semantic_memory.index")

COLLECTION = "facts"
STEP = 512  # facts written between two looks at whether the build is still wanted


@dataclass(slots=True, eq=False)
class Owned:
    """A place that this process owns, or is about to; `facts` is None until it is built and opened."""

    folder: Folder
    lock: BaseFileLock | None = None
    client: Client | None = None
    facts: FactCollection | None = None
    readers: int = 0


class Pool:
    """The owned places below `root`, at most `limit` of them unless more are in use at once."""

    def __init__(self, root: Path, limit: int, workers: Workers) -> None:
        self._root = root
        self._limit = limit
        self._workers = workers
        self.locks = Locks(root)
        self._owned: OrderedDict[str, Owned] = OrderedDict()  # least recently used first
        self._mutex = threading.Condition()  # guards `_owned`, `readers`, and `facts` becoming None
        self._closed = False

    def watermark(self, name: str) -> int | None:
        """The revision of an open place, without waiting for anything."""
        owned = self._owned.get(name)
        facts = owned.facts if owned else None
        return facts.revision if facts else None

    @contextmanager
    def reading(self, name: str) -> Iterator[FactCollection]:
        """The facts of an open place; it isn't closed before the block ends."""
        with self._mutex:
            owned = self._owned.get(name)
            if owned is None or owned.facts is None:
                raise IndexFailed("this index is not open")
            facts = owned.facts
            owned.readers += 1
            self._owned.move_to_end(name)
        try:
            yield facts
        finally:
            with self._mutex:
                owned.readers -= 1
                self._mutex.notify_all()

    def own(self, place: Place) -> Owned:
        """The place, its lock taken and its folder open if it can be trusted."""
        with self._mutex:
            owned = self._owned.get(place.name)
            if owned is not None:
                self._owned.move_to_end(place.name)
                return owned
        owned = self._reserve(place.name)
        try:
            self._take(owned, place)
        except BaseException:
            self.let_go(place.name)
            raise
        return owned

    def rebuild(self, place: Place, items: Sequence[tuple[str, Vector]], revision: int) -> None:
        """Fill a folder beside the place's own, verify it, put it in place, and remove every older copy."""
        from semantic_memory.index.collection import checked  # numpy: whoever opens nothing can do without

        items, owned = checked(items, place.dimension), self.own(place)
        try:
            self._build(owned.folder, place, items, revision)
        except BaseException:
            owned.folder.clear()
            raise
        self._disconnect(owned)
        owned.folder.swap()
        self._connect(owned, place.dimension)

    def drop(self, name: str, patience: float) -> bool:
        """Remove every file of a place; False if another process owns it for `patience` seconds more."""
        owned = self._owned.get(name) or Owned(Folder(self._root, name))
        try:
            owned.lock = owned.lock or self.locks.take(name, patience)
        except IndexLocked:
            return False
        try:
            self._disconnect(owned)
            owned.folder.remove()
            self.locks.forget(name)
        finally:
            self._release(name, owned)
        return True

    def let_go(self, name: str) -> None:
        """Close and seal the folder, release its lock; raises nothing: unsealed, it is looked at later."""
        owned = self._owned.get(name)
        if owned is None:
            return
        try:
            with translated("close"):
                if self._disconnect(owned):
                    owned.folder.blank()
                    owned.folder.seal()
        except IndexFailed as error:
            logger.warning("index %s was not closed cleanly: %s", name, error)
        finally:
            self._release(name, owned)

    def names(self) -> set[str]:
        """The places that this process owns now."""
        with self._mutex:
            return set(self._owned)

    def close(self) -> None:
        """Own nothing more from now on; the places still owned are the caller's to let go."""
        with self._mutex:
            self._closed = True

    def _reserve(self, name: str) -> Owned:
        owned = Owned(Folder(self._root, name))
        with self._mutex:
            if self._closed:
                raise IndexFailed("the index is closed")
            self._owned[name] = owned
            others = list(self._owned)
        self._make_room(others)
        return owned

    def _make_room(self, names: Sequence[str]) -> None:
        """Close idle folders, least recently used first, until the bound is kept."""
        for name in names:
            if len(self._owned) <= self._limit:
                return
            owned = self._owned.get(name)
            if owned is not None and not owned.readers:
                self._workers.run_if_idle(name, lambda name=name: self.let_go(name))  # type: ignore[misc]

    def _take(self, owned: Owned, place: Place) -> None:
        require_chroma()
        owned.lock = self.locks.take(place.name)
        owned.folder.clear()
        if self.locks.drop_requested(place.name):
            owned.folder.remove()
            self.locks.settle(place.name)
        self._load(owned, place.dimension)

    def _load(self, owned: Owned, dimension: int) -> None:
        """Open the folder, or set it aside if it can't be trusted."""
        state, folder = owned.folder.state(), owned.folder
        if state == "missing":
            return
        folder.unseal()
        graph = folder.holds_graph()
        try:
            if state == "damaged":
                raise IndexFailed("its files are not the ones that were closed")
            if state == "unsealed" and graph:
                from semantic_memory.index.probe import probe

                probe(folder.path, COLLECTION, dimension)
            self._connect(owned, dimension, look=state == "unsealed" and not graph)
        except IndexFailed as error:
            self._disconnect(owned)
            folder.quarantine(str(error))

    def _connect(self, owned: Owned, dimension: int, *, look: bool = False) -> None:
        from semantic_memory.index.collection import FactCollection

        with translated("open"):
            owned.client = open_folder(owned.folder.path)
            facts = FactCollection.find(owned.client, COLLECTION, dimension)
            problems = facts.problems() if look else facts.canary()
            if facts.revision is None:
                problems.append("its build was not finished")
        if problems:
            raise IndexFailed("; ".join(problems))
        owned.folder.blank()
        owned.folder.opened()
        owned.facts = facts

    def _disconnect(self, owned: Owned) -> bool:
        """Wait for the readers, close the client; whether there was one."""
        with self._mutex:
            owned.facts = None
            self._mutex.wait_for(lambda: not owned.readers)
        client, owned.client = owned.client, None
        if client is None:
            return False
        close_folder(client, owned.folder.path)
        return True

    def _build(self, folder: Folder, place: Place, items: Sequence[tuple[str, Vector]], revision: int) -> None:
        from semantic_memory.index.collection import FactCollection

        create_folder(folder.fresh)
        with opened_folder(folder.fresh) as client:
            facts = FactCollection.create(client, COLLECTION, place.dimension, len(items))
            for start in range(0, len(items), STEP):
                if self.locks.drop_requested(place.name):
                    raise IndexFailed("this index is being removed")
                facts.write(items[start : start + STEP])
            facts.approve(revision, expected_count=len(dict(items)))

    def _release(self, name: str, owned: Owned) -> None:
        with self._mutex:
            self._owned.pop(name, None)
        if owned.lock is not None:
            owned.lock.release()
