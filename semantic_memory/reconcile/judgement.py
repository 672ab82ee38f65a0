"""How one statement stands to another: the same, a replacement, a contradiction, or unrelated.

A wrong merge is worse than a duplicate, so every doubt ends in `unrelated`: both are kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from semantic_memory.facts import CandidateFact, Fact, Origin, Stance
from semantic_memory.reconcile.wording import Difference, Wording, read

# Overlap of words, from which on two statements may be about the same. Set on the `fit` pairs and on long facts
# as language models write them, where a cosine of 0.9 proves little.
HALF, QUARTER = 0.5, 0.25
FEW = 8  # words that two short statements may differ in and still be about the same
PLACES = 2  # that a change fills anew; where more differ, one more thing of its kind happened

ANOTHER_TIME = "it is of another time"

Relation = Literal["same", "replaces", "contradicts", "unrelated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The least cosine of two statements for each judgement.

    The defaults are for all-MiniLM-L6-v2, fitted on the labelled pairs of the package by
    `semantic_memory.evaluation.reconciliation.fit_thresholds`. A model whose cosines lie elsewhere wants its
    own fit, or `STRICT`.
    """

    same: float = 0.70  # the same words of meaning
    same_otherwise: float = 0.80  # one of the two has words that the other lacks
    replaces: float = 0.48  # something changed, and there is a new value or the old one is left behind
    opposite: float = 0.42  # one of the two is negated
    other_value: float = 0.54  # the same frame holds something else
    proposed_same: float = 0.86  # the extractor says so
    proposed_replaces: float = 0.50  # it says so, and that both have the same subject

    @property
    def least(self) -> float:
        """Below it the words of two statements alone decide, and only the very same ones do."""
        return min(self.same, self.same_otherwise, self.replaces, self.opposite, self.other_value)

    @classmethod
    def of_model(cls, name: str) -> Thresholds:
        """The thresholds for an embedding model: fitted ones, or `STRICT` for a model that nobody fitted."""
        return cls() if name == FITTED else STRICT


