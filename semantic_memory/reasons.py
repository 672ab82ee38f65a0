"""Why a fact was shown or not: what spoke for it, in the few kinds that people can follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

# What kept a fact back. "gate": it would have reached the threshold, but the facts don't seem to hold an answer at all.
Stop = Literal["threshold", "gate", "share", "limit", "budget", "duplicate", "quota", "label"]
# "status": it isn't active, is over, or wasn't active then; "candidate": nothing brought it near the question.
Verdict = Literal["shown", Stop, "status", "candidate"]

KINDS: Mapping[str, frozenset[str]] = {
    "meaning": frozenset({"cosine", "cosine_margin", "apart"}),
    "words": frozenset(
        {"lexical", "lexical_even", "lexical_place", "lexical_lead", "lexical_length"}
        | {"coverage", "coverage_told", "rarest_term"}
    ),
    "conversation": frozenset(
        {"cosine_around", "cosine_session", "lexical_nearby", "lexical_far", "answers"}
        | {"session_told", "session_coverage", "session_lexical", "session_share"}
    ),
    "time": frozenset({"recency", "in_time"}),
    "source": frozenset({"own", "evidence"}),
    "form": frozenset({"length", "asks"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What a recall made of one fact."""

    fact_id: str
    verdict: Verdict
    relevance: float | None = None  # None: it was no candidate
    answerable: float | None = None  # probability that the facts hold an answer at all: a factor of every relevance
    # By kind of signal: what it adds to the log-odds of this fact, beyond what it adds to the facts considered
    # on average. Their sum tells how far this fact stands above the others.
    shares: Mapping[str, float] | None = None


def shares(signals: Mapping[str, float], considered: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """A fact's signals by kind, measured against those of the facts that were considered with it."""
    own = _by_kind(signals)
    others = [_by_kind(one) for one in considered]
    return {kind: own[kind] - sum(one[kind] for one in others) / len(others) for kind in own}


def _by_kind(signals: Mapping[str, float]) -> dict[str, float]:
    return {kind: sum(signals.get(name, 0.0) for name in names) for kind, names in KINDS.items()}
