"""The doctor: looks at everything that should agree, says what doesn't, and puts it right where it is asked to."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from semantic_memory import secrets
from semantic_memory.chains import broken_links
from semantic_memory.embedding import EmbeddingModel, Fingerprint, Matrix
from semantic_memory.errors import EmbeddingFailed, IndexFailed, IndexLocked, LedgerFailed, SemanticMemoryError
from semantic_memory.facts import Fact, FactFilter, Lineage
from semantic_memory.filing import Filing
from semantic_memory.findings import Check, Finding, Health, UserHealth
from semantic_memory.following import Follower
from semantic_memory.ledger import generations
from semantic_memory.ledger.rows import FailedMessage, UserState
from semantic_memory.ledger.store import Clock, Ledger
from semantic_memory.settings import Settings
from semantic_memory.vectors import NO_MODEL, Shelves

if TYPE_CHECKING:
    from semantic_memory.index import Index, Place

log = logging.getLogger("semantic_memory")

ROWS = 1024  # of the shelf that are compared with all others at once

SUSPECTED = 0.95  # cosine from which two facts may say the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is looked at of one user: everything that the ledger has, of one moment."""

    state: UserState
    user_id: str
    lineages: Sequence[Lineage]
    failures: Sequence[FailedMessage]
    fingerprint: Fingerprint  # of the active generation
    ids: Sequence[str]  # of the active facts on the shelf, and their vectors: shape (facts, dimension)
    vectors: Matrix
    unembedded: Sequence[str]

    def facts(self, status: str) -> list[Lineage]:
        """The facts of a status."""
        return [one for one in self.lineages if one.fact.status == status]


