"""Bob has a key for his own memory, and asks about alice's in every way that there is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http_server import Served, served


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path / "memory") as running:
        yield running


def routes(server: Served) -> list[tuple[str, str]]:
    return [(method.upper(), path) for path, known in server.app.openapi()["paths"].items() for method in known]


@dataclass(frozen=True)
class Secrets:
    """What is alice's: the facts are a better match for whatever bob asks than his own."""

    fact_id: str
    receipt_id: str
    line: str  # of an export

    @property
    def named(self) -> dict[str, str]:
        return {"fact_id": self.fact_id, "receipt_id": self.receipt_id}


MADE_UP = Secrets(fact_id="zzzzzzzzzzzz", receipt_id="zzzzzzzzzzzz", line="")


@pytest.fixture
async def alices(server: Served) -> Secrets:
    async with server.client() as program:
        source = {"session_id": "s", "run_id": "run-1", "agent": "Helper"}
        body = {"statements": [{"text": "Alice and Bob like green tea"}], "source": source}
        [fact] = (await program.post("/v1/users/alice/facts", json=body)).json()
        asked = {"query": "Alice and Bob like green tea", "run_id": "run-1"}
        recall = (await program.post("/v1/users/alice/recall", json=asked)).json()
        line = (await program.get("/v1/users/alice/export")).text
        await program.post("/v1/users/bob/facts", json={"statements": [{"text": "Bob likes beer"}]})
    return Secrets(fact["id"], recall["receipt_id"], line)


async def both(client: httpx.AsyncClient, path: str, name: str, theirs: str) -> tuple[Any, Any]:
    """The answers to a question with something of alice's in it, and with something that never was."""
    answers = [await client.get(path, params={name: one}) for one in (theirs, "zzzzzzzzzzzz")]
    first, second = ((answer.status_code, said(answer)) for answer in answers)
    return first, second


def said(answer: httpx.Response) -> Any:
    document = answer.json()
    if not isinstance(document, dict):
        return document
    return {key: value for key, value in document.items() if key != "request_id"}


async def test_bob_sees_nothing_of_alice_on_any_route(server: Served, alices: Secrets) -> None:
    """Whatever bob asks with his key about alice, the answer is the one for a user who doesn't exist."""
    named = alices.named
    ours = [one for one in routes(server) if "{user_id}" in one[1]]
    assert len(ours) >= 15
    async with server.client(user="bob") as bob:
        bob.headers["content-type"] = "application/json"
        for method, path in ours:
            foreign = await bob.request(method, path.format(user_id="alice", **named), content="{}")
            unknown = await bob.request(method, path.format(user_id="nobody", **named), content="{}")
            assert (foreign.status_code, said(foreign)) == (404, said(unknown)), path
        for method, path in [one for one in ours if "{fact_id}" in one[1] or "{receipt_id}" in one[1]]:
            quoted = json.dumps({"text": "x", "quote": "x", "said": "x"})
            for content in (quoted, json.dumps({"text": "x"}), json.dumps({"query": "x"}), "{}"):
                foreign = await bob.request(method, path.format(user_id="bob", **named), content=content)
                unknown = await bob.request(method, path.format(user_id="bob", **MADE_UP.named), content=content)
                assert (foreign.status_code, said(foreign)) == (unknown.status_code, said(unknown)), path
                if foreign.status_code == 404:
                    break
            assert foreign.status_code == 404, path
        for path in ("/v1/users", "/v1/health"):
            assert (await bob.get(path)).status_code == 404
    assert [one.text for one in await server.memory.user("alice").facts()] == ["Alice and Bob like green tea"]


async def test_bob_finds_nothing_of_alice_by_ids_in_queries_and_bodies(server: Served, alices: Secrets) -> None:
    """A receipt, a run, a target: one of alice's is answered like one that never was."""
    async with server.client(user="bob") as bob:
        for path, name, theirs in (
            ("shown", "receipt_id", alices.receipt_id),
            ("shown", "run_id", "run-1"),
            ("receipts", "fact_id", alices.fact_id),
            ("receipts", "run_id", "run-1"),
            ("receipts", "session_id", "s"),
            ("facts", "session_id", "s"),
            ("facts", "run_id", "run-1"),
            ("facts", "agent", "Helper"),
            ("facts", "text", "green"),
            ("timeline", "about", "green tea"),
        ):
            foreign, unknown = await both(bob, f"/v1/users/bob/{path}", name, theirs)
            assert foreign == unknown, (path, name)
            assert foreign[1] == [] or foreign[0] == 404, (path, name)
        for operation in ("same", "replaces"):
            statement = {"text": "Bob likes wine", "operation": operation}
            bodies = [{"statements": [statement | {"target": one}]} for one in (alices.fact_id, "zzzzzzzzzzzz")]
            kept = [(await bob.post("/v1/users/bob/facts", json=body)).json()[0] for body in bodies]
            assert {one["supersedes"] for one in kept} == {None}
    assert (await server.memory.user("alice").fact(alices.fact_id)).status == "active"


async def test_bob_imports_nothing_over_alices_facts(server: Served, alices: Secrets) -> None:
    """Her lines are refused; his own lines may have her ids, which say nothing of hers."""
    mine = alices.line.replace('"alice"', '"bob"').replace("Alice and Bob like green tea", "Bob likes milk")
    async with server.client(user="bob") as bob:
        assert (await bob.post("/v1/users/bob/import", content=alices.line)).status_code == 422
        taken = await bob.post("/v1/users/bob/import", content=mine)
        other = await bob.post("/v1/users/bob/import", content=mine.replace(alices.fact_id, "zzzzzzzzzzz1"))
        assert (taken.status_code, taken.json()["written"][0]["text"]) == (200, "Bob likes milk")
        assert other.status_code == 422, "now it is evidence of another fact of his"
    async with server.client() as program:
        fact = (await program.get(f"/v1/users/alice/facts/{alices.fact_id}")).json()
    assert fact["text"] == "Alice and Bob like green tea"


async def test_bob_is_told_his_own_facts_where_alices_are_the_better_match(server: Served, alices: Secrets) -> None:
    async with server.client(user="bob") as bob:
        asked = {"query": "Does Bob like green tea?", "min_relevance": 0, "limit": 50}
        recall = (await bob.post("/v1/users/bob/recall", json=asked)).json()
        assert [one["fact"]["text"] for one in recall["facts"]] == ["Bob likes beer"]
        assert recall["near"] == []
        assert alices.fact_id not in json.dumps(recall)
        assert len((await bob.get("/v1/users/bob/map")).json()) == 1
        assert "green" not in (await bob.get("/v1/users/bob/export")).text
