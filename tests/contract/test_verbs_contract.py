"""What a user's verbs do, whether the memory is here or on a server."""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from agents import Agent, Runner, SQLiteSession
from agents.testing import ScriptedModel, assistant_message, function_call

from semantic_memory import (
    CandidateFact,
    FactFilter,
    InvalidInput,
    InvalidUserId,
    MemoryUnavailable,
    NotFound,
    RemoteMemory,
    SecretRefused,
    SemanticMemory,
    Settings,
    client,
    portions,
)
from semantic_memory.facts import Source
from semantic_memory.settings import ServerSettings
from semantic_memory.testing import HashEmbeddingModel
from semantic_memory.transcript import messages
from tests.http_server import Served, served

Memory = SemanticMemory | RemoteMemory
HERE = Settings(min_relevance=0.05, deadline=5.0)


@pytest.fixture(params=["here", "on a server"])
async def memory(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Memory]:
    if request.param == "here":
        settings = Settings(path=tmp_path / "memory", min_relevance=0.05, deadline=5.0)
        async with SemanticMemory.open(settings, embedding=HashEmbeddingModel()) as opened:
            yield opened
        return
    async with (
        served(tmp_path / "memory") as server,
        RemoteMemory(server.url, key=await server.token(), settings=HERE) as it,
    ):
        yield it


@pytest.fixture
def ada(memory: Memory) -> Any:
    return memory.user("ada")


async def test_remember_and_recall(ada: Any) -> None:
    fact = await ada.remember("The deploy target is Hetzner", kind="plan", subject="deploy target", labels=["work"])
    assert (fact.text, fact.kind, fact.labels, fact.origin) == (
        "The deploy target is Hetzner",
        "plan",
        ("work",),
        "operator",
    )
    assert await ada.fact(fact.id) == fact
    recall = await ada.recall("the deploy target", labels=["work"])
    assert [one.fact for one in recall.facts] == [fact]
    assert fact.text in recall.context
    assert recall.facts[0].signals
    assert not (await ada.recall("the deploy target", labels=["home"])).facts
    assert not (await ada.recall("zebra")).context


async def test_statements_are_kept_all_or_none(ada: Any) -> None:
    said = datetime(2026, 3, 1, tzinfo=UTC)
    kept = await ada.remember_all(
        ["Likes tea", CandidateFact(text="Likes coffee", position=0, quote="Likes coffee", said_at=said)],
        source=Source(origin="user", session_id="s", agent="Helper", reason="told me"),
    )
    assert [one.origin for one in kept] == ["user", "user"]
    assert kept[1].said_at == said
    [evidence] = (await ada.explain(kept[0].id)).evidence
    assert (evidence.session_id, evidence.agent, evidence.reason) == ("s", "Helper", "told me")
    with pytest.raises(SecretRefused):
        await ada.remember_all(["Likes milk", "my key is AKIAIOSFODNN7EXAMPLE"])
    with pytest.raises(InvalidInput):
        await ada.remember_all(["Likes milk", ""])
    assert len(await ada.facts()) == 2
    assert await ada.remember_all([]) == []


async def test_facts_by_filter_by_page_and_as_of(ada: Any) -> None:
    [old] = await ada.remember_all(["The deploy target is Hetzner"])
    before = datetime.now(UTC)
    new = await ada.correct(old.id, "The deploy target is AWS", reason="moved in May")
    await ada.remember_all([f"Number {n} is a number" for n in range(4)])
    assert {one.status for one in await ada.facts(FactFilter(status=()))} == {"active", "superseded"}
    assert [one.id for one in await ada.facts(FactFilter(text="aws"))] == [new.id]
    assert [one.id for one in await ada.facts(as_of=before)] == [old.id]
    assert await ada.facts(FactFilter(since=datetime.now(UTC) + timedelta(days=1))) == []
    pages = [await ada.facts(limit=2, offset=offset) for offset in (0, 2, 4)]
    assert [one for page in pages for one in page] == await ada.facts()


