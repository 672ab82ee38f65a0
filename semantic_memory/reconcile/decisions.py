"""A batch of candidate facts to decisions: evidence, origin and what an extractor proposes are checked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from semantic_memory.embedding.protocol import Matrix
from semantic_memory.errors import InvalidInput
from semantic_memory.facts import CandidateFact, Fact, Message, Origin, Role
from semantic_memory.quotes import Excerpt, find_quote
from semantic_memory.reconcile.judgement import (
    Judgement,
    Relation,
    Statement,
    Thresholds,
    check_replaces,
    check_same,
    judge,
    says_otherwise,
    walled_off,
)

Action = Literal["new", "same", "replaces", "conflicts", "quarantined", "rejected"]

USERS_OWN: frozenset[Origin] = frozenset({"user", "operator", "import"})

_NEAREST = 8  # statements that a candidate is held against, beside those with its very words
_ORIGINS: dict[Role, Origin] = {"user": "user", "assistant": "assistant", "tool": "tool"}
_RANKS: dict[Origin, int] = {"user": 2, "operator": 2, "import": 2, "assistant": 1, "tool": 0}
_FIRMNESS: tuple[Relation, ...] = ("unrelated", "contradicts", "replaces", "same")
_ACTIONS: dict[Relation, Action] = {
    "unrelated": "new",
    "contradicts": "conflicts",
    "replaces": "replaces",
    "same": "same",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of one candidate.

    What it repeats, replaces or conflicts with is a known fact (`target`) or an earlier candidate of its batch
    (`earlier`). A quarantined or rejected candidate names what it would have touched.
    """

    action: Action
    reason: str | None = None
    target: str | None = None  # id of the known fact
    earlier: int | None = None  # index of the candidate
    origin: Origin | None = None  # None: the cited message isn't there or is nobody's
    excerpt: Excerpt | None = None  # the quote as it stands in the message; None: it doesn't


def reconcile(
    candidates: Sequence[CandidateFact],
    known: Sequence[Fact],
    similarity: Matrix,
    *,
    messages: Sequence[Message],
    among: Matrix | None = None,
    origin: Origin | None = None,
    labels: Collection[str] = (),
    trusted: Collection[Origin] = USERS_OWN,
    thresholds: Thresholds | None = None,
    now: datetime | None = None,
) -> list[Decision]:
    """One decision for each candidate, in their order.

    `known` are facts of one user, of any status: active ones are compared, quarantined ones too for candidates
    whose origin isn't `trusted`; what repeats a superseded one contradicts what is believed in its place; an
    extractor can only repeat or replace what is here. `similarity` holds the cosines of candidates x known facts
    and `among` those of candidates x candidates (zeros, or None: only the very same words meet). `messages` are
    those that the candidates cite; their roles tell the origin unless `origin` does. `labels` are the candidates':
    with any, they repeat and replace only facts that carry one of them, what a recall with these labels sees.
    With `now`, what holds from a later time on is compared with its like only. Raises `InvalidInput` for facts of
    several users or matrices of another shape.
    """
    _check_input(candidates, known, similarity, among)
    cited = {message.position: message for message in messages}
    drafts = [_with_evidence(one, cited.get(one.position), origin) for one in candidates]
    own = frozenset(labels)
    statements = [Statement.of_fact(fact, now) for fact in known] + [
        Statement.of_candidate(candidate, draft.origin or "tool", place, own, now)
        for place, (candidate, draft) in enumerate(zip(candidates, drafts, strict=True))
    ]
    board = _Board(candidates, known, drafts, statements, trusted, thresholds or Thresholds())
    if among is None:
        among = np.zeros((len(candidates), len(candidates)), dtype=np.float32)
    rows = np.hstack([similarity, among])
    return [board.settle(place, rows[place]) for place in range(len(candidates))]


def _check_input(
    candidates: Sequence[CandidateFact], known: Sequence[Fact], similarity: Matrix, among: Matrix | None
) -> None:
    if len({fact.user_id for fact in known}) > 1:
        raise InvalidInput("the known facts belong to several users")
    if similarity.shape != (len(candidates), len(known)):
        raise InvalidInput("similarity must have one row per candidate and one column per known fact")
    if among is not None and among.shape != (len(candidates), len(candidates)):
        raise InvalidInput("among must have one row and one column per candidate")


