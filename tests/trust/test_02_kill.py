"""Promise 2: `kill -9` at any moment loses nothing that was acknowledged, and doubles nothing."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from agents import SQLiteSession

from semantic_memory import SemanticMemory, UserMemory
from semantic_memory.testing import HashEmbeddingModel
from tests.trust.children import Child
from tests.trust.counts import SEED, count, note

CYCLES = count(5, 200)
USERS = ("ada", "bob")
LIVES = (0.02, 1.0)  # seconds between a child's first word and its death
GUEST = "guest"  # is erased now and then


def memory_at(folder: Path) -> Any:
    return SemanticMemory.open(folder / "memory", embedding=HashEmbeddingModel())


def session_of(folder: Path, user: str) -> SQLiteSession:
    return SQLiteSession(f"chat-{user}", folder / "chats.db")


def statement(name: str) -> str:
    return f"My colleague number {name} is called Ed{name}."


# ---- the child that is killed ------------------------------------------------------------------------


async def work(line: Connection, folder: Path, cycle: int) -> None:
    """Do one thing after the other, and say before each what is begun and after each what was acknowledged."""
    chance = random.Random(SEED + cycle)
    async with memory_at(folder) as memory:
        line.send(("alive",))
        for number in range(10_000):
            user = memory.user(chance.choice(USERS))
            verb = chance.choice(VERBS)
            await verb(line, folder, memory, user, chance, f"{cycle}x{number}")


async def remember(line: Connection, folder: Path, memory: Any, user: UserMemory, chance: Any, name: str) -> None:
    text = statement(name)
    line.send(("begun", "remember", user.user_id, text))
    await user.remember(text)
    line.send(("done", "remember", user.user_id, text))


async def correct(line: Connection, folder: Path, memory: Any, user: UserMemory, chance: Any, name: str) -> None:
    known = await user.facts()
    if known:
        old, text = chance.choice(known), statement(name)
        line.send(("begun", "correct", user.user_id, old.text, text))
        await user.correct(old.id, text)
        line.send(("done", "correct", user.user_id, old.text, text))


async def forget(line: Connection, folder: Path, memory: Any, user: UserMemory, chance: Any, name: str) -> None:
    known = await user.facts()
    if len(known) > 5:
        old = chance.choice(known)
        line.send(("begun", "forget", user.user_id, old.text))
        await user.forget(old.id)
        line.send(("done", "forget", user.user_id, old.text))


async def converse(line: Connection, folder: Path, memory: Any, user: UserMemory, chance: Any, name: str) -> None:
    session, texts = session_of(folder, user.user_id), [statement(f"{name}y{turn}") for turn in range(3)]
    line.send(("begun", "say", user.user_id, *texts))
    await session.add_items([{"role": "user", "content": text} for text in texts])
    line.send(("done", "say", user.user_id, *texts))
    await asyncio.gather(user.learn(session), user.learn(session))
    line.send(("done", "learn", user.user_id, *texts))


async def recall(line: Connection, folder: Path, memory: Any, user: UserMemory, chance: Any, name: str) -> None:
    known = await user.facts()
    if known:
        text = chance.choice(known).text
        found = await user.recall(text, min_relevance=0.0, limit=20, max_tokens=10_000)
        line.send(("recalled", text, text in [one.fact.text for one in found.facts], found.answered_by))


async def host_a_guest(line: Connection, folder: Path, memory: Any, user: UserMemory, chance: Any, name: str) -> None:
    guest = memory.user(GUEST)
    await guest.remember(statement(name))
    line.send(("begun", "erase"))
    await guest.erase()
    line.send(("done", "erase", GUEST, statement(name)))


VERBS = (remember, remember, converse, correct, forget, recall, host_a_guest)


# ---- what the parent knows ---------------------------------------------------------------------------


@dataclass
class Journal:
    """Everything that was acknowledged, over all cycles."""

    must: dict[str, set[str]] = field(default_factory=lambda: {user: set() for user in USERS})  # texts that are kept
    may: dict[str, set[str]] = field(default_factory=lambda: {user: set() for user in USERS})  # begun, and then killed
    never: set[str] = field(default_factory=set)  # active again: forgotten, superseded or erased
    acknowledged: Counter[str] = field(default_factory=Counter)
    replaced: dict[str, str] = field(default_factory=dict)  # new text: old one, of corrections in this cycle
    answered_by: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)

    def hear(self, said: tuple[Any, ...]) -> None:
        match said:
            case ("begun", *begun):
                self._expect(*begun)
            case ("done", verb, *done):
                self._believe(verb, *done)
                self.acknowledged[verb] += 1
            case ("recalled", text, found, answered_by):
                self.answered_by[answered_by] += 1
                self.missed += [] if found else [text]

    def _expect(self, verb: str, user: str = GUEST, *texts: str) -> None:
        match verb:
            case "correct":
                old, new = texts
                self.must[user].discard(old)
                self.replaced[new] = old
            case "forget":
                self.must[user] -= set(texts)
        if user != GUEST:
            self.may[user] |= set(texts)

    def _believe(self, verb: str, user: str, *texts: str) -> None:
        match verb:
            case "remember" | "say":  # what is in the transcript is learned sooner or later
                self.must[user] |= set(texts)
            case "correct":
                old, new = texts
                self.must[user].add(new)
                self.never.add(old)
            case "forget" | "erase":
                self.never |= set(texts)

    def settle(self, facts: dict[str, list[str]]) -> None:
        """What a reconciled ledger says of operations without an answer is the truth from now on."""
        for user in USERS:
            self.never |= self.may[user] - set(facts[user])
            self.must[user], self.may[user] = set(facts[user]), set()
        self.replaced = {}


# ---- the look after each death -----------------------------------------------------------------------


async def look(line: Connection, folder: Path) -> None:
    """Reconcile, twice, and tell what is there."""
    async with memory_at(folder) as memory:
        first = await reconcile(memory, folder)
        revisions = [user.revision for user in first.users]
        second = await reconcile(memory, folder)
        again = [user.revision for user in second.users]
        facts = {user: [fact.text for fact in await memory.user(user).facts()] for user in USERS}
        lost = [text for user in USERS for text in facts[user][-20:] if not await found(memory.user(user), text)]
        line.send(
            {
                "facts": facts,
                "lost": lost,
                "findings": [one.what for one in second.findings if one.grave],
                "changed by the second": revisions != again or bool(second.repaired),
                "guest": [fact.text for fact in await memory.user(GUEST).facts()],
            }
        )


async def reconcile(memory: SemanticMemory, folder: Path) -> Any:
    """What follows a crash: the transcripts are learned, the index is put right."""
    for user in USERS:
        await memory.user(user).learn(session_of(folder, user))
    return await memory.health(repair=True)


async def found(user: UserMemory, text: str) -> bool:
    recall = await user.recall(text, min_relevance=0.0, limit=20, max_tokens=10_000)
    return text in [one.fact.text for one in recall.facts]


ORPHANS = {
    "evidence without a fact": """SELECT count(*) FROM memory_evidence e LEFT JOIN memory_facts f
        ON f.user_key = e.user_key AND f.id = e.fact_id WHERE f.id IS NULL""",
    "a fact without evidence": """SELECT count(*) FROM memory_facts f LEFT JOIN memory_evidence e
        ON f.user_key = e.user_key AND f.id = e.fact_id WHERE e.id IS NULL""",
    "a vector without a fact": """SELECT count(*) FROM memory_vectors v LEFT JOIN memory_facts f
        ON f.user_key = v.user_key AND f.id = v.fact_id WHERE f.id IS NULL""",
    "an active fact without a vector": """SELECT count(*) FROM memory_facts f LEFT JOIN memory_vectors v
        ON f.user_key = v.user_key AND f.id = v.fact_id WHERE v.fact_id IS NULL AND f.status = 'active'""",
    "a change of no fact": """SELECT count(*) FROM memory_changes c LEFT JOIN memory_facts f
        ON f.user_key = c.user_key AND f.id = c.fact_id WHERE f.id IS NULL""",
    "a fact whose last change is not its status": """SELECT count(*) FROM memory_facts f WHERE f.status != (
        SELECT after FROM memory_changes c WHERE c.user_key = f.user_key AND c.fact_id = f.id
        ORDER BY revision DESC, ordinal DESC LIMIT 1)""",
    "a learned message without its fact": """SELECT count(*) FROM memory_learned l LEFT JOIN memory_evidence e
        ON e.user_key = l.user_key AND e.session_key = l.session_key AND e.digest = l.digest
        AND e.occurrence = l.occurrence WHERE e.id IS NULL""",
    "a fact of a message that is not learned": """SELECT count(*) FROM memory_evidence e LEFT JOIN memory_learned l
        ON e.user_key = l.user_key AND e.session_key = l.session_key AND e.digest = l.digest
        AND e.occurrence = l.occurrence WHERE e.session_key IS NOT NULL AND l.digest IS NULL""",
}


def orphans(ledger: Path) -> dict[str, int]:
    """What hangs in the air in the ledger, read past the library."""
    with sqlite3.connect(ledger) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = {what: database.execute(query).fetchone()[0] for what, query in ORPHANS.items()}
    database.close()
    return {what: number for what, number in found.items() if number}


def check(journal: Journal, seen: dict[str, Any], folder: Path) -> None:
    """The six checks."""
    for user in USERS:
        there = Counter(seen["facts"][user])
        assert not journal.must[user] - set(there), f"acknowledged facts of {user} are lost"
        assert not [text for text, times in there.items() if times > 1], f"facts of {user} are doubled"
        assert not set(there) - journal.must[user] - journal.may[user], f"facts of {user} came from nowhere"
        assert not there.keys() & journal.never, f"forgotten facts of {user} are back"
    everybody = {text for user in USERS for text in seen["facts"][user]}
    both = [new for new, old in journal.replaced.items() if {new, old} <= everybody]
    assert not both, "a correction was done by half"
    assert not set(seen["guest"]) & journal.never
    assert seen["lost"] == []
    assert seen["findings"] == []
    assert not seen["changed by the second"]
    assert orphans(folder / "memory" / "ledger.db") == {}
    assert journal.missed == []


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    chance, journal, began = random.Random(SEED), Journal(), time.monotonic()
    for cycle in range(CYCLES):
        child = Child(work, tmp_path, cycle)
        if cycle % 10 != 9:  # now and then it dies while it opens the memory
            assert child.said()[0] == "alive"
        time.sleep(chance.uniform(*LIVES))
        child.kill()
        for said in child.rest():
            journal.hear(said)
        doctor = Child(look, tmp_path)
        seen = doctor.said()
        check(journal, seen, tmp_path)
        journal.settle(seen["facts"])
        assert doctor.ended() == 0
    assert sum(journal.acknowledged.values()) > CYCLES
    note(
        2,
        "kill -9 with accumulated state",
        seed=SEED,
        cycles=CYCLES,
        acknowledged=dict(journal.acknowledged),
        lost=0,
        doubled=0,
        orphans=0,
        recalls=dict(journal.answered_by),
        seconds=round(time.monotonic() - began),
    )
