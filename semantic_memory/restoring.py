"""Facts from another ledger with their lineage: checked, embedded, and written in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import fields, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from semantic_memory import secrets
from semantic_memory.embedding import EmbeddingModel, Fingerprint, Matrix
from semantic_memory.errors import EmbeddingFailed, InvalidInput
from semantic_memory.facts import Change, Evidence, Fact, FactFilter, Lineage, Origin, Stance, Status
from semantic_memory.identity import NewId, check_text
from semantic_memory.ledger.store import Ledger
from semantic_memory.ledger.writing import Writer
from semantic_memory.secrets import Redactor
from semantic_memory.statements import check_lineage, check_one_of, check_words_about
from semantic_memory.storable import ID, check_storable

if TYPE_CHECKING:
    from semantic_memory.following import Follower

log = logging.getLogger("semantic_memory")

BATCH = 64  # facts that are embedded between two signs of progress

OnProgress = Callable[[int], None]
"""Told how many more facts are embedded; from the memory's own thread."""


class Restorer:
    """Takes over exported facts, for one memory."""

    def __init__(
        self,
        ledger: Ledger,
        embedding: EmbeddingModel,
        follower: Follower,
        *,
        new_id: NewId,
        redactor: Redactor = secrets.as_it_is,
    ) -> None:
        self._ledger = ledger
        self._embedding = embedding
        self._follower = follower
        self._new_id = new_id
        self._redactor = redactor

    async def restore(self, user_id: str, lineages: Sequence[Lineage], on_progress: OnProgress) -> list[Fact]:
        """Write the facts whose ids the user doesn't have yet; the written ones.

        Raises `InvalidInput`, `SecretRefused` before anything is written.
        """
        user_key = self._ledger.user_key(user_id)
        given = {check_lineage(one).fact.id: one for one in lineages}
        known = await self._known(user_key)
        for one in given.values():
            check(one, user_id)
            check_links(one, known | given.keys())
        check_evidence_ids(given.values())
        new = [redacted(one, self._redactor) for fact_id, one in given.items() if fact_id not in known]
        on_progress(len(given) - len(new))
        fingerprint, vectors = await self._embed([one.fact for one in new], on_progress)
        work = partial(self._write, lineages=new, fingerprint=fingerprint, vectors=vectors)
        new = await self._ledger.write(user_key, user_id, work)
        if new and fingerprint is not None:
            self._follower.notice(user_key, fingerprint)
        return [one.fact for one in new]

    def _write(
        self,
        writer: Writer,
        *,
        lineages: Sequence[Lineage],
        fingerprint: Fingerprint | None,
        vectors: Mapping[str, Matrix],
    ) -> list[Lineage]:
        """Write what nobody has written meanwhile; that is returned."""
        known = writer.fact_ids()
        new = [one for one in lineages if one.fact.id not in known]
        check_evidence_ids(new, writer.evidence_ids())
        if new and fingerprint is not None and writer.user.generation is None:
            writer.activate(self._new_id(), fingerprint)
        writer.restore(new)
        if fingerprint is not None:
            fresh = {one.fact.id for one in new} & vectors.keys()
            writer.add_vectors({fact_id: vectors[fact_id] for fact_id in fresh}, fingerprint.key)
        return new

    async def _known(self, user_key: str) -> set[str]:
        state = await self._ledger.user(user_key)
        if state is None:
            return set()
        return {fact.id for fact in await self._ledger.facts(state, FactFilter(status=()))}

    async def _embed(
        self, facts: Sequence[Fact], on_progress: OnProgress
    ) -> tuple[Fingerprint | None, dict[str, Matrix]]:
        """Vectors of the active facts; none while the model is away: the follower makes up for it."""
        vectors: dict[str, Matrix] = {}
        if not facts:
            return None, vectors
        try:
            fingerprint = await self._embedding.load()
            for start in range(0, len(facts), BATCH):
                batch = facts[start : start + BATCH]
                active = [fact for fact in batch if fact.status == "active"]
                rows = await self._embedding.embed_documents([fact.text for fact in active])
                vectors |= {fact.id: row for fact, row in zip(active, rows, strict=True)}
                on_progress(len(batch))
        except EmbeddingFailed as error:
            log.warning("facts are kept without vectors for now: %s", error)
            return None, {}
        return fingerprint, vectors


