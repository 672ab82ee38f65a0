"""Made-up people: what they say, what they are asked, and memories that are full of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from semantic_memory.embedding import Fingerprint, Matrix
from semantic_memory.facts import Evidence, Fact
from semantic_memory.ledger.database import Database
from semantic_memory.ledger.rows import Filed
from semantic_memory.ledger.store import Ledger

WHO = ("sister", "colleague", "neighbour", "friend", "cousin", "landlord", "trainer", "manager")
NAMES = ("Ada", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ivo", "Jun", "Kim", "Lev", "Mia", "Nat", "Ole")
DOES = ("keeps", "moved", "plans to extend", "sold", "has been repairing", "wants to finish", "is worried about")
WHAT = (
    "billing service",
    "garden shed",
    "marathon plan",
    "piano lessons",
    "database migration",
    "espresso machine",
    "tax return",
    "sailing course",
    "vegetable patch",
    "photo archive",
    "night train",
    "book club",
)
WHERE = ("Hamburg", "Kyoto", "Lagos", "Lima", "Oslo", "Quito", "Rome", "Tunis", "Utrecht", "Vienna")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CENTRES = 50


def statements(count: int, seed: int = 0) -> list[str]:
    """Statements of about a hundred characters, all different."""
    return [statement for statement, _ in _said(count, seed)]


def asked_about(count: int, some: int, seed: int = 0) -> list[tuple[str, str]]:
    """Questions about some of `statements(count, seed)`, in other words, each with its statement."""
    pairs = [(question, statement) for statement, question in _said(count, seed)]
    return pairs[:: max(1, count // some)][:some]


def _said(count: int, seed: int) -> list[tuple[str, str]]:
    """Statements, and for each a question about it."""
    choice = random.Random(seed).choice
    said = []
    for number in range(count):
        who, name, what, where, other = choice(WHO), choice(NAMES), choice(WHAT), choice(WHERE), choice(WHAT)
        statement = (
            f"My {who} {name} {choice(DOES)} the {what} in {where}, file {seed}-{number}, and asked about the {other}."
        )
        said.append((statement, f"About which {other} did {name} want to know, and what of the {what} in {where}?"))
    return said


def questions(count: int, seed: int = 0) -> list[str]:
    """Questions about such statements, of about sixty characters."""
    choice = random.Random(seed).choice
    return [
        f"What did my {choice(WHO)} {choice(NAMES)} say about the {choice(WHAT)} in {choice(WHERE)}?"
        for _ in range(count)
    ]


def vectors(count: int, dimension: int, seed: int = 0) -> Matrix:
    """Unit vectors around fifty centres, nearer to embeddings than uniform noise is: shape (count, dimension)."""
    numbers = np.random.default_rng(seed)
    centres = numbers.normal(size=(CENTRES, dimension))
    rows = centres[numbers.integers(0, CENTRES, count)] + numbers.normal(size=(count, dimension))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows, dtype=np.float32)


async def settle(database: Database, users: int, facts_each: int, model: Fingerprint) -> None:
    """Give users facts with made-up vectors, a transaction for each: `user-0` ... have `facts_each`."""
    ledger = Ledger(database)
    await ledger.open()
    texts, pool = statements(facts_each), vectors(4096, model.dimension)
    numbers = np.random.default_rng(1)
    for number in range(users):
        name = f"user-{number}"
        rows = pool[numbers.integers(0, len(pool), facts_each)]
        known = list(_facts(name, number, texts))
        told = [_evidence(fact) for fact in known]

        def work(writer, known=known, told=told, rows=rows):
            writer.activate("seeded", model)
            writer.add_facts(known, told)
            writer.add_vectors(dict(zip([fact.id for fact in known], rows, strict=True)), model.key)

        await ledger.write(ledger.user_key(name), name, work)
    await ledger.close()


def _facts(name: str, user: int, texts: list[str]) -> Iterator[Fact]:
    for number, text in enumerate(texts):
        at = NOW - timedelta(hours=number)
        said = {"said_at": at, "recorded_at": at, "session_id": f"session-{number // 20}", "position": number % 20}
        yield Fact(
            id=f"{user:x}-{number:x}", user_id=name, text=f"{text[:-1]} {user}.", origin="user", status="active", **said
        )


def _evidence(fact: Fact) -> Filed:
    evidence = Evidence(
        id=f"e{fact.id}",
        fact_id=fact.id,
        origin="user",
        quote=fact.text,
        span=(0, len(fact.text)),
        session_id=fact.session_id,
        position=fact.position,
        recorded_at=fact.recorded_at,
    )
    return Filed(evidence=evidence)
