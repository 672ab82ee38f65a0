"""The memory over HTTP: a real server on the loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from semantic_memory.settings import ServerSettings
from tests.http_server import Served, served

ADA = "/v1/users/ada"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path / "memory") as running:
        yield running


@pytest.fixture
async def program(server: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A caller with a key for everybody and everything."""
    async with server.client() as client:
        yield client


async def remembered(client: httpx.AsyncClient, *texts: str, user: str = "ada") -> list[dict[str, Any]]:
    body = {"statements": [{"text": text} for text in texts]}
    answer = await client.post(f"/v1/users/{user}/facts", json=body)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


async def test_the_life_of_a_fact(program: httpx.AsyncClient) -> None:
    old, other = await remembered(program, "The deploy target is Hetzner", "The cat is called Momo")
    recall = (await program.post(f"{ADA}/recall", json={"query": "the deploy target"})).json()
    assert recall["facts"][0]["fact"]["id"] == old["id"]
    assert old["text"] in recall["context"]

    body = {"text": "The deploy target is AWS", "reason": "moved in May"}
    new = (await program.post(f"{ADA}/facts/{old['id']}/correct", json=body)).json()
    assert new["supersedes"] == old["id"]
    why = (await program.get(f"{ADA}/facts/{old['id']}/explanation")).json()
    assert [one["id"] for one in why["chain"]] == [old["id"], new["id"]]
    assert [one["id"] for one in why["receipts"]] == [recall["receipt_id"]]

    receipt = (await program.get(f"{ADA}/receipts/{recall['receipt_id']}")).json()
    assert receipt["query"] == "the deploy target"
    assert receipt["source"] == "http"
    told = (await program.get(f"{ADA}/shown", params={"receipt_id": recall["receipt_id"]})).json()
    assert old["id"] in [one["fact"]["id"] for one in told]

    assert (await program.post(f"{ADA}/facts/{other['id']}/forget", json={"reason": "gone"})).status_code == 204
    assert (await program.get(f"{ADA}/facts/{other['id']}")).json()["text"] != other["text"]
    listed = (await program.get(f"{ADA}/facts", params={"any_status": True})).json()
    assert {one["status"] for one in listed} == {"active", "superseded", "forgotten"}
    assert [one["id"] for one in (await program.get(f"{ADA}/facts")).json()] == [new["id"]]
    [chain] = (await program.get(f"{ADA}/timeline", params={"about": "deploy"})).json()
    assert [one["fact"]["id"] for one in chain] == [old["id"], new["id"]]


async def test_facts_are_filtered_and_paged(program: httpx.AsyncClient) -> None:
    await remembered(program, *(f"Number {n} is a number" for n in range(5)))
    first = (await program.get(f"{ADA}/facts", params={"limit": 2})).json()
    rest = (await program.get(f"{ADA}/facts", params={"limit": 3, "offset": 2})).json()
    assert len({one["id"] for one in first + rest}) == 5
    assert len((await program.get(f"{ADA}/facts", params={"text": "NUMBER 3"})).json()) == 1
    assert (await program.get(f"{ADA}/facts", params={"kind": "preference"})).json() == []
    assert (await program.get(f"{ADA}/facts", params={"user_id": "bob"})).status_code == 422, (
        "unknown filters are refused"
    )


async def test_posted_messages_teach_once_and_are_taken_back(program: httpx.AsyncClient) -> None:
    items = [
        {"role": "user", "content": "We deploy to Hetzner."},
        {"role": "assistant", "content": "Noted."},
        {"role": "user", "content": "My dog is called Rex."},
    ]
    posted = {"session_id": "monday", "items": items, "agent": "Helper"}
    learned = (await program.post(f"{ADA}/learn", json=posted)).json()
    assert [one["text"] for one in learned["written"]] == ["We deploy to Hetzner.", "My dog is called Rex."]
    assert (await program.post(f"{ADA}/learn", json=posted)).json()["messages"] == 0
    late = await program.post(f"{ADA}/learn", json=posted | {"items": items[:2]})
    assert late.json()["retracted"] == [], "a late message takes nothing back"
    [evidence] = (await program.get(f"{ADA}/facts/{learned['written'][1]['id']}/explanation")).json()["evidence"]
    assert (evidence["session_id"], evidence["position"], evidence["agent"]) == ("monday", 2, "Helper")

    back = await program.post(f"{ADA}/rewind", json={"session_id": "monday", "items": items, "start": 2})
    assert back.json()["retracted"] == [learned["written"][1]["id"]]


