"""What the server answers, traces and logs when something fails that nobody expected."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from semantic_memory.errors import LedgerFailed
from semantic_memory.frontends.http_api import serve
from semantic_memory.frontends.http_api.logs import JsonLines
from semantic_memory.frontends.http_api.telemetry import Telemetry
from semantic_memory.settings import ServerSettings, Settings
from semantic_memory.user import UserMemory
from tests.http_server import Served, served

ADA = "/v1/users/ada"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
async def server(tmp_path: Path, spans: InMemorySpanExporter) -> AsyncIterator[Served]:
    traces = TracerProvider()
    traces.add_span_processor(SimpleSpanProcessor(spans))
    async with served(tmp_path / "memory", app={"telemetry": Telemetry(traces=traces)}) as running:
        yield running


async def broken(*_: Any, **__: Any) -> Any:
    try:
        raise KeyError("the canary is yellow")
    except KeyError as error:
        raise RuntimeError("the canary is blue") from error


async def test_an_unexpected_error_is_a_problem_like_any_other_and_tells_nobody_its_words(
    server: Served, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(UserMemory, "facts", broken)
    async with server.client() as program:
        with caplog.at_level(logging.INFO):
            answer = await program.get(f"{ADA}/facts", headers={"X-Request-ID": "abc-1"})
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["type"] == "urn:semantic-memory:problem:Unexpected"
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "abc-1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]

    [span] = [one for one in spans.get_finished_spans() if one.name == "GET /v1/users/{user_id}/facts"]
    assert (span.attributes or {})["error.type"] == "RuntimeError"
    assert (span.attributes or {})["http.response.status_code"] == 500
    logged = [JsonLines().format(record) for record in caplog.records]
    [failed] = [json.loads(one) for one in logged if "unexpected error" in one]
    assert failed["error"] == "RuntimeError from KeyError"
    assert failed["where"][-1].startswith("broken (")
    assert "canary" not in answer.text + span.to_json() + "".join(logged)


def assert_problem(answer: httpx.Response, status: int, name: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    document = answer.json()
    assert (document["status"], document["type"]) == (status, f"urn:semantic-memory:problem:{name}")
    assert document["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", [f"{ADA}/recall", f"{ADA}/import", "/mcp"])
async def test_what_is_too_long_is_a_problem_that_says_the_limit(tmp_path: Path, path: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 100

    limits = ServerSettings(max_body=2000)
    async with served(tmp_path / "memory", server=limits) as server, server.client(user="ada") as ada:
        for body in (b"x" * 3000, chunks()):  # of a length that is told, and of one that isn't
            answer = await ada.post(path, content=body)
            assert_problem(answer, 413, "ContentTooLarge")
            assert "2000 bytes" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/users", "/mcp"])
async def test_refusals_are_problems_on_every_route(tmp_path: Path, path: str) -> None:
    limits = ServerSettings(rate="3/minute")
    async with served(tmp_path / "memory", server=limits) as server:
        async with server.client("write") as writer:
            assert_problem(await writer.request("GET" if path != "/mcp" else "POST", path), 403, "Forbidden")
            for _ in range(3):
                answer = await writer.get(path)
            assert_problem(answer, 429, "TooManyRequests")
            assert "3 per 1 minute" in answer.json()["detail"]
        async with httpx.AsyncClient(base_url=server.url) as anybody:
            assert_problem(await anybody.get(path), 401, "Unauthorized")


async def test_an_error_in_the_middle_of_an_answer_cuts_it_off(
    server: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Half an export must not look like a whole one."""

    def unreadable(_: Any) -> str:
        raise RuntimeError("the canary is blue")

    await server.memory.user("ada").remember("Likes tea")
    monkeypatch.setattr("semantic_memory.frontends.http_api.people.to_line", unreadable)
    async with server.client() as program:
        with caplog.at_level(logging.INFO), pytest.raises(Exception, match="closed connection"):
            await program.get(f"{ADA}/export")
    [line] = [record for record in caplog.records if getattr(record, "route", "").endswith("/export")]
    assert line.__dict__["status"] == 500
    assert "canary" not in "".join(JsonLines().format(record) for record in caplog.records)


async def test_what_keeps_a_server_from_starting_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that can't be opened is not a port that is taken."""
    monkeypatch.setattr(serve, "_log_as_json", lambda: None)
    (tmp_path / "memory").write_text("a file, not a folder")
    with pytest.raises(LedgerFailed, match="folder can't be made"):
        await serve.serve(Settings(path=tmp_path / "memory"), ServerSettings(port=0))


def test_an_error_that_a_message_quotes_is_told_by_its_kind() -> None:
    error = LedgerFailed("the canary is yellow")
    record = logging.LogRecord("a", logging.WARNING, "", 1, "%d facts wait: %s", (3, error), None)
    assert json.loads(JsonLines().format(record))["message"] == "3 facts wait: LedgerFailed"