class Doctor:
    """Examines and repairs one memory."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        shelves: Shelves,
        index: Index,
        follower: Follower,
        filing: Filing,
        embedding: EmbeddingModel,
        *,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._shelves = shelves
        self._index = index
        self._follower = follower
        self._filing = filing
        self._embedding = embedding
        self._clock = clock

    async def health(self, *, repair: bool = False) -> Health:
        """What there is to see; with `repair` after everything that can be put right was."""
        before = await self._examine()
        if not repair or not before.findings:
            return before
        await self._repair(before)
        after = await self._examine()
        still = {(finding.check, finding.user_id) for finding in after.findings}
        repaired = tuple(one for one in before.findings if (one.check, one.user_id) not in still)
        return replace(after, repaired=repaired)

    async def retry_dead_letters(self, user_id: str | None = None) -> int:
        """Give messages that could not be learned another chance; how many there were."""
        users = await self._ledger.user_ids() if user_id is None else [user_id]
        return sum([await self._ledger.revive(self._ledger.user_key(one)) for one in users])

    # ---- looking -----------------------------------------------------------------------------------

    async def _examine(self) -> Health:
        running, findings = await self._running_model()
        findings += await self._faults_of_ledger()
        findings += await self._leftovers()
        users = []
        for user_id in await self._ledger.user_ids():
            patient = await self._patient(user_id)
            if patient is None:
                continue
            seen, watermark = await self._look_at_index(patient)
            findings += seen + await asyncio.to_thread(look, patient, running)
            users.append(await self._summary(patient, watermark))
        return Health(
            at=self._clock(),
            users=tuple(users),
            findings=tuple(findings),
            repaired=(),
            model=running.name if running else None,
            size=await asyncio.to_thread(sizes, self._settings.path),
            generations=await self._generations(),
            job=await self._job_is_running(),
        )

    async def _generations(self) -> dict[str, dict[str, int]]:
        """Of how many users there is a generation of each model, and in which state."""
        found: dict[str, Counter[str]] = {}
        try:
            uses = await self._ledger.database.read(generations.models)
        except LedgerFailed as error:
            log.warning("what generations there are can't be told: %s", error)
            return {}
        for use in uses:
            states = {"active": use.active, "building": use.building, "retired": use.retired}
            found.setdefault(use.fingerprint.name, Counter()).update(states)
        return {name: {state: users for state, users in states.items() if users} for name, states in found.items()}

    async def _job_is_running(self) -> bool:
        from semantic_memory.ledger.joblock import is_locked

        try:
            return await is_locked(self._ledger)
        except OSError:  # whoever may not write here keeps no lock either
            return False

    async def _running_model(self) -> tuple[Fingerprint | None, list[Finding]]:
        try:
            return await self._embedding.load(), []
        except EmbeddingFailed as error:
            return None, [Finding(check="model", what=f"the embedding model can't be used: {error}")]

    async def _faults_of_ledger(self) -> list[Finding]:
        """Rows that an index of SQLite has lost are missing from every answer that it gives."""
        faults = await self._ledger.database.faults()
        return [Finding(check="ledger", what=f"damaged, as SQLite says: {faults[0]}")] if faults else []

    async def _leftovers(self) -> list[Finding]:
        folders = await self._index.names()  # first: whoever makes one is in the ledger by then
        known = {place.name for place in await self._places()} if folders else set()
        return [Finding(check="leftover", what=f"folder {name} belongs to nobody") for name in sorted(folders - known)]

    async def _patient(self, user_id: str) -> Patient | None:
        state = await self._ledger.user(self._ledger.user_key(user_id))
        if state is None or state.user_id is None:
            return None
        fingerprint = await self._ledger.fingerprint(state.fingerprint) if state.fingerprint else NO_MODEL
        held = await self._shelves.get(state, fingerprint)
        return Patient(
            state=held.state,
            user_id=user_id,
            lineages=await self._ledger.lineages(state.user_key),
            failures=await self._ledger.failed_messages(state.user_key),
            fingerprint=fingerprint,
            ids=held.shelf.ids,
            vectors=held.shelf.vectors.copy(),
            unembedded=tuple(held.unembedded),
        )

    async def _summary(self, patient: Patient, watermark: int | None) -> UserHealth:
        state = patient.state
        statuses = [one.fact.status for one in patient.lineages]
        unseen = await self._ledger.facts(state, FactFilter(never_recalled=True))
        return UserHealth(
            user_id=patient.user_id,
            facts={status: statuses.count(status) for status in sorted(set(statuses))},
            never_recalled=len(unseen),
            revision=state.revision,
            watermark=watermark,
            model=patient.fingerprint.name if state.fingerprint else None,
        )

    async def _look_at_index(self, patient: Patient) -> tuple[list[Finding], int | None]:
        """What is wrong with the user's index, and the revision that it is at."""
        place = self._follower.place(patient.state, patient.fingerprint.dimension)
        if place is None:
            return [], None
        watermark = None
        try:
            watermark = await self._index.open(place)
            faults = await self._faults_of_index(place, watermark, patient)
        except IndexLocked:
            return [_finding(patient, "locked", "another process keeps the index", grave=False)], None
        except IndexFailed as error:
            faults = [str(error)]
        return [_finding(patient, "index", fault) for fault in faults], watermark

    async def _faults_of_index(self, place: Place, watermark: int | None, patient: Patient) -> list[str]:
        if watermark is None:
            return ["it is not built"]
        if watermark != patient.state.revision:
            return [f"it is at revision {watermark}, the ledger at {patient.state.revision}"]
        faults, count = await self._index.check(place), await self._index.count(place)
        expected = len(patient.ids) - len(patient.unembedded)
        if count != expected:
            faults.append(f"it holds {count} facts, the ledger {expected} active ones with a vector")
        return faults

    # ---- putting right -----------------------------------------------------------------------------

    async def _repair(self, seen: Health) -> None:
        try:
            if any(finding.check == "ledger" for finding in seen.findings):
                await self._ledger.database.reindex()
                self._shelves.clear()  # what they were read by had lost facts
                seen = await self._examine()  # who had been lost is seen again
            await self._index.clear_the_way()
        except SemanticMemoryError as error:
            log.warning("the memory could not be repaired: %s", error)
        damaged = {finding.user_id for finding in seen.findings if finding.check == "index"}
        for user in seen.users:
            try:
                await self._repair_user(user.user_id, damaged=user.user_id in damaged)
            except SemanticMemoryError as error:
                log.warning("one user's memory could not be repaired: %s", error)
        if self._settings.chroma_url is None:  # a server may keep collections of others
            await self._index.sweep(await self._places())

    async def _repair_user(self, user_id: str, *, damaged: bool) -> None:
        user_key = self._ledger.user_key(user_id)
        await self._filing.expire(user_key)
        state = await self._ledger.user(user_key)
        if state is None:
            return
        if state.fingerprint is None:
            await self._follower.follow(user_key, await self._embedding.load())
        else:
            await self._follower.follow(user_key, await self._ledger.fingerprint(state.fingerprint), anew=damaged)

    async def _places(self) -> list[Place]:
        from semantic_memory.index import Place

        keys = [self._ledger.user_key(user_id) for user_id in await self._ledger.user_ids()]
        return [
            Place(user_key=key, generation=generation, dimension=dimension)
            for key in keys
            for generation, dimension in await self._ledger.generations(key)
        ]


