"""However many write and whatever breaks in between: one fact each, and nothing half written."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from agents import SQLiteSession

from semantic_memory import CandidateFact, ExtractionFailed, FactFilter, SemanticMemory, UserMemory
from semantic_memory.extraction.sentences import SentenceExtractor
from semantic_memory.testing import ScriptedExtractor

HETZNER, LISBON = "My deploy target is Hetzner.", "I moved to Lisbon last week."


async def texts(user: UserMemory) -> Counter[str]:
    return Counter(fact.text for fact in await user.facts())


# ---- one user, many writers ----------------------------------------------------------------------------


async def test_the_same_statement_remembered_many_times_at_once_is_one_fact(ada: UserMemory) -> None:
    facts = await asyncio.gather(*(ada.remember(HETZNER) for _ in range(50)))
    assert len({fact.id for fact in facts}) == 1
    [fact] = await ada.facts()
    assert fact.evidence_count == 50


async def test_different_statements_remembered_at_once_are_all_kept(ada: UserMemory) -> None:
    said = [f"My colleague number {n} is called Name{n}." for n in range(50)]
    await asyncio.gather(*(ada.remember(text) for text in said))
    assert await texts(ada) == Counter(said)


async def test_two_memories_on_one_folder_remember_the_same_statement_once(open_memory: Any) -> None:
    one, other = (await open_memory()).user("ada"), (await open_memory()).user("ada")
    await asyncio.gather(*(user.remember(HETZNER) for _ in range(10) for user in (one, other)))
    assert await texts(one) == await texts(other) == Counter([HETZNER])


# ---- extractors that fail ------------------------------------------------------------------------------


@pytest.fixture
def unlucky() -> UnluckyExtractor:
    return UnluckyExtractor()


@dataclass
class UnluckyExtractor:
    """Learns every sentence, but fails on batches that hold a word; it tells how often it was asked."""

    stumbles_over: str = "Hetzner"
    how: Any = field(default_factory=lambda: ExtractionFailed("no"))
    version: str = "unlucky/1"
    asked: list[list[str]] = field(default_factory=list)

    async def extract(self, messages: Any, *, known: Any = (), context: Any = ()) -> Any:
        self.asked.append([message.text for message in messages])
        if any(self.stumbles_over in message.text for message in messages):
            if isinstance(self.how, Exception):
                raise self.how
            return self.how
        return await SentenceExtractor().extract(messages)


async def said(session: Any, *turns: str) -> Any:
    await session.add_items([{"role": "user", "content": turn} for turn in turns])
    return session


FAILURES = {
    "raises": RuntimeError("down"),
    "raises our error": ExtractionFailed("no"),
    "is cancelled from within": asyncio.CancelledError(),
    "returns nothing": None,
    "returns a text": HETZNER,
    "returns a number": 3,
    "returns an object": {"facts": []},
    "returns a list of nothing": [None],
    "returns a list of objects": [{"text": HETZNER}],
}


@pytest.mark.parametrize("how", FAILURES.values(), ids=FAILURES)
async def test_what_an_extractor_fails_on_stays_unlearned_and_is_tried_alone(
    open_memory: Any, unlucky: UnluckyExtractor, how: Any
) -> None:
    unlucky.how = how
    ada = (await open_memory(extractor=unlucky)).user("ada")
    session = await said(SQLiteSession("s"), LISBON, HETZNER)
    first = await ada.learn(session)
    assert first.failed
    assert (first.messages, await texts(ada)) == (0, Counter())
    second = await ada.learn(session)
    assert second.failed
    assert (second.messages, await texts(ada)) == (1, Counter([LISBON]))
    unlucky.stumbles_over = "nothing at all"
    third = await ada.learn(session)
    assert third.failed is None
    assert await texts(ada) == Counter([LISBON, HETZNER])


async def test_a_message_that_keeps_failing_becomes_a_dead_letter_until_it_is_revived(
    open_memory: Any, unlucky: UnluckyExtractor
) -> None:
    memory = await open_memory(extractor=unlucky, learn_tries=2)
    ada, session = memory.user("ada"), await said(SQLiteSession("s"), HETZNER)
    for _ in range(4):
        await ada.learn(session)
    assert len(unlucky.asked) == 2
    assert await failures(memory) == [(2, True)]
    await said(session, LISBON)
    assert (await ada.learn(session)).messages == 1
    assert await texts(ada) == Counter([LISBON])
    unlucky.stumbles_over = "nothing at all"
    await memory._rooms.workroom.call(memory._rooms.ledger.revive(ada._key))
    assert (await ada.learn(session)).messages == 1
    assert await texts(ada) == Counter([LISBON, HETZNER])
    assert await failures(memory) == []


async def test_a_dead_letter_of_one_session_is_tried_in_another(open_memory: Any, unlucky: UnluckyExtractor) -> None:
    ada = (await open_memory(extractor=unlucky, learn_tries=1)).user("ada")
    await ada.learn(await said(SQLiteSession("s"), HETZNER))
    unlucky.stumbles_over = "nothing at all"
    assert (await ada.learn(await said(SQLiteSession("t"), HETZNER))).messages == 1


async def test_two_workers_can_fail_on_the_same_message_at_once(open_memory: Any, unlucky: UnluckyExtractor) -> None:
    memory, other = await open_memory(extractor=unlucky), await open_memory(extractor=unlucky)
    session = await said(SQLiteSession("s"), HETZNER)
    await asyncio.gather(memory.user("ada").learn(session), other.user("ada").learn(session))
    assert [dead for _, dead in await failures(memory)] == [False]


async def test_an_extractor_that_hangs_is_given_up(open_memory: Any) -> None:
    ada = (await open_memory(extractor=HangingExtractor(), learn_timeout=0.05)).user("ada")
    learned = await asyncio.wait_for(ada.learn(await said(SQLiteSession("s"), HETZNER)), 5)
    assert "too long" in (learned.failed or "")


class HangingExtractor:
    version = "hanging/1"

    async def extract(self, messages: Any, *, known: Any = (), context: Any = ()) -> Any:
        await asyncio.sleep(3600)


async def failures(memory: SemanticMemory) -> list[tuple[int, bool]]:
    rooms = memory._rooms
    return [(one.tries, one.dead) for one in await rooms.workroom.call(rooms.ledger.failed_messages())]


def hetzner(**fields: Any) -> CandidateFact:
    return CandidateFact(**{"text": HETZNER, "position": 0, "quote": HETZNER} | fields)


UNFIT = {
    "empty text": hetzner(text=""),
    "text too long": hetzner(text="x" * 10_000),
    "NUL": hetzner(text="nul \x00"),
    "half a surrogate pair": hetzner(text="half \ud83d"),
    "no text": hetzner(text=None),
    "no quote": hetzner(quote=None),
    "quote not said": hetzner(quote="I never said this"),
    "position of another type": hetzner(position="0"),
    "position of nothing": hetzner(position=7),
    "kind too long": hetzner(kind="k" * 65),
    "kind of another type": hetzner(kind=7),
    "NUL in subject": hetzner(subject="\x00"),
    "unknown stance": hetzner(stance="sure"),
    "unknown operation": hetzner(operation="drop table"),
    "target of another type": hetzner(target=3),
    "time without a zone": hetzner(said_at=datetime(2026, 1, 1)),
    "time of another type": hetzner(valid_to="soon"),
}


@pytest.mark.parametrize("candidate", UNFIT.values(), ids=UNFIT)
async def test_a_candidate_that_cannot_be_kept_is_rejected_and_holds_nothing_up(
    open_memory: Any, candidate: CandidateFact
) -> None:
    fine = CandidateFact(text=LISBON, position=1, quote=LISBON)
    ada = (await open_memory(extractor=ScriptedExtractor([[candidate, fine]]))).user("ada")
    learned = await ada.learn(await said(SQLiteSession("s"), HETZNER, LISBON))
    assert (learned.messages, learned.failed, len(learned.rejected)) == (2, None, 1)
    assert await texts(ada) == Counter([LISBON])


async def test_what_an_extractor_cites_from_others_than_the_user_is_not_learned(open_memory: Any) -> None:
    echo = CandidateFact(text=HETZNER, position=1, quote=HETZNER)
    ada = (await open_memory(extractor=ScriptedExtractor([[echo]]))).user("ada")
    session = await said(SQLiteSession("s"), "What do you know?")
    await session.add_items([{"role": "assistant", "content": HETZNER}])
    assert len((await ada.learn(session)).rejected) == 1
    everything = await ada.facts(FactFilter(status=()))
    assert everything == []


async def test_a_long_session_is_learned_in_batches_that_stand_by_themselves(
    open_memory: Any, unlucky: UnluckyExtractor
) -> None:
    ada = (await open_memory(extractor=unlucky)).user("ada")
    others = [f"I have visited town number {n}." for n in range(60)]
    learned = await ada.learn(await said(SQLiteSession("s"), HETZNER, *others))
    assert max(map(len, unlucky.asked)) <= 20
    assert learned.failed
    assert learned.messages == 41
    await ada.learn(await said(SQLiteSession("s"), HETZNER, *others))
    assert await texts(ada) == Counter(others)
