"""Digests of weight files: which weights a model has, and whether they are the expected ones."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from pathlib import Path

import platformdirs

from semantic_memory.errors import EmbeddingFailed

KINDS = ("*.safetensors", "pytorch_model*.bin", "*.pt")  # as sentence-transformers prefers them
DIGEST = re.compile(r"[0-9a-f]{64}")


def folder_digest(folder: Path) -> str:
    """The sha256 of a model folder's weights: of the one file, or of the sorted names and digests of several."""
    files = next((found for kind in KINDS if (found := sorted(folder.rglob(kind)))), [])
    if not files:
        raise EmbeddingFailed(f"{folder} holds no weights ({', '.join(KINDS)})")
    if len(files) == 1:
        return file_digest(files[0])
    lines = (f"{path.relative_to(folder).as_posix()} {file_digest(path)}\n" for path in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def verify(path: Path, expected: str) -> None:
    """Raise `EmbeddingFailed` unless the file's sha256 is `expected`."""
    if not path.is_file():
        raise EmbeddingFailed(f"{path} is missing: reinstall the package it belongs to")
    found = file_digest(path)
    if found != expected:
        raise EmbeddingFailed(
            f"{path} is not the file it should be (sha256 {found}, expected {expected}): "
            "it was damaged or replaced; reinstall the package it belongs to"
        )


def file_digest(path: Path) -> str:
    """The sha256 of a file, remembered for as long as its path, size and modification time stay."""
    stamp = _stamp(path)
    with contextlib.suppress(OSError, ValueError):
        remembered = stamp.read_text(encoding="ascii")
        if DIGEST.fullmatch(remembered):
            return remembered
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    _write(stamp, digest)
    return digest


def _stamp(path: Path) -> Path:
    path = path.resolve()
    state = path.stat()
    identity = f"{path}\n{state.st_size}\n{state.st_mtime_ns}"
    name = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()
    return platformdirs.user_cache_path("semantic-memory", appauthor=False) / "sha256" / name


def _write(stamp: Path, digest: str) -> None:
    """Leave the stamp behind in one step; without a writable cache the file is read again next time."""
    unfinished = stamp.with_name(f"{stamp.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        stamp.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(digest, encoding="ascii")
        unfinished.replace(stamp)
