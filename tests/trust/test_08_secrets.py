"""Promise 8: no file holds a credential, whichever way it comes; and what personal data is, the program may decide."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agents import Agent, Runner, SQLiteSession
from agents.testing import ScriptedModel, assistant_message, function_call

from semantic_memory import CandidateFact, InvalidInput, SecretRefused, SemanticMemory, UserMemory, jobs
from semantic_memory.extraction.sentences import SentenceExtractor
from semantic_memory.testing import HashEmbeddingModel
from tests.trust.counts import count, note
from tests.unit.test_secrets import SHAPES

TRIED = dict(list(SHAPES.items())[:: count(4, 1)])
MAIL = re.compile(r"\S+@\S+?(?=[\s.,]*(\s|$))")


def without_mail(text: str) -> str:
    return MAIL.sub("[mail]", text)


async def by_every_way(memory: SemanticMemory, user: UserMemory, text: str, session: SQLiteSession) -> None:
    """Say it in a chat and to a tool, remember and correct it, import it, ask it, and give it as a reason."""
    with suppress(SecretRefused):
        await user.remember(text)
    fact = await user.remember("My deploy target is Hetzner.")
    with suppress(SecretRefused):
        await user.correct(fact.id, text)
    with suppress(SecretRefused):
        await user.remember("My cat is called Miso.", labels=["plain"], subject=None)
    steps = [[function_call("remember", {"statement": text, "quote": text}, call_id="c")], [assistant_message("Ok.")]]
    agent: Agent[Any] = Agent(name="helper", model=ScriptedModel(steps), tools=[*user.tools()])
    await Runner.run(agent, text, run_config=user.run_config())
    await session.add_items([{"role": "user", "content": f"I like tea. {text} I live in Lisbon."}])
    await user.learn(session)
    [lineage] = [one for one in await user.lineages() if one.fact.id == fact.id]
    imported = replace(lineage, fact=replace(lineage.fact, id="imported0001", text=text, superseded_by=None))
    with suppress(InvalidInput):
        await user.restore([imported])
    await user.recall(text)
    await user.forget(fact.id, reason=f"the user said: {text}")
    await memory._rooms.workroom.drain()


def files_holding(folder: Path, *needles: str) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if any(needle.encode() in path.read_bytes() for needle in needles)]


async def test_a_credential_is_in_no_file_however_it_came(tmp_path: Path) -> None:
    held: dict[str, list[str]] = {}
    async with SemanticMemory.open(tmp_path / "memory", embedding=HashEmbeddingModel()) as memory:
        for number, (name, secret) in enumerate(TRIED.items()):
            user, session = memory.user(f"user {number}"), SQLiteSession(f"s{number}")
            await by_every_way(memory, user, f"My key is {secret} for now.", session)
            if found := files_holding(tmp_path / "memory", secret):
                held[name] = found
    assert held == {}
    note(8, "credentials in a chat, tools, remember, correct, import, question, reason", shapes=len(TRIED), held=0)


class Spy(SentenceExtractor):
    """What an extractor, be it a model elsewhere, gets to read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    async def extract(self, messages: Any, **given: Any) -> Any:
        self.read += [message.text for message in (*messages, *given.get("context", ()))]
        return await super().extract(messages, **given)


class Listening(HashEmbeddingModel):
    """What the embedding model gets to read, of statements and of questions."""

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["read"] = []  # the dataclass is frozen

    async def embed_documents(self, texts: Any) -> Any:
        self.read.extend(texts)
        return await super().embed_documents(texts)

    async def embed_query(self, text: str) -> Any:
        self.read.append(text)
        return await super().embed_query(text)


class Jury:
    """What a reranker gets to read of a question."""

    within = 5.0

    def __init__(self) -> None:
        self.read: list[str] = []

    async def score(self, query: str, texts: Any) -> Any:
        self.read.append(query)
        return [0.0 for _ in texts]