def check(lineage: Lineage, user_id: str) -> None:
    """Raise `InvalidInput` or `SecretRefused` for a lineage that a ledger must not hold."""
    fact = lineage.fact
    if not ID.fullmatch(fact.id):
        raise InvalidInput(f"{fact.id[:40]!r} is no fact id: 1 to 32 letters, digits, - or _")
    try:
        _check_words(lineage)
        _check_standing(lineage)
    except InvalidInput as error:
        raise type(error)(f"fact {fact.id}: {error}") from None
    if fact.user_id != user_id:
        raise InvalidInput(f"fact {fact.id} is another user's")
    if fact.status != "forgotten":
        check_text(fact.text)
    if any(moment.tzinfo is None for moment in _moments(lineage)):
        raise InvalidInput(f"fact {fact.id} has a time without a time zone")
    check_storable(lineage)
    for text in _texts(lineage):
        secrets.refuse(text)
    if {fact.id} != {fact.id, *(one.fact_id for one in lineage.evidence), *(one.fact_id for one in lineage.history)}:
        raise InvalidInput(f"fact {fact.id} comes with the lineage of another one")


def _check_words(lineage: Lineage) -> None:
    """Whether every word that has a meaning to the ledger is one that it knows."""
    fact = lineage.fact
    check_words_about(fact.kind, fact.subject, fact.labels)
    check_one_of("status", fact.status, get_args(Status))
    check_one_of("stance", fact.stance, get_args(Stance))
    for origin in (fact.origin, *(one.origin for one in lineage.evidence)):
        check_one_of("origin", origin, get_args(Origin))
    for change in lineage.history:
        check_one_of("before", change.before, (None, *get_args(Status)))
        check_one_of("after", change.after, get_args(Status))


def _check_standing(lineage: Lineage) -> None:
    """Whether the status of a fact agrees with what it comes with."""
    fact = lineage.fact
    faults = {
        "it is active, and has no evidence": fact.status == "active" and not lineage.evidence,
        "it is active, and says what superseded it": fact.status == "active" and fact.superseded_by is not None,
        "it is superseded, and nothing says by what": fact.status == "superseded" and fact.superseded_by is None,
        "evidence_count is below 0": fact.evidence_count < 0,
    }
    for fault, found in faults.items():
        if found:
            raise InvalidInput(fault)


def redacted(lineage: Lineage, redactor: Redactor) -> Lineage:
    """A lineage with what the redactor leaves of its texts."""

    def kept(text: str | None) -> Any:
        return text and secrets.redacted(redactor, text)

    fact = replace(lineage.fact, text=kept(lineage.fact.text), subject=kept(lineage.fact.subject))
    said = tuple(
        replace(one, quote=kept(one.quote), before=kept(one.before), after=kept(one.after), reason=kept(one.reason))
        for one in lineage.evidence
    )
    history = tuple(replace(change, reason=kept(change.reason)) for change in lineage.history)
    return Lineage(fact=fact, evidence=said, history=history)


def check_links(lineage: Lineage, known: Set[str]) -> None:
    """Raise `InvalidInput` for a fact that is linked to one that is not among the `known` ids."""
    fact = lineage.fact
    for link in filter(None, (fact.superseded_by, fact.supersedes, fact.conflicts_with)):
        if link not in known:
            raise InvalidInput(f"fact {fact.id} is linked to {link}, which is not there")


def check_evidence_ids(lineages: Iterable[Lineage], known: Set[str] = frozenset()) -> None:
    """Raise `InvalidInput` for evidence whose id is among the `known` ones, or stands for two pieces of it."""
    seen = set(known)
    for lineage in lineages:
        for one in lineage.evidence:
            if one.id in seen:
                raise InvalidInput(f"fact {lineage.fact.id} has evidence {one.id}, an id that other evidence has")
            seen.add(one.id)


def _texts(lineage: Lineage) -> Iterator[str]:
    """Every text in which somebody's words may stand."""
    fact = lineage.fact
    yield from (fact.text, fact.subject or "", *fact.labels)
    for evidence in lineage.evidence:
        yield from (evidence.quote, evidence.before, evidence.after, evidence.reason or "")
    yield from (change.reason or "" for change in lineage.history)


def _moments(lineage: Lineage) -> Iterator[datetime]:
    parts: tuple[Fact | Evidence | Change, ...] = (lineage.fact, *lineage.evidence, *lineage.history)
    for part in parts:
        values = (getattr(part, field.name) for field in fields(part))
        yield from (value for value in values if isinstance(value, datetime))
