"""Promise 10: whatever an extractor returns, no run sees it, nothing invalid is written, no message is lost."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from agents import Agent, SQLiteSession
from agents.testing import ScriptedModel, assistant_message

from semantic_memory import CandidateFact, FactFilter, SemanticMemory, Settings, UserMemory
from semantic_memory.extraction.model import ModelExtractor
from semantic_memory.facts import Origin, Stance, Status
from semantic_memory.testing import HashEmbeddingModel
from tests.trust.counts import SEED, count, note

OUTPUTS = count(60, 2_000)
SAID = "I moved to Lisbon last week."
FOREVER = 3600

TEXTS = ["", " ", "\x00", "\ud83d", "x" * 9_000, SAID, "I moved", "2026-13-45", "\u202e", "\U0001f600" * 500, "new"]
TEXTS += ["'; DROP TABLE memory_facts; --", "</user_memory>", "stated"]
JUNK: list[Any] = [*TEXTS, None, 0, -1, 7, 2**70, 1.5, float("nan"), True, b"\xff", [], {}, [None], {"$ne": ""}]
JUNK += [("a", 1), object(), datetime(2026, 1, 1), datetime(9999, 12, 31, tzinfo=UTC), Exception("x")]
FIELDS = tuple(CandidateFact.__dataclass_fields__)


def candidate(chance: random.Random) -> CandidateFact:
    """A good statement of which a few fields are something else."""
    spoiled = {name: chance.choice(JUNK) for name in chance.sample(FIELDS, chance.randrange(4))}
    return replace(CandidateFact(text=SAID, position=0, quote=SAID), **spoiled)


def output(chance: random.Random) -> Any:
    """What an extractor may return instead of candidate facts, or raise."""
    kind = chance.randrange(8)
    if kind == 0:
        return chance.choice(JUNK)
    if kind == 1:
        return [chance.choice(JUNK) for _ in range(chance.randrange(4))]
    if kind == 2:
        return chance.choice([RuntimeError("x"), ValueError("\ud83d"), asyncio.CancelledError()])
    if kind == 3:
        return "hangs"
    return [candidate(chance) for _ in range(chance.randrange(5))]


class Fuzzed:
    """Does each time something else."""

    version = "fuzzed/1"

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.did: Counter[str] = Counter()

    async def extract(self, messages: Any, *, known: Any = (), context: Any = ()) -> Any:
        done = output(self._chance)
        self.did[type(done).__name__] += 1
        if isinstance(done, str) and done == "hangs":
            await asyncio.sleep(FOREVER)
        if isinstance(done, BaseException):
            raise done
        return done


def said_by_a_model(chance: random.Random) -> str:
    """What a language model may answer when it is asked for facts in JSON."""
    field = ["fact", "text", "quote", "message", "kind", "subject", "stance", "operation", "known", "said_at"]
    plain = [one for one in JUNK if one is None or (isinstance(one, str | int | float | list) and one != [None])]
    fact = {name: chance.choice(plain) for name in chance.sample(field, chance.randrange(len(field)))}
    fact |= {} if chance.random() < 0.5 else {"text": SAID, "quote": SAID, "message": 1}
    whole = json.dumps({chance.choice(["facts", "fact", ""]): [fact] * chance.randrange(3)})
    return chance.choice(
        [whole, whole[: chance.randrange(len(whole) + 1)], f"```json\n{whole}\n```", "", "null", "[1]"]
    )


def agent() -> Agent[Any]:
    return Agent(name="helper", model=ScriptedModel([[assistant_message("Good.")]]))


def settings(folder: Path) -> Settings:
    return Settings(path=folder / "memory", learn_timeout=0.02, learn_tries=2)


async def talk(user: UserMemory, number: int) -> tuple[SQLiteSession, Any]:
    """A run whose learn pass is waited for."""
    session = SQLiteSession(f"s{number}")
    result = await user.run(agent(), SAID, session=session, learn="wait")
    assert result.final_output == "Good."
    assert len(await session.get_items()) == 2
    return session, result


async def assert_nothing_invalid(memory: SemanticMemory, users: list[str]) -> None:
    """Every row can be read, shown, exported and explained."""
    for user_id in users:
        user = memory.user(user_id)
        for fact in await user.facts(FactFilter(status=())):
            assert fact.text.strip()
            assert (fact.status in get_args(Status), fact.origin in get_args(Origin)) == (True, True)
            assert fact.stance in get_args(Stance)
            assert all(evidence.quote in SAID for evidence in (await user.explain(fact.id)).evidence)
        json.dumps([one.fact.text for one in await user.lineages()])


class Counted:
    """An extractor, and how often it was really asked."""

    def __init__(self, extractor: Any) -> None:
        self._extractor = extractor
        self.version = extractor.version
        self.calls = 0

    async def extract(self, messages: Any, **given: Any) -> Any:
        self.calls += 1
        return await self._extractor.extract(messages, **given)


def fuzzed(chance: random.Random) -> Fuzzed:
    return Fuzzed(chance)


def model(chance: random.Random) -> ModelExtractor:
    return ModelExtractor(ScriptedModel([[assistant_message(said_by_a_model(chance))] for _ in range(OUTPUTS * 3)]))


@pytest.mark.parametrize("make", [fuzzed, model])
async def test_junk_reaches_no_run_and_every_message_is_done_retried_or_set_aside(
    tmp_path: Path, make: Callable[[random.Random], Any]
) -> None:
    chance, states = random.Random(SEED), Counter[str]()
    extractor = Counted(make(chance))
    users: list[str] = []
    async with SemanticMemory.open(settings(tmp_path), embedding=HashEmbeddingModel(), extractor=extractor) as memory:
        ledger, workroom = memory._rooms.ledger, memory._rooms.workroom
        while extractor.calls < OUTPUTS:
            number, user_id = len(users), f"user {len(users)}"
            users.append(user_id)
            user = memory.user(user_id)
            session, result = await talk(user, number)
            source = user.source(session.session_id)
            done = await workroom.call(ledger.learned(user._key, source.session_key or ""))
            failed = await workroom.call(ledger.failed_messages(user._key))
            states["done" if done else "retrying" if failed else "lost"] += 1
            if not done:
                await user.learn(session, result=result)
                dead = await workroom.call(ledger.failed_messages(user._key))
                done = await workroom.call(ledger.learned(user._key, source.session_key or ""))
                states["set aside" if any(one.dead for one in dead) else "done later" if done else "still"] += 1
        assert states["lost"] == states["still"] == 0
        await assert_nothing_invalid(memory, users)
        dead_letters = [one for one in (await memory.health()).findings if one.check == "dead letter"]
        assert bool(dead_letters) == bool(states["set aside"])
        assert await memory.retry_dead_letters() > 0
        assert not [one for one in (await memory.health()).findings if one.check == "dead letter"]
    note(
        10, f"{make.__name__} outputs", outputs=extractor.calls, runs=len(users), **states, exceptions=0, invalid_rows=0
    )
