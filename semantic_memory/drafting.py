"""What a transaction is about to write, decided from candidate facts and what is known. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from semantic_memory import secrets
from semantic_memory.embedding import Matrix
from semantic_memory.facts import CandidateFact, Evidence, Fact, Message, Origin, Role, Source
from semantic_memory.ledger.rows import Filed
from semantic_memory.ledger.store import Clock
from semantic_memory.quotes import find_quote
from semantic_memory.reconcile import USERS_OWN, Decision, Thresholds, reconcile
from semantic_memory.retrieval.shelf import Shelf, cosines
from semantic_memory.statements import fit_name

if TYPE_CHECKING:
    from semantic_memory.identity import NewId

Known = tuple[list[Fact], Matrix]  # facts, and how similar each (column) is to each candidate (row)

ORIGINS: dict[Role, Origin] = {"user": "user", "assistant": "assistant", "tool": "tool", "system": "operator"}
NEAREST = 16  # known facts that a candidate is compared with


@dataclass(slots=True)
class Draft:
    """What one transaction is about to write."""

    facts: list[Fact] = field(default_factory=list)
    evidence: list[Filed] = field(default_factory=list)  # the first of each new fact
    vectors: dict[str, Matrix] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of the facts that are known
    ids: list[str | None] = field(default_factory=list)  # the fact that each candidate became or repeated
    reaffirmed: list[tuple[Filed, datetime | None]] = field(default_factory=list)  # one more for a fact; its end
    rejected: list[tuple[str, str]] = field(default_factory=list)  # text and reason


class Drafter:
    """Makes drafts for one memory."""

    def __init__(
        self,
        *,
        clock: Clock,
        new_id: NewId,
        trusted: Sequence[Origin],
        expiry: Mapping[str, timedelta],
        thresholds: Thresholds,
    ) -> None:
        self._clock = clock
        self._new_id = new_id
        self._trusted = tuple(trusted) or tuple(USERS_OWN)
        self._expiry = dict(expiry)
        self._thresholds = thresholds

    def trusts(self, messages: Sequence[Message], source: Source) -> bool:
        """Whether everybody who speaks here may say what is recalled."""
        origins = {source.origin} if source.origin else {ORIGINS[message.role] for message in messages}
        return origins <= set(self._trusted)

    def draft(
        self,
        user_id: str,
        candidates: Sequence[CandidateFact],
        messages: Sequence[Message],
        vectors: Matrix | None,
        known: Known,
        source: Source,
    ) -> Draft:
        """What to write of some candidates, given the facts that they may concern (see `nearest`)."""
        now = self._clock()
        known = _holding(known, now)
        decisions = reconcile(
            candidates,
            *known,
            messages=messages,
            among=None if vectors is None else vectors @ vectors.T,
            origin=source.origin,
            labels=source.labels,
            trusted=self._trusted,
            thresholds=self._thresholds,
            now=now,
        )
        said = {message.position: message for message in messages}
        draft = Draft(labels={fact.id: fact.labels for fact in known[0]})
        for place, (candidate, decision) in enumerate(zip(candidates, decisions, strict=True)):
            vector = None if vectors is None else vectors[place]
            self._carry_out(draft, decision, user_id, candidate, said.get(candidate.position), source, vector)
        return draft

    def correction(
        self,
        old: Fact,
        candidate: CandidateFact,
        source: Source,
        vector: Matrix | None,
        message: Message | None = None,
    ) -> Draft:
        """What to write when a statement replaces a fact because somebody who may says so.

        Its evidence is the `message` that it quotes; without one the statement itself, of the old one's kind.
        """
        newer = candidate if message else replace(candidate, kind=old.kind, subject=old.subject)
        message = message or as_message(newer, 0)
        excerpt = find_quote(newer.quote, message.text)
        decision = Decision(action="replaces", target=old.id, origin=source.origin, excerpt=excerpt)
        draft = Draft(labels={old.id: old.labels})
        self._carry_out(draft, decision, old.user_id, newer, message, source, vector)
        return draft

    def _carry_out(
        self,
        draft: Draft,
        decision: Decision,
        user_id: str,
        candidate: CandidateFact,
        message: Message | None,
        source: Source,
        vector: Matrix | None,
    ) -> None:
        """Put what a decision asks for into the draft."""
        fault = _fault(candidate, decision, message)
        if fault is not None or message is None:
            draft.rejected.append(fault or ("", ""))
            draft.ids.append(None)
            return
        other = decision.target if decision.earlier is None else draft.ids[decision.earlier]
        if decision.action == "same" and other:
            filed = self._evidence(other, message, decision, source)
            draft.reaffirmed.append((filed, self._over(candidate, source)))
            draft.ids.append(other)
            return
        if decision.action == "replaces":  # whoever knew the old one should know the new one
            older = draft.labels.get(other or "", ())
            source = replace(source, labels=tuple(dict.fromkeys((*source.labels, *older))))
        filed = self._evidence(self._new_id(), message, decision, source)
        fact = self._fact(user_id, candidate, decision, other, filed.evidence, source)
        draft.facts.append(fact)
        draft.evidence.append(filed)
        draft.ids.append(fact.id)
        if vector is not None:
            draft.vectors[fact.id] = vector

    def _fact(
        self,
        user_id: str,
        candidate: CandidateFact,
        decision: Decision,
        other: str | None,
        evidence: Evidence,
        source: Source,
    ) -> Fact:
        now = self._clock()
        return Fact(
            id=evidence.fact_id,
            user_id=user_id,
            text=candidate.text,
            origin=evidence.origin,
            status="quarantined" if decision.action == "quarantined" else "active",
            kind=candidate.kind,
            subject=candidate.subject,
            stance=candidate.stance,
            said_at=candidate.said_at or now,
            recorded_at=now,
            valid_from=candidate.valid_from,
            valid_to=candidate.valid_to,
            expires_at=self._over(candidate, source),
            supersedes=other if decision.action == "replaces" else None,
            conflicts_with=other if decision.action == "conflicts" else None,
            labels=source.labels,
            session_id=source.session_id,
            position=evidence.position,
        )

    def _over(self, candidate: CandidateFact, source: Source) -> datetime | None:
        """When a statement is over: when its source says, or so long after it was said as its kind has."""
        holds = self._expiry.get(candidate.kind)
        if source.expires_at is not None or holds is None:
            return source.expires_at
        try:
            return (candidate.said_at or self._clock()) + holds
        except OverflowError:  # beyond the calendar
            return None

    def _evidence(self, fact_id: str, message: Message, decision: Decision, source: Source) -> Filed:
        now, excerpt = self._clock(), decision.excerpt
        evidence = Evidence(
            id=self._new_id(),
            fact_id=fact_id,
            origin=decision.origin or ORIGINS[message.role],
            quote=excerpt.quote if excerpt else "",
            span=excerpt.span if excerpt else None,
            before=secrets.mask(excerpt.before) if excerpt else "",
            after=secrets.mask(excerpt.after) if excerpt else "",
            session_id=source.session_id,
            position=message.position if source.session_id and message.digest else None,
            digest=message.digest or None,
            agent=source.agent or fit_name("agent", message.agent),
            extractor=source.extractor,
            run_id=source.run_id,
            trace_id=source.trace_id,
            reason=source.reason or decision.reason,
            labels=source.labels,
            said_at=now,
            recorded_at=now,
        )
        return Filed(evidence=evidence, session_key=source.session_key, occurrence=message.occurrence)


def nearest(shelf: Shelf, vectors: Matrix | None, candidates: Sequence[CandidateFact]) -> Known:
    """The active facts nearest to any candidate, and those that a candidate names; without vectors all of them,
    none similar to any."""
    count = len(candidates)
    if not len(shelf):
        return [], np.zeros((count, 0), dtype=np.float32)
    if vectors is None:
        return [shelf.at(row) for row in range(len(shelf))], np.zeros((count, len(shelf)), dtype=np.float32)
    similarity = cosines(vectors, shelf.vectors)
    rows = np.arange(len(shelf))
    if len(shelf) > NEAREST:
        named = shelf.rows(candidate.target for candidate in candidates if candidate.target)
        rows = np.union1d(np.argpartition(-similarity, NEAREST - 1, axis=1)[:, :NEAREST], named)
    return [shelf.at(int(row)) for row in rows], similarity[:, rows]


def beside(known: Known, facts: Sequence[Fact]) -> tuple[list[Fact], Matrix]:
    """Known facts and others, which are compared by their words alone."""
    found, similarity = known
    ids = {fact.id for fact in found}
    others = [fact for fact in facts if fact.id not in ids]
    unlike = np.zeros((len(similarity), len(others)), dtype=np.float32)
    return [*found, *others], np.hstack([similarity, unlike])


def holds(fact: Fact, at: datetime) -> bool:
    """Whether a fact's time isn't over: what is said of a later time is not compared with it."""
    return fact.valid_to is None or fact.valid_to > at


def _holding(known: Known, at: datetime) -> Known:
    """The known facts that hold at a moment."""
    facts, similarity = known
    kept = [place for place, fact in enumerate(facts) if holds(fact, at)]
    return [facts[place] for place in kept], similarity[:, kept]


def as_message(candidate: CandidateFact, position: int) -> Message:
    """A direct statement as if it were a message, so that it has evidence like any other."""
    return Message(position=position, role="user", text=candidate.quote, digest="")


def _fault(candidate: CandidateFact, decision: Decision, message: Message | None) -> tuple[str, str] | None:
    """What is said of a candidate that is not kept, and why."""
    if decision.action == "rejected" or message is None or decision.excerpt is None:
        if secrets.BLOT * 4 in candidate.quote:  # the extractor was shown it like this
            return "", "it holds a credential"
        return candidate.text, decision.reason or "it has no evidence"
    if any(secrets.find(words) for words in {candidate.text, decision.excerpt.quote}):
        return "", "it holds a credential"
    return None
