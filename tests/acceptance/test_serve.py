"""The server as a person starts it: processes of their own, on one machine or as on several."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from semantic_memory import RemoteMemory
from tests.acceptance.conftest import COMMAND, Run, environment, ran
from tests.chroma_server import ChromaServer
from tests.model_api import model_api
from tests.servers import fresh_database


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port: int = place.getsockname()[1]
        return port


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server that starts, and its address."""
    port = free_port()
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", str(port)],
        cwd=folder,
        env=environment(**settings),
        stderr=subprocess.PIPE,
        text=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        yield process, url
    finally:
        process.terminate()
        process.communicate(timeout=120)


def _wait_until_ready(process: subprocess.Popen[str], url: str) -> None:
    for _ in range(600):
        assert process.poll() is None, process.communicate()[1]
        try:
            if httpx.get(f"{url}/health/ready", timeout=5).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("it never got ready")


def test_keys_are_made_listed_and_revoked(call: Run) -> None:
    token = call("keys", "create", "--scope", "read,write", "--user", "ada", "--name", "notes").out.strip()
    [key] = call("keys", "list", "--json").lines
    assert (key["scopes"], key["user_id"], key["name"]) == (["read", "write"], "ada", "notes")
    assert token.startswith(f"smk_{key['id']}_")
    assert "only ada" in call("keys", "list").out
    assert call("keys", "revoke", key["id"]).code == 0
    assert "revoked" in call("keys", "list").out
    again = call("keys", "revoke", key["id"])
    assert (again.code, again.err.count("\n")) == (1, 1)
    assert "no scope 'all'" in call("keys", "create", "--scope", "all").err


def test_a_public_address_without_keys_is_refused(call: Run) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        refused = call("serve", "--host", host, "--port", "0")
        assert refused.code == 1
        assert "make a key first" in refused.err


SLOW = 3.0  # seconds that a model takes


def slowly(learning: threading.Event) -> Callable[[dict[str, Any]], str]:
    """What a model says after a while of thinking: the one fact that there is."""
    fact = {
        "message": 1,
        "quote": "We deploy to Hetzner",
        "act": "statement",
        "fact": "The user deploys to Hetzner",
        "operation": "new",
        "known": None,
        "kind": "fact",
        "subject": None,
        "stance": "stated",
        "valid_from": None,
        "valid_to": None,
    }

    def say(_asked: dict[str, Any]) -> str:
        learning.set()
        time.sleep(SLOW)
        return json.dumps({"facts": [fact]})

    return say


def test_a_server_that_ends_is_not_ready_first_and_keeps_what_it_promised(tmp_path: Path) -> None:
    """A signal while a model thinks about messages that were answered with 202."""
    made = ran("keys", "create", "--scope", "read,write", "--user", "ada", "--json", cwd=tmp_path)
    headers, learning = {"Authorization": f"Bearer {made.document['token']}"}, threading.Event()
    body = {"session_id": "s", "items": [{"role": "user", "content": "We deploy to Hetzner."}], "background": True}
    with model_api(slowly(learning)) as model:
        thinking = {
            "SEMANTIC_MEMORY_EXTRACTION_MODEL": "gpt-4.1-mini",
            "OPENAI_BASE_URL": model.url,
            "OPENAI_API_KEY": "loopback",
            "SEMANTIC_MEMORY_SERVER_DRAIN_PATIENCE": "60",
        }
        with serving(tmp_path, **thinking) as (process, url):
            _wait_until_ready(process, url)
            assert httpx.post(f"{url}/v1/users/ada/learn", json=body, headers=headers).status_code == 202
            assert learning.wait(60)
            process.send_signal(signal.SIGTERM)
            assert _last_words(url) == 503
            log = [json.loads(line) for line in process.communicate(timeout=120)[1].splitlines()]
    [line] = [one for one in log if one["message"] == "request" and one["method"] == "POST"]
    assert (line["route"], line["status"]) == ("/v1/users/{user_id}/learn", 202)
    assert not re.search(r"\bada\b", json.dumps(log))  # as a word: a request's id may well hold these letters
    assert [one["text"] for one in ran("facts", "ada", "--json", cwd=tmp_path).lines] == ["The user deploys to Hetzner"]


def _last_words(url: str) -> int:
    """What a server that ends says of itself before it can't be reached."""
    status = 0
    with httpx.Client(base_url=url) as client:
        while True:
            try:
                status = client.get("/health/ready").status_code
            except httpx.TransportError:
                return status


