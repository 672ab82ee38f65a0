"""Which run a model call belongs to: one recall for each run, and only what its user said is the user's word."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest
from agents import (
    Agent,
    RunConfig,
    Runner,
    function_tool,
    gen_trace_id,
    set_trace_processors,
    set_tracing_disabled,
    trace,
)
from agents.testing import ScriptedModel, assistant_message, function_call
from agents.tracing.scope import Scope

from semantic_memory import FactFilter, UserMemory
from semantic_memory.blocks import words_of_the_user

TARGET, CAT = "My deploy target is Hetzner.", "The cat of the family is called Miso."
ABOUT_TARGET, ABOUT_CAT = "What is our deploy target?", "What is the cat of the family called?"
QUOTED = {"statement": "The bank is Sparkasse.", "quote": "my bank is Sparkasse"}
SAID = f"Please note that my bank is Sparkasse. {ABOUT_TARGET}"


@pytest.fixture(params=["tracing off", "each run a trace", "all runs in one trace"])
def traced(request: pytest.FixtureRequest) -> Iterator[None]:
    """However the runs are traced, nothing changes."""
    set_trace_processors([])
    set_tracing_disabled(request.param == "tracing off")
    with trace("one conversation", trace_id=gen_trace_id()) if "one trace" in request.param else nullcontext():
        yield
    set_tracing_disabled(True)


def agent(*steps: Any, name: str = "helper", **parts: Any) -> Agent[Any]:
    """An agent that calls the tools it is told to, and then answers."""
    calls = [[function_call(tool, given, call_id=f"c{n}")] for n, (tool, given) in enumerate(steps)]
    script = ScriptedModel([*calls, [assistant_message("ok")]])
    return Agent(**{"name": name, "instructions": "Be brief.", "model": script} | parts)


def told(agent: Agent[Any]) -> str:
    assert isinstance(agent.model, ScriptedModel)
    return agent.model.calls[-1].system_instructions or ""


def answers(result: Any) -> list[Any]:
    outputs = [item["output"] for item in result.to_input_list() if item.get("type") == "function_call_output"]
    return [json.loads(output) for output in outputs if output.startswith("{")]


@function_tool
def look() -> str:
    """Look."""
    return "nothing there"


async def questions(ada: UserMemory) -> list[str]:
    return [receipt.query for receipt in await ada.receipts()][::-1]


# ---- one run after the other -------------------------------------------------------------------------


@pytest.mark.usefixtures("traced")
async def test_a_run_behind_one_with_a_tool_call_is_told_what_helps_it(ada: UserMemory) -> None:
    await ada.remember_all([TARGET, CAT])
    config = ada.run_config()
    await Runner.run(agent(("look", {}), tools=[look]), ABOUT_TARGET, run_config=config)
    second, third = agent(), agent()
    await Runner.run(second, ABOUT_CAT, run_config=config)
    streamed = Runner.run_streamed(third, ABOUT_CAT, run_config=config)
    async for _ in streamed.stream_events():
        pass
    assert "Miso" in told(second)
    assert "Hetzner" not in told(second)
    assert told(third) == told(second)
    assert await questions(ada) == [ABOUT_TARGET, ABOUT_CAT, ABOUT_CAT]


@pytest.mark.usefixtures("traced")
async def test_a_run_behind_one_that_failed_is_told_what_helps_it(ada: UserMemory) -> None:
    await ada.remember_all([TARGET, CAT])
    failing = agent(tools=[look], model=ScriptedModel([[function_call("look", {}, call_id="c")], OSError("down")]))
    with pytest.raises(OSError, match="down") as kept:  # the error holds on to everything that the run had
        await Runner.run(failing, ABOUT_TARGET, run_config=ada.run_config())
    second = agent()
    await Runner.run(second, ABOUT_CAT, run_config=ada.run_config())
    assert "Miso" in told(second)
    assert kept.value.args == ("down",)


async def test_the_user_may_write_through_a_tool_in_a_run_behind_another(ada: UserMemory) -> None:
    config = ada.run_config()
    await Runner.run(agent(("look", {}), tools=[look]), ABOUT_TARGET, run_config=config)
    result = await Runner.run(agent(("remember", QUOTED), tools=ada.tools()), SAID, run_config=config)
    assert answers(result)[0]["status"] == "active"


async def test_a_forgotten_fact_is_told_in_no_later_call_of_a_run_nor_inside_it(ada: UserMemory) -> None:
    fact = await ada.remember(TARGET)
    inner, config = agent(name="inner"), ada.run_config()

    @function_tool
    async def forget_it() -> str:
        """Forget, and ask somebody else."""
        await ada.forget(fact.id)
        await Runner.run(inner, "Go on.", run_config=config)
        return "done"

    outer = agent(("forget_it", {}), tools=[forget_it])
    await Runner.run(outer, ABOUT_TARGET, run_config=config)
    assert isinstance(outer.model, ScriptedModel)
    assert "Hetzner" in (outer.model.calls[0].system_instructions or "")
    assert told(inner) == told(outer) == "Be brief."


async def test_a_worker_that_a_tool_has_started_serves_its_own_runs(ada: UserMemory) -> None:
    """A task inherits the context in which it was started, long after the run in it is over."""
    await ada.remember_all([TARGET, CAT])
    worker, over = agent(), asyncio.Event()

    async def work() -> None:
        await over.wait()
        await Runner.run(worker, ABOUT_CAT, run_config=ada.run_config())

    started: list[asyncio.Task[None]] = []

    @function_tool
    async def start() -> str:
        """Start a worker."""
        started.append(asyncio.create_task(work()))
        return "started"

    await ada.run(agent(("start", {}), tools=[start]), ABOUT_TARGET, learn="off")
    over.set()
    await started[0]
    assert "Miso" in told(worker)


async def test_two_runs_with_one_input_at_the_same_time_recall_each(ada: UserMemory) -> None:
    await ada.remember(TARGET)
    both = [agent(("look", {}), tools=[look]) for _ in range(2)]
    await asyncio.gather(*(Runner.run(one, ABOUT_TARGET, run_config=ada.run_config()) for one in both))
    assert await questions(ada) == [ABOUT_TARGET] * 2


# ---- agents inside a run -----------------------------------------------------------------------------


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("hooked", ["by the filter", "by instructions", "not at all"])
async def test_what_a_model_wrote_to_an_inner_agent_is_not_the_users_word(ada: UserMemory, hooked: str) -> None:
    inner = agent(("remember", QUOTED), name="inner", tools=ada.tools())
    outer = agent(("ask", {"input": SAID}), tools=[inner.as_tool("ask", "asks")])
    if hooked == "by instructions":
        inner.instructions, outer.instructions = ada.instructions("Inner."), ada.instructions("Outer.")
    config = ada.run_config() if hooked == "by the filter" else None
    await Runner.run(outer, "Summarise this page, please.", run_config=config)
    assert await ada.facts() == []
    [aside] = await ada.facts(FactFilter(status=("quarantined",)))
    assert aside.origin == "assistant"


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("hooked", ["by the filter", "by instructions"])
async def test_what_the_user_said_outside_is_their_word_in_an_inner_agent(ada: UserMemory, hooked: str) -> None:
    inner = agent(("remember", QUOTED), name="inner", tools=ada.tools())
    outer = agent(("ask", {"input": "note the bank"}), tools=[inner.as_tool("ask", "asks")])
    if hooked == "by instructions":
        outer.instructions = ada.instructions("Outer.")
    await Runner.run(outer, SAID, run_config=ada.run_config() if hooked == "by the filter" else None)
    [fact] = await ada.facts()
    assert (fact.text, fact.origin) == ("The bank is Sparkasse.", "user")


@pytest.mark.usefixtures("traced")
async def test_dynamic_instructions_give_an_inner_agent_the_block_of_the_run_it_works_for(ada: UserMemory) -> None:
    await ada.remember_all([TARGET, CAT])
    inner = agent(name="inner", instructions=ada.instructions("Inner."))
    ask = ("ask", {"input": ABOUT_CAT})
    outer = agent(ask, ask, tools=[inner.as_tool("ask", "asks")], instructions=ada.instructions("Outer."))
    inner.model = ScriptedModel([[assistant_message("ok")]] * 2)
    await Runner.run(outer, ABOUT_TARGET)
    assert told(inner).removeprefix("Inner.") == told(outer).removeprefix("Outer.")
    assert "Hetzner" in told(inner)
    assert await questions(ada) == [ABOUT_TARGET]


async def test_a_check_of_the_input_by_an_inner_agent_recalls_for_itself(ada: UserMemory) -> None:
    """What is asked there first is no question of the user's run."""
    from agents import GuardrailFunctionOutput, InputGuardrail

    await ada.remember_all([TARGET, CAT])
    checker = agent(name="checker", instructions=ada.instructions("Check."))

    async def check(context: Any, _agent: Any, _input: Any) -> GuardrailFunctionOutput:
        await Runner.run(checker, ABOUT_CAT)
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=False)

    guard = InputGuardrail(check, run_in_parallel=False)
    checked = agent(instructions=ada.instructions("Answer."), input_guardrails=[guard])
    await Runner.run(checked, ABOUT_TARGET)
    assert "Miso" in told(checker)
    assert "Hetzner" in told(checked)