async def test_learning_behind_the_answer_is_done_before_the_server_ends(tmp_path: Path) -> None:
    async with served(tmp_path / "memory") as server, server.client() as program:
        body = {"session_id": "s", "items": [{"role": "user", "content": "We deploy to Hetzner."}], "background": True}
        assert (await program.post(f"{ADA}/learn", json=body)).status_code == 202
    async with served(tmp_path / "memory") as server:
        assert [one.text for one in await server.memory.user("ada").facts()] == ["We deploy to Hetzner."]


async def test_export_import_and_erase(program: httpx.AsyncClient) -> None:
    await remembered(program, "Likes tea", "Likes\u2028coffee")
    lines = (await program.get(f"{ADA}/export")).text
    certificate = (await program.delete(ADA)).json()
    assert (certificate["index"], certificate["unproven"]) == ("removed", [])
    assert (await program.get(f"{ADA}/facts", params={"any_status": True})).json() == []
    back = (await program.post(f"{ADA}/import", content=lines)).json()
    assert (len(back["written"]), back["known"]) == (2, 0)
    again = (await program.post(f"{ADA}/import", content=lines)).json()
    assert (len(again["written"]), again["known"]) == (0, 2)
    assert (await program.post("/v1/users/bob/import", content=lines)).status_code == 422
    assert (await program.get("/v1/users")).json() == ["ada"]
    assert (await program.get("/v1/health")).json()["users"][0]["facts"] == {"active": 2}


@pytest.mark.parametrize(
    "user", ["a/b", "a%2Fb", "..", ".", "a b?c#d", "a;b", "übel", "a/facts", "\u202e", "a\nb", "+"]
)
async def test_every_user_id_is_one_user(program: httpx.AsyncClient, user: str) -> None:
    path = quote(user, safe="").replace(".", "%2E")
    [fact] = await remembered(program, "Likes tea", user=path)
    assert fact["user_id"] == user
    assert (await program.get("/v1/users")).json() == [user]
    assert [one["id"] for one in (await program.get(f"/v1/users/{path}/facts")).json()] == [fact["id"]]


async def test_health_needs_no_key_and_says_nothing(server: Served) -> None:
    async with httpx.AsyncClient(base_url=server.url) as anybody:
        for path in ("/health/live", "/health/ready"):
            assert (await anybody.get(path)).json() == {"status": "ok"}


# ---- errors ----------------------------------------------------------------------------------------


async def test_errors_are_problem_documents(program: httpx.AsyncClient) -> None:
    secret = {"statements": [{"text": "my key is AKIAIOSFODNN7EXAMPLE"}]}
    cases = {
        "SecretRefused": (422, await program.post(f"{ADA}/facts", json=secret)),
        "InvalidInput": (422, await program.post(f"{ADA}/facts", json={"statements": [{"text": ""}]})),
        "NotFound": (404, await program.get(f"{ADA}/facts/nothing")),
        "MethodNotAllowed": (405, await program.put(f"{ADA}/facts")),
        "Unauthorized": (401, await program.get(f"{ADA}/facts", headers={"Authorization": ""})),
    }
    for name, (status, answer) in cases.items():
        document = answer.json()
        assert answer.status_code == document["status"] == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert document["type"] == f"urn:semantic-memory:problem:{name}"
        assert document["request_id"] == answer.headers["x-request-id"]
    assert "AKIA" not in cases["SecretRefused"][1].text


async def test_what_was_sent_is_never_repeated(program: httpx.AsyncClient) -> None:
    for body in (b'{"query": "\\ud800 canary"}', b'{"canary": NaN', b"\xff canary", b'["canary"]'):
        answer = await program.post(f"{ADA}/recall", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422)
        assert "canary" not in answer.text


