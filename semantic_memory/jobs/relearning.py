"""A newer extractor, or prompt, over transcripts that were learned: what it finds otherwise, and writing that down.

A fact and what is found today say the same thing in other words if they quote the same words of the same message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from semantic_memory.errors import Conflict, InvalidInput, NotFound
from semantic_memory.extraction import Extractor
from semantic_memory.facts import CandidateFact, Evidence, Fact, Message, Source
from semantic_memory.quotes import find_quote
from semantic_memory.running import read_items
from semantic_memory.statements import check_statement
from semantic_memory.transcript import messages

if TYPE_CHECKING:
    from agents.memory import Session

    from semantic_memory.memory import SemanticMemory
    from semantic_memory.user import UserMemory


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One statement that the extractor finds today."""

    text: str
    quote: str
    fact_id: str | None  # of the fact that it says otherwise; None for what nobody has found before
    before: str | None  # that fact's text
    candidate: CandidateFact = field(repr=False, metadata={"told": False})
    message: Message = field(repr=False, metadata={"told": False})


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What relearning a session changes."""

    event: Literal["difference"] = field(default="difference", init=False)
    user_id: str
    session_id: str
    extractor: str
    messages: int  # that were read again
    same: int  # facts that are found as they are
    rewritten: tuple[Found, ...]
    new: tuple[Found, ...]
    not_found: tuple[tuple[str, str], ...]  # id and text of facts that are not found today; they stay
    applied: bool
    refused: tuple[tuple[str, str], ...] = ()  # text and reason, of what could not be written


async def relearn(
    memory: SemanticMemory, user_id: str, session: Session, extractor: Extractor, *, apply: bool = False
) -> Difference:
    """Read again what was learned from a session with another extractor; with `apply` what differs is written.

    What is said otherwise supersedes the fact that says it now; what is new is filed like anything that is learned;
    a fact that isn't found any more stays, for a person to forget. What nobody has learned yet is left to `learn`.
    Raises `ExtractionFailed`.
    """
    user, rooms = memory.user(user_id), memory._rooms
    learner = rooms.learner.using(extractor)
    source = replace(user.source(session.session_id), extractor=extractor.version, reason="learned again")
    reviewed = await learner.review(user_id, messages(await read_items(session)), source)
    known = await _known(user, session.session_id)
    found = _compare(user_id, extractor.version, session.session_id, reviewed, known)
    return await _apply(user, source, found) if apply else found


async def _known(user: UserMemory, session_id: str) -> list[tuple[Fact, Evidence]]:
    """The active facts that this session taught, with each piece of their evidence in it."""
    return [
        (lineage.fact, evidence)
        for lineage in await user.lineages()
        if lineage.fact.status == "active"
        for evidence in lineage.evidence
        if evidence.session_id == session_id and evidence.span is not None
    ]


def _compare(
    user_id: str,
    extractor: str,
    session_id: str,
    reviewed: Sequence[tuple[Sequence[Message], Sequence[CandidateFact]]],
    known: Sequence[tuple[Fact, Evidence]],
) -> Difference:
    same: set[str] = set()
    rewritten: dict[str, Found] = {}
    new = []
    for message, candidate in _quoted(reviewed):
        facts = _said_there(message, candidate, known)
        repeated = [fact for fact in facts if _words(fact.text) == _words(candidate.text)]
        if repeated or (candidate.operation == "same" and candidate.target):
            same.add(repeated[0].id if repeated else candidate.target or "")
            continue
        older = next((fact for fact in facts if fact.id not in rewritten.keys() | same), None)
        found = Found(
            text=candidate.text,
            quote=candidate.quote,
            fact_id=older.id if older else None,
            before=older.text if older else None,
            candidate=candidate,
            message=message,
        )
        if older is None:
            new.append(found)
        else:
            rewritten[older.id] = found
    twice = same & rewritten.keys()  # found as it is by a later candidate, and said otherwise beside it
    new += [replace(rewritten.pop(fact_id), fact_id=None, before=None) for fact_id in twice]
    seen = same | rewritten.keys()
    return Difference(
        user_id=user_id,
        session_id=session_id,
        extractor=extractor,
        messages=sum(len(batch) for batch, _ in reviewed),
        same=len(same),
        rewritten=tuple(rewritten.values()),
        new=tuple(new),
        not_found=tuple({fact.id: (fact.id, fact.text) for fact, _ in known if fact.id not in seen}.values()),
        applied=False,
    )


def _quoted(
    reviewed: Sequence[tuple[Sequence[Message], Sequence[CandidateFact]]],
) -> Iterator[tuple[Message, CandidateFact]]:
    """Each candidate with the message that it quotes; one whose quote isn't there is believed by nobody."""
    for batch, candidates in reviewed:
        said = {message.position: message for message in batch}
        for candidate in candidates:
            message = said.get(candidate.position)
            if message is not None and find_quote(candidate.quote, message.text):
                yield message, candidate


def _said_there(message: Message, candidate: CandidateFact, known: Sequence[tuple[Fact, Evidence]]) -> list[Fact]:
    """The facts whose evidence shares words of this message with the candidate's quote."""
    excerpt = find_quote(candidate.quote, message.text)
    start, end = excerpt.span if excerpt else (0, 0)
    return [
        fact
        for fact, evidence in known
        if evidence.digest == message.digest
        and evidence.span is not None
        and evidence.span[0] < end
        and start < evidence.span[1]
    ]


def _words(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")


async def _apply(user: UserMemory, source: Source, found: Difference) -> Difference:
    """Write what differs, one statement at a time; what can't be written is told."""
    rooms, refused = user._rooms, []
    for one in (*found.rewritten, *found.new):
        try:
            candidate = check_statement(one.candidate)
            if one.fact_id is not None:
                work = rooms.filing.correct(user.user_id, one.fact_id, candidate, source, message=one.message)
                await rooms.workroom.finish(work)
            else:
                filed = rooms.filing.remember(user.user_id, [candidate], source, messages=[one.message])
                await rooms.workroom.finish(filed)
        except (InvalidInput, Conflict, NotFound) as error:
            refused.append((one.text, str(error)))
    return replace(found, applied=True, refused=tuple(refused))
