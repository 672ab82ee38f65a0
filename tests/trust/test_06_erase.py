"""Promise 6: erased is erased, on every byte of the memory folder, and nobody else is touched."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agents import SQLiteSession

from semantic_memory import Certificate, Erased, Lineage, SemanticMemory, UserMemory
from semantic_memory.extraction.sentences import SentenceExtractor
from semantic_memory.testing import HashEmbeddingModel, ScriptedExtractor
from tests.chroma_server import ChromaServer
from tests.servers import fresh_schema
from tests.trust.children import Child
from tests.trust.counts import count, note
from tests.trust.test_03_processes import memory_at

SIZES = count([50], [50, 1_000, 2_500])
CANARIES = 10  # of the facts, each with a word of its own
OTHERS = ("bob", "carol")


def open_memory(folder: Path, **parts: Any) -> Any:
    return SemanticMemory.open(folder / "memory", **{"embedding": HashEmbeddingModel()} | parts)


def canary(number: int) -> str:
    return f"My secret number {number} is called Quetzalcoatlus{number}."


def statements(size: int) -> list[str]:
    plain = [f"My colleague number {number} is called Ed{number}." for number in range(size - CANARIES)]
    return [canary(number) for number in range(CANARIES)] + plain


async def needles() -> list[bytes]:
    """What may be in no file: the word, and the first numbers of each canary's vector."""
    model = HashEmbeddingModel()
    vectors = await model.embed_documents([canary(number) for number in range(CANARIES)])
    return [b"Quetzalcoatlus", b"ada-lovelace", *(np.asarray(row, dtype="<f4").tobytes()[:48] for row in vectors)]


def occurrences(folder: Path, wanted: list[bytes]) -> dict[str, int]:
    """How often any of the needles is in each file below the folder, whatever kind of file it is."""
    found = {str(path): sum(path.read_bytes().count(one) for one in wanted) for path in files_below(folder)}
    return {path: times for path, times in found.items() if times}


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@contextmanager
def logged(folder: Path) -> Iterator[None]:
    """Keep everything that the library says, and whatever others warn of, in a file of the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    handler, ours = logging.FileHandler(folder / "memory.log"), logging.getLogger("semantic_memory")
    logging.getLogger().addHandler(handler)
    before = ours.level
    ours.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        ours.setLevel(before)
        logging.getLogger().removeHandler(handler)
        handler.close()


async def settled(memory: SemanticMemory) -> None:
    await memory._rooms.workroom.drain()


async def live(folder: Path, size: int) -> list[Lineage]:
    """A life that leaves traces everywhere: facts, a transcript, corrections, recalls, receipts, a built index."""
    async with open_memory(folder) as memory:
        for other in OTHERS:
            await memory.user(other).remember_all([f"My friend number {n} is called {other}{n}." for n in range(20)])
        ada, session = memory.user("ada-lovelace"), SQLiteSession("kept", folder / "chats.db")
        facts = await ada.remember_all(statements(size)[1:])
        await session.add_items([{"role": "user", "content": canary(0)}])
        assert len((await ada.learn(session)).written) == 1
        await ada.correct(facts[0].id, canary(1).replace("is called", "is now called"))
        await settled(memory)
        for number in range(3):
            await ada.recall(canary(number), min_relevance=0.0)
        await settled(memory)
        return [lineage for other in OTHERS for lineage in await memory.user(other).lineages()]


def folders_of_others(folder: Path, mine: str) -> dict[str, str]:
    """Every byte of the index that isn't the user's."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files_below(folder / "memory" / "index")
        if mine not in str(path) and ".locks" not in str(path)
    }


async def place_of(memory: SemanticMemory, user_id: str) -> str:
    [place] = await memory._rooms.workroom.call(memory._rooms.eraser._places(memory.user(user_id)._key))
    return str(place.name)


@pytest.mark.parametrize("size", SIZES)
async def test_an_erased_user_is_in_no_file_and_nobody_else_is_touched(tmp_path: Path, size: int) -> None:
    wanted, began = await needles(), time.monotonic()
    with logged(tmp_path / "memory"):
        exported = await live(tmp_path, size)
        before = occurrences(tmp_path / "memory", wanted)
        assert {Path(path).name for path in before} >= {"ledger.db", "chroma.sqlite3"}
        shutil.copytree(tmp_path / "memory" / "index", tmp_path / "backup")
        async with open_memory(tmp_path) as memory:
            mine = await place_of(memory, "ada-lovelace")
            others = folders_of_others(tmp_path, mine)
            erasing = time.monotonic()
            certificate = await memory.user("ada-lovelace").erase()
            seconds = time.monotonic() - erasing
            await settled(memory)
            assert certificate.complete
            assert certificate.unproven == ()
            assert certificate.removed["memory_facts"] == size + 1
            assert occurrences(tmp_path / "memory", wanted) == {}
            assert folders_of_others(tmp_path, mine) == others
            assert [one for other in OTHERS for one in await memory.user(other).lineages()] == exported
            await a_kept_transcript_teaches_nothing(memory.user("ada-lovelace"), tmp_path)
        assert occurrences(tmp_path / "memory", wanted) == {}
        await an_old_index_put_back_serves_nothing(tmp_path, mine, wanted)
    note(
        6,
        f"erase at {size} facts",
        canaries=len(wanted),
        occurrences_before=sum(before.values()),
        occurrences_after=0,
        others_changed=0,
        erase_ms=round(seconds * 1000),
        seconds=round(time.monotonic() - began),
    )