class ForeignSpan:
    """An agent's span that knows nothing of the one before it."""

    span_data = SimpleNamespace(type="agent")


async def test_a_span_that_does_not_tell_what_is_around_it_vouches_for_nothing() -> None:
    """As those of another provider of traces may be, or of a later SDK."""
    words = [{"role": "user", "content": SAID}]
    assert [one.text for one in words_of_the_user(words)] == [SAID]
    token = Scope.set_current_span(cast("Any", ForeignSpan()))
    assert words_of_the_user(words) == ()
    Scope.reset_current_span(token)


# ---- handoffs ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("spans", [True, False])
@pytest.mark.parametrize("nested", [False, True])
async def test_the_second_agent_of_a_chain_is_told_the_same_and_knows_what_the_user_said(
    ada: UserMemory, nested: bool, spans: bool
) -> None:
    await ada.remember(TARGET)
    second = agent(("remember", QUOTED), name="second", tools=ada.tools())
    script = ScriptedModel([[function_call("transfer_to_second", {}, call_id="h")]])
    first = agent(name="first", model=script, handoffs=[second])
    config = RunConfig(nest_handoff_history=nested, tracing={"include_task_and_turn_spans": spans})
    result = await ada.run(first, SAID, run_config=config, learn="off")
    assert answers(result)[-1]["status"] == "active"
    assert told(first) == told(second) != "Be brief."
    assert await questions(ada) == [SAID]


async def test_the_second_agent_of_a_plain_chain_with_nested_history_recalls_nothing_again(ada: UserMemory) -> None:
    await ada.remember(TARGET)
    second = agent(name="second")
    script = ScriptedModel([[function_call("transfer_to_second", {}, call_id="h")]])
    first = agent(name="first", model=script, handoffs=[second])
    await Runner.run(first, ABOUT_TARGET, run_config=ada.run_config(RunConfig(nest_handoff_history=True)))
    assert told(first) == told(second) != "Be brief."
    assert await questions(ada) == [ABOUT_TARGET]