async def test_correct_explain_and_timeline(ada: Any) -> None:
    old = await ada.remember("The deploy target is Hetzner")
    recall = await ada.recall("the deploy target")
    new = await ada.correct(old.id, "The deploy target is AWS", reason="moved in May")
    why = await ada.explain(old.id)
    assert [one.id for one in why.chain] == [old.id, new.id]
    assert [one.id for one in why.receipts] == [recall.receipt_id]
    assert why.history[-1].after == "superseded"
    [chain] = await ada.timeline("deploy")
    assert [one.fact.id for one in chain] == [old.id, new.id]
    receipt = await ada.receipt(recall.receipt_id)
    assert receipt.query == "the deploy target"
    assert await ada.receipts(fact_id=old.id) == [receipt]
    assert [one.fact.id for one in await ada.shown(receipt_id=receipt.id)] == [old.id]
    with pytest.raises(InvalidInput):
        await ada.shown()


async def test_forget_and_erase(memory: Memory, ada: Any) -> None:
    tea, _ = await ada.remember_all(["Likes tea", "Likes coffee"])
    await ada.forget(tea.id, reason="private")
    assert (await ada.fact(tea.id)).status == "forgotten"
    assert not (await ada.recall("Likes tea")).context.count("tea")
    assert await memory.users() == ["ada"]
    certificate = await ada.erase()
    assert certificate.complete
    assert await ada.facts(FactFilter(status=())) == []
    assert await memory.users() == []


async def test_facts_move_with_their_lineage(memory: Memory, ada: Any) -> None:
    old = await ada.remember("The deploy target is Hetzner")
    await ada.correct(old.id, "The deploy target is\u2028AWS")
    lineages = await ada.lineages()
    await ada.erase()
    seen: list[int] = []
    assert len(await ada.restore(lineages, on_progress=seen.append)) == 2
    assert sum(seen) == 2
    assert await ada.restore(lineages) == []
    assert {one.fact.id for one in await ada.lineages()} == {one.fact.id for one in lineages}
    with pytest.raises(InvalidInput):
        await memory.user("bob").restore(lineages)