def _with_evidence(candidate: CandidateFact, message: Message | None, origin: Origin | None) -> Decision:
    """New so far, with who said it and where; rejected if nobody did."""
    if message is None:
        return Decision(action="rejected", reason="it cites no message that is there")
    origin = origin or _ORIGINS.get(message.role)
    excerpt = find_quote(candidate.quote, message.text)
    draft = Decision(action="rejected", origin=origin, excerpt=excerpt)
    if origin is None:
        return replace(draft, reason=f"a {message.role} message says nothing about the user")
    if excerpt is None:
        return replace(draft, reason="the quote is not in the message")
    if not any(character.isalnum() for character in candidate.text):
        return replace(draft, reason="it says nothing")
    return replace(draft, action="new")


class _Board:
    """The statements that stand, known facts and candidates already settled, and those that are held back."""

    def __init__(
        self,
        candidates: Sequence[CandidateFact],
        known: Sequence[Fact],
        drafts: Sequence[Decision],
        statements: Sequence[Statement],
        trusted: Collection[Origin],
        thresholds: Thresholds,
    ) -> None:
        self._candidates = candidates
        self._drafts = drafts
        self._trusted = trusted
        self._thresholds = thresholds
        self._statements = statements  # of the known facts, then of the candidates
        self._ids = {fact.id: index for index, fact in enumerate(known)}
        self._same_words: defaultdict[str, set[int]] = defaultdict(set)
        for index, statement in enumerate(self._statements):
            self._same_words[statement.plain].add(index)
        self._standing = {index for index, fact in enumerate(known) if fact.status == "active"}
        self._held = {index for index, fact in enumerate(known) if fact.status == "quarantined"}
        self._successors = {
            index: self._ids[successor]
            for index, fact in enumerate(known)
            if fact.status == "superseded" and (successor := fact.superseded_by) in self._ids
        }

    def settle(self, place: int, closeness: Matrix) -> Decision:
        """The decision on the candidate at `place`; later candidates are held against what it leaves."""
        draft, me = self._drafts[place], len(self._ids) + place
        if draft.action == "rejected":
            return draft
        if self._borrows(place, me):
            return replace(draft, action="rejected", reason="a known fact's words, and a quote that says otherwise")
        judgement, other = self._judge(self._candidates[place], me, closeness)
        decision = self._gate(draft, judgement, me, other)
        if decision.action in ("new", "replaces", "conflicts"):
            self._standing.add(me)
        if decision.action == "replaces" and other is not None:
            self._standing.discard(other)
        if decision.action == "quarantined":
            self._held.add(me)
        return decision

    def _borrows(self, place: int, me: int) -> bool:
        """Whether it only repeats what is known, and its quote doesn't: models copy what they were shown."""
        excerpt, known = self._drafts[place].excerpt, range(len(self._ids))
        copied = not self._same_words[self._statements[me].plain].isdisjoint(known)
        return copied and excerpt is not None and says_otherwise(self._candidates[place].text, excerpt.quote)

    def _judge(self, candidate: CandidateFact, me: int, closeness: Matrix) -> tuple[Judgement, int | None]:
        """How the candidate stands to what is there: as proposed if that holds, else as compared."""
        if candidate.operation == "new":
            return self._compare(me, closeness)
        target = self._ids.get(candidate.target or "")
        fault = self._fault(candidate, target, me, closeness)
        if fault is None:
            return Judgement(candidate.operation, "as the extractor proposed"), target
        judgement, other = self._compare(me, closeness)
        return replace(judgement, reason=f"{judgement.reason}; not {candidate.operation}: {fault}"), other

    def _fault(self, candidate: CandidateFact, target: int | None, me: int, closeness: Matrix) -> str | None:
        """Why a proposal can't be followed."""
        if target is None:
            return "no such fact"
        if target not in self._standing:
            return "that fact is not active"
        check = check_same if candidate.operation == "same" else check_replaces
        return check(self._statements[target], self._statements[me], float(closeness[target]), self._thresholds)

    def _compare(self, me: int, closeness: Matrix) -> tuple[Judgement, int | None]:
        """The firmest relation to any of the nearest statements; of equally firm ones the nearest."""
        statement = self._statements[me]
        others = self._standing | (set() if statement.origin in self._trusted else self._held)
        near = self._nearest(others, closeness)
        firmest, found = Judgement("unrelated", "nothing like it is known"), None
        for index in dict.fromkeys([*(others & self._same_words[statement.plain]), *near]):
            judgement = judge(self._statements[index], statement, float(closeness[index]), self._thresholds)
            if _FIRMNESS.index(judgement.relation) > _FIRMNESS.index(firmest.relation):
                firmest, found = judgement, index
        if firmest.relation == "unrelated" and (instead := self._believed_instead(statement)) is not None:
            return Judgement("contradicts", "it was replaced, and is said again"), instead
        return firmest, found

    def _nearest(self, others: Collection[int], closeness: Matrix) -> list[int]:
        """The few of the others that are near enough for words to say how they stand, nearest first."""
        rows = np.fromiter(others, dtype=np.intp, count=len(others))
        near = rows[closeness[rows] >= self._thresholds.least]
        found: list[int] = near[np.argsort(-closeness[near], kind="stable")[:_NEAREST]].tolist()
        return found

    def _believed_instead(self, statement: Statement) -> int | None:
        """What stands in the place of a known statement with these very words."""
        for index in self._same_words[statement.plain] & self._successors.keys():
            seen = {index}
            while index in self._successors and (index := self._successors[index]) not in seen:
                seen.add(index)
            there = self._statements[index]
            beside = walled_off(statement.labels, there.labels) or statement.coming != there.coming
            if index in self._standing and not beside:
                return index
        return None

    def _gate(self, draft: Decision, judgement: Judgement, me: int, other: int | None) -> Decision:
        """The judgement as far as the origin of the candidate carries it."""
        mine, theirs = self._statements[me], None if other is None else self._statements[other]
        action, reason = _ACTIONS[judgement.relation], judgement.reason
        outranked = theirs is not None and _RANKS[mine.origin] < _RANKS[theirs.origin]
        if outranked or mine.origin not in self._trusted:
            action, reason = _distrusted(action, mine.origin, reason)
        elif action == "replaces" and theirs is not None and (weaker := _weaker(mine, theirs)):
            action, reason = "conflicts", weaker
        elif action in ("same", "conflicts") and theirs is not None and (stronger := _stronger(mine, theirs)):
            action, reason = "replaces", stronger
        target, earlier = (theirs.fact_id, theirs.place) if theirs else (None, None)
        return replace(draft, action=action, reason=reason, target=target, earlier=earlier)


def _distrusted(action: Action, origin: Origin, reason: str) -> tuple[Action, str]:
    """What is left of an action when its origin has no say; an echo is no evidence for what it repeats."""
    if action == "same":
        return "rejected", f"an echo by the {origin}"
    return "quarantined", f"said by the {origin}; {reason}"


def _weaker(mine: Statement, theirs: Statement) -> str | None:
    """Why a statement can't take the place of one of its own rank."""
    if mine.stance == "inferred" and theirs.stance != "inferred":
        return "an inference doesn't overrule what was stated"
    if mine.said_at and theirs.said_at and _utc(mine.said_at) < _utc(theirs.said_at):
        return "it was said before the other"
    return None


def _stronger(mine: Statement, theirs: Statement) -> str | None:
    """Why a statement takes the place of one that it repeats or contradicts: it is believed for a better reason."""
    if walled_off(mine.labels, theirs.labels) or _weaker(mine, theirs):
        return None
    if _RANKS[mine.origin] > _RANKS[theirs.origin]:
        return f"the {mine.origin} says so, and the {theirs.origin} said the other"
    if theirs.stance == "inferred" and mine.stance != "inferred":
        return "what is stated overrules an inference"
    return None


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
