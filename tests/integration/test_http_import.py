"""Lines that nobody should post: each is refused as what it is, and the memory stays as it was."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http_server import served

BOB = "/v1/users/bob"
LINE: dict[str, Any] = {
    "fact": {
        "id": "f1",
        "user_id": "bob",
        "text": "Likes tea",
        "origin": "user",
        "status": "active",
        "said_at": "2026-03-01T00:00:00Z",
        "recorded_at": "2026-03-01T00:00:00Z",
    },
    "evidence": [
        {"id": "e1", "fact_id": "f1", "origin": "user", "quote": "tea", "recorded_at": "2026-03-01T00:00:00Z"}
    ],
    "history": [
        {
            "revision": 1,
            "fact_id": "f1",
            "before": None,
            "after": "active",
            "reason": None,
            "at": "2026-03-01T00:00:00Z",
        }
    ],
}


def line(part: str = "", **changed: Any) -> str:
    """An export's line, with something else in one of its parts."""
    whole = json.loads(json.dumps(LINE))
    if part == "fact":
        whole["fact"] |= changed
    elif part:
        whole[part][0] |= changed
    return json.dumps(whole | ({} if part else changed))


def short(**more: Any) -> str:
    return json.dumps({"user_id": "bob", "text": "Likes tea"} | more)


HOSTILE = {
    "nested": "[" * 100_000,
    "nested in an object": '{"a":' * 100_000,
    "a number": "1",
    "nothing": "null",
    "no text": '{"user_id": "bob"}',
    "not a number": '{"user_id": "bob", "text": NaN}',
    "a long number": '{"user_id": "bob", "text": ' + "9" * 5000 + "}",
    "an endless number": short(said_at=float("inf")),
    "a user that is none": short(user_id=["bob"]),
    "a long key": short(**{"x" * 100_000: 1}),
    "the end of the calendar": short(said_at="9999-12-31T23:59:59-14:00"),
    "its beginning": short(valid_to="0001-01-01T00:00:00+14:00"),
    "half a pair": short(text="\ud800"),
    "half a pair in the user": short(user_id="\ud800"),
    "half a pair in a label": short(labels=["\udfff"]),
    "labels that are none": short(labels={"a": 1}),
    "NUL": short(subject="a\0b"),
    "a long subject": short(subject="x" * 501),
    "evidence that is a number": line(evidence=5),
    "evidence that is an object": line(evidence={}),
    "evidence that is nothing": line(evidence=None),
    "history that is a text": line(history="x"),
    "evidence of numbers": line(evidence=[1]),
    "a large position": line("fact", position=2**70),
    "a larger one than PostgreSQL knows": line("fact", position=2**40),
    "a negative count": line("fact", evidence_count=-1),
    "a large revision": line("history", revision=2**70),
    "a long id": line("fact", id="x" * 100_000),
    "a long id of evidence": line("evidence", id="x" * 33),
    "a long digest": line("evidence", digest="x" * 65),
    "a long session": line("evidence", session_id="x" * 70_000),
    "a moment of evidence": line("evidence", said_at="9999-12-31T23:59:59-14:00"),
    "a moment of history": line("history", at="0001-01-01T00:00:00+14:00"),
    "half a pair in a reason": line("history", reason="\ud800"),
    "half a pair in a quote": line("evidence", quote="\ud800"),
    "half a pair in a key": '{"\\ud800": 1}',
}


@pytest.fixture
async def program(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with served(tmp_path / "memory") as server, server.client() as client:
        client.timeout = httpx.Timeout(60)
        yield client


async def kept(program: httpx.AsyncClient) -> list[str]:
    """What every way to read says, each of which an unreadable row would break."""
    for path in ("export", "map", "timeline"):
        assert (await program.get(f"{BOB}/{path}")).status_code == 200
    assert (await program.post(f"{BOB}/recall", json={"query": "beer"})).status_code == 200
    assert (await program.get("/v1/health")).status_code == 200
    return [one["text"] for one in (await program.get(f"{BOB}/facts", params={"any_status": True})).json()]


async def test_a_line_that_can_not_be_kept_is_named_and_leaves_the_memory_readable(program: httpx.AsyncClient) -> None:
    await program.post(f"{BOB}/facts", json={"statements": [{"text": "Likes beer"}]})
    for name, hostile in HOSTILE.items():
        answer = await program.post(f"{BOB}/import", content=f"\n{hostile}\n".encode())
        said = answer.json()
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), name
        assert said["detail"].startswith("line 2: "), name
        assert len(answer.content) < 2000, name
    assert await kept(program) == ["Likes beer"]


async def test_the_line_that_all_of_them_are_made_of_is_taken(program: httpx.AsyncClient) -> None:
    assert (await program.post(f"{BOB}/import", content=line())).status_code == 200
    assert await kept(program) == ["Likes tea"]


async def test_evidence_of_two_facts_is_refused_in_a_file_and_against_what_is_known(program: httpx.AsyncClient) -> None:
    other = line().replace('"f1"', '"f2"')
    both = await program.post(f"{BOB}/import", content=f"{line()}\n{other}\n")
    assert both.status_code == 422
    assert both.json()["detail"] == "line 2: evidence e1 is that of another fact too"
    assert (await program.post(f"{BOB}/import", content=f"{line()}\n{line()}\n")).status_code == 200, "a line twice"
    known = await program.post(f"{BOB}/import", content=other)
    assert known.status_code == 422
    assert known.json()["detail"] == "fact f2 has evidence e1, an id that other evidence has"
    assert await kept(program) == ["Likes tea"]
