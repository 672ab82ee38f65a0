"""The values that travel through the rooms: frozen, plain, without behaviour that does I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from semantic_memory.limits import LIMITS, check_limits
from semantic_memory.reasons import Reason, Stop, Verdict, shares

Role = Literal["user", "assistant", "tool", "system"]
Origin = Literal["user", "assistant", "tool", "operator", "import"]
Status = Literal["active", "superseded", "retracted", "forgotten", "expired", "quarantined"]
Stance = Literal["stated", "observed", "inferred"]
Operation = Literal["new", "same", "replaces"]
NEAR_KEPT = 10  # near misses in a receipt
Scope = Literal["read", "write", "admin"]
AnsweredBy = Literal["index", "ledger", "lexical", "nothing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One user, assistant or tool item of a transcript as plain text."""

    position: int  # index of the item in the transcript, from 0
    role: Role
    text: str
    digest: str  # sha256 hex of role and normalised text; positions shift, digests don't
    occurrence: int = 0  # 0 for the first message of the transcript with this digest, 1 for the second ...
    agent: str | None = None  # who wrote it, where the transcript says so


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateFact:
    """What an extractor proposes; nothing is believed before `reconcile` has checked it."""

    text: str  # the fact as a statement that stands alone
    position: int  # of the message it comes from
    quote: str  # exact words of that message
    operation: Operation = "new"
    target: str | None = None  # id of the known fact that it repeats or replaces
    kind: str = "fact"  # free word: fact, preference, event, plan, instruction ...
    subject: str | None = None  # what it is about: "deploy target"
    stance: Stance = "stated"
    said_at: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Where a fact comes from, down to the words."""

    id: str
    fact_id: str
    origin: Origin
    quote: str
    span: tuple[int, int] | None = None  # of the quote in its message, in characters
    before: str = ""  # up to 200 characters of the message before the quote
    after: str = ""  # and behind it
    session_id: str | None = None
    position: int | None = None
    digest: str | None = None  # of the message
    agent: str | None = None
    extractor: str | None = None  # with its version
    run_id: str | None = None
    trace_id: str | None = None
    reason: str | None = None
    labels: tuple[str, ...] = ()  # that it gave to the fact
    said_at: datetime | None = None
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One atomic statement about a user. Immutable once written, except its status."""

    id: str
    user_id: str
    text: str
    origin: Origin
    status: Status
    kind: str = "fact"
    subject: str | None = None
    stance: Stance = "stated"
    said_at: datetime  # when the user said it (UTC)
    recorded_at: datetime  # when the ledger learned it (UTC)
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    expires_at: datetime | None = None
    superseded_by: str | None = None
    supersedes: str | None = None
    conflicts_with: str | None = None
    labels: tuple[str, ...] = ()
    session_id: str | None = None  # of its first evidence
    position: int | None = None  # of its first evidence
    evidence_count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of a user's change log: a fact was written or its status changed."""

    revision: int  # per user, gapless; all changes of one transaction share it
    fact_id: str
    before: Status | None  # None: the fact was written
    after: Status
    reason: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A fact near a query vector, as an index or an exact search found it."""

    fact_id: str
    similarity: float  # cosine, -1..1; higher is nearer


@dataclass(frozen=True, slots=True, kw_only=True)
class RecalledFact:
    """A fact in the answer to a query."""

    fact: Fact
    relevance: float  # calibrated probability, 0..1, that the fact helps to answer the query
    rank: int  # 1 is the most relevant
    signals: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """A fact that was considered and not shown; `signals` are shares of the log-odds."""

    fact_id: str
    relevance: float
    stopped_by: Stop
    answerable: float | None = None  # as in the recall
    signals: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The record of one recall."""

    id: str
    at: datetime
    query: str
    shown: tuple[tuple[str, float], ...]  # (fact id, relevance), best first
    signals: tuple[Mapping[str, float], ...] = ()  # what made each of them relevant, in the same order
    near: tuple[NearMiss, ...]
    source: str  # hook, tool, api, cli ...
    answered_by: AnsweredBy
    degraded: str | None  # why the answer is less than it could be; None when it is whole
    latency_ms: float
    answerable: float | None = None  # probability that the facts held an answer at all
    run_id: str | None = None
    trace_id: str | None = None
    session_id: str | None = None
    agent: str | None = None

    @classmethod
    def of(cls, recall: Recall, asked: Asked, at: datetime) -> Receipt:
        """The record of an answer."""
        return cls(
            id=recall.receipt_id,
            at=at,
            query=asked.text,
            shown=tuple((found.fact.id, found.relevance) for found in recall.facts),
            near=recall.near[:NEAR_KEPT],
            signals=tuple(found.signals for found in recall.facts),
            source=asked.source,
            answered_by=recall.answered_by,
            degraded=recall.degraded,
            latency_ms=recall.latency_ms,
            answerable=recall.answerable,
            run_id=asked.run_id,
            trace_id=asked.trace_id,
            session_id=asked.session_id,
            agent=asked.agent,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """The answer to a query: the few facts that matter, ready for the agent."""

    facts: tuple[RecalledFact, ...]
    context: str  # the context block; "" when nothing is relevant
    receipt_id: str
    near: tuple[NearMiss, ...] = ()  # the facts that were considered too, best first
    answerable: float | None = None  # probability that the facts hold an answer at all; None: none was considered
    answered_by: AnsweredBy = "ledger"
    degraded: str | None = None
    latency_ms: float = 0.0

    def explain(self) -> tuple[Reason, ...]:
        """What became of every fact that was considered, best first, and what spoke for it."""
        looked_at: list[tuple[str, Verdict, float, Mapping[str, float]]]
        looked_at = [(one.fact.id, "shown", one.relevance, one.signals) for one in self.facts]
        looked_at += [(one.fact_id, one.stopped_by, one.relevance, one.signals) for one in self.near]
        considered, sure = [signals for *_, signals in looked_at], self.answerable
        reasons = [
            Reason(fact_id=one, verdict=why, relevance=chance, answerable=sure, shares=shares(own, considered))
            for one, why, chance, own in looked_at
        ]
        return tuple(sorted(reasons, key=lambda one: one.relevance or 0.0, reverse=True))

    def why_not(self, fact_id: str) -> Reason:
        """What became of one fact; of one that wasn't considered, `UserMemory.why_not` knows more."""
        found = (one for one in self.explain() if one.fact_id == fact_id)
        return next(found, Reason(fact_id=fact_id, verdict="candidate", answerable=self.answerable))


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why the agent believes a fact, and where it was used."""

    fact: Fact
    evidence: tuple[Evidence, ...]
    history: tuple[Change, ...]
    receipts: tuple[Receipt, ...]
    chain: tuple[Fact, ...]  # the facts it superseded and was superseded by, oldest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An active fact on a map of all of them: what is near in meaning is near on it, as far as a plane allows."""

    fact: Fact
    x: float  # -1 to 1
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """A fact with all that the ledger knows about its origin: what an export carries."""

    fact: Fact
    evidence: tuple[Evidence, ...] = ()
    history: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What one learn pass did."""

    messages: int  # claimed in this pass
    written: tuple[Fact, ...] = ()
    reaffirmed: tuple[str, ...] = ()
    superseded: tuple[str, ...] = ()
    retracted: tuple[str, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()  # (candidate text, reason)
    failed: str | None = None

    def __add__(self, other: Learned) -> Learned:
        """What this pass and another one did."""
        return Learned(
            messages=self.messages + other.messages,
            written=self.written + other.written,
            reaffirmed=self.reaffirmed + other.reaffirmed,
            superseded=self.superseded + other.superseded,
            retracted=self.retracted + other.retracted,
            rejected=self.rejected + other.rejected,
            failed=self.failed or other.failed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What an erasure removed, and what was looked at afterwards."""

    user_key: str  # the keyed hash that stays, so that nothing is learned again
    at: datetime
    removed: Mapping[str, int]  # rows by table
    # pending: another process lets go of the folder within a second; dropped: by a server whose disk is its own
    index: Literal["removed", "pending", "dropped"]
    # pending: a reader keeps old pages in the write-ahead log; deleted: by a server, whose files keep what was there
    ledger: Literal["scrubbed", "pending", "deleted"]
    transcripts: tuple[str, ...]  # ids of the sessions that taught facts: they are yours to delete
    checked: tuple[str, ...]
    unproven: tuple[str, ...] = ()  # where bytes may be left that can't be looked at from here

    @property
    def complete(self) -> bool:
        """Whether nothing is pending: all is done that can be done from here. See `unproven` for what can't."""
        return "pending" not in (self.index, self.ledger)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactFilter:
    """Which facts to list; every given field must fit."""

    status: tuple[Status, ...] = ("active",)  # () for any
    kind: str | None = None
    subject: str | None = None
    origin: Origin | None = None
    session_id: str | None = None
    agent: str | None = None
    label: str | None = None
    text: str | None = None  # occurs in the fact, whatever its case
    since: datetime | None = None  # said at or after
    until: datetime | None = None  # said before
    run_id: str | None = None  # of a run that taught it
    disputed: bool = False  # only those that an active fact contradicts
    never_recalled: bool = False  # only those that no kept receipt shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where statements come from; it becomes their evidence."""

    origin: Origin | None = None  # None: by the role of each message
    session_id: str | None = None
    session_key: str | None = None
    agent: str | None = None
    extractor: str | None = None
    run_id: str | None = None
    trace_id: str | None = None
    reason: str | None = None
    labels: tuple[str, ...] = ()
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question to the memory, and on whose behalf. Raises `InvalidInput`."""

    text: str
    limit: int
    max_tokens: int
    min_relevance: float | None = None  # None: the calibrated threshold, and its `min_share`
    min_share: float | None = None
    every: bool = False  # tell of every candidate, not of the first fifty only
    earlier: tuple[str, ...] = ()  # the user's turns before the question, the last one last
    labels: tuple[str, ...] = ()
    as_of: datetime | None = None
    within: float | None = None  # seconds; None: as long as it takes
    source: str = "api"
    run_id: str | None = None
    trace_id: str | None = None
    session_id: str | None = None
    agent: str | None = None

    def __post_init__(self) -> None:
        check_limits(**{name: getattr(self, name) for name in LIMITS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What a caller from another process may do; the token that stands for it is kept nowhere."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    user_id: str | None  # whose memory it is good for; None: everybody's
    created_at: datetime
    revoked_at: datetime | None = None
