"""A newer extractor over transcripts that were learned, and indexes that are built again."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from agents.extensions.memory import SQLAlchemySession

from semantic_memory import CandidateFact, ExtractionFailed, FactFilter, NotFound, SemanticMemory, jobs
from semantic_memory.testing import ScriptedExtractor

Open = Callable[..., Awaitable[SemanticMemory]]
SAID = "We deploy to Hetzner, in Falkenstein. My standup is at 9:30. I like tea."


def found(text: str, quote: str) -> CandidateFact:
    return CandidateFact(text=text, position=0, quote=quote)


async def learned(open_memory: Open, tmp_path: Path) -> tuple[SemanticMemory, SQLAlchemySession]:
    first = ScriptedExtractor(
        [
            [
                found("Deploys to Hetzner", "We deploy to Hetzner"),
                found("My standup is at 9:30.", "My standup is at 9:30."),
                found("I like tea.", "I like tea."),
            ]
        ]
    )
    memory = await open_memory(extractor=first)
    session = SQLAlchemySession.from_url("s", url=f"sqlite+aiosqlite:///{tmp_path / 'chats.db'}", create_tables=True)
    await session.add_items([{"role": "user", "content": SAID}])
    assert len((await memory.user("ada").learn(session)).written) == 3
    await session.add_items([{"role": "assistant", "content": "Noted."}])
    await session.add_items([{"role": "user", "content": "I have a cat."}])  # nobody has learned it yet
    return memory, session


def newer() -> ScriptedExtractor:
    candidates = [
        found("The user's team deploys to Hetzner, in Falkenstein.", "We deploy to Hetzner, in Falkenstein."),
        found("my standup is at 9:30", "My standup is at 9:30."),
        found("Falkenstein is where it runs.", "nobody said this"),
        found("The user has a standup every day.", "standup"),
    ]
    return ScriptedExtractor([candidates] * 3, version="scripted/2")


async def test_the_difference_is_shown_and_nothing_is_written(open_memory: Open, tmp_path: Path) -> None:
    memory, session = await learned(open_memory, tmp_path)
    before = await memory.user("ada").lineages()
    extractor = newer()
    difference = await jobs.relearn(memory, "ada", session, extractor)
    assert [message.text for message in extractor.calls[0].messages] == [SAID]
    assert (difference.messages, difference.same, difference.applied) == (1, 1, False)
    assert [(one.before, one.text) for one in difference.rewritten] == [
        ("Deploys to Hetzner", "The user's team deploys to Hetzner, in Falkenstein.")
    ]
    assert [one.text for one in difference.new] == ["The user has a standup every day."]
    assert [text for _, text in difference.not_found] == ["I like tea."]
    assert await memory.user("ada").lineages() == before
    await session.engine.dispose()


async def test_applied_it_supersedes_with_evidence_and_once(open_memory: Open, tmp_path: Path) -> None:
    memory, session = await learned(open_memory, tmp_path)
    ada = memory.user("ada")
    difference = await jobs.relearn(memory, "ada", session, newer(), apply=True)
    assert (difference.applied, difference.refused) == (True, ())
    facts = {fact.text: fact for fact in await ada.facts(FactFilter(status=()))}
    old, new = facts["Deploys to Hetzner"], facts["The user's team deploys to Hetzner, in Falkenstein."]
    assert (old.status, old.superseded_by, new.supersedes) == ("superseded", new.id, old.id)
    assert facts["I like tea."].status == "active"
    (evidence,) = (await ada.explain(new.id)).evidence
    assert (evidence.quote, evidence.extractor) == ("We deploy to Hetzner, in Falkenstein.", "scripted/2")
    assert (evidence.origin, evidence.session_id, evidence.span) == ("user", "s", (0, 37))

    again = await jobs.relearn(memory, "ada", session, newer(), apply=True)
    assert (again.rewritten, again.new, again.same) == ((), (), 3)
    assert len((await memory.user("ada").learn(session)).written) == 0
    retracted = (await ada.rewind(session)).retracted  # the cat: nobody has learned it
    assert retracted == ()
    assert new.id in (await ada.rewind(session)).retracted  # its evidence is that of the transcript
    await session.engine.dispose()


async def test_an_extractor_that_fails_changes_nothing(open_memory: Open, tmp_path: Path) -> None:
    memory, session = await learned(open_memory, tmp_path)
    before = await memory.user("ada").lineages()
    with pytest.raises(ExtractionFailed):
        await jobs.relearn(memory, "ada", session, ScriptedExtractor([RuntimeError("no")]), apply=True)
    assert await memory.user("ada").lineages() == before
    await session.engine.dispose()


async def test_lost_indexes_are_built_again(open_memory: Open, tmp_path: Path) -> None:
    for user in ("ada", "bob"):
        memory = await open_memory(path=tmp_path / "first")
        await memory.user(user).remember("I play the harp.")
        await memory._rooms.workroom.drain()
    await memory.user("gone").remember("I was here.")
    await memory.user("gone").erase()
    shutil.copytree(tmp_path / "first", tmp_path / "second", ignore=shutil.ignore_patterns("index"))
    copy = await open_memory(path=tmp_path / "second")
    assert {finding.check for finding in (await copy.health()).findings} == {"index"}
    done: list[jobs.Rebuilt | jobs.Failed] = []
    assert await jobs.reindex(copy, on_event=done.append) == ()
    assert [one.user_id for one in done] == ["ada", "bob"]
    assert (await copy.health()).findings == ()
    assert (await copy.user("ada").recall("Who plays the harp?")).answered_by == "index"
    with pytest.raises(NotFound, match="gone"):
        await jobs.reindex(copy, users=["gone"])
