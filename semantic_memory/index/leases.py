"""The right to write a place on a Chroma server that several processes share."""

from __future__ import annotations

import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from semantic_memory.errors import IndexLocked

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection

LEASE = 60.0  # seconds after which a writer that died is succeeded


class Lease:
    """One writer at a time, as a context manager; `IndexLocked` if another process is writing.

    Chroma has no locks, but it creates a collection of a given name only once: that collection is the
    lease. Its time is the server's. An expired one is renamed before it is deleted, because a rename is
    bound to that very collection: of two processes that take over, the slower can't delete the lease of the
    faster.
    """

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name
        self._held: Collection | None = None
        self._renewed = 0.0

    def __enter__(self) -> Lease:
        from chromadb.errors import ChromaError

        try:
            try:
                self._take()
            except ChromaError:
                if not self._end_expired():
                    raise
                self._take()
        except ChromaError as error:
            raise IndexLocked("another process is writing this index") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if time.monotonic() - self._renewed > LEASE / 2:
            return  # it may be another's by now: it is left to expire
        with suppress(Exception):  # what can't be given back expires too
            self._client.delete_collection(self._name)

    def renew(self) -> None:
        """Stay the writer; to be called between the steps of a long write."""
        if self._held is not None and time.monotonic() - self._renewed > LEASE / 4:
            self._held.modify(metadata={"until": self._until()})  # raises if another process took over
            self._renewed = time.monotonic()

    def _take(self) -> None:
        metadata = {"until": self._until()}
        self._held = self._client.create_collection(self._name, embedding_function=None, metadata=metadata)
        self._renewed = time.monotonic()

    def _until(self) -> float:
        return self._client.heartbeat() / 1e9 + LEASE

    def _end_expired(self) -> bool:
        """Make room for a new lease; False while the present one holds."""
        from chromadb.errors import NotFoundError

        try:
            lease = self._client.get_collection(self._name, embedding_function=None)
            metadata: dict[str, Any] = dict(lease.metadata or {})
            if metadata.get("until", 0.0) > self._client.heartbeat() / 1e9:
                return False
            grave = f"{self._name}.{uuid4().hex}"
            lease.modify(name=grave)
            self._client.delete_collection(grave)
        except NotFoundError:
            return True  # it was given back, or another process ended it
        return True