def test_one_time_limits_all_that_an_ending_server_waits_for(tmp_path: Path) -> None:
    """A request and a learn pass that never come to an end don't wait one after the other."""
    made = ran("keys", "create", "--scope", "read,write", "--user", "ada", "--json", cwd=tmp_path)
    headers, learning = {"Authorization": f"Bearer {made.document['token']}"}, threading.Event()

    def forever(_asked: dict[str, Any]) -> str:
        learning.set()
        time.sleep(40)
        return "{}"

    body = {"session_id": "s", "items": [{"role": "user", "content": "We deploy to Hetzner."}]}
    with model_api(forever) as model:
        thinking = {
            "SEMANTIC_MEMORY_EXTRACTION_MODEL": "gpt-4.1-mini",
            "OPENAI_BASE_URL": model.url,
            "OPENAI_API_KEY": "loopback",
            "SEMANTIC_MEMORY_SERVER_DRAIN_PATIENCE": "15",
        }
        with serving(tmp_path, **thinking) as (process, url), ThreadPoolExecutor() as pool:
            _wait_until_ready(process, url)
            learn = f"{url}/v1/users/ada/learn"
            httpx.post(learn, json=body | {"background": True}, headers=headers)
            waiting = pool.submit(httpx.post, learn, json=body | {"session_id": "t"}, headers=headers, timeout=90)
            assert learning.wait(60)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=120)
            assert 12 < time.monotonic() - began < 28, "twice the patience would be 30"
            waiting.exception()


async def test_two_servers_on_one_database_and_one_index(tmp_path: Path, chroma_server: ChromaServer) -> None:
    """What one learns the other recalls at once, and corrects; neither keeps anything of its own."""
    async with fresh_database() as url:
        shared = {"SEMANTIC_MEMORY_LEDGER_URL": url, "SEMANTIC_MEMORY_CHROMA_URL": chroma_server.url}
        await asyncio.to_thread(_two_servers, tmp_path, shared)


def _two_servers(folder: Path, shared: dict[str, str]) -> None:
    made = ran("keys", "create", "--scope", "read,write,admin", cwd=folder, **shared)
    assert (made.code, made.err) == (0, "")
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(folder, **shared)) for _ in range(2)]
        for process, url in servers:
            _wait_until_ready(process, url)
        asyncio.run(_in_turns([url for _, url in servers], made.out.strip()))


async def _in_turns(urls: list[str], key: str) -> None:
    async with RemoteMemory(urls[0], key=key) as one, RemoteMemory(urls[1], key=key) as other:
        fact = await one.user("ada").remember("The deploy target is Hetzner")
        assert [found.fact.id for found in (await other.user("ada").recall("deploy target")).facts] == [fact.id]
        newer = await other.user("ada").correct(fact.id, "The deploy target is AWS")
        for _ in range(3):
            found = (await one.user("ada").recall("deploy target")).facts
            assert [recalled.fact.id for recalled in found] == [newer.id]
        both = [memory.user(f"user-{n}").remember(f"Likes tea number {n}") for n in range(8) for memory in (one, other)]
        assert len(await asyncio.gather(*both)) == 16
        assert len(await one.users()) == 9


STARTS_AND_ENDS = """
import asyncio, gc, sys
from semantic_memory import Settings
from semantic_memory.frontends.http_api import serve
from semantic_memory.settings import ServerSettings

class Ends(serve.GentleServer):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(gc.get_freeze_count(), len(gc.get_objects()))
        self.should_exit = True

serve.GentleServer = Ends
asyncio.run(serve.serve(Settings(path=sys.argv[1]), ServerSettings(port=int(sys.argv[2]))))
"""


def test_garbage_is_not_looked_for_in_what_a_server_started_with(tmp_path: Path) -> None:
    """Else all who wait then wait a fifth of a second longer, now and then."""
    command = [sys.executable, "-c", STARTS_AND_ENDS, str(tmp_path / "memory"), str(free_port())]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    left_out, looked_at = map(int, done.stdout.split())
    assert left_out > 50_000 > 10 * looked_at


def test_a_port_that_is_taken_is_told(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = run("serve", "--port", str(port))
    assert refused.code == 1
    assert f"can't listen on 127.0.0.1:{port}" in refused.err.splitlines()[-1]


@pytest.mark.parametrize("variable", ["PORT=x", "MAX_BODY=0", "MCP_TRUSTED=perhaps", "RATE=often", "RATE_STORAGE=disk"])
def test_a_setting_that_can_not_be_used_is_named(call: Run, variable: str) -> None:
    name, _, value = variable.partition("=")
    refused = call("serve", **{f"SEMANTIC_MEMORY_SERVER_{name}": value})
    assert refused.code == 1
    assert name.lower() in refused.err.lower()
