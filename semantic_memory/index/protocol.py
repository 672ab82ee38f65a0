"""What an index is to this library, and where in it a user's vectors are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from semantic_memory.facts import Neighbour

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME = r"[0-9a-f]{32}-[0-9a-f]{16}"  # what every `Place.name` looks like
Vector: TypeAlias = "NDArray[np.float32]"  # shape (dimension,), length 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One user's facts under one embedding model: where an index keeps them."""

    user_key: str  # a keyed hash of the user id, never the id itself
    generation: str
    dimension: int

    @property
    def name(self) -> str:
        """What the folder or collection is called; all generations of a user share the first half."""
        user = hashlib.sha256(self.user_key.encode()).hexdigest()[:32]
        build = hashlib.sha256(f"{self.generation}\n{self.dimension}".encode()).hexdigest()[:16]
        return f"{user}-{build}"


@runtime_checkable
class Index(Protocol):
    """The active facts of each user, searchable by vector; always a hint, never the truth.

    An index holds ids and vectors, nothing else, and one number per place: the revision of the ledger that
    its content is at. Every verb may be called from any thread and any event loop, and works off the loop;
    a caller that is cancelled leaves its write to finish. A verb raises `IndexFailed` for whatever goes
    wrong below it, `IndexLocked` when another process owns the place, and `InvalidInput`, before anything
    is written, for ids and vectors that can't be stored.
    """

    own_disk: bool  # whether what is dropped is gone from every file; False: a server keeps files of its own

    async def resume(self) -> None:
        """Go on with removals that others began and did not finish; raises nothing."""
        ...

    async def prepare(self) -> None:
        """Load what the first use needs, so that it isn't the one that waits; raises nothing."""
        ...

    def watermark(self, place: Place) -> int | None:
        """The revision an open and healthy place is at; None otherwise. Does no I/O."""
        ...

    async def open(self, place: Place) -> int | None:
        """Take ownership of the place and make it ready; None when it must be built (`rebuild`)."""
        ...

    async def apply(
        self,
        place: Place,
        *,
        upserts: Sequence[tuple[str, Vector]],
        deletes: Sequence[str],
        revision: int,
        expected_count: int | None = None,
    ) -> None:
        """Bring the place from its watermark to `revision`. Idempotent.

        `deletes` names every fact that changed since the watermark and isn't active now, also those that
        the index never held: an earlier, interrupted call may have written them. Where `expected_count`
        facts should be there afterwards and aren't, the watermark is taken away and `IndexFailed` raised:
        rebuild it then.
        """
        ...

    async def rebuild(self, place: Place, items: Sequence[tuple[str, Vector]], revision: int) -> None:
        """Build the place anew beside the old one, verify it, swap it in, and remove the old one's bytes."""
        ...

    async def nearest(self, place: Place, vector: Vector, k: int) -> list[Neighbour]:
        """The `k` facts most similar to `vector`, most similar first; only of a place that is open."""
        ...

    async def count(self, place: Place) -> int:
        """How many facts the place holds."""
        ...

    async def check(self, place: Place) -> list[str]:
        """What is wrong with the place, one line each; reads all of it."""
        ...

    async def release(self, place: Place) -> None:
        """Close the place and let others own it; nothing happens where it isn't open here."""
        ...

    async def drop(self, place: Place) -> bool:
        """Remove the place and every leftover of it.

        False when another process owns it and hasn't let go within a second: it has been asked to, and the
        next process that sees the request removes what is left.
        """
        ...

    async def names(self) -> set[str]:
        """Of the places that have anything on this machine's disk, whoever they belong to."""
        ...

    async def clear_the_way(self) -> None:
        """Set aside whatever stands where the index should be and isn't one."""
        ...

    async def sweep(self, known: Iterable[Place]) -> list[str]:
        """Remove whatever belongs to none of the `known` places and is owned by nobody; the names removed."""
        ...

    async def close(self) -> None:
        """Finish the writes that were begun, close every place, and give back threads and locks."""
        ...
