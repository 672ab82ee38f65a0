"""Promise 5: nobody sees another. A state machine with hostile ids, through Python, the tools and the command line,
against a model that is a dict."""

# ruff: noqa: RUF001 - look-alikes are what this is about
from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from agents import Agent, Runner
from agents.testing import ScriptedModel, assistant_message, function_call
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from typer.testing import CliRunner

from semantic_memory import Conflict, FactFilter, NotFound, SemanticMemory, Settings, UserMemory
from semantic_memory.frontends.cli import app
from semantic_memory.testing import HashEmbeddingModel
from tests.trust.counts import count, note

EXAMPLES, STEPS = count((6, 30), (320, 50))

IDS = [
    "ada",
    "Ada",
    "ADA",
    "аda",  # a Cyrillic letter first
    "ada ",
    " ada",
    "ada\n",
    "ad\u00e1",
    "ada\u0301",
    "ada\u200b",
    "\u202eada",
    "../ada",
    "..",
    "ada/../bob",
    "/etc/passwd",
    "C:\\ada",
    "%2e%2e%2fada",
    "ada%00",
    "a" * 512,
    "a" * 511,
    "\U0001f600" * 128,
    "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "' OR '1'='1",
    "ada'; DROP TABLE memory_facts; --",
    '{"$ne": ""}',
    '{"user_id": "bob"}',
    "*",
    "%",
    "_",
    "null",
    "0",
    "--help",
    "-rf",
    "$(id)",
    "<script>",
    "ﬁ",
    "fi",
]
HOW = ["python"] * 6 + ["tool"] * 3 + ["cli"]  # the command line opens a memory of its own each time


def one_of(data: st.DataObject, things: Sequence[str]) -> str:
    """Any of what there is by now; how much that is must not shape what is drawn, or a replay can't follow."""
    return things[data.draw(st.integers(0, 999)) % len(things)]


@dataclass
class Known:
    """What the model knows of one user."""

    texts: dict[str, str] = field(default_factory=dict)  # by fact id
    status: dict[str, str] = field(default_factory=dict)

    def active(self) -> dict[str, str]:
        return {fact: text for fact, text in self.texts.items() if self.status[fact] == "active"}