async def test_no_model_reads_a_credential_whichever_way_it_comes(tmp_path: Path) -> None:
    extractor, embedding, jury = Spy(), Listening(), Jury()
    parts = {"extractor": extractor, "embedding": embedding, "reranker": jury}
    async with SemanticMemory.open(tmp_path / "memory", **parts) as memory:
        for number, (name, secret) in enumerate(TRIED.items()):
            user, session = memory.user(f"user {number}"), SQLiteSession(f"s{number}")
            text = f"My key is {secret} for now."
            await by_every_way(memory, user, text, session)
            await user.recall("And that one?", earlier=[text])
            heard = [*extractor.read, *embedding.read, *jury.read]
            assert not any(secret in one for one in heard), name
    assert all((extractor.read, embedding.read, jury.read))


async def test_a_quote_beside_a_credential_is_where_the_user_said_it(tmp_path: Path) -> None:
    said = "I like tea. My key is AKIAIOSFODNN7EXAMPLE for now. I live in Lisbon."
    async with SemanticMemory.open(tmp_path / "memory", embedding=HashEmbeddingModel()) as memory:
        ada, session = memory.user("ada"), SQLiteSession("s")
        await session.add_items([{"role": "user", "content": said}])
        learned = await ada.learn(session)
        assert [fact.text for fact in learned.written] == ["I like tea.", "I live in Lisbon."]
        assert learned.rejected == (("", "it holds a credential"),)
        for fact in learned.written:
            [evidence] = (await ada.explain(fact.id)).evidence
            assert evidence.span is not None
            assert said[slice(*evidence.span)] == evidence.quote == fact.text


class Newer(Spy):
    """A later version that proposes mail addresses as they are written."""

    version = "newer/1"

    async def extract(self, messages: Any, **given: Any) -> Any:
        await super().extract(messages, **given)
        text = messages[0].text
        return [CandidateFact(text=f"The user wrote: {text}", position=messages[0].position, quote=text)]


async def test_what_is_read_again_is_redacted_again(tmp_path: Path) -> None:
    extractor, embedding = Newer(), Listening()
    parts = {"embedding": embedding, "redactor": lambda text: MAIL.sub("my own", text)}
    async with SemanticMemory.open(tmp_path / "memory", **parts) as memory:
        ada, session = memory.user("ada"), SQLiteSession("s")
        said = "I live in Lisbon. My mail is ada@example.com these days."
        await session.add_items([{"role": "user", "content": said}])
        await ada.learn(session)
        found = await jobs.relearn(memory, "ada", session, extractor, apply=True)
        assert (len(found.rewritten), found.refused) == (1, ())
        await memory._rooms.workroom.drain()
    assert files_holding(tmp_path / "memory", "ada@example") == []
    assert not [text for text in (*extractor.read, *embedding.read) if "ada@example" in text]


async def test_a_redactor_sees_every_text_before_anybody_else_does(tmp_path: Path) -> None:
    extractor, embedding = Spy(), Listening()
    parts = {"extractor": extractor, "embedding": embedding, "redactor": without_mail}
    async with SemanticMemory.open(tmp_path / "memory", **parts) as memory:
        ada = memory.user("ada")
        await by_every_way(memory, ada, "My mail is ada@example.com these days.", SQLiteSession("s"))
        texts = [fact.text for fact in await ada.facts()]
    assert any("My mail is [mail] these days." in text for text in texts), texts
    assert files_holding(tmp_path / "memory", "ada@example") == []
    assert not [text for text in (*extractor.read, *embedding.read) if "ada@example" in text]


@pytest.mark.parametrize("redactor", [lambda _: 1 / 0, lambda _: None, lambda _: b""], ids=["raises", "none", "bytes"])
async def test_where_the_redactor_fails_nothing_is_kept(tmp_path: Path, redactor: Any) -> None:
    async with SemanticMemory.open(tmp_path / "memory", embedding=HashEmbeddingModel(), redactor=redactor) as memory:
        ada, session = memory.user("ada"), SQLiteSession("s")
        with pytest.raises(InvalidInput, match="redactor"):
            await ada.remember("My mail is ada@example.com.")
        await session.add_items([{"role": "user", "content": "My mail is ada@example.com."}])
        assert "redactor" in ((await ada.learn(session)).failed or "")
        await ada.recall("Is my mail ada@example.com?")
        await memory._rooms.workroom.drain()
    assert files_holding(tmp_path / "memory", "ada@example") == []
