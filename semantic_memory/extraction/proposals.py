"""What a model proposes, and the checks that a proposal must pass to become a candidate fact. Pure."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ValidationError, field_validator

from semantic_memory.extraction.cues import SUPPOSED, canonical
from semantic_memory.extraction.prose import is_own
from semantic_memory.facts import CandidateFact, Fact, Message
from semantic_memory.quotes import Excerpt, find_quote
from semantic_memory.reconcile import says_otherwise
from semantic_memory.reconcile.wording import read

log = logging.getLogger(__name__)

LONGEST_FACT = 500  # characters

_ABOUT_THE_TALK = re.compile(r"The user (?:asked|asks|is asking) (?!to be)|The user (?:said|says|greeted|thanked) ")
_ADDED = " .\"'\u201c\u201d\u2026"  # what models put around a quote


def _date_or_none(value: object) -> object:
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


_Date = Annotated[date | None, BeforeValidator(_date_or_none)]


class Proposal(BaseModel):
    """One fact, quoted before it is claimed."""

    message: int
    quote: str
    act: Literal["statement", "wish", "question", "task", "chat", "supposition", "quotation"]
    fact: str
    operation: Literal["new", "same", "replaces"]
    known: str | None
    kind: Literal["fact", "preference", "event", "plan", "instruction"]
    subject: str | None
    stance: Literal["stated", "inferred"]
    valid_from: _Date
    valid_to: _Date


class Proposals(BaseModel):
    """What the messages say about the user."""

    facts: list[Proposal]

    @field_validator("facts", mode="before")  # else one malformed proposal takes the others with it
    @classmethod
    def _drop_malformed(cls, proposals: Any) -> Any:
        if not isinstance(proposals, list):
            return proposals
        return [found for proposal in proposals if (found := _proposal(proposal)) is not None]


def _proposal(value: Any) -> Proposal | None:
    try:
        return Proposal.model_validate(value)
    except ValidationError as error:
        fields = sorted({str(problem["loc"][0]) for problem in error.errors() if problem["loc"]})
        _rejected("malformed: " + ", ".join(fields))
        return None


def candidates(
    proposals: Sequence[Proposal], *, numbered: Mapping[int, Message], handles: Mapping[str, Fact]
) -> list[CandidateFact]:
    """The proposals that hold, as candidate facts; each of the others leaves one line in the log.

    `numbered` are the messages by the number that the model saw, `handles` the known facts.
    """
    found: dict[tuple[int, str], CandidateFact] = {}
    for proposal in proposals:
        candidate = _candidate(proposal, numbered, handles)
        if candidate:
            found.setdefault((candidate.position, candidate.text.casefold()), candidate)
    return list(found.values())


def _candidate(
    proposal: Proposal, numbered: Mapping[int, Message], handles: Mapping[str, Fact]
) -> CandidateFact | None:
    text = " ".join(proposal.fact.split())
    source = _source(proposal, numbered)
    problem = _problem(proposal, text, source)
    if problem or source is None:
        _rejected(f"message {proposal.message}: {problem}")
        return None
    message, excerpt = source
    target = handles.get(proposal.known or "") if proposal.operation != "new" else None
    operation = proposal.operation if target else "new"
    if _is_borrowed(text, excerpt.quote, operation, handles):
        text, operation = excerpt.quote, "replaces" if operation == "replaces" else "new"
    return CandidateFact(
        text=text,
        position=message.position,
        quote=excerpt.quote,
        operation=operation,
        target=target.id if target and operation != "new" else None,
        kind=proposal.kind,
        subject=proposal.subject or None,
        stance=proposal.stance,
        valid_from=_midnight(proposal.valid_from),
        valid_to=_midnight(proposal.valid_to),
    )


def _is_borrowed(text: str, quote: str, operation: str, handles: Mapping[str, Fact]) -> bool:
    """Whether the text is only what was known before, where something else was said.

    Small models write down the fact that is replaced in place of what replaces it. The user's own words are right.
    """
    claimed = read(text).tokens
    if all(read(fact.text).tokens != claimed for fact in handles.values()):
        return False
    if f" {' '.join(claimed)} " in f" {' '.join(read(quote).tokens)} ":
        return False
    return operation != "same" or says_otherwise(text, quote)


def _problem(proposal: Proposal, text: str, source: tuple[Message, Excerpt] | None) -> str | None:
    if proposal.act not in ("statement", "wish"):
        return f"a {proposal.act} states nothing"
    if not 0 < len(text) <= LONGEST_FACT:
        return "fact empty or too long"
    if _ABOUT_THE_TALK.match(text):
        return "about the conversation, not about the user"
    if source is None:
        return "quote not found"
    message, excerpt = source
    if excerpt.quote.endswith("?") or excerpt.after.startswith("?"):
        return "a question states nothing"
    if _is_supposed(message.text, excerpt):
        return "a supposition states nothing"
    return None if is_own(message.text, *excerpt.span) else "pasted or quoted words"


def _is_supposed(text: str, excerpt: Excerpt) -> bool:
    """Whether the clause of the quote begins with "if", "imagine" and the like."""
    start, end = excerpt.span
    clause = max(text.rfind(mark, 0, start) for mark in ",;:.!?\n") + 1
    return bool(SUPPOSED.match(canonical(text[clause:end])))


def _source(proposal: Proposal, numbered: Mapping[int, Message]) -> tuple[Message, Excerpt] | None:
    """The message that holds the quote, and its exact words there.

    Models miscount: where the cited message lacks the quote and one other has it, that one is meant.
    """
    quote = proposal.quote.strip(_ADDED)
    holding = {
        number: (message, excerpt)
        for number, message in numbered.items()
        if (excerpt := find_quote(quote, message.text))
    }
    if proposal.message in holding:
        return holding[proposal.message]
    return next(iter(holding.values())) if len(holding) == 1 else None


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None


def _rejected(reason: str) -> None:
    """Said without the words of the user: logs outlive an erasure."""
    log.info("proposal rejected: %s", reason)
