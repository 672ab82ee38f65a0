"""Learning from every session that the SDK has: once, whatever happens to the transcript afterwards."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from agents import Agent, Runner, SQLiteSession
from agents.memory import Session
from agents.testing import ScriptedModel, assistant_message, function_call

from semantic_memory import CandidateFact, SemanticMemory, UserMemory
from semantic_memory.extraction.sentences import SentenceExtractor
from tests.integration.conftest import OpenSession
from tests.integration.session_kinds import compacting

HETZNER, LISBON = "My deploy target is Hetzner.", "I moved to Lisbon last week."
TURNS = (HETZNER, LISBON, "My cat is called Miso.", "I work at Acme on billing.", "My sister lives in Porto.")


def saying(*texts: str) -> Agent[Any]:
    return Agent(name="helper", instructions="Be brief.", model=ScriptedModel([[assistant_message(t)] for t in texts]))


async def converse(session: Session, *turns: str) -> None:
    agent = saying(*(f"Answer to {turn}" for turn in turns))
    for turn in turns:
        await Runner.run(agent, turn, session=session)


async def texts(user: UserMemory) -> list[str]:
    return sorted(fact.text for fact in await user.facts())


# ---- every kind of session ---------------------------------------------------------------------------


async def test_a_session_is_learned_once_and_nothing_twice(open_session: OpenSession, ada: UserMemory) -> None:
    session = await open_session()
    await converse(session, *TURNS[:2])
    first = await ada.learn(session)
    assert first.messages == 4
    assert sorted(fact.text for fact in first.written) == sorted(TURNS[:2])
    assert (await ada.learn(session)).messages == 0
    await converse(session, TURNS[2])
    assert (await ada.learn(await open_session())).messages == 2
    assert await texts(ada) == sorted(TURNS[:3])
    assert all(fact.evidence_count == 1 for fact in await ada.facts())


async def test_a_restarted_memory_does_not_learn_a_session_again(open_session: OpenSession, open_memory: Any) -> None:
    session = await open_session()
    await converse(session, HETZNER)
    await (await open_memory()).user("ada").learn(session)
    again = await (await open_memory()).user("ada").learn(session)
    assert again.messages == 0


async def test_a_session_that_shows_only_its_last_items_loses_nothing(
    open_session: OpenSession, ada: UserMemory
) -> None:
    session = await open_session(limit=1)
    await converse(session, *TURNS)
    assert len(await session.get_items()) == 1
    await ada.learn(session)
    assert await texts(ada) == sorted(TURNS)


async def test_equal_session_ids_of_two_users_are_two_sessions(
    open_session: OpenSession, memory: SemanticMemory
) -> None:
    session = await open_session()
    await converse(session, HETZNER)
    for name in ("ada", "bob"):
        assert len((await memory.user(name).learn(session)).written) == 1


async def test_clearing_a_session_takes_nothing_back(open_session: OpenSession, ada: UserMemory) -> None:
    session = await open_session()
    await converse(session, *TURNS[:2])
    await ada.learn(session)
    await session.clear_session()
    assert (await ada.learn(session)).retracted == ()
    await converse(session, TURNS[2])
    assert (await ada.learn(session)).retracted == ()
    assert await texts(ada) == sorted(TURNS[:3])


async def test_trimming_a_session_takes_nothing_back(open_session: OpenSession, ada: UserMemory) -> None:
    session = await open_session()
    await converse(session, *TURNS)
    await ada.learn(session)
    kept = (await session.get_items())[-4:]
    await session.clear_session()
    await session.add_items(kept)
    assert (await ada.learn(session)).retracted == ()
    assert await texts(ada) == sorted(TURNS)


async def test_rewind_takes_back_what_only_the_last_turn_taught(open_session: OpenSession, ada: UserMemory) -> None:
    session = await open_session()
    await converse(session, HETZNER, LISBON)
    await ada.learn(session)
    before = await session.get_items()
    taken = await ada.rewind(session)
    assert len(taken.retracted) == 1
    assert await session.get_items() == before[:2]
    assert await texts(ada) == [HETZNER]
    assert (await ada.learn(session)).messages == 0
    await converse(session, LISBON)
    assert len((await ada.learn(session)).written) == 1


async def test_a_turn_popped_by_hand_is_taken_back_by_the_next_learn(
    open_session: OpenSession, ada: UserMemory
) -> None:
    session = await open_session()
    await converse(session, *TURNS[:3])
    await ada.learn(session)
    await session.pop_item()
    await session.pop_item()
    await converse(session, TURNS[3])
    learned = await ada.learn(session)
    assert len(learned.retracted) == len(learned.written) == 1
    assert await texts(ada) == sorted([*TURNS[:2], TURNS[3]])


async def test_a_run_with_a_tool_call_is_popped_whole(open_session: OpenSession, ada: UserMemory) -> None:
    from agents import function_tool

    @function_tool
    def look() -> str:
        return "nothing there"

    session = await open_session()
    await converse(session, HETZNER)
    script = ScriptedModel([[function_call("look", {}, call_id="c")], [assistant_message("I looked.")]])
    await Runner.run(Agent(name="helper", model=script, tools=[look]), LISBON, session=session)
    await ada.learn(session)
    await ada.rewind(session)
    assert len(await session.get_items()) == 2
    assert await texts(ada) == [HETZNER]


# ---- taking back ---------------------------------------------------------------------------------------


async def test_rewind_brings_back_what_the_turn_had_replaced(open_memory: Any) -> None:
    newer = "My deploy target is AWS."
    replacing = ReplacingExtractor(newer)
    ada = (await open_memory(extractor=replacing)).user("ada")
    old = await ada.remember(HETZNER, subject="deploy target")
    session = SQLiteSession("s")
    await converse(session, newer)
    await ada.learn(session)
    assert await texts(ada) == [newer]
    await ada.rewind(session)
    assert await texts(ada) == [HETZNER]
    brought_back = await ada.fact(old.id)
    assert brought_back.superseded_by is None


@dataclass
class ReplacingExtractor:
    """Proposes, as a model would, that a statement replaces the one fact that is known."""

    text: str
    version: str = "replacing/1"

    async def extract(self, messages: Any, *, known: Any = (), context: Any = ()) -> list[CandidateFact]:
        [old] = known
        position = next(message.position for message in messages if message.text == self.text)
        return [
            CandidateFact(
                text=self.text,
                position=position,
                quote=self.text,
                operation="replaces",
                target=old.id,
                subject=old.subject,
            )
        ]


async def test_rewind_keeps_what_another_turn_taught_too(ada: UserMemory) -> None:
    session = SQLiteSession("s")
    await converse(session, HETZNER, "Fine.", HETZNER)
    await ada.learn(session)
    [fact] = await ada.facts()
    assert fact.evidence_count == 2
    assert (await ada.rewind(session)).retracted == ()
    [fact] = await ada.facts()
    assert fact.evidence_count == len((await ada.explain(fact.id)).evidence) == 1


async def test_rewind_takes_back_every_item_of_the_last_input(ada: UserMemory) -> None:
    session = SQLiteSession("s")
    await converse(session, HETZNER)
    said = [{"role": "user", "content": text} for text in TURNS[1:3]]
    await ada.run(saying("Noted."), said, session=session, learn="wait")
    assert len((await ada.rewind(session)).retracted) == 2
    assert len(await session.get_items()) == 2
    assert await texts(ada) == [HETZNER]


async def test_rewinding_an_empty_session_does_nothing(memory: SemanticMemory, ada: UserMemory) -> None:
    taken = await ada.rewind(SQLiteSession("s"))
    assert taken.retracted == ()
    assert await memory.users() == []


async def test_popping_all_but_a_little_is_not_taken_for_a_pop(ada: UserMemory) -> None:
    session = SQLiteSession("s")
    await converse(session, *TURNS[:3])
    await ada.learn(session)
    for _ in range(4):
        await session.pop_item()
    assert (await ada.learn(session)).retracted == ()
    assert len(await ada.facts()) == 3


async def test_an_older_look_at_a_session_does_not_take_back_what_a_newer_one_taught(ada: UserMemory) -> None:
    """Two learn passes overlap: the slow one read the transcript before its last turn was added."""
    session = LateSession("s")
    await converse(session, *TURNS[:2])
    await ada.learn(session)

    async def meanwhile() -> None:
        await converse(session, TURNS[2])
        await ada.learn(session)

    session.behind_the_next_read = meanwhile
    learned = await ada.learn(session)
    assert learned.retracted == ()
    assert await texts(ada) == sorted(TURNS[:3])


class LateSession(SQLiteSession):
    """A session that changes while somebody is busy with what they read from it."""

    behind_the_next_read: Any = None

    async def get_items(self, limit: int | None = None) -> list[Any]:
        items = await super().get_items(limit)
        change, self.behind_the_next_read = self.behind_the_next_read, None
        if change is not None:
            await change()
        return items


async def test_runs_without_a_session_take_nothing_back_from_each_other(ada: UserMemory) -> None:
    await ada.run(saying("Hi!", "Noted."), "Hello", learn="wait")
    conversation = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi!"},
        {"role": "user", "content": HETZNER},
    ]
    await ada.run(saying("Noted."), conversation, learn="wait")
    assert await texts(ada) == [HETZNER]
    await ada.run(saying("Hi!"), "Hello", learn="wait")
    assert await texts(ada) == [HETZNER]


async def test_a_turn_rewound_in_a_trimmed_session_can_be_said_again(ada: UserMemory) -> None:
    """Of two equal messages the trimmed session holds one, and nobody can tell which of the two it was."""
    session = SQLiteSession("s")
    await converse(session, LISBON, LISBON)
    await ada.learn(session)
    kept = (await session.get_items())[-2:]
    await session.clear_session()
    await session.add_items(kept)
    await ada.rewind(session)
    await converse(session, LISBON, "Yes.", LISBON)
    again = await ada.learn(session)
    assert again.failed is None
    assert (await ada.learn(session)).messages == 0
    assert await texts(ada) == [LISBON]


@dataclass
class SlowExtractor:
    """Takes its time, so that others come in between."""

    version: str = "slow/1"

    async def extract(self, messages: Any, *, known: Any = (), context: Any = ()) -> Any:
        await asyncio.sleep(0.3)
        return await SentenceExtractor().extract(messages)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_turn_that_is_still_being_learned_can_be_taken_back(open_memory: Any, streamed: bool) -> None:
    ada = (await open_memory(extractor=SlowExtractor())).user("ada")
    session = SQLiteSession("s")
    await ada.run(saying("Noted."), HETZNER, session=session, learn="wait")
    if streamed:
        async for _ in ada.run_streamed(saying("Noted."), LISBON, session=session).stream_events():
            pass
    else:
        await ada.run(saying("Noted."), LISBON, session=session)
    taken = await ada.rewind(session)
    assert len(taken.retracted) == 1
    assert len(await session.get_items()) == 2
    await asyncio.sleep(0.5)
    assert await texts(ada) == [HETZNER]


async def test_a_turn_is_taken_back_behind_the_pass_that_is_at_it(open_memory: Any) -> None:
    ada = (await open_memory(extractor=SlowExtractor())).user("ada")
    session = SQLiteSession("s")
    await converse(session, HETZNER, LISBON)
    learning = asyncio.create_task(ada.learn(session))
    await asyncio.sleep(0.1)
    await ada.rewind(session)
    await learning
    assert await texts(ada) == [HETZNER]


# ---- compaction ----------------------------------------------------------------------------------------


async def test_compaction_takes_nothing_back_and_teaches_nothing_again(ada: UserMemory, tmp_path: Path) -> None:
    session = compacting("s", SQLiteSession("s", tmp_path / "s.db"), when=lambda _: False)
    await converse(session, *TURNS[:3])
    await ada.learn(session)
    await session.run_compaction({"force": True})
    assert [item.get("type") for item in await session.get_items()] == ["compaction"]
    learned = await ada.learn(session)
    assert (learned.retracted, learned.messages) == ((), 0)
    await converse(session, TURNS[3])
    assert (await ada.learn(session)).messages == 2
    assert await texts(ada) == sorted(TURNS[:4])


async def test_compaction_of_a_suffix_takes_nothing_back(ada: UserMemory, tmp_path: Path) -> None:
    """The start of the transcript stays and its end becomes a summary: it looks like a pop, and is none."""
    inner = SQLiteSession("s", tmp_path / "s.db")
    await converse(inner, *TURNS[:3])
    await ada.learn(inner)
    session = compacting("s", inner, when=lambda seen: len(seen["session_items"]) > 1)
    session.session_settings = None
    inner.session_settings.limit = 2  # the model sees the end only, and only that is compacted
    await converse(session, TURNS[3])
    inner.session_settings.limit = None
    items = await session.get_items()
    assert [item.get("type") for item in items][-1] == "compaction"
    assert items[0]["content"] == TURNS[0]
    assert len(items) < 8
    learned = await ada.learn(session)
    assert learned.retracted == ()
    assert set(TURNS[:3]) <= set(await texts(ada))


async def test_what_was_compacted_away_inside_a_run_is_learned_from_the_run(ada: UserMemory, tmp_path: Path) -> None:
    session = compacting("s", SQLiteSession("s", tmp_path / "s.db"), when=lambda _: True)
    await ada.run(saying("Noted."), HETZNER, session=session, learn="wait")
    assert [item.get("type") for item in await session.get_items()] == ["compaction"]
    assert await texts(ada) == [HETZNER]
    assert (await ada.learn(session)).messages == 0
    await ada.run(saying("Noted."), LISBON, session=session, learn="wait")
    assert await texts(ada) == sorted([HETZNER, LISBON])


async def test_learn_with_the_result_of_a_plain_run_does_the_same(ada: UserMemory, tmp_path: Path) -> None:
    session = compacting("s", SQLiteSession("s", tmp_path / "s.db"), when=lambda _: True)
    result = await Runner.run(saying("Noted."), HETZNER, session=session, run_config=ada.run_config())
    await ada.learn(session, result=result)
    await ada.learn(session)
    assert await texts(ada) == [HETZNER]
    assert [fact.evidence_count for fact in await ada.facts()] == [1]


@pytest.mark.parametrize("learn", ["wait", "background"])
async def test_many_runs_of_one_session_teach_each_thing_once(open_memory: Any, learn: Any) -> None:
    memory = await open_memory()
    ada, session = memory.user("ada"), SQLiteSession("s")
    for turn in TURNS:
        await ada.run(saying("Noted."), turn, session=session, learn=learn)
    await memory._drain()
    assert await texts(ada) == sorted(TURNS)
    assert all(fact.evidence_count == 1 for fact in await ada.facts())