# ---- one look each -----------------------------------------------------------------------------------


def look(patient: Patient, running: Fingerprint | None) -> list[Finding]:
    """What there is to see in the ledger; `running` is the fingerprint of the model at hand."""
    looks = (_unembedded, _expired, _dead_letters, _duplicates, _chains, _evidence, _secrets)
    return [*_model(patient, running), *(finding for one in looks for finding in one(patient))]


def _model(patient: Patient, running: Fingerprint | None) -> Iterator[Finding]:
    built_with = patient.state.fingerprint
    if running is not None and built_with not in (None, running.key):
        what = f"embedded with {patient.fingerprint.name}, another model ({running.name}) is running: re-embed"
        yield _finding(patient, "model", what)


def _unembedded(patient: Patient) -> Iterator[Finding]:
    if patient.unembedded:
        what = f"{_count(patient.unembedded, 'fact')} without a vector, found by words alone"
        yield _finding(patient, "unembedded", what, patient.unembedded)


def _expired(patient: Patient) -> Iterator[Finding]:
    on_shelf = set(patient.ids)
    over = [one.fact.id for one in patient.facts("expired") if one.fact.id in on_shelf]
    if over:
        yield _finding(patient, "expired", f"{_count(over, 'active fact')} over", over, grave=False)


def _dead_letters(patient: Patient) -> Iterator[Finding]:
    for failure in patient.failures:
        if failure.dead:
            often = "once" if failure.tries == 1 else f"{failure.tries} times"
            what = f"a message of session {failure.session_id} failed {often}: {failure.error}"
            yield _finding(patient, "dead letter", what)


def _duplicates(patient: Patient) -> Iterator[Finding]:
    apart = {frozenset((one.fact.id, one.fact.conflicts_with)) for one in patient.lineages if one.fact.conflicts_with}
    for start in range(0, len(patient.ids), ROWS):
        similarity = patient.vectors[start : start + ROWS] @ patient.vectors.T
        for row, column in np.argwhere(np.triu(similarity, start + 1) >= SUSPECTED):
            pair = patient.ids[start + int(row)], patient.ids[int(column)]
            if frozenset(pair) not in apart:
                what = f"two facts with a cosine of {similarity[row, column]:.2f}"
                yield _finding(patient, "duplicate", what, pair, grave=False)


def _chains(patient: Patient) -> Iterator[Finding]:
    for fact, fault in broken_links([one.fact for one in patient.lineages]):
        yield _finding(patient, "chain", fault, [fact.id])


def _evidence(patient: Patient) -> Iterator[Finding]:
    bare = [one.fact.id for one in patient.facts("active") if not one.evidence]
    if bare:
        yield _finding(patient, "evidence", f"{_count(bare, 'active fact')} without evidence", bare)


def _secrets(patient: Patient) -> Iterator[Finding]:
    holding = [one.fact.id for one in patient.lineages if any(map(secrets.find, _words(one.fact, one)))]
    if holding:
        yield _finding(patient, "secret", f"{_count(holding, 'fact')} holding what looks like a credential", holding)


def _words(fact: Fact, lineage: Lineage) -> Iterator[str]:
    yield from (fact.text, fact.subject or "")
    for evidence in lineage.evidence:
        yield from (evidence.quote, evidence.before, evidence.after)


def sizes(folder: Path) -> dict[str, int]:
    """Bytes on disk of a memory folder's parts."""
    files = {"ledger": folder / "ledger.db", "write-ahead log": folder / "ledger.db-wal"}
    found = {name: path.stat().st_size for name, path in files.items() if path.exists()}
    parts = [path for path in (folder / "index").rglob("*") if path.is_file()]
    return found | {"index": sum(path.stat().st_size for path in parts)}


def _finding(patient: Patient, check: Check, what: str, fact_ids: Sequence[str] = (), *, grave: bool = True) -> Finding:
    return Finding(check=check, what=what, user_id=patient.user_id, fact_ids=tuple(fact_ids), grave=grave)


def _count(things: Sequence[str], name: str) -> str:
    return f"{len(things)} {name}" if len(things) == 1 else f"{len(things)} {name}s"
