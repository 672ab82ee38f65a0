"""Questions about a memory: which facts, from where, shown when, in whose place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from agents import Agent, SQLiteSession
from agents.testing import ScriptedModel, assistant_message, function_call

from semantic_memory import FactFilter, InvalidInput, NotFound, UserMemory
from semantic_memory.embedding.bundled import bundled

HETZNER, AWS, CAT = "My deploy target is Hetzner.", "My deploy target is AWS.", "My cat is called Miso."
QUESTION = "What is my deploy target?"


def saying(*steps: Any, tools: Any = ()) -> Agent[Any]:
    return Agent(name="helper", model=ScriptedModel([[step] for step in steps]), tools=list(tools))


async def texts(user: UserMemory, **wanted: Any) -> list[str]:
    return sorted(fact.text for fact in await user.facts(FactFilter(**wanted)))


async def test_facts_can_be_asked_for_by_the_run_that_taught_them(ada: UserMemory) -> None:
    await ada.run(saying(assistant_message("Noted.")), HETZNER, session=SQLiteSession("s"), learn="wait")
    await ada.remember(CAT)
    [fact] = await ada.facts(FactFilter(session_id="s"))
    [evidence] = (await ada.explain(fact.id)).evidence
    assert await texts(ada, run_id=evidence.run_id) == await texts(ada, agent="helper") == [HETZNER]
    assert await texts(ada, run_id="another") == []


async def test_facts_can_be_asked_for_by_every_session_that_taught_them(ada: UserMemory) -> None:
    sessions = [SQLiteSession("a"), SQLiteSession("b")]
    for session in sessions:
        await session.add_items([{"role": "user", "content": CAT}, {"role": "assistant", "content": "Noted."}])
        await ada.learn(session)
    assert await texts(ada, session_id="a") == await texts(ada, session_id="b") == [CAT]
    await ada.rewind(sessions[0])
    assert [await texts(ada, session_id=name) for name in "ab"] == [[], [CAT]]
    [fact] = await ada.facts()
    assert (fact.session_id, fact.position) == ("b", 0)
    await ada.rewind(sessions[1])
    assert await texts(ada, session_id="b", status=("retracted",)) == [CAT]


async def test_facts_that_were_never_recalled_can_be_asked_for(ada: UserMemory) -> None:
    await ada.remember_all([HETZNER, CAT])
    assert await texts(ada, never_recalled=True) == [CAT, HETZNER]
    await ada.recall(QUESTION, limit=1)
    await ada.receipts()
    assert await texts(ada, never_recalled=True) == [CAT]


async def test_facts_that_contradict_others_can_be_asked_for(open_memory: Any) -> None:
    ada = (await open_memory(embedding=bundled())).user("ada")
    pair = ["I am allergic to peanuts.", "I am not allergic to peanuts."]
    first, second, _ = await ada.remember_all([*pair, CAT])
    assert second.conflicts_with == first.id
    assert await texts(ada, disputed=True) == sorted(pair)
    await ada.correct(first.id, "I am allergic to walnuts.")
    assert await texts(ada, disputed=True) == []


async def test_a_recall_marks_both_sides_of_a_contradiction_and_only_while_both_stand(open_memory: Any) -> None:
    ada = (await open_memory(embedding=bundled())).user("ada")
    question = "Am I allergic to peanuts?"
    first, second = await ada.remember_all(["I am allergic to peanuts.", "I am not allergic to peanuts."])
    found = (await ada.recall(question)).facts
    assert {(one.fact.id, one.fact.conflicts_with) for one in found} == {(first.id, second.id), (second.id, first.id)}
    assert (await ada.recall(question)).context.count("disputed") == 2
    await ada.forget(first.id)
    assert "disputed" not in (await ada.recall(question)).context


async def test_the_timeline_of_a_subject_is_its_chain_with_the_words_that_taught_each(ada: UserMemory) -> None:
    old = await ada.remember(HETZNER)
    await ada.remember(CAT)
    new = await ada.correct(old.id, AWS, reason="moved in May")
    [chain] = await ada.timeline("deploy target")
    assert [(one.fact.text, one.fact.status, one.evidence[0].quote) for one in chain] == [
        (HETZNER, "superseded", HETZNER),
        (AWS, "active", AWS),
    ]
    assert chain[0].history[-1].reason == "moved in May"
    assert [[one.fact.text for one in chain] for chain in await ada.timeline()] == [[HETZNER, AWS], [CAT]]
    assert (await ada.explain(new.id)).chain == tuple(one.fact for one in chain)


async def test_from_a_run_to_what_its_answer_saw_and_to_the_words_that_taught_it(ada: UserMemory) -> None:
    await ada.run(saying(assistant_message("Noted.")), HETZNER, session=SQLiteSession("billing"), learn="wait")
    agent = saying(function_call("recall", {"query": QUESTION}, call_id="c"), assistant_message("Hetzner."))
    agent.tools = list(ada.tools())
    await ada.run(agent, QUESTION, session=SQLiteSession("onboarding"), learn="off")

    by_tool, by_hook = await ada.receipts(session_id="onboarding")
    assert (by_tool.source, by_hook.source, by_tool.agent) == ("tool", "hook", "helper")
    assert by_tool.run_id == by_hook.run_id is not None
    assert await ada.receipts(run_id=by_hook.run_id) == [by_tool, by_hook]

    [lineage] = await ada.shown(run_id=by_hook.run_id)
    assert await ada.shown(receipt_id=by_tool.id) == [lineage]
    [evidence] = lineage.evidence
    assert (evidence.session_id, evidence.position, evidence.quote) == ("billing", 0, HETZNER)


async def test_a_receipt_keeps_what_made_each_fact_relevant(ada: UserMemory) -> None:
    await ada.remember_all([HETZNER, CAT])
    recall = await ada.recall(QUESTION)
    receipt = await ada.receipt(recall.receipt_id)
    assert receipt.signals == tuple(found.signals for found in recall.facts)
    assert len(receipt.signals) == len(receipt.shown) > 0
    assert "cosine" in receipt.signals[0]


async def test_what_a_recall_showed_is_told_with_what_became_of_it(ada: UserMemory) -> None:
    old = await ada.remember(HETZNER)
    recall = await ada.recall(QUESTION)
    await ada.correct(old.id, AWS)
    [lineage] = await ada.shown(receipt_id=recall.receipt_id)
    assert (lineage.fact.text, lineage.fact.status) == (HETZNER, "superseded")


async def test_receipts_are_kept_for_thirty_days_however_long_a_memory_stays_open(open_memory: Any) -> None:
    now = datetime.now(UTC)
    ada = (await open_memory(clock=lambda: now)).user("ada")
    await ada.remember(HETZNER)
    await ada.recall("How did it begin?")
    for days, kept in ((29, ["then", "How did it begin?"]), (2, ["at last", "then"])):
        now += timedelta(days=days)
        await ada.recall(kept[0])
        await ada._rooms.workroom.drain()
        assert [receipt.query for receipt in await ada.receipts()] == kept


async def test_a_recall_that_is_not_ones_own_is_not_there(ada: UserMemory, memory: Any) -> None:
    await ada.remember(HETZNER)
    recall = await ada.recall(QUESTION)
    with pytest.raises(NotFound):
        await memory.user("bob").shown(receipt_id=recall.receipt_id)
    assert await memory.user("bob").shown(run_id="unknown") == []
    with pytest.raises(InvalidInput):
        await ada.shown()
