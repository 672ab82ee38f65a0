"""The values of a check-up: what the doctor saw of a memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Check = Literal[
    "ledger",  # SQLite finds its file damaged: an index of its own that lost rows, or worse
    "model",  # the embedding model can't be used, or isn't the one that the index was built with
    "index",  # the index lacks, doesn't match or can't be read
    "leftover",  # an index folder belongs to nobody: an erased user's, put back or not yet gone
    "locked",  # another process keeps the index: this one can't look at it
    "unembedded",  # active facts have no vector: they are found by their words alone
    "expired",  # active facts are over
    "dead letter",  # messages could not be learned
    "duplicate",  # active facts seem to say the same
    "chain",  # links between facts are broken
    "evidence",  # active facts have none
    "secret",  # facts or quotes hold what looks like a credential
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that the doctor saw."""

    check: Check
    what: str  # in words, without any of the user's
    user_id: str | None = None
    fact_ids: tuple[str, ...] = ()
    grave: bool = True  # False: worth a look, nothing is wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class UserHealth:
    """How one user's memory is."""

    user_id: str
    facts: Mapping[str, int]  # by status
    never_recalled: int  # active facts that no kept receipt shows
    revision: int  # of the ledger
    watermark: int | None  # the revision that the index is at; None: not built, or not open here
    model: str | None  # that the index was embedded with


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the doctor saw of a memory."""

    at: datetime
    users: tuple[UserHealth, ...]
    findings: tuple[Finding, ...]
    repaired: tuple[Finding, ...]  # seen before a repair, and gone after it
    model: str | None  # that is running; None where it can't be loaded
    size: Mapping[str, int]  # bytes on disk: ledger, write-ahead log, index
    generations: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # by model and state, of how many users
    job: bool = False  # whether a re-embedding or another job is running

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not any(finding.grave for finding in self.findings)
