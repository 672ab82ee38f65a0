"""What can be observed of the server: counts, times and routes, and never a word."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from semantic_memory.frontends.http_api.telemetry import Telemetry
from semantic_memory.testing import HashEmbeddingModel
from semantic_memory.user import UserMemory
from tests.http_server import Served, served

CANARY = "/v1/users/canary"
MCP = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


@dataclass(frozen=True)
class Seen:
    """What a server told."""

    spans: InMemorySpanExporter
    reader: InMemoryMetricReader

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """The points of a metric, each with its attributes."""
        told = self.reader.get_metrics_data()
        scopes = [scope for one in (told.resource_metrics if told else ()) for scope in one.scope_metrics]
        metrics = [metric for scope in scopes for metric in scope.metrics if metric.name == name]
        return [(dict(point.attributes or {}), point) for metric in metrics for point in metric.data.data_points]

    def total(self, name: str, what: str = "value", **wanted: Any) -> Any:
        """What the points with these attributes come to."""
        return sum(getattr(point, what) for found, point in self.points(name) if wanted.items() <= found.items())

    def span(self, name: str) -> ReadableSpan:
        return next(one for one in self.spans.get_finished_spans() if one.name == name)

    def everything(self) -> str:
        told = self.reader.get_metrics_data()
        return (told.to_json() if told else "") + "".join(one.to_json() for one in self.spans.get_finished_spans())


@pytest.fixture
def seen() -> Seen:
    return Seen(InMemorySpanExporter(), InMemoryMetricReader())


@pytest.fixture
async def server(tmp_path: Path, seen: Seen) -> AsyncIterator[Served]:
    traces = TracerProvider()
    traces.add_span_processor(SimpleSpanProcessor(seen.spans))
    telemetry = Telemetry(traces=traces, meters=MeterProvider([seen.reader]))
    async with served(tmp_path / "memory", app={"telemetry": telemetry}) as running:
        yield running


async def called(client: httpx.AsyncClient, tool: str, **arguments: str) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    answer = await client.post("/mcp", json=message, headers=MCP)
    assert answer.status_code == 200
    assert not answer.json()["result"].get("isError"), answer.text


async def test_every_way_to_write_is_counted_by_its_verb(server: Served, seen: Seen) -> None:
    async with server.client() as program:
        body = {"statements": [{"text": "The canary is yellow"}, {"text": "The canary sings"}]}
        first, second = (await program.post(f"{CANARY}/facts", json=body)).json()
        await program.post(f"{CANARY}/facts/quoted", json={"text": "The canary eats", "quote": "eats"})
        newer = (await program.post(f"{CANARY}/facts/{first['id']}/correct", json={"text": "The canary is red"})).json()
        await program.post(f"{CANARY}/facts/{first['id']}/reinstate", json={})
        await program.post(f"{CANARY}/import", content=json.dumps({"user_id": "canary", "text": "The canary flies"}))
        items = [{"role": "user", "content": "We deploy to the canary."}, {"role": "assistant", "content": "Noted."}]
        await program.post(f"{CANARY}/learn", json={"items": items, "session_id": "canary"})
    assert newer["id"] != second["id"]
    written = {found["by"]: point.value for found, point in seen.points("semantic_memory.facts.written")}
    assert written == {"remember": 2, "quoted": 1, "correct": 2, "import": 1, "learn": 1}, "reinstating corrects"
    assert seen.total("semantic_memory.learn.messages") == 2
    assert "canary" not in seen.everything()


async def test_recalls_are_measured_over_http_and_over_mcp(server: Served, seen: Seen) -> None:
    await server.memory.user("canary").remember("The canary is yellow")
    async with server.client(user="canary") as canary:
        parent = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        await canary.post(f"{CANARY}/recall", json={"query": "the yellow canary"}, headers=parent)
        await called(canary, "recall", query="the yellow canary")
        await called(canary, "remember", statement="The canary sings")
    assert seen.total("semantic_memory.recall.duration", "count") == 2
    assert seen.total("semantic_memory.recall.duration", "sum") > 0
    assert seen.total("semantic_memory.recall.facts", "sum") == 2
    assert seen.total("semantic_memory.facts.written", by="quoted") == 1
    assert (
        seen.total("http.server.request.duration", "count", **{"http.route": "/mcp", "http.response.status_code": 200})
        == 2
    )
    span = seen.span("POST /v1/users/{user_id}/recall")
    assert f"{span.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert seen.span("POST /mcp").attributes["http.route"] == "/mcp"  # type: ignore[index]
    assert "canary" not in seen.everything()


async def test_what_goes_wrong_is_counted(server: Served, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the canary is blue")

    await server.memory.user("canary").remember("The canary is yellow")
    async with server.client() as program:
        with monkeypatch.context() as without_model:
            without_model.setattr(HashEmbeddingModel, "embed_query", broken)
            await program.post(f"{CANARY}/recall", json={"query": "the yellow canary"})
        monkeypatch.setattr(UserMemory, "facts", broken)
        await program.get(f"{CANARY}/facts")
        await program.get(f"{CANARY}/facts/nothing")
    assert seen.total("semantic_memory.recall.degraded") == 1
    route = "/v1/users/{user_id}/facts"
    failed = {"http.route": route, "http.response.status_code": 500}
    assert seen.total("http.server.request.duration", "count", **failed) == 1
    assert not seen.span(f"GET {route}").status.is_ok
    missing = {"http.route": f"{route}/{{fact_id}}", "http.response.status_code": 404}
    assert seen.total("http.server.request.duration", "count", **missing) == 1
    assert "canary" not in seen.everything()


async def test_the_backlog_is_seen_while_it_is_there(
    server: Served, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on = asyncio.Event()

    async def slow(*_: Any, **__: Any) -> Any:
        await going_on.wait()

    monkeypatch.setattr("semantic_memory.running.learn_items", slow)
    async with server.client() as program:
        body = {"items": [{"role": "user", "content": "We deploy to the canary."}], "background": True}
        for _ in range(3):
            assert (await program.post(f"{CANARY}/learn", json=body)).status_code == 202
        assert seen.total("semantic_memory.learn.backlog") == 3
        going_on.set()
        await asyncio.sleep(0.2)
        assert seen.total("semantic_memory.learn.backlog") == 0
