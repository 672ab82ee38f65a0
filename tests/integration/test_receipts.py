"""Receipts are kept whatever the names in them, and none keeps another from being written."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from agents import Agent
from agents.testing import ScriptedModel, assistant_message

from semantic_memory import LedgerFailed, SemanticMemory, UserMemory
from semantic_memory.errors import InvalidInput

TARGET, QUESTION = "My deploy target is Hetzner.", "What is my deploy target?"
SECOND = timedelta(seconds=1)
NAMES = ["bad \ud800 name", "with \0 in it", "n" * 10_000]


@pytest.mark.parametrize("name", NAMES)
async def test_an_agent_and_a_session_of_any_name_leave_receipts_and_teach(ada: UserMemory, name: str) -> None:
    agent: Agent[Any] = Agent(name=name, model=ScriptedModel([[assistant_message("ok")]]))
    await ada.run(agent, TARGET, learn="off")
    learned = await ada.learn_items([{"role": "user", "content": TARGET}], session_id=name, agent=name)
    assert [fact.text for fact in learned.written] == [TARGET]
    [receipt] = await ada.receipts()
    assert receipt.agent
    assert len(receipt.agent) <= 512
    [evidence] = (await ada.explain(learned.written[0].id)).evidence
    assert evidence.agent == receipt.agent == evidence.session_id
    with pytest.raises(InvalidInput):  # who calls is the program's own word
        await ada.recall(QUESTION, source=name)
    assert len(await ada.receipts()) == 1


async def test_a_receipt_that_cannot_be_written_keeps_no_other_waiting(memory: SemanticMemory) -> None:
    ada, bob = memory.user("ada"), memory.user("bob")
    await ada.remember(TARGET)
    await ada.recall(QUESTION)
    [sound] = await ada.receipts()
    broken = replace(sound, id="broken", latency_ms=float("nan"))  # no database keeps it in a column of numbers
    await put(memory, "ada", broken)
    await asyncio.gather(ada.recall(QUESTION), bob.recall("Do I like tea?"))
    assert (len(await ada.receipts()), len(await bob.receipts())) == (2, 1)
    await bob.recall("Do I like tea?")
    assert len(await bob.receipts()) == 2


async def test_receipts_wait_for_a_ledger_that_is_away(memory: SemanticMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = memory.user("ada")
    await ada.remember(TARGET)
    ledger = memory._rooms.ledger
    write, tries = ledger.add_receipts, []

    async def away(rows: Any) -> None:
        tries.append(len(rows))
        raise LedgerFailed("the ledger is away")

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "add_receipts", away)
        for _ in range(8):
            await ada.recall(QUESTION)
        await memory._rooms.workroom.call(memory._rooms.receipts.flush())
    assert max(tries) <= 8
    assert ledger.add_receipts == write
    assert len(await ada.receipts()) == 8


async def test_every_recall_that_showed_a_fact_is_told_and_all_that_a_run_was_told(memory: SemanticMemory) -> None:
    ada = memory.user("ada")
    fact, late = await ada.remember(TARGET), await ada.remember("The cat is called Miso.")
    await ada.recall(QUESTION)
    [one] = await ada.receipts()
    for number in range(120):
        shown = ((late.id if number == 0 else fact.id, 0.5),)
        await put(memory, "ada", replace(one, id=f"r{number}", run_id="run", shown=shown, at=one.at + number * SECOND))
    assert len((await ada.explain(fact.id)).receipts) == 120
    assert [lineage.fact.id for lineage in await ada.shown(run_id="run")] == [late.id, fact.id]
    assert len(await ada.receipts()) == 100


async def put(memory: SemanticMemory, user_id: str, receipt: Any) -> None:
    async def work() -> None:
        memory._rooms.receipts.add(memory._rooms.ledger.user_key(user_id), receipt, epoch=0)

    await memory._rooms.workroom.call(work())