FITTED = "all-MiniLM-L6-v2"
STRICT = Thresholds(
    same=0.97,
    same_otherwise=0.99,
    replaces=0.95,
    opposite=0.95,
    other_value=0.95,
    proposed_same=0.9,
    proposed_replaces=0.8,
)
"""For an embedding model that nobody fitted: hardly more than the same words are merged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A known fact (`fact_id`) or a candidate (`place` in its batch), as far as comparing goes."""

    text: str
    kind: str
    subject: str | None
    origin: Origin
    stance: Stance
    said_at: datetime | None
    labels: frozenset[str] = frozenset()
    coming: bool = False  # it holds from a later time on
    fact_id: str | None = None
    place: int | None = None

    @property
    def plain(self) -> str:
        """Its words without their case, white space and full stop."""
        return " ".join(self.text.casefold().split()).rstrip(".!")

    @classmethod
    def of_fact(cls, fact: Fact, now: datetime | None = None) -> Statement:
        """A fact of the ledger."""
        return cls(
            text=fact.text,
            kind=fact.kind,
            subject=fact.subject,
            origin=fact.origin,
            stance=fact.stance,
            said_at=fact.said_at,
            labels=frozenset(fact.labels),
            coming=_is_coming(fact.valid_from, now),
            fact_id=fact.id,
        )

    @classmethod
    def of_candidate(
        cls,
        candidate: CandidateFact,
        origin: Origin,
        place: int,
        labels: frozenset[str] = frozenset(),
        now: datetime | None = None,
    ) -> Statement:
        """The candidate at a place of its batch."""
        return cls(
            text=candidate.text,
            kind=candidate.kind,
            subject=candidate.subject,
            origin=origin,
            stance=candidate.stance,
            said_at=candidate.said_at,
            labels=labels,
            coming=_is_coming(candidate.valid_from, now),
            place=place,
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a candidate stands to a known statement, and why."""

    relation: Relation
    reason: str


def _is_coming(begin: datetime | None, now: datetime | None) -> bool:
    return begin is not None and now is not None and begin > now


def walled_off(labels: Collection[str], known: Collection[str]) -> bool:
    """Whether a recall with some labels would not see what has the `known` ones."""
    return bool(labels) and set(labels).isdisjoint(known)


def judge(known: Statement, candidate: Statement, closeness: float, thresholds: Thresholds) -> Judgement:
    """What the words of two statements and the cosine of their vectors say by themselves.

    Across a wall of labels nothing is repeated or replaced: what would replace contradicts. And what will hold says
    nothing about what holds.
    """
    if known.coming != candidate.coming:
        return Judgement("unrelated", ANOTHER_TIME)
    judgement = _judge(known, candidate, closeness, thresholds)
    if walled_off(candidate.labels, known.labels):
        return Judgement(_ACROSS.get(judgement.relation, judgement.relation), f"{judgement.reason}, elsewhere")
    return judgement


_ACROSS: Mapping[Relation, Relation] = {"same": "unrelated", "replaces": "contradicts"}


def _judge(known: Statement, candidate: Statement, closeness: float, thresholds: Thresholds) -> Judgement:
    old, new = read(known.text), read(candidate.text)
    apart = Difference(old, new)
    if apart.identical:
        return Judgement("same", "the same words")
    obstacle = _obstacle(known, candidate, apart) or _beside(old, new)
    if obstacle:
        return Judgement("unrelated", obstacle)
    if _repeats(old, new, apart, closeness, thresholds):
        return Judgement("same", "says the same in other words")
    if event := _standing_event(known, candidate):
        return Judgement("unrelated", event)
    if _takes_its_place(new, apart, closeness, thresholds):
        return Judgement("replaces", "says that it changed")
    reason, least = _contradiction(old, new, apart, thresholds)
    if reason and closeness >= least:
        return Judgement("contradicts", reason)
    return Judgement("unrelated", "nothing like it")


def says_otherwise(text: str, quote: str) -> bool:
    """Whether a quote says something else than the statement that it shall bear out: the opposite, that it ended,
    that it depends, another number, name or person."""
    claimed, said = read(text), read(quote)
    apart = Difference(claimed, said)
    other = apart.people or bool(apart.swapped) or bool(set(claimed.numbers) ^ set(said.numbers))
    return other or _turned(claimed, said, apart) is not None


def check_same(known: Statement, candidate: Statement, closeness: float, thresholds: Thresholds) -> str | None:
    """Why a proposed repetition can't be one; None when it can."""
    old, new = read(known.text), read(candidate.text)
    apart = Difference(old, new)
    if walled_off(candidate.labels, known.labels):
        return "it is behind another label"
    if known.coming != candidate.coming:
        return ANOTHER_TIME
    if apart.identical:
        return None
    faults = {
        "the numbers differ": apart.numbers,
        "the names differ": bool(apart.swapped),
        "something else stands in its place": apart.only_slot,
        "it is too far off": closeness < thresholds.proposed_same,
    }
    return _obstacle(known, candidate, apart) or _beside(old, new) or _turned(old, new, apart) or _first(faults)


def check_replaces(known: Statement, candidate: Statement, closeness: float, thresholds: Thresholds) -> str | None:
    """Why a proposed replacement can't be one; None when it can."""
    old, new = read(known.text), read(candidate.text)
    apart = Difference(old, new)
    near = known.subject == candidate.subject is not None and closeness >= thresholds.proposed_replaces
    shown = (
        near
        or _takes_its_place(new, apart, closeness, thresholds)
        or _contradiction(old, new, apart, thresholds)[0] is not None
    )
    said_otherwise = new.changed or new.current or apart.negation
    faults = {
        "it is behind another label": walled_off(candidate.labels, known.labels),
        ANOTHER_TIME: known.coming != candidate.coming,
        "it says the same": apart.identical or _repeats(old, new, apart, closeness, thresholds),
        "there may be many of them": apart.only_slot and (old.plural or new.plural) and not said_otherwise,
        "nothing in the words of the two shows it": not shown,
    }
    event = _standing_event(known, candidate)
    return _obstacle(known, candidate, apart) or event or _beside(old, new) or _first(faults)


def _standing_event(known: Statement, candidate: Statement) -> str | None:
    """An event stays true for ever; a state can't take its place."""
    return "an event stays true" if known.kind == "event" != candidate.kind else None


def _obstacle(known: Statement, candidate: Statement, apart: Difference) -> str | None:
    return _first(
        {
            "it is about somebody else": apart.people,
            "it is about something else": not _subjects_fit(known.subject, candidate.subject),
        }
    )


def _beside(old: Wording, new: Wording) -> str | None:
    faults = {
        "it comes on top": new.added and not old.added,
        "it holds for a while only": new.passing and not old.passing,
    }
    return _first(faults)


def _turned(old: Wording, new: Wording, apart: Difference) -> str | None:
    """Why the two can't say the same, whatever else they hold."""
    faults = {
        "one of the two is negated": apart.negation,
        "one of the two says that something ended": old.changed != new.changed,
        "one of the two names a condition": old.condition != new.condition,
    }
    return _first(faults)


def _first(faults: dict[str, bool]) -> str | None:
    return next((fault for fault, found in faults.items() if found), None)


def _subjects_fit(known: str | None, candidate: str | None) -> bool:
    if not known or not candidate:
        return True
    old, new = read(known), read(candidate)
    return known == candidate or bool(old.terms & new.terms)


def _repeats(old: Wording, new: Wording, apart: Difference, closeness: float, thresholds: Thresholds) -> bool:
    if (old.changed, old.passing, old.condition) != (new.changed, new.passing, new.condition):
        return False
    if apart.overlap == 1:
        near = closeness >= thresholds.same
    else:
        near = apart.overlap >= HALF and old.current == new.current and closeness >= thresholds.same_otherwise
    return near and not (apart.numbers or apart.negation or apart.names or apart.slots)


def _takes_its_place(new: Wording, apart: Difference, closeness: float, thresholds: Thresholds) -> bool:
    if closeness < thresholds.replaces or not (new.changed or new.current):
        return False
    if apart.overlap < QUARTER and apart.strange > FEW:
        return False
    return (apart.new_value or apart.leaves) and apart.slots <= PLACES and not apart.once_more


def _contradiction(old: Wording, new: Wording, apart: Difference, thresholds: Thresholds) -> tuple[str | None, float]:
    """What the two disagree in, and the least cosine to believe it without an extractor's word."""
    if apart.negation and apart.overlap >= HALF and old.condition == new.condition:
        return "says the opposite", thresholds.opposite
    if (_other_amount(apart) or _other_answer(old, new, apart)) and apart.only_slot:
        return "says something else of the same thing", thresholds.other_value
    return None, 1.0


def _other_amount(apart: Difference) -> bool:
    return not apart.swapped.isdisjoint({"number", "date"})


def _other_answer(old: Wording, new: Wording, apart: Difference) -> bool:
    """Whether something that has one answer at a time got another one."""
    if apart.numbers or old.plural or new.plural:
        return False
    return ("name" in apart.swapped or (old.single and new.single)) and apart.tail
