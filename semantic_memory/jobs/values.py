"""What jobs tell: plans, events while they run, and reports. All turn into JSON by their fields' names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from semantic_memory.ledger.generations import Standing

WhereIndexed = Literal["built", "elsewhere", "none"]  # elsewhere: another process keeps its folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A disk that a job writes to."""

    folder: str
    bytes_needed: int
    bytes_free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a job would do."""

    event: Literal["plan"] = field(default="plan", init=False)
    model: str
    fingerprint: str
    dimension: int
    users: int  # who aren't on this model yet, or have facts without its vectors
    facts: int  # of these users
    texts: int  # that are to be embedded; what an earlier, interrupted job has embedded isn't among them
    characters: int
    seconds: float | None  # by a measured sample; None where nothing was measured
    disks: tuple[Disk, ...]  # of this machine; none where the ledger and the index are on servers
    todo: tuple[Standing, ...] = field(repr=False, metadata={"told": False})

    @property
    def bytes_needed(self) -> int:
        """On all disks of this machine."""
        return sum(disk.bytes_needed for disk in self.disks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """So many texts have been embedded since the job began."""

    event: Literal["embedded"] = field(default="embedded", init=False)
    texts: int
    of: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a question of the past was shown then, and would be shown now."""

    receipt_id: str
    overlap: float  # shown in both / the longer of both lists; 1 where both are empty
    correlation: float | None  # Kendall's tau over the facts in both; None for fewer than two
    gained: tuple[str, ...]  # fact ids
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was looked at before a user was switched."""

    facts: int  # active, all of them with a vector, all of them in the index
    index: WhereIndexed
    found_themselves: float  # share of a sample of facts that are among the ten nearest to their own words: by the
    # ledger's vectors and, where it was built here, by the new index; the lower of both
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A user's new generation is built and verified and, unless the job holds, the active one."""

    event: Literal["settled"] = field(default="settled", init=False)
    user_id: str
    switched: bool
    verified: Verified
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A user who was left as they were."""

    event: Literal["failed"] = field(default="failed", init=False)
    user_id: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a job has done."""

    event: Literal["done"] = field(default="done", init=False)
    model: str
    fingerprint: str
    users: int
    texts: int
    seconds: float
    overlap: float | None  # mean over the questions of the past; None without any
    correlation: float | None
    gained: int  # facts, over all questions
    lost: int
    failed: tuple[Failed, ...] = ()


Event = Plan | Embedded | Settled | Failed | Report
