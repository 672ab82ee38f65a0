"""What requests carry: typed, bounded, with an example each. Nothing in them says whose memory is meant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from semantic_memory import CandidateFact, FactFilter
from semantic_memory.facts import Asked, Message, Operation, Origin, Source, Stance, Status
from semantic_memory.identity import MAX_TEXT, check_text
from semantic_memory.limits import LIMITS
from semantic_memory.portions import MOST_ITEMS, MOST_STATEMENTS
from semantic_memory.settings import Settings
from semantic_memory.statements import MAX_KIND, MAX_LABEL, MAX_REASON, MAX_SOURCE, MAX_SUBJECT, check_labels
from semantic_memory.transcript import Part, messages

MOST_LISTED = 1000  # facts or receipts in one answer
LONGEST_QUERY = 8000  # characters
LONGEST_MESSAGE = 1_000_000
MOST_POSITION = 2**31 - 1  # of an item in its conversation


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is out of range") from None


def _readable(text: str) -> str:
    return check_text(text, most=None)


Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_readable)]
Query = Annotated[str, Field(max_length=LONGEST_QUERY), AfterValidator(_readable)]
Said = Annotated[str, Field(max_length=LONGEST_MESSAGE), AfterValidator(_readable)]
Name = Annotated[str, Field(max_length=512), AfterValidator(_readable)]
Kind = Annotated[str, Field(max_length=MAX_KIND), AfterValidator(_readable)]
Subject = Annotated[str, Field(max_length=MAX_SUBJECT), AfterValidator(_readable)]
Label = Annotated[str, Field(max_length=MAX_LABEL), AfterValidator(_readable)]
Reason = Annotated[str, Field(max_length=MAX_REASON), AfterValidator(_readable)]
CalledFrom = Annotated[str, Field(max_length=MAX_SOURCE), AfterValidator(_readable)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=MOST_POSITION)]
Labels = Annotated[list[Label], Field(max_length=32)]


class Body(BaseModel):
    """What every body does: refuse what it doesn't know."""

    model_config = ConfigDict(extra="forbid")


class Statement(Body):
    """Something that is true about the user."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "The deploy target is Hetzner, eu-central"}]})

    text: Text
    kind: Kind = "fact"
    subject: Subject | None = None
    quote: Text | None = None
    position: int = Field(0, ge=0, le=MOST_POSITION)
    operation: Operation = "new"
    target: Name | None = None
    stance: Stance = "stated"
    said_at: Moment | None = None
    valid_from: Moment | None = None
    valid_to: Moment | None = None

    def candidate(self) -> CandidateFact:
        """The statement as the library knows it."""
        return CandidateFact(**self.model_dump() | {"quote": self.quote or self.text})


class From(Body):
    """Where statements come from; it becomes their evidence."""

    origin: Origin | None = None
    session_id: Name | None = None
    agent: Name | None = None
    extractor: Name | None = None
    run_id: Name | None = None
    trace_id: Name | None = None
    reason: Reason | None = None
    labels: Labels = []
    expires_at: Moment | None = None

    def source(self) -> Source:
        """The source as the library knows it."""
        return Source(**self.model_dump() | {"labels": tuple(self.labels)})


class Remember(Body):
    """Statements to keep, all or none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"statements": [{"text": "Prefers metric units", "kind": "preference"}], "source": {}}]
        }
    )

    statements: Annotated[list[Statement], Field(min_length=1, max_length=MOST_STATEMENTS)]
    source: From = From(origin="operator")


class Quoted(Body):
    """What an agent says the user said; without `said`, the user's message, it is kept aside."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"text": "Deploys to AWS", "quote": "we moved to AWS", "said": "By the way, we moved to AWS."}]
        }
    )

    text: Text
    quote: Text
    said: Said | None = None
    position: int = Field(0, ge=0, le=2**31 - 1, description="Of the message among the session's items.")
    occurrence: int = Field(0, ge=0, le=2**31 - 1, description="How many equal messages come before it.")
    source: From = From()

    def message(self) -> Message | None:
        """The user's message as the library knows it."""
        if self.said is None:
            return None
        return replace(messages(self.said)[0], position=self.position, occurrence=self.occurrence)


