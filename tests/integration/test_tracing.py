"""Recall and learn are custom spans of the run's own trace, and tell nothing that a user said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agents import Agent, Runner, SQLiteSession, set_trace_processors, set_tracing_disabled, trace
from agents.testing import ScriptedModel, assistant_message
from agents.tracing import Span, Trace, TracingProcessor

from semantic_memory import SemanticMemory
from semantic_memory.testing import HashEmbeddingModel


class Collector(TracingProcessor):
    def __init__(self) -> None:
        self.spans: list[Span[Any]] = []

    def on_trace_start(self, trace: Trace) -> None: ...

    def on_trace_end(self, trace: Trace) -> None: ...

    def on_span_start(self, span: Span[Any]) -> None: ...

    def on_span_end(self, span: Span[Any]) -> None:
        self.spans.append(span)

    def shutdown(self) -> None: ...

    def force_flush(self) -> None: ...

    def named(self, name: str) -> list[Span[Any]]:
        return [span for span in self.spans if getattr(span.span_data, "name", None) == name]


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    set_tracing_disabled(False)
    set_trace_processors([collector])
    yield collector
    set_trace_processors([])
    set_tracing_disabled(True)


def agent() -> Agent[Any]:
    return Agent(name="helper", model=ScriptedModel([[assistant_message("Noted.")]]))


async def test_run_puts_recall_and_learn_into_one_trace(tmp_path: Path, collector: Collector) -> None:
    async with SemanticMemory.open(tmp_path, embedding=HashEmbeddingModel()) as memory:
        ada = memory.user("ada")
        await ada.run(agent(), "My deploy target is Hetzner.", session=SQLiteSession("s"), learn="wait")
        (receipt,) = await ada.receipts()
        (evidence,) = (await ada.explain((await ada.facts())[0].id)).evidence
    (recall,), (learn,) = collector.named("memory.recall"), collector.named("memory.learn")
    generations = {span.trace_id for span in collector.spans}
    assert generations == {recall.trace_id} == {learn.trace_id} == {receipt.trace_id} == {evidence.trace_id}
    assert receipt.run_id == evidence.run_id is not None
    assert learn.span_data.export()["data"] == {"messages": 2, "facts": 1}
    assert "Hetzner" not in json.dumps([recall.span_data.export(), learn.span_data.export()])


async def test_a_plain_runner_call_and_learn_share_the_trace_around_them(tmp_path: Path, collector: Collector) -> None:
    async with SemanticMemory.open(tmp_path, embedding=HashEmbeddingModel()) as memory:
        ada, session = memory.user("ada"), SQLiteSession("s")
        with trace("turn"):
            result = await Runner.run(
                agent(), "My deploy target is Hetzner.", session=session, run_config=ada.run_config()
            )
            await ada.learn(session, result=result)
    (recall,), (learn,) = collector.named("memory.recall"), collector.named("memory.learn")
    assert recall.trace_id == learn.trace_id