async def test_a_batch_has_its_limit(program: httpx.AsyncClient) -> None:
    answer = await program.post(f"{ADA}/facts", json={"statements": [{"text": "x"}] * 4097})
    assert (answer.status_code, answer.json()["errors"][0]["at"]) == (422, "body.statements")


async def test_a_request_keeps_its_own_id(program: httpx.AsyncClient) -> None:
    assert (await program.get("/health/live", headers={"X-Request-ID": "abc-1"})).headers["x-request-id"] == "abc-1"
    forged = await program.get("/health/live", headers={"X-Request-ID": 'a"b'})
    assert forged.headers["x-request-id"] != 'a"b'


async def test_limits(tmp_path: Path) -> None:
    limits = ServerSettings(max_body=2000, rate="5/minute")
    async with served(tmp_path / "memory", server=limits) as server, server.client() as program:
        too_long = await program.post(f"{ADA}/recall", json={"query": "x" * 3000})
        assert too_long.status_code == 413

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(30):
                yield b"x" * 100

        assert (await program.post(f"{ADA}/import", content=chunks())).status_code == 413
        answers = [await program.get(f"{ADA}/facts") for _ in range(6)]
        assert answers[-1].status_code == 429
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        async with server.client() as other:
            assert (await other.get(f"{ADA}/facts")).status_code == 200, "another key has its own share"


# ---- keys ------------------------------------------------------------------------------------------


async def test_a_key_that_is_revoked_or_made_up_opens_nothing(server: Served) -> None:
    key, token = await server.memory.keys.create(("read",))
    async with httpx.AsyncClient(base_url=server.url) as client:

        async def status(credential: str) -> int:
            return (await client.get(f"{ADA}/facts", headers={"Authorization": credential})).status_code

        assert await status(f"Bearer {token}") == 200
        wrong = (token[:-1], token + "x", token.swapcase(), "smk__", key.id, f"{token} x", f"smk_{key.id}_")
        assert {await status(f"Bearer {one}") for one in wrong} == {401}
        assert await status(f"Basic {token}") == 401
        await server.memory.keys.revoke(key.id)
        assert await status(f"Bearer {token}") == 401


async def test_the_token_is_kept_nowhere(tmp_path: Path) -> None:
    async with served(tmp_path / "memory") as server:
        token = await server.token()
        async with httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {token}"}) as client:
            assert (await client.get("/v1/key")).json()["scopes"] == ["read", "write", "admin"]
    assert not files_with(token.rpartition("_")[2].encode(), tmp_path)


def files_with(words: bytes, folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and words in file.read_bytes()]


async def test_a_key_does_what_its_scopes_say(server: Served) -> None:
    body = {"statements": [{"text": "Likes tea"}]}
    async with server.client("read") as reader, server.client("write") as writer:
        assert (await reader.post(f"{ADA}/facts", json=body)).status_code == 403
        assert (await writer.post(f"{ADA}/facts", json=body)).status_code == 200
        assert (await writer.get(f"{ADA}/facts")).status_code == 403
        assert (await reader.delete(ADA)).status_code == 403
        assert (await reader.get("/v1/users")).status_code == 403


async def test_erasing_a_user_ends_the_keys_that_are_bound_to_them(server: Served) -> None:
    async with server.client(user="bob") as bob:
        assert (await bob.delete("/v1/users/bob")).status_code == 200
        assert (await bob.get("/v1/users/bob/facts")).status_code == 401
    assert await server.memory.keys.all() == []


@pytest.mark.parametrize(
    "wrong",
    ['"limit": 0', '"limit": 2.5', '"max_tokens": -5', '"min_relevance": NaN', '"min_share": 5', '"labels": [" "]'],
)
async def test_a_recall_with_a_limit_that_is_none_is_refused(program: httpx.AsyncClient, wrong: str) -> None:
    await remembered(program, "The deploy target is Hetzner")
    headers = {"Content-Type": "application/json"}
    answer = await program.post(f"{ADA}/recall", content=f'{{"query": "deploy?", {wrong}}}', headers=headers)
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"].endswith(":InvalidInput")
    assert (await program.get(f"{ADA}/receipts")).json() == []
