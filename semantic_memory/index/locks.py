"""Who owns which folder, and which folders somebody wants gone.

Chroma lets two processes write one folder and then loses facts, so a folder has one owner: who holds its
lock file. Locks lie outside the folders, which can so be removed under the lock.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from semantic_memory.index.chroma import translated

if TYPE_CHECKING:
    from filelock import BaseFileLock


class Locks:
    """The lock files and removal requests of one index root."""

    def __init__(self, root: Path) -> None:
        self._locks = root / ".locks"
        self._requests = root / ".drops"

    def take(self, name: str, patience: float = 0.0) -> BaseFileLock:
        """Own `name` until the lock is released; `IndexLocked` after `patience` seconds."""
        from filelock import FileLock

        with translated("own"):
            self._locks.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._locks / f"{name}.lock", thread_local=False)
            lock.acquire(timeout=patience, poll_interval=0.02)
        return lock

    def settle(self, name: str) -> None:
        """The request is honoured."""
        (self._requests / name).unlink(missing_ok=True)

    def forget(self, name: str) -> None:
        """Remove the traces of a place that is gone; its lock is still held, and is released next."""
        self.settle(name)
        (self._locks / f"{name}.lock").unlink(missing_ok=True)

    def request_drop(self, name: str) -> None:
        """Ask the owner of `name`, or whoever owns it next, to remove it."""
        self._requests.mkdir(parents=True, exist_ok=True)
        (self._requests / name).touch()

    def drop_requested(self, name: str) -> bool:
        """Whether somebody wants `name` gone."""
        return (self._requests / name).exists()

    def requests(self) -> list[str]:
        """Every name that somebody wants gone."""
        try:
            return [path.name for path in self._requests.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
