"""The files of one place on disk: whether they may be trusted, and how they are swapped and removed.

A folder that was closed carries a seal: the size and checksum of each of its files. Opening takes the seal
away. So a folder is *sealed* (exactly the bytes that were closed), *unsealed* (its process died, look
before you trust it), *damaged* (the bytes differ from the seal: rot, tampering, or parts of another copy)
or *missing*.
"""

from __future__ import annotations

import json
import logging
import shutil
import zlib
from pathlib import Path
from typing import Literal

Checksums = dict[str, list[int]]
State = Literal["missing", "sealed", "unsealed", "damaged"]

logger = logging.getLogger("semantic_memory.index")

SEAL = "seal.json"
PERSISTED = "index_metadata.pickle"  # beside the graph files that Chroma loads when it opens
CHUNK = 1 << 20


class Folder:
    """The Chroma folder of one place, and its neighbours while it is replaced or set aside."""

    def __init__(self, root: Path, name: str) -> None:
        self.path = root / name
        self.fresh = root / f"{name}.new"  # being built
        self._old = root / f"{name}.old"  # swapped out, about to be removed
        self._quarantine = root / f"{name}.quarantine"  # damaged, kept for a look until the next build
        self._graph: Checksums = {}  # of the graph files that Chroma has loaded

    def state(self) -> State:
        """Whether the files are the ones that were closed."""
        if not self.path.exists():
            return "missing"
        try:
            sealed = json.loads((self.path / SEAL).read_bytes())
        except FileNotFoundError:
            return "unsealed"
        except ValueError:
            return "damaged"
        return "sealed" if sealed == _checksums(self.path) else "damaged"

    def holds_graph(self) -> bool:
        """Whether Chroma would load a persisted graph: damage there ends the process that loads it."""
        return any(self.path.glob(f"*/{PERSISTED}"))

    def blank(self) -> None:
        """Overwrite the graph files of a graph that isn't persisted: Chroma never reads them.

        It writes them when it opens a collection, and never sets the memory that it writes: whatever the process had
        there before, be it words of another user, would stay in this user's folder.
        """
        if self.holds_graph():
            return
        for path in self.path.glob("*/*.bin"):
            with path.open("r+b") as file:
                file.write(bytes(path.stat().st_size))

    def seal(self) -> None:
        """Note what the files are now; nothing may have the folder open.

        A graph that changed since `opened`, be it that Chroma persisted it or that something damaged it, has never
        been loaded: such a folder stays unsealed, so that it is looked at first.
        """
        files = _checksums(self.path)
        if self._graph == _graph(files):
            (self.path / SEAL).write_text(json.dumps(files))

    def unseal(self) -> None:
        """Say that the files are about to change."""
        (self.path / SEAL).unlink(missing_ok=True)

    def opened(self) -> None:
        """Note the graph that Chroma has loaded."""
        self._graph = _graph(_checksums(self.path))

    def quarantine(self, reason: str) -> None:
        """Set the folder aside, out of Chroma's reach."""
        logger.warning("index %s set aside: %s", self.path.name, reason)
        _remove(self._quarantine)
        self.path.rename(self._quarantine)

    def clear(self) -> None:
        """Remove what an interrupted build left."""
        _remove(self.fresh)
        _remove(self._old)

    def swap(self) -> None:
        """Put the fresh folder in place and remove every other copy, also the quarantined one.

        Two renames: a process that dies between them leaves no folder, which is built again.
        """
        if self.path.exists():
            self.path.rename(self._old)
        self.fresh.rename(self.path)
        _remove(self._old)
        _remove(self._quarantine)

    def remove(self) -> None:
        """Remove the folder and every copy of it."""
        for path in (self.path, self.fresh, self._old, self._quarantine):
            _remove(path)

    def leftovers(self) -> list[str]:
        """Names of the copies beside the folder."""
        return [path.name for path in (self.fresh, self._old, self._quarantine) if path.exists()]


def _graph(files: Checksums) -> Checksums:
    """Those of a persisted graph; one that isn't persisted is never read."""
    persisted = any(name.endswith(PERSISTED) for name in files)
    return {name: sums for name, sums in files.items() if "/" in name} if persisted else {}


def _checksums(folder: Path) -> Checksums:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != SEAL)
    return {path.relative_to(folder).as_posix(): [path.stat().st_size, _crc(path)] for path in files}


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            crc = zlib.crc32(chunk, crc)
    return crc


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