class Correct(Body):
    """The statement that replaces a fact."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "Deploys to AWS", "reason": "moved in May"}]})

    text: Text
    reason: Reason | None = None


class Why(Body):
    """Why something is done; kept in the fact's history."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "she asked for it"}]})

    reason: Reason | None = None


class Ask(Body):
    """A question to the memory."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"query": "Where do we deploy?", "limit": 5}]})

    query: Query
    limit: int | None = Field(None, ge=1, le=MOST_LISTED)
    max_tokens: int | None = Field(None, ge=1, le=100_000)
    min_relevance: float | None = Field(None, ge=0, le=1)
    min_share: float | None = Field(None, ge=0, le=1)
    labels: Labels = []
    as_of: Moment | None = None
    earlier: Annotated[list[Query], Field(max_length=20)] = []
    within: float | None = Field(None, gt=0, le=60, description="Seconds after which words alone must do.")
    source: CalledFrom = "http"
    run_id: Name | None = None
    trace_id: Name | None = None
    session_id: Name | None = None
    agent: Name | None = None

    def asked(self, settings: Settings) -> Asked:
        """The question with what the server's settings say for what is left out."""
        own = self.model_dump(exclude={"query", "labels", "earlier", *LIMITS})
        limits = {name: getattr(settings, name) for name in LIMITS}
        limits |= {name: given for name in LIMITS if (given := getattr(self, name)) is not None}
        return Asked(
            text=self.query,
            labels=check_labels(self.labels),
            earlier=tuple(self.earlier),
            **limits,
            **own,
        )


class Conversation(Body):
    """Items of a conversation, all of them or a part."""

    session_id: Name | None = None
    items: Annotated[list[dict[str, Any]], Field(max_length=MOST_ITEMS)]
    position: int = Field(0, ge=0, le=MOST_POSITION, description="Of the first item, where these are a part.")
    before: Annotated[dict[Digest, Count], Field(max_length=MOST_ITEMS)] = Field(
        default={},
        description="Where these are a part: how many equal messages come before them, by digest, which is the SHA-256 "
        "of role, NUL and text (NFC, every run of white space one space).",
    )

    def part(self) -> Part:
        """Where the items stand."""
        return Part(position=self.position, before=self.before)


class Learn(Conversation):
    """Messages of a conversation: items of an SDK session, or plain ones with `role` and `content`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"session_id": "monday", "items": [{"role": "user", "content": "We deploy to Hetzner."}]}]
        }
    )

    labels: Labels = []
    agent: Name | None = None
    run_id: Name | None = None
    trace_id: Name | None = None
    background: bool = Field(False, description="Answer 202 at once; what a crash cuts off has to be posted again.")


class Rewind(Conversation):
    """A conversation, and from which of its items on it was taken back."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"session_id": "monday", "items": [{"role": "user", "content": "We deploy to Hetzner."}], "start": 0}
            ]
        }
    )

    start: int = Field(ge=0, le=MOST_ITEMS)


class Page(Body):
    """How much of a list, from where."""

    limit: int = Field(100, ge=1, le=MOST_LISTED)
    offset: int = Field(0, ge=0, le=10_000_000)


class Wanted(Page):
    """Which facts to list; every given filter must fit."""

    status: list[Status] = ["active"]
    any_status: bool = False
    kind: Name | None = None
    subject: Name | None = None
    origin: Origin | None = None
    session_id: Name | None = None
    agent: Name | None = None
    label: Name | None = None
    text: Name | None = None
    since: Moment | None = None
    until: Moment | None = None
    run_id: Name | None = None
    disputed: bool = False
    never_recalled: bool = False
    as_of: Moment | None = Field(None, description="Instead of all filters: what was believed at that moment.")

    def filter(self) -> FactFilter:
        """The filter as the library knows it."""
        status = () if self.any_status else tuple(self.status)
        own = self.model_dump(exclude={"limit", "offset", "any_status", "as_of", "status"})
        return FactFilter(**own | {"status": status})


class Receipts(Body):
    """Which recalls to list."""

    fact_id: Name | None = None
    run_id: Name | None = None
    trace_id: Name | None = None
    session_id: Name | None = None
    limit: int = Field(100, ge=1, le=MOST_LISTED)


class WhatWasShown(Body):
    """A recall, or all recalls of a run."""

    receipt_id: Name | None = None
    run_id: Name | None = None