async def a_kept_transcript_teaches_nothing(ada: UserMemory, folder: Path) -> None:
    session = SQLiteSession("kept", folder / "chats.db")
    assert (await ada.learn(session)).written == ()
    assert await ada.facts() == []


async def an_old_index_put_back_serves_nothing(folder: Path, mine: str, wanted: list[bytes]) -> None:
    shutil.rmtree(folder / "memory" / "index")
    shutil.copytree(folder / "backup", folder / "memory" / "index")
    assert occurrences(folder / "memory", wanted)
    async with open_memory(folder) as memory:
        ada = memory.user("ada-lovelace")
        for number in range(CANARIES):
            assert (await ada.recall(canary(number), min_relevance=0.0)).facts == ()
        await ada.remember("A new life begins.")  # also with a new folder beside the old one
        await settled(memory)
        for number in range(CANARIES):
            told = (await ada.recall(canary(number), min_relevance=0.0)).facts
            assert [one.fact.text for one in told] in ([], ["A new life begins."])
        await memory.health(repair=True)
        assert not (folder / "memory" / "index" / mine).exists()
        assert occurrences(folder / "memory", wanted[2:]) == {}
        await ada.erase()


@pytest.mark.parametrize("size", SIZES)
async def test_a_forgotten_fact_is_in_no_file_and_its_neighbours_stay(tmp_path: Path, size: int) -> None:
    vector = np.asarray(await HashEmbeddingModel().embed_query(canary(0)), dtype="<f4").tobytes()[:48]
    wanted = [b"Quetzalcoatlus0", vector]
    with logged(tmp_path / "memory"):
        await live(tmp_path, size)
        assert occurrences(tmp_path / "memory", wanted)
        async with open_memory(tmp_path) as memory:
            ada = memory.user("ada-lovelace")
            [secret] = [fact for fact in await ada.facts() if fact.text == canary(0)]
            others = {fact.id: fact.text for fact in await ada.facts() if fact.id != secret.id}
            began = time.monotonic()
            await ada.forget(secret.id)
            await settled(memory)
            seconds = time.monotonic() - began
            left = occurrences(tmp_path / "memory", wanted)
            assert left == {}
            assert {fact.id: fact.text for fact in await ada.facts()} == others
            assert (await ada.recall(canary(3), min_relevance=0.0)).facts[0].fact.text == canary(3)
        assert occurrences(tmp_path / "memory", wanted) == {}
    note(6, f"forget one of {size} facts", occurrences_after=0, forget_and_rebuild_ms=round(seconds * 1000))


# ---- while others work -------------------------------------------------------------------------------


class Slow(ScriptedExtractor):
    """Finds what the sentences say, when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.go_on = asyncio.Event(), asyncio.Event()

    async def extract(self, messages: Any, **given: Any) -> Any:
        self.began.set()
        await self.go_on.wait()
        return await SentenceExtractor().extract(messages, **given)


async def test_an_erase_during_a_learn_pass_wins(tmp_path: Path) -> None:
    extractor = Slow()
    async with open_memory(tmp_path, extractor=extractor) as memory:
        ada, session = memory.user("ada-lovelace"), SQLiteSession("s")
        await ada.remember(canary(1))
        await session.add_items([{"role": "user", "content": canary(0)}])
        learning = asyncio.ensure_future(ada.learn(session))
        await extractor.began.wait()
        await ada.erase()
        extractor.go_on.set()
        with pytest.raises(Erased):
            await learning
        await settled(memory)
        assert await ada.facts() == []
        assert occurrences(tmp_path / "memory", await needles()) == {}


async def keep_open(line: Connection, folder: Path) -> None:
    """Own the user's folder, as a web worker would."""
    async with open_memory(folder) as memory:
        ada = memory.user("ada-lovelace")
        await ada.recall(canary(0), min_relevance=0.0)
        await settled(memory)
        assert (await ada.recall(canary(0), min_relevance=0.0)).answered_by == "index"
        line.send("open")
        await asyncio.to_thread(line.recv)


async def erased_beside_an_owner(tmp_path: Path, *, frozen: bool) -> tuple[Certificate, float]:
    """Erase while another process owns the folder; the certificate, and the seconds until the folder was gone."""
    await live(tmp_path, 50)
    owner = Child(keep_open, tmp_path)
    assert await asyncio.to_thread(owner.said) == "open"
    async with open_memory(tmp_path) as memory:
        mine = await place_of(memory, "ada-lovelace")
        if frozen:
            owner.stop()
        began = time.monotonic()
        certificate = await memory.user("ada-lovelace").erase()
        assert certificate.complete != frozen
        if frozen:
            assert certificate.index == "pending"
            assert (tmp_path / "memory" / "index" / mine).exists()
            assert (await memory.user("ada-lovelace").recall("What is my secret?", min_relevance=0.0)).facts == ()
            began = time.monotonic()
            owner.go_on()
        while (tmp_path / "memory" / "index" / mine).exists():
            assert time.monotonic() - began < 10
            await asyncio.sleep(0.01)
        gone = time.monotonic() - began
        owner.tell("good bye")
        assert await asyncio.to_thread(owner.ended) == 0
    return certificate, gone


