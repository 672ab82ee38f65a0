"""Chroma's clients: how they are opened and closed, and what their exceptions become."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from semantic_memory.errors import IndexFailed, IndexLocked, InvalidInput, SemanticMemoryError

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.config import Settings, System

SETTLING = 0.25  # seconds; a folder is at rest 10 ms after it was closed

_abandoned: list[System] = []
_empty: bytes | None = None  # the SQLite file of a folder in which nothing was kept yet
_used_by: int | None = None  # the process that first opened a folder


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn every foreign exception of the block into `IndexFailed`, a lock's timeout into `IndexLocked`."""
    from filelock import Timeout

    try:
        yield
    except SemanticMemoryError:
        raise
    except Timeout as error:
        raise IndexLocked(f"{doing}: another process owns this folder") from error
    except Exception as error:
        raise IndexFailed(f"{doing}: {type(error).__name__}: {error}") from error
    except BaseException as error:
        if not _is_rust_panic(error):
            raise
        raise IndexFailed(f"{doing}: Chroma panicked: {error}") from error


def _is_rust_panic(error: BaseException) -> bool:
    """Chroma's Rust side panics with a class that `except Exception` lets through and nothing exports."""
    return type(error).__name__ == "PanicException"


def require_chroma() -> None:
    """Raise what keeps Chroma from working here at all, so that it isn't taken for a damaged folder.

    Its runtime has threads of its own, which a fork doesn't copy: in the child of a process that used it,
    every call on any folder waits for good.
    """
    import chromadb  # noqa: F401

    if _used_by not in (None, os.getpid()):
        raise IndexFailed("Chroma was used before this process was forked: spawn it, or use a Chroma server")


def open_folder(path: Path) -> Client:
    """A client on one folder; the caller owns the folder's lock, so nobody else has it open."""
    import chromadb

    global _used_by
    _used_by = os.getpid()
    _disown(path)
    try:
        return cast("Client", chromadb.PersistentClient(path=path, settings=_settings()))
    except BaseException:
        _disown(path)
        raise


def close_folder(client: Client, path: Path) -> None:
    """Close the client and wait until its files are at rest.

    Chroma's connections end a little later than `close` does. The last one empties the log and removes it,
    unless two end at the same moment and leave it to each other: then another one has to come and go.
    """
    client.close()
    for _ in range(5):
        if _at_rest(path):
            return
        open_folder(path).close()
    raise IndexFailed("Chroma did not let go of its files")


def _at_rest(path: Path) -> bool:
    deadline = time.monotonic() + SETTLING
    while (path / "chroma.sqlite3-wal").exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


@contextmanager
def opened_folder(path: Path) -> Iterator[Client]:
    """`open_folder` for the length of a block."""
    client = open_folder(path)
    try:
        yield client
    finally:
        close_folder(client, path)


def create_folder(path: Path) -> None:
    """An empty folder whose SQLite file writes ahead, and has Chroma's tables.

    By default it waits for the disk twelve times for each write of facts and revision, and Chroma holds the
    interpreter's lock meanwhile; writing ahead, three times (counted; 27 ms become 8 on a busy machine). Making
    the tables takes Chroma 27 ms under that lock; so they are made once in a process, and copied.
    """
    global _empty
    path.mkdir(parents=True)
    file = path / "chroma.sqlite3"
    if _empty is not None:
        file.write_bytes(_empty)
        return
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA journal_mode = WAL")
    with opened_folder(path):
        pass
    _empty = file.read_bytes()


def connect_server(url: str, headers: Mapping[str, str], timeout: float) -> Client:
    """A client of a `chroma run` server whose requests end after `timeout` seconds."""
    import chromadb
    import httpx

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput(f"the index server's URL must look like http://127.0.0.1:8000, not {url!r}")
    secure = parts.scheme == "https"
    # Chroma sets no timeout and has no setting for one: a server that hangs would hold the thread for good.
    # So the server must answer once before the client is made, which asks it again, and the client's
    # session is corrected.
    httpx.get(f"{url.rstrip('/')}/api/v2/heartbeat", timeout=timeout).raise_for_status()
    client: Any = chromadb.HttpClient(
        host=parts.hostname,
        port=parts.port or (443 if secure else 8000),
        ssl=secure,
        headers=dict(headers),
        settings=_settings(),
    )
    client._server._session.timeout = httpx.Timeout(timeout)
    return cast("Client", client)


def disconnect_server(client: Client) -> None:
    """Close the client and its connections, which Chroma leaves open."""
    inside: Any = client
    sessions = inside._server._session, inside._admin_client._server._session
    client.close()
    for session in sessions:
        session.close()


def _settings() -> Settings:
    """Chroma's defaults, without a look at the environment or a .env file (its names have no prefix)."""
    from chromadb.config import Settings

    return Settings.model_construct(anonymized_telemetry=False, allow_reset=False)


def _disown(path: Path) -> None:
    """Keep Chroma from handing out a client of this path that is not ours.

    Chroma keeps one shared system per path for the whole process, and one that failed to start stays
    registered and would be handed out again. It is kept, unused: what it has open can't be closed.
    """
    from chromadb.api.shared_system_client import SharedSystemClient as Registry

    system = Registry._identifier_to_system.pop(str(path), None)
    Registry._identifier_to_refcount.pop(str(path), None)
    if system is not None:
        _abandoned.append(system)