class Tenants(RuleBasedStateMachine):
    """Users who write, read, and try each other's ids."""

    steps = 0
    foreign = 0  # facts or receipts of others that were asked for
    by: dict[str, int] = {}  # noqa: RUF012 - counts over all runs

    @initialize()
    def open(self) -> None:
        self.loop = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.stack = AsyncExitStack()
        self.known: dict[str, Known] = {}
        self.receipts: dict[str, str] = {}  # id -> user
        self.erased: set[str] = set()  # ids of facts whose users were erased: nobody's any more
        self.said = 0
        settings = Settings(path=Path(self.folder.name))
        opened = SemanticMemory.open(settings, embedding=HashEmbeddingModel())
        self.memory: SemanticMemory = self.loop.run(self.stack.enter_async_context(opened))

    def teardown(self) -> None:
        if not hasattr(self, "memory"):
            return
        try:
            self.loop.run(self.everything_agrees())
        finally:
            self.loop.run(self.stack.aclose())
            self.loop.close()
            self.folder.cleanup()

    async def everything_agrees(self) -> None:
        """The whole ledger and every index hold what the model holds, and the doctor has nothing to say."""
        health = await self.memory.health(repair=True)
        assert not [finding for finding in health.findings if finding.grave]
        assert set(await self.memory.users()) == set(self.known)
        for user_id, known in self.known.items():
            facts = await self.memory.user(user_id).facts(FactFilter(status=()))
            assert {fact.id: fact.status for fact in facts} == known.status
            assert {fact.user_id for fact in facts} <= {user_id}

    # ---- writing ---------------------------------------------------------------------------------------

    @rule(user_id=st.sampled_from(IDS), how=st.sampled_from(HOW))
    def remember(self, user_id: str, how: str) -> None:
        self.count(how)
        self.said += 1
        text = f"My colleague number {self.said} is called Ed{self.said}."
        fact_id = self.remembered(user_id, text, how)
        mine = self.known.setdefault(user_id, Known())
        mine.texts[fact_id], mine.status[fact_id] = text, "active"

    @precondition(lambda self: any(text for known in self.known.values() for text in known.texts.values()))
    @rule(data=st.data(), how=st.sampled_from(HOW))
    def remember_again(self, data: st.DataObject, how: str) -> None:
        """The same words of another user are another fact; of the same user, the same."""
        self.count(how)
        text = one_of(data, sorted({text for known in self.known.values() for text in known.texts.values() if text}))
        user_id = data.draw(st.sampled_from(IDS))
        mine = self.known.setdefault(user_id, Known())
        fact_id = self.remembered(user_id, text, how)
        if text in mine.active().values():
            assert mine.active()[fact_id] == text
        else:
            assert fact_id not in {*self.erased, *(one for known in self.known.values() for one in known.texts)}
            mine.texts[fact_id], mine.status[fact_id] = text, "active"

    def remembered(self, user_id: str, text: str, how: str) -> str:
        """The id of the fact that says it now."""
        if how == "python":
            return str(self.run(self.user(user_id).remember(text)).id)
        if how == "tool":
            return str(json.loads(self.tool(user_id, "remember", said=text, statement=text, quote=text))["fact"])
        return str(json.loads(self.cli("remember", user_id, text))["id"])

    @precondition(lambda self: any(self.known.values()))
    @rule(data=st.data(), user_id=st.sampled_from(IDS), how=st.sampled_from(HOW))
    def correct(self, data: st.DataObject, user_id: str, how: str) -> None:
        self.count(how)
        fact_id, status = self.somebodys(data, user_id)
        self.said += 1
        text = f"My colleague number {self.said} is now called Jo{self.said}."
        newer = None
        if how == "python":
            try:
                newer = self.run(self.user(user_id).correct(fact_id, text)).id
            except (NotFound, Conflict) as error:
                refused = type(error).__name__
        elif how == "tool":
            answer = self.tool(user_id, "correct", said=text, fact_id=fact_id, statement=text, quote=text)
            refused, newer = answer, None if answer.startswith("refused") else json.loads(answer)["fact"]
        else:
            answer = self.cli("correct", user_id, fact_id, text, fails=status != "active")
            refused, newer = answer, None if status != "active" else json.loads(answer)["id"]
        assert (newer is not None) == (status == "active")
        if newer is None:
            assert ("NotFound" in refused or "there is no fact" in refused) == (status is None), refused
        else:
            mine = self.known[user_id]
            mine.status[fact_id] = "superseded"
            mine.texts[newer], mine.status[newer] = text, "active"

    @precondition(lambda self: any(self.known.values()))
    @rule(data=st.data(), user_id=st.sampled_from(IDS), how=st.sampled_from(HOW))
    def forget(self, data: st.DataObject, user_id: str, how: str) -> None:
        self.count(how)
        fact_id, status = self.somebodys(data, user_id)
        if how == "python":
            if status is None:
                with pytest.raises(NotFound):
                    self.run(self.user(user_id).forget(fact_id))
            else:
                self.run(self.user(user_id).forget(fact_id))
        elif how == "tool":
            answer = self.tool(user_id, "forget", said="Forget this, please.", fact_id=fact_id, quote="Forget this")
            assert ("there is no fact" in answer) == (status is None), answer
        else:
            answer = self.cli("forget", user_id, fact_id, fails=status is None)
            assert ("there is no fact" in answer) == (status is None), answer
        if status is not None:
            self.known[user_id].texts[fact_id], self.known[user_id].status[fact_id] = "", "forgotten"

    @rule(user_id=st.sampled_from(IDS), how=st.sampled_from(["python", "python", "cli"]))
    def erase(self, user_id: str, how: str) -> None:
        self.count(how)
        if how == "python":
            self.run(self.user(user_id).erase())
        else:
            self.cli("erase", "--yes", user_id, fails=user_id not in self.known)
        self.erased |= set(self.known.pop(user_id, Known()).texts)
        self.receipts = {receipt: owner for receipt, owner in self.receipts.items() if owner != user_id}

    # ---- reading ---------------------------------------------------------------------------------------

    @rule(data=st.data(), user_id=st.sampled_from(IDS), how=st.sampled_from(HOW))
    def recall(self, data: st.DataObject, user_id: str, how: str) -> None:
        """Whoever's words are asked for: only one's own facts are told, and one's own are found."""
        self.count(how)
        mine = self.known.get(user_id, Known()).active()
        everybodys = sorted({text for known in self.known.values() for text in known.texts.values() if text})
        text = one_of(data, [*everybodys, "Who is my colleague?", "' OR 1=1 --"])
        if how == "python":
            found = self.run(self.user(user_id).recall(text, min_relevance=0.0, limit=30, max_tokens=10_000))
            ids, texts = {one.fact.id for one in found.facts}, {one.fact.text for one in found.facts}
            ids |= {miss.fact_id for miss in found.near}
            if found.answered_by != "nothing":
                self.receipts[found.receipt_id] = user_id
            assert text not in mine.values() or text in texts
        elif how == "tool":
            answer = self.tool(user_id, "recall", said=text, query=text)
            ids = {line.split(" ")[0] for line in answer.splitlines() if ' "' in line}
        else:
            shown = json.loads(self.cli("recall", "--min-relevance", "0", "--limit", "30", user_id, text))
            ids = {one["fact"]["id"] for one in shown["facts"]}
        assert ids <= set(mine)

    @rule(user_id=st.sampled_from(IDS), how=st.sampled_from(["python", "python", "cli"]))
    def list_facts(self, user_id: str, how: str) -> None:
        self.count(how)
        known = self.known.get(user_id, Known())
        if how == "python":
            facts = self.run(self.user(user_id).facts(FactFilter(status=())))
            seen = {fact.id: fact.text for fact in facts}
        else:
            lines = self.cli("facts", "--where", "status=any", user_id).splitlines()
            seen = {fact["id"]: fact["text"] for fact in map(json.loads, lines)}
        assert seen == known.texts

    @precondition(lambda self: any(self.known.values()))
    @rule(data=st.data(), user_id=st.sampled_from(IDS), how=st.sampled_from(["python", "python", "cli"]))
    def explain(self, data: st.DataObject, user_id: str, how: str) -> None:
        """A fact of another looks like one that was never there."""
        self.count(how)
        fact_id, status = self.somebodys(data, user_id)
        if how == "cli":
            told = self.cli("show", user_id, fact_id, fails=status is None)
            assert (told == self.cli("show", user_id, "nosuchfact00", fails=True).replace("nosuchfact00", fact_id)) == (
                status is None
            )
        elif status is None:
            with pytest.raises(NotFound) as foreign:
                self.run(self.user(user_id).explain(fact_id))
            with pytest.raises(NotFound) as unknown:
                self.run(self.user(user_id).explain("nosuchfact00"))
            assert str(foreign.value) == str(unknown.value).replace("nosuchfact00", fact_id)
        else:
            assert self.run(self.user(user_id).explain(fact_id)).fact.status == status

    @precondition(lambda self: len(self.tenants()) > 1)
    @rule(data=st.data())
    def try_what_is_anothers(self, data: st.DataObject) -> None:
        """Somebody who has facts of their own, at a fact that is there and isn't theirs."""
        self.count("python")
        user_id, other = data.draw(st.permutations(self.tenants()))[:2]
        fact_id = one_of(data, sorted(self.known[other].texts))
        type(self).foreign += 1
        self.run(refused_everywhere(self.user(user_id), fact_id))

    @precondition(lambda self: self.receipts)
    @rule(data=st.data(), user_id=st.sampled_from(IDS))
    def ask_for_a_receipt(self, data: st.DataObject, user_id: str) -> None:
        self.count("python")
        receipt = one_of(data, sorted(self.receipts))
        if self.receipts[receipt] == user_id:
            assert self.run(self.user(user_id).receipt(receipt)).id == receipt
        else:
            type(self).foreign += 1
            with pytest.raises(NotFound):
                self.run(self.user(user_id).receipt(receipt))

    # ---- how -------------------------------------------------------------------------------------------

    def count(self, how: str) -> None:
        cls = type(self)
        cls.steps += 1
        cls.by[how] = cls.by.get(how, 0) + 1

    def run(self, work: Any) -> Any:
        return self.loop.run(_awaited(work))

    def tenants(self) -> list[str]:
        """Those who have facts, whatever these have become."""
        return sorted(user_id for user_id, known in self.known.items() if known.texts)

    def user(self, user_id: str) -> UserMemory:
        return self.memory.user(user_id)

    def somebodys(self, data: st.DataObject, user_id: str) -> tuple[str, str | None]:
        """A fact id of anybody, and its status if it is this user's own."""
        everybodys = sorted(self.erased | {fact for known in self.known.values() for fact in known.texts})
        fact_id = one_of(data, [*everybodys, "nosuchfact00", "' OR '1'='1", "*"])
        status = self.known.get(user_id, Known()).status.get(fact_id)
        type(self).foreign += status is None
        return fact_id, status

    def tool(self, user_id: str, name: str, *, said: str, **given: str) -> str:
        """What the tool tells an agent that serves this user; the user comes from the run's context."""
        steps = [[function_call(name, given, call_id="c")], [assistant_message("Done.")]]
        tools: list[Any] = list(self.memory.tools(user=lambda context: context["user"]))
        agent = Agent(name="helper", model=ScriptedModel(steps), tools=tools)
        result = self.run(Runner.run(agent, said, context={"user": user_id}))
        [answer] = [one["output"] for one in result.to_input_list() if one.get("type") == "function_call_output"]
        return str(answer)

    def cli(self, command: str, *arguments: str, fails: bool = False) -> str:
        """What the command prints, or the error that it ends with."""
        options = []
        while arguments[0] in OPTIONS:
            options, arguments = [*options, *arguments[: OPTIONS[arguments[0]]]], arguments[OPTIONS[arguments[0]] :]
        common = ["--memory", self.folder.name, "--json"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("semantic_memory.rooms.embedding_model", lambda _: HashEmbeddingModel())
            ran = CliRunner().invoke(app, [command, *common, *options, "--", *arguments])
        assert ran.exit_code == int(fails), ran.output
        return str(ran.output)


OPTIONS = {"--yes": 1, "--min-relevance": 2, "--limit": 2, "--where": 2}  # with their values


async def refused_everywhere(user: UserMemory, fact_id: str) -> None:
    """Every verb that takes a fact's id knows nothing of it."""
    for attempt in (user.fact, user.explain, user.forget, lambda one: user.correct(one, "My colleague is Mallory.")):
        with pytest.raises(NotFound):
            await attempt(fact_id)


async def test_a_fact_of_another_is_like_one_that_was_never_there(tmp_path: Path) -> None:
    """What the state machine comes upon by chance, once for sure."""
    async with SemanticMemory.open(tmp_path, embedding=HashEmbeddingModel()) as memory:
        ada, bob = memory.user("ada"), memory.user("Ada")
        kept = await ada.remember("My colleague number 1 is called Ed1.")
        await bob.remember("My colleague number 1 is called Ed1.")
        await refused_everywhere(bob, kept.id)
        assert (await ada.fact(kept.id)).status == "active"


async def _awaited(work: Any) -> Any:
    return await work


def test_nobody_sees_another() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Tenants,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert len(IDS) >= 30
    assert Tenants.steps >= count(60, 10_000)
    note(5, "state machine", ids=len(IDS), steps=Tenants.steps, by=Tenants.by, foreign_asked=Tenants.foreign, shown=0)