@pytest.mark.parametrize("frozen", [False, True], ids=["that works", "that doesn't move"])
async def test_a_folder_of_another_process_is_gone_within_a_second(tmp_path: Path, frozen: bool) -> None:
    certificate, gone = await erased_beside_an_owner(tmp_path, frozen=frozen)
    assert gone <= 1.0 + count(1.0, 0.0)  # a busy machine
    assert occurrences(tmp_path / "memory", await needles()) == {}
    note(
        6,
        f"folder owned by a process {'that is frozen, from when it goes on' if frozen else 'that works'}",
        certificate=certificate.index,
        gone_after_ms=round(gone * 1000),
    )


async def test_an_owner_that_was_killed_leaves_nothing(tmp_path: Path) -> None:
    """The request to remove outlives the process that holds the folder, and the one that asked."""
    await live(tmp_path, 50)
    owner = Child(keep_open, tmp_path)
    assert await asyncio.to_thread(owner.said) == "open"
    owner.stop()
    async with open_memory(tmp_path) as memory:
        assert (await memory.user("ada-lovelace").erase()).index == "pending"
    owner.kill()
    async with open_memory(tmp_path) as memory:
        await memory.user("bob").recall("Who is my friend?")
        await memory.health(repair=True)
    assert occurrences(tmp_path / "memory", await needles()) == {}


async def forget_and_die(line: Connection, folder: Path) -> None:
    """A process that is killed right behind a forget, before anything else can happen."""
    async with open_memory(folder) as memory:
        await forget_the_secret(memory)
        line.send("forgotten")
        await asyncio.to_thread(line.recv)


async def forget_the_secret(memory: SemanticMemory) -> None:
    ada = memory.user("ada-lovelace")
    [secret] = [fact for fact in await ada.facts() if fact.text == canary(0)]
    await ada.forget(secret.id)


async def forgotten_vector() -> list[bytes]:
    vector = await HashEmbeddingModel().embed_query(canary(0))
    return [b"Quetzalcoatlus0", np.asarray(vector, dtype="<f4").tobytes()[:48]]


async def test_a_forgotten_fact_is_gone_beside_an_owner_that_nobody_asks(tmp_path: Path) -> None:
    wanted = await forgotten_vector()
    await live(tmp_path, 50)
    owner = Child(keep_open, tmp_path)
    assert await asyncio.to_thread(owner.said) == "open"
    async with open_memory(tmp_path) as memory:
        await forget_the_secret(memory)
        assert occurrences(tmp_path / "memory", wanted) == {}
        await settled(memory)  # and the index that is built anew doesn't hold it
        assert occurrences(tmp_path / "memory", wanted) == {}
        found = await memory.user("ada-lovelace").recall(canary(3), min_relevance=0.0)
        assert found.facts[0].fact.text == canary(3)
        assert found.answered_by == "index"
    owner.tell("good bye")
    assert await asyncio.to_thread(owner.ended) == 0
    assert occurrences(tmp_path / "memory", wanted) == {}


async def test_a_forgotten_fact_is_gone_though_its_process_dies_right_behind(tmp_path: Path) -> None:
    wanted = await forgotten_vector()
    await live(tmp_path, 50)
    forgetting = Child(forget_and_die, tmp_path)
    assert await asyncio.to_thread(forgetting.said) == "forgotten"
    forgetting.kill()
    assert occurrences(tmp_path / "memory", wanted) == {}


@pytest.mark.parametrize("load", ["wait", "lazy"])
async def test_opening_a_memory_removes_what_a_killed_process_left(tmp_path: Path, load: Any) -> None:
    await live(tmp_path, 50)
    owner = Child(keep_open, tmp_path)
    assert await asyncio.to_thread(owner.said) == "open"
    owner.stop()
    async with open_memory(tmp_path) as memory:
        assert (await memory.user("ada-lovelace").erase()).index == "pending"
    owner.kill()
    async with open_memory(tmp_path, load=load):
        pass  # nobody is asked anything
    assert occurrences(tmp_path / "memory", await needles()) == {}


async def test_what_lies_on_servers_is_not_called_gone_from_every_byte(
    tmp_path: Path, chroma_server: ChromaServer
) -> None:
    """A certificate must not say more than what can be known from here."""
    async with fresh_schema() as schema, memory_at(tmp_path, schema, chroma_server.url) as memory:
        ada = memory.user("ada-lovelace")
        await ada.remember_all(statements(20))
        await settled(memory)
        certificate = await ada.erase()
    assert (certificate.index, certificate.ledger, certificate.complete) == ("dropped", "deleted", True)
    assert len(certificate.unproven) == 2
    assert "Chroma server" in certificate.unproven[0]
    assert "vacuum" in certificate.unproven[1]
