"""A real Runner with a scripted model: what the agent is told, and what is learned."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from agents import Agent, RunConfig, Runner, SQLiteSession, function_tool
from agents.extensions.memory import SQLAlchemySession
from agents.run_config import CallModelData, ModelInputData
from agents.testing import ScriptedModel, assistant_message, function_call

from semantic_memory import InvalidInput, SemanticMemory, Settings, UserMemory
from semantic_memory.testing import HashEmbeddingModel

QUESTION = "What is our deploy target?"


@pytest.fixture
async def memory(tmp_path: Path):
    settings = Settings(path=tmp_path / "memory", min_relevance=0.05)
    async with SemanticMemory.open(settings, embedding=HashEmbeddingModel()) as memory:
        yield memory


@pytest.fixture
def ada(memory: SemanticMemory) -> UserMemory:
    return memory.user("ada")


def saying(*texts: str) -> Agent[Any]:
    return Agent(name="helper", instructions="Be brief.", model=ScriptedModel([[assistant_message(t)] for t in texts]))


def told(agent: Agent[Any], call: int = -1) -> str:
    assert isinstance(agent.model, ScriptedModel)
    return agent.model.calls[call].system_instructions or ""


async def test_what_a_user_said_in_one_session_is_known_in_the_next(ada: UserMemory, tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/sessions.db"
    first = SQLAlchemySession.from_url("acme-billing", url=url, create_tables=True)
    await ada.run(saying("Noted."), "My deploy target is Hetzner.", session=first, learn="wait")

    agent = saying("Hetzner.")
    second = SQLAlchemySession.from_url("acme-onboarding", url=url, create_tables=True)
    await ada.run(agent, QUESTION, session=second, learn="wait")

    assert told(agent).startswith("Be brief.")
    assert "My deploy target is Hetzner." in told(agent)
    await first.engine.dispose()
    await second.engine.dispose()


async def test_nothing_relevant_leaves_the_instructions_byte_identical(ada: UserMemory) -> None:
    await ada.remember("My deploy target is Hetzner.")
    agent = saying("Bonjour.")
    await ada.run(agent, "Translate good morning to French", learn="off")
    assert told(agent) == "Be brief."


async def test_a_plain_runner_call_with_the_run_config_recalls_and_learn_takes_its_result(ada: UserMemory) -> None:
    session = SQLiteSession("s")
    agent = saying("Noted.", "Hetzner.")
    result = await Runner.run(agent, "My deploy target is Hetzner.", session=session, run_config=ada.run_config())
    learned = await ada.learn(session, result=result)
    assert [fact.text for fact in learned.written] == ["My deploy target is Hetzner."]
    assert (await ada.learn(session, result=result)).messages == 0
    await Runner.run(agent, QUESTION, session=SQLiteSession("t"), run_config=ada.run_config())
    assert "Hetzner" in told(agent)


def test_run_sync_uses_another_loop_and_recalls_all_the_same(tmp_path: Path) -> None:
    agent = saying("Hetzner.")

    async def scenario() -> None:
        async with SemanticMemory.open(tmp_path / "memory", embedding=HashEmbeddingModel()) as memory:
            ada = memory.user("ada")
            await ada.remember("My deploy target is Hetzner.")
            await asyncio.to_thread(run_sync, agent, ada.run_config())

    asyncio.run(scenario())
    assert "Hetzner" in told(agent)


def run_sync(agent: Agent[Any], config: RunConfig) -> None:
    """As a program without an event loop would; the loop that the SDK makes for this thread is closed."""
    Runner.run_sync(agent, QUESTION, run_config=config)
    asyncio.get_event_loop_policy().get_event_loop().close()


async def test_a_streamed_run_recalls_before_and_learns_after(ada: UserMemory) -> None:
    session = SQLiteSession("s")
    result = ada.run_streamed(saying("Noted."), "My deploy target is Hetzner.", session=session)
    async for _ in result.stream_events():
        pass
    await asyncio.sleep(0.5)
    assert [fact.text for fact in await ada.facts()] == ["My deploy target is Hetzner."]


async def test_a_run_with_tool_calls_recalls_once_and_keeps_the_block(ada: UserMemory) -> None:
    await ada.remember("My deploy target is Hetzner.")

    @function_tool
    async def look() -> str:
        await ada.remember("My deploy target has a firewall.")
        return "done"

    script = ScriptedModel([[function_call("look", {}, call_id="c")], [assistant_message("Hetzner.")]])
    agent = Agent(name="helper", instructions="Be brief.", model=script, tools=[look])
    await ada.run(agent, QUESTION, learn="off")
    assert told(agent, 0) == told(agent, 1) != "Be brief."
    assert len(await ada.receipts()) == 1


async def test_both_agents_of_a_handoff_are_told_the_same(ada: UserMemory) -> None:
    await ada.remember("My deploy target is Hetzner.")
    second = Agent(name="second", instructions="Second.", model=ScriptedModel([[assistant_message("Hetzner.")]]))
    script = ScriptedModel([[function_call("transfer_to_second", {}, call_id="h")]])
    first = Agent(name="first", instructions="First.", model=script, handoffs=[second])
    await ada.run(first, QUESTION, learn="off")
    assert told(first).removeprefix("First.") == told(second).removeprefix("Second.") != ""
    assert len(await ada.receipts()) == 1


async def test_an_agent_used_as_a_tool_gets_the_block_of_the_run_it_works_for(ada: UserMemory) -> None:
    await ada.remember("My deploy target is Hetzner.")
    await ada.remember("The cat of the family is called Miso.")
    inner = Agent(name="inner", instructions="Inner.", model=ScriptedModel([[assistant_message("ok")]]))
    script = ScriptedModel(
        [[function_call("ask", {"input": "what is the cat called?"}, call_id="c")], [assistant_message("Hetzner.")]]
    )
    outer = Agent(name="outer", instructions="Outer.", model=script, tools=[inner.as_tool("ask", "asks")])
    for config in (ada.run_config(), RunConfig(call_model_input_filter=ada.recall_hook())):
        inner.model = ScriptedModel([[assistant_message("ok")]])
        outer.model = ScriptedModel(list(script._steps))
        await Runner.run(outer, QUESTION, run_config=config)
        assert told(inner).removeprefix("Inner.") == told(outer).removeprefix("Outer.")
        assert "Miso" not in told(inner)


async def test_the_users_own_filter_runs_first_and_is_kept(ada: UserMemory) -> None:
    await ada.remember("My deploy target is Hetzner.")
    seen: list[str | None] = []

    def own(data: CallModelData[Any]) -> ModelInputData:
        seen.append(data.model_data.instructions)
        return ModelInputData(input=data.model_data.input, instructions="Mine.")

    agent = saying("Hetzner.")
    config = ada.run_config(RunConfig(call_model_input_filter=own, workflow_name="kept"))
    await Runner.run(agent, QUESTION, run_config=config)
    assert seen == ["Be brief."]
    assert told(agent).startswith("Mine.")
    assert "Hetzner" in told(agent)
    assert config.workflow_name == "kept"


async def test_a_run_that_raises_raises_as_it_did_and_its_words_are_learned_later(ada: UserMemory) -> None:
    session = SQLiteSession("s")
    agent = Agent(name="helper", model=ScriptedModel([RuntimeError("model down")]))
    with pytest.raises(RuntimeError, match="model down"):
        await ada.run(agent, "My deploy target is Hetzner.", session=session, learn="wait")
    learned = await ada.learn(session)
    assert [fact.text for fact in learned.written] == ["My deploy target is Hetzner."]


async def test_a_way_of_learning_that_is_none_is_refused_before_the_run(ada: UserMemory) -> None:
    agent = saying("Noted.")
    with pytest.raises(InvalidInput, match="learn is background, wait or off, not 'bogus'"):
        await ada.run(agent, QUESTION, learn="bogus")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="not 'later'"):
        ada.run_streamed(agent, QUESTION, learn="later")  # type: ignore[arg-type]
    assert isinstance(agent.model, ScriptedModel)
    assert not agent.model.calls


async def test_an_interrupted_run_is_recalled_once_and_learned_once_when_it_is_resumed(ada: UserMemory) -> None:
    await ada.remember("My deploy target is Hetzner.")

    @function_tool(needs_approval=True)
    def deploy() -> str:
        return "deployed"

    script = ScriptedModel([[function_call("deploy", {}, call_id="c")], [assistant_message("Done.")]])
    agent = Agent(name="helper", instructions="Be brief.", model=script, tools=[deploy])
    session = SQLiteSession("s")
    said = [{"role": "user", "content": text} for text in ("I moved to Lisbon last week.", QUESTION)]
    paused = await ada.run(agent, said, session=session, learn="wait")
    assert paused.interruptions
    state = paused.to_state()
    state.approve(paused.interruptions[0])
    await ada.run(agent, state, session=session, learn="wait")
    assert told(agent, 0) == told(agent, 1) != "Be brief."
    assert len(await ada.receipts()) == 1
    texts = [fact.text for fact in await ada.facts()]
    assert len(texts) == len(set(texts)) == 2


async def test_many_users_share_one_configuration_by_their_context(memory: SemanticMemory) -> None:
    await memory.user("ada").remember("My deploy target is Hetzner.")
    await memory.user("bob").remember("My deploy target is Fly.")
    config = memory.run_config(user=lambda context: context["user"])
    for user, target, other in (("ada", "Hetzner", "Fly"), ("bob", "Fly", "Hetzner")):
        agent = saying("ok")
        await Runner.run(agent, QUESTION, run_config=config, context={"user": user})
        assert target in told(agent)
        assert other not in told(agent)


async def test_dynamic_instructions_carry_the_same_block(ada: UserMemory) -> None:
    await ada.remember("My deploy target is Hetzner.")
    agent = saying("Hetzner.")
    agent.instructions = ada.instructions("Reply concisely.")
    await Runner.run(agent, QUESTION)
    assert told(agent).startswith("Reply concisely.")
    assert "Hetzner" in told(agent)


async def test_a_plain_run_names_its_session_on_the_receipt_where_it_is_told(ada: UserMemory) -> None:
    await ada.remember("My deploy target is Hetzner.")
    session = SQLiteSession("acme-billing")
    recalling = Agent(
        name="helper",
        model=ScriptedModel([[function_call("recall", {"query": QUESTION}, call_id="c")], [assistant_message("ok")]]),
        tools=ada.tools(),
    )
    await Runner.run(recalling, QUESTION, session=session, run_config=ada.run_config(session=session))
    agent = saying("ok")
    agent.instructions = ada.instructions("Reply concisely.", session="acme-onboarding")
    await Runner.run(agent, QUESTION)
    seen = [(receipt.source, receipt.session_id) for receipt in await ada.receipts()]
    assert sorted(seen) == [("hook", "acme-billing"), ("hook", "acme-onboarding"), ("tool", "acme-billing")]


async def test_the_block_can_stand_before_the_question_instead(ada: UserMemory) -> None:
    await ada.remember("My deploy target is Hetzner.")
    agent = saying("Hetzner.")
    await Runner.run(agent, QUESTION, run_config=RunConfig(call_model_input_filter=ada.recall_hook(placement="input")))
    assert isinstance(agent.model, ScriptedModel)
    assert told(agent) == "Be brief."
    roles = [item["role"] for item in agent.model.calls[0].input]
    assert roles == ["developer", "user"]
