"""Which fact takes which one's place, and what comes back when its place is free again: in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from semantic_memory.facts import Fact
from semantic_memory.ledger.rows import Claim
from semantic_memory.ledger.writing import Writer
from semantic_memory.reconcile.judgement import Statement


def supersede(writer: Writer, old: str, new: str, reason: str | None) -> None:
    """Let a fact take the place of an active one. Raises `Conflict` where that isn't active any more."""
    writer.set_status(old, "active", "superseded", reason=reason or "a newer fact", superseded_by=new)


def supersede_twins(writer: Writer, fact: Fact) -> None:
    """Let a fact take the place of those that say the same in the same words, so that it is believed once."""
    for twin in _twins(writer, fact):
        supersede(writer, twin.id, fact.id, "said in the same words")


def take_back(
    writer: Writer, *, session_key: str, claims: Sequence[Claim], reason: str
) -> tuple[list[str], tuple[str, ...]]:
    """Withdraw what some messages taught; the facts that this concerns, and those of them that it retracts."""
    touched = [fact for claim in claims for fact in writer.withdraw(session_key, claim)]
    writer.unclaim(session_key, claims)
    return touched, tuple(fact for fact in dict.fromkeys(touched) if _retract(writer, fact, reason))


def _retract(writer: Writer, fact_id: str, reason: str) -> bool:
    """Retract a fact that has no evidence left, and bring back what it had superseded."""
    left = writer.standing_evidence(fact_id)
    if left:
        writer.weaken(fact_id, left, reason=reason)
        return False
    status = writer.status(fact_id)
    if status in ("retracted", "forgotten"):
        return False
    writer.set_status(fact_id, status, "retracted", reason=reason)
    if status in ("active", "expired"):
        _bring_back(writer, fact_id, reason)
    return True


def _bring_back(writer: Writer, fact_id: str, reason: str) -> None:
    """Believe again what a fact had replaced; where that was itself taken back, what it had replaced.

    What an active fact says in the same words is not believed twice: it waits for that one's end.
    """
    for older in writer.superseded_by(fact_id):
        if older.status != "superseded":
            _bring_back(writer, older.id, reason)
        elif twins := _twins(writer, older):
            writer.annotate(older.id, superseded_by=twins[0].id)
        else:
            writer.set_status(older.id, "superseded", "active", reason=f"brought back: {reason}", superseded_by=None)


def _twins(writer: Writer, fact: Fact) -> list[Fact]:
    """The other active facts that say the same in the same words, under the same labels, of the same time."""
    mine = _said(fact)
    return [one for one in writer.alike(fact.text) if one.id != fact.id and _said(one) == mine]


def _said(fact: Fact) -> tuple[object, ...]:
    return Statement.of_fact(fact).plain, frozenset(fact.labels), fact.valid_from, fact.valid_to
