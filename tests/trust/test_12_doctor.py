"""Promise 12: `semantic-memory doctor` tells on one page how a memory is, and puts right what can be put right."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agents import SQLiteSession
from typer.testing import CliRunner

from semantic_memory import ExtractionFailed, SemanticMemory, Settings, jobs
from semantic_memory.frontends.cli import app
from semantic_memory.ledger.joblock import job_lock
from semantic_memory.testing import HashEmbeddingModel, ScriptedExtractor
from tests.jobs_models import OtherModel
from tests.trust.children import Child
from tests.trust.counts import note

FACTS = [f"My colleague number {number} is called Ed{number}." for number in range(20)]


@pytest.fixture(autouse=True)
def fast_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semantic_memory.rooms.embedding_model", lambda _: HashEmbeddingModel())


async def live(folder: Path, **given: Any) -> None:
    extractor = ScriptedExtractor([ExtractionFailed("junk")] * 4)
    settings = Settings(path=folder, learn_tries=1, **given)
    async with SemanticMemory.open(settings, embedding=HashEmbeddingModel(), extractor=extractor) as memory:
        await memory.user("ada").remember_all(FACTS)
        await memory.user("bob").remember(FACTS[0])


async def doctor(folder: Path, *options: str) -> Any:
    return await asyncio.to_thread(CliRunner().invoke, app, ["doctor", "--memory", str(folder), *options])


async def test_a_memory_in_which_all_is_well(tmp_path: Path) -> None:
    await live(tmp_path)
    ran = await doctor(tmp_path)
    assert ran.exit_code == 0, ran.output
    for word in ("ada", "bob", "20", "hash"):
        assert word in ran.output
    assert len(ran.output.splitlines()) <= 40


async def test_the_page_tells_of_generations_and_of_a_job_that_runs(tmp_path: Path) -> None:
    await live(tmp_path)
    async with SemanticMemory.open(tmp_path, embedding=HashEmbeddingModel()) as memory:
        await jobs.reembed(memory, OtherModel())
    async with SemanticMemory.open(tmp_path, embedding=OtherModel()) as memory, job_lock(memory._rooms.ledger):
        health = await memory.health()
        assert health.job
        assert health.generations == {"other": {"active": 2}, "hash": {"retired": 2}}
        page = (await doctor(tmp_path)).output
    assert "other (2 active), hash (2 retired)" in page
    assert "job: running" in page
    assert "job: none" in (await doctor(tmp_path)).output


async def test_many_illnesses_fit_on_one_screen(tmp_path: Path) -> None:
    async with SemanticMemory.open(tmp_path, embedding=HashEmbeddingModel()) as memory:
        for number in range(30):
            await memory.user(f"user {number}").remember_all(FACTS[:5])
    ledger_of(tmp_path, "DELETE FROM memory_evidence WHERE quote LIKE '%number 1 %'")
    without = "SELECT id FROM memory_facts WHERE text LIKE '%number 4 %'"
    ledger_of(tmp_path, f"DELETE FROM memory_vectors WHERE fact_id IN ({without})")
    page = (await doctor(tmp_path)).output
    assert len(page.splitlines()) <= 40, page
    [more] = [line for line in page.splitlines() if "more: --json has them all" in line]
    for kind in ("index", "evidence", "unembedded"):
        assert re.search(rf"\b2[78] {kind}", more), more


def ledger_of(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "ledger.db") as database:
        database.execute(statement)
    database.close()


def no_index(folder: Path) -> None:
    shutil.rmtree(folder / "index")


def corrupt(folder: Path) -> None:
    for path in (folder / "index").rglob("chroma.sqlite3"):
        path.write_bytes(os.urandom(path.stat().st_size))


def somebody_elses_folder(folder: Path) -> None:
    first = next(path for path in (folder / "index").iterdir() if not path.name.startswith("."))
    shutil.copytree(first, first.with_name(f"{'0' * 32}-{'0' * 16}"))


def credential(folder: Path) -> None:
    key = "AKIA" + "IOSFODNN7EXAMPLE"
    ledger_of(folder, f"UPDATE memory_facts SET text = 'The key is {key}.' WHERE text LIKE '%number 3 %'")


def loop(folder: Path) -> None:
    ledger_of(folder, "UPDATE memory_facts SET supersedes = id, superseded_by = id WHERE text LIKE '%number 4 %'")


def no_evidence(folder: Path) -> None:
    ledger_of(folder, "DELETE FROM memory_evidence WHERE quote LIKE '%number 5 %'")


def no_vector(folder: Path) -> None:
    ledger_of(folder, "DELETE FROM memory_vectors WHERE rowid IN (SELECT rowid FROM memory_vectors LIMIT 1)")


def no_rows_in_an_index(folder: Path) -> None:
    """As a write that the disk lost leaves it: an index of SQLite that is whole, and empty."""
    with sqlite3.connect(folder / "ledger.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = database.execute("PRAGMA page_size").fetchone()[0]
        roots = dict(database.execute("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0"))
    database.close()
    pages = bytearray((folder / "ledger.db").read_bytes())
    lost, empty = ((roots[name] - 1) * size for name in ("memory_facts_by_status", "memory_receipt_facts_by_fact"))
    assert pages[lost : lost + size] != pages[empty : empty + size]
    pages[lost : lost + size] = pages[empty : empty + size]
    (folder / "ledger.db").write_bytes(pages)


ILLNESSES: dict[str, tuple[Callable[[Path], None], str, bool]] = {  # what happens, how it is called, whether it heals
    "no index": (no_index, "index", True),
    "a corrupt index": (corrupt, "index", True),
    "a folder of nobody": (somebody_elses_folder, "leftover", True),
    "an index of the ledger that lost its rows": (no_rows_in_an_index, "ledger", True),
    "a credential": (credential, "secret", False),
    "a loop": (loop, "chain", False),
    "no evidence": (no_evidence, "evidence", False),
    "a fact without a vector": (no_vector, "unembedded", True),
}


@pytest.mark.parametrize("illness", ILLNESSES)
async def test_what_is_wrong_is_told_with_an_exit_code_and_repaired(tmp_path: Path, illness: str) -> None:
    happens, called, heals = ILLNESSES[illness]
    await live(tmp_path)
    happens(tmp_path)
    seen = await doctor(tmp_path)
    assert seen.exit_code == 1, seen.output
    assert called in seen.output
    assert "AKIA" not in seen.output
    repaired = await doctor(tmp_path, "--repair")
    assert repaired.exit_code == (0 if heals else 1), repaired.output
    again = await doctor(tmp_path)
    assert again.exit_code == (0 if heals else 1), again.output


async def test_dead_letters_are_told_and_tried_again(tmp_path: Path) -> None:
    session = SQLiteSession("s", tmp_path / "chats.db")
    await session.add_items([{"role": "user", "content": FACTS[0]}])
    extractor = ScriptedExtractor([ExtractionFailed("junk")])
    settings = Settings(path=tmp_path, learn_tries=1)
    async with SemanticMemory.open(settings, embedding=HashEmbeddingModel(), extractor=extractor) as memory:
        await memory.user("ada").remember("My cat is called Miso.")
        await memory.user("ada").learn(session)
    seen = await doctor(tmp_path)
    assert (seen.exit_code, "dead letter" in seen.output) == (1, True), seen.output
    assert (await doctor(tmp_path, "--retry")).exit_code == 0
    assert (await doctor(tmp_path)).exit_code == 0


async def hold(line: Any, folder: Path) -> None:
    async with SemanticMemory.open(folder, embedding=HashEmbeddingModel()) as memory:
        ada = memory.user("ada")
        await ada.recall(FACTS[0])
        await memory.health()
        line.send("held")
        line.recv()


async def test_an_index_that_another_process_holds_is_told_and_no_illness(tmp_path: Path) -> None:
    await live(tmp_path)
    holder = Child(hold, tmp_path)
    assert holder.said() == "held"
    seen = await doctor(tmp_path)
    holder.tell("go")
    assert holder.ended() == 0
    assert (seen.exit_code, "locked" in seen.output) == (0, True), seen.output
    note(12, "doctor", illnesses=len(ILLNESSES) + 2)