async def test_more_than_one_request_carries_is_kept_and_moved(ada: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MOST_STATEMENTS", 3)
    kept = await ada.remember_all([f"Number {n} is a number" for n in range(8)])
    assert [one.text for one in kept] == [f"Number {n} is a number" for n in range(8)]
    for old in kept[:3]:
        await ada.correct(old.id, f"{old.text}, and a small one")
    with pytest.raises(InvalidInput):
        await ada.remember_all([*(f"Letter {n} is a letter" for n in range(8)), ""])
    lineages = await ada.lineages()
    assert len(lineages) == 11, "nothing of a batch that can't be kept is kept"
    await ada.erase()
    monkeypatch.setattr(portions, "MOST_BYTES", 2000)
    seen: list[int] = []
    assert len(await ada.restore(lineages, on_progress=seen.append)) == sum(seen) == 11
    assert {one.fact.id for one in await ada.lineages()} == {one.fact.id for one in lineages}


async def test_what_a_server_takes_less_of_than_a_memory_is_told_with_its_limit(tmp_path: Path) -> None:
    limits = ServerSettings(max_body=2**17)
    async with (
        served(tmp_path / "memory", server=limits) as server,
        RemoteMemory(server.url, key=await server.token()) as remote,
    ):
        ada = remote.user("ada")
        cases: dict[str, Any] = {
            "8000": ada.recall("tea " * 3000),
            "at most 20": ada.recall("tea", earlier=["x"] * 30),
            "at most 32": ada.remember("Likes tea", labels=[f"l{n}" for n in range(40)]),
            "1000": ada.receipts(limit=5000),
            "at most 131072 bytes": ada.remember_all(["x" * 7000] * 30),
        }
        for told, work in cases.items():
            with pytest.raises(InvalidInput, match=told):
                await work


@pytest.mark.parametrize("verb", ["fact", "explain", "forget", "receipt"])
@pytest.mark.parametrize("foreign", [True, False])
async def test_what_is_not_mine_is_not_there(memory: Memory, ada: Any, verb: str, foreign: bool) -> None:
    theirs = await memory.user("bob").remember("Bob likes tea")
    with pytest.raises(NotFound):
        await getattr(ada, verb)(theirs.id if foreign else "a/../b?c#d")
    assert (await memory.user("bob").fact(theirs.id)).status == "active"


@pytest.mark.parametrize("user", ["a/b", "..", "a%2Fb", "a b?c#d", "\u202eü", "ada/facts"])
async def test_every_user_id_is_one_user(memory: Memory, user: str) -> None:
    fact = await memory.user(user).remember("Likes tea")
    assert fact.user_id == user
    assert await memory.users() == [user]
    with pytest.raises(InvalidUserId):
        memory.user("")


# ---- conversations ---------------------------------------------------------------------------------


async def test_a_session_teaches_once_and_is_rewound(ada: Any) -> None:
    session = SQLiteSession("monday")
    await session.add_items(
        [
            {"role": "user", "content": "We deploy to Hetzner."},
            {"type": "function_call", "name": "look", "call_id": "1", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "1", "output": "looked"},
            {"role": "assistant", "content": "Noted."},
            {"role": "user", "content": "My dog is called Rex."},
        ]
    )
    learned = await ada.learn(session, labels=["work"])
    assert [(one.text, one.position, one.labels) for one in learned.written] == [
        ("We deploy to Hetzner.", 0, ("work",)),
        ("My dog is called Rex.", 4, ("work",)),
    ]
    assert (await ada.learn(session)).messages == 0
    assert (await ada.rewind(session)).retracted == (learned.written[1].id,)
    assert len(await session.get_items()) == 4
    session.close()
    with pytest.raises(InvalidInput):
        await ada.learn()


async def test_a_long_conversation_is_learned_once_and_its_end_taken_back(ada: Any) -> None:
    """Longer than one request carries; its beginning and its end say the same."""
    session = SQLiteSession("years")
    await session.add_items([{"role": "user", "content": "We deploy to Hetzner."}])
    await session.add_items([{"role": "assistant", "content": f"Noted {n % 50}."} for n in range(2300)])
    for role, text in (("user", "My dog is Rex."), ("assistant", "Good boy."), ("user", "We deploy to Hetzner.")):
        await session.add_items([{"role": role, "content": text}])
    learned = await ada.learn(session)
    assert learned.messages == 2304
    assert [(one.text, one.position) for one in learned.written] == [
        ("We deploy to Hetzner.", 0),
        ("My dog is Rex.", 2301),
    ]
    assert (await ada.learn(session)).messages == 0
    assert (await ada.rewind(session)).retracted == (), "its beginning still says so"
    assert (await ada.rewind(session)).retracted == (learned.written[1].id,)
    session.close()


async def test_run_recalls_before_and_learns_after(ada: Any) -> None:
    model = ScriptedModel([[assistant_message("Noted.")], [assistant_message("Hetzner.")]])
    agent = Agent(name="Helper", model=model, instructions="Be brief.")
    monday, friday = SQLiteSession("monday"), SQLiteSession("friday")
    await ada.run(agent, "We deploy to Hetzner.", session=monday, learn="wait")
    await ada.run(agent, "We deploy to Hetzner, don't we?", session=friday, learn="off")
    assert model.last_call is not None
    told = model.last_call.system_instructions or ""
    assert told.startswith("Be brief.")
    assert "We deploy to Hetzner." in told
    [fact] = await ada.facts()
    [evidence] = (await ada.explain(fact.id)).evidence
    assert (evidence.session_id, evidence.agent) == ("monday", "Helper")
    assert evidence.run_id
    [asked] = [one for one in await ada.receipts() if one.shown]
    assert (asked.source, asked.session_id, asked.agent) == ("hook", "friday", "Helper")
    monday.close()
    friday.close()


async def test_one_configuration_for_many_users_and_their_tools(memory: Memory) -> None:
    await memory.user("ada").remember("Ada deploys to Hetzner")
    model = ScriptedModel(
        [
            [function_call("remember", {"statement": "Ada's dog is Rex", "quote": "my dog is Rex"}, call_id="1")],
            [assistant_message("Noted.")],
        ]
    )
    agent = Agent(name="Helper", model=model, tools=memory.tools(user=lambda context: context["user"]))
    config = memory.run_config(user=lambda context: context["user"])
    said: Any = [{"role": "user", "content": one} for one in ("my dog is Rex", "Ada deploys to Hetzner, right?")]
    await Runner.run(agent, said, run_config=config, context={"user": "ada"})
    assert "Ada deploys to Hetzner" in (model.calls[0].system_instructions or "")
    assert {(one.text, one.origin) for one in await memory.user("ada").facts()} == {
        ("Ada deploys to Hetzner", "operator"),
        ("Ada's dog is Rex", "user"),
    }
    assert await memory.user("bob").facts() == []


def test_the_verbs_work_from_another_event_loop(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path / "memory") as server:
            remote = RemoteMemory(server.url, key=await server.token(), settings=HERE)
            await remote.user("ada").remember("Likes tea")
            facts = await asyncio.to_thread(asyncio.run, remote.user("ada").facts())
            assert [one.text for one in facts] == ["Likes tea"]
            await remote.close()

    asyncio.run(main())


# ---- when the server isn't there -------------------------------------------------------------------


async def asked(remote: RemoteMemory, **required: Any) -> ScriptedModel:
    model = ScriptedModel([[assistant_message("Hello.")]])
    agent = Agent(name="Helper", model=model, instructions="Be brief.")
    await Runner.run(agent, "Where do we deploy?", run_config=remote.user("ada").run_config(**required))
    return model


async def test_a_run_goes_on_without_a_server_that_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        async with RemoteMemory(url, key="k", settings=Settings(deadline=0.2)) as remote:
            began = time.perf_counter()
            model = await asked(remote)
            assert time.perf_counter() - began < 2
            assert model.last_call is not None
            assert model.last_call.system_instructions == "Be brief."
            with pytest.raises(MemoryUnavailable):
                await asked(remote, required=True)


async def test_a_run_goes_on_without_any_server() -> None:
    async with RemoteMemory("http://127.0.0.1:1", key="k") as remote:
        await asked(remote)
        with pytest.raises(MemoryUnavailable, match="can't be reached"):
            await remote.user("ada").facts()


async def test_a_key_that_is_refused_is_no_memory(tmp_path: Path) -> None:
    async with served(tmp_path / "memory") as server:
        async with RemoteMemory(server.url, key="smk_made_up") as remote:
            with pytest.raises(MemoryUnavailable, match="show a key"):
                await remote.user("ada").facts()
            await asked(remote)
        await _bob_is_not_alice(server)


async def _bob_is_not_alice(server: Served) -> None:
    async with RemoteMemory(server.url, key=await server.token(user="bob")) as remote:
        with pytest.raises(NotFound):
            await remote.user("alice").facts()
        assert await remote.user("bob").facts() == []


# ---- believed again --------------------------------------------------------------------------------


async def test_what_was_superseded_or_kept_aside_is_believed_again(ada: Any) -> None:
    old = await ada.remember("The deploy target is Hetzner", kind="plan")
    new = await ada.correct(old.id, "The deploy target is AWS")
    back = await ada.reinstate(old.id, reason="AWS was too dear")
    assert (back.text, back.status, back.supersedes) == (old.text, "active", new.id)
    assert (await ada.fact(new.id)).status == "superseded"
    assert await ada.reinstate(back.id) == back

    aside = await ada.remember_quoted("Prefers tea", "Prefers tea", None, Source(agent="Helper"))
    assert aside.status == "quarantined"
    believed = await ada.reinstate(aside.id, reason="she says so")
    assert (believed.text, believed.status, believed.origin) == ("Prefers tea", "active", "operator")
    assert "Prefers tea" in (await ada.recall("Prefers tea")).context

    await ada.forget(believed.id)
    with pytest.raises(InvalidInput):
        await ada.reinstate(believed.id)


async def test_what_an_agent_quotes_is_tied_to_the_users_message(ada: Any) -> None:
    said = replace(messages("By the way, I prefer tea.")[0], position=4, occurrence=1)
    source = Source(session_id="monday", agent="Helper")
    fact = await ada.remember_quoted("Prefers tea", "I prefer tea", said, source)
    said = replace(messages("Well, coffee it is.")[0], position=6)
    newer = await ada.correct_quoted(fact.id, "Prefers coffee", "coffee it is", said, source)
    assert (newer.origin, newer.supersedes) == ("user", fact.id)
    for one, position, span in ((fact, 4, (12, 24)), (newer, 6, (6, 18))):
        [evidence] = (await ada.explain(one.id)).evidence
        assert (evidence.session_id, evidence.position, evidence.span) == ("monday", position, span)
        assert evidence.digest


async def test_the_map_has_a_place_for_every_active_fact(ada: Any) -> None:
    assert await ada.map() == []
    facts = await ada.remember_all(["Likes tea", "Likes green tea", "The deploy target is Hetzner"])
    placed = {one.fact.id: (one.x, one.y) for one in await ada.map()}
    assert set(placed) == {one.id for one in facts}
    assert all(-1 <= x <= 1 and -1 <= y <= 1 for x, y in placed.values())
    tea, green, deploy = (placed[one.id] for one in facts)
    assert math.dist(tea, green) < math.dist(tea, deploy)


@pytest.mark.parametrize(
    "given",
    [
        {"limit": 0},
        {"limit": 2.5},
        {"max_tokens": -5},
        {"min_relevance": math.nan},
        {"min_relevance": "0.5"},
        {"min_share": 5.0},
        {"labels": "work"},
        {"earlier": "Where do we deploy?"},
        {"earlier": [7]},
        {"as_of": "2026-03-01"},
        {"source": "a name that no receipt can keep"},
    ],
    ids=str,
)
async def test_a_recall_with_an_argument_that_is_none_is_refused_in_a_clear_sentence(
    ada: Any, given: dict[str, Any]
) -> None:
    await ada.remember("The deploy target is Hetzner")
    with pytest.raises(InvalidInput, match=r"^\w+ (turns )?(is|are) a |^source: "):
        await ada.recall("the deploy target", **given)
    assert await ada.receipts() == []


async def test_why_not_explains_the_recall_with_the_same_arguments(ada: Any) -> None:
    fact = await ada.remember("The deploy target is Hetzner", labels=["work"])
    question, then = "the deploy target", datetime.now(UTC)
    assert (await ada.why_not(fact.id, question, labels=["work"], as_of=then, earlier=["Hello"])).verdict == "shown"
    assert (await ada.why_not(fact.id, question, labels=["home"])).verdict == "label"
    assert (await ada.why_not(fact.id, question, max_tokens=1)).verdict == "budget"
    reason = await ada.why_not(fact.id, question, min_relevance=1.0)
    recall = await ada.recall(question, min_relevance=1.0)
    assert reason == recall.why_not(fact.id)
    assert reason.answerable == recall.answerable
    await ada.correct(fact.id, "The deploy target is AWS")
    assert (await ada.why_not(fact.id, question)).verdict == "status"
    assert (await ada.why_not(fact.id, question, as_of=then)).verdict == "shown"
    with pytest.raises(NotFound):
        await ada.why_not("f7", question)


async def test_a_high_limit_is_a_limit_wherever_the_memory_is(ada: Any) -> None:
    await ada.remember_all([f"The book number {number} is about ships" for number in range(120)])
    recall = await ada.recall("books about ships", limit=500, max_tokens=100_000, min_relevance=0.0)
    assert len(recall.facts) == 120
