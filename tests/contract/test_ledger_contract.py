"""What every ledger does, whichever database holds it."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import threading
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from agents.extensions.memory import SQLAlchemySession
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from semantic_memory import SemanticMemory, Settings
from semantic_memory.embedding import Fingerprint
from semantic_memory.errors import Conflict, Erased, InvalidInput, LedgerFailed, NotFound
from semantic_memory.facts import Evidence, Fact, FactFilter, NearMiss, Receipt
from semantic_memory.ledger import tables
from semantic_memory.ledger.database import Database
from semantic_memory.ledger.migrations import STEPS, schema_version
from semantic_memory.ledger.rows import Claim, Filed, Kept, Moved, UserState
from semantic_memory.ledger.store import Ledger
from semantic_memory.ledger.writing import Writer
from semantic_memory.testing import HashEmbeddingModel
from tests.servers import POSTGRESQL, engine_in, fresh_schema

T = TypeVar("T")

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
MODEL = Fingerprint(name="m", weights="w", dimension=4)
OTHER_MODEL = Fingerprint(name="other", weights="w", dimension=4)


def fact(fact_id: str, **fields: Any) -> Fact:
    usual: dict[str, Any] = {
        "id": fact_id,
        "user_id": "ada",
        "text": f"fact {fact_id}",
        "origin": "user",
        "status": "active",
        "said_at": NOW,
        "recorded_at": NOW,
    }
    return Fact(**usual | fields)


def filed(fact_id: str, *, claim: Claim | None = None, **fields: Any) -> Filed:
    usual: dict[str, Any] = {
        "id": f"e-{fact_id}",
        "fact_id": fact_id,
        "origin": "user",
        "quote": f"quote {fact_id}",
        "span": (0, 5),
        "recorded_at": NOW,
        "digest": claim.digest if claim else None,
    }
    occurrence = claim.occurrence if claim else None
    return Filed(evidence=Evidence(**usual | fields), session_key="s" if claim else None, occurrence=occurrence)


async def write(ledger: Ledger, *facts: Fact, user: str = "ada") -> None:
    await ledger.write(
        ledger.user_key(user), user, lambda writer: writer.add_facts(facts, [filed(one.id) for one in facts])
    )


async def state(ledger: Ledger, user: str = "ada") -> UserState:
    found = await ledger.user(ledger.user_key(user))
    assert found is not None
    return found


async def texts(ledger: Ledger, wanted: FactFilter | None = None, user: str = "ada") -> list[str]:
    return sorted(one.text for one in await ledger.facts(await state(ledger, user), wanted or FactFilter()))


class LedgerContract:
    """Inherited once per database; each gives `engines`, which makes engines on one empty database."""

    @pytest.fixture
    async def ledger(self, address: list[str]) -> AsyncIterator[Ledger]:
        async with opened(address) as ledger:
            yield ledger

    def wait(self, writer: Writer, go_on: threading.Event) -> None:
        """Keep a transaction open until the event, or until it is cancelled."""
        raise NotImplementedError

    def meanwhile(self, work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
        """What another task of the loop finds while a transaction is open."""
        raise NotImplementedError

    # ---- schema ------------------------------------------------------------------------------------

    async def test_an_empty_database_is_brought_to_the_newest_schema(self, ledger: Ledger, engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            assert await connection.run_sync(schema_version) == len(STEPS)

    async def test_opening_again_changes_nothing(self, ledger: Ledger, address: list[str]) -> None:
        await write(ledger, fact("f"))
        async with opened(address) as again:
            assert again.user_key("ada") == ledger.user_key("ada")
            assert await texts(again) == ["fact f"]

    async def test_the_migrations_make_what_the_tables_say(self, ledger: Ledger, engine: AsyncEngine) -> None:
        def differences(connection: Any) -> Any:
            own = {"include_object": lambda _, name, kind, *__: kind != "table" or name in tables.metadata.tables}
            context = MigrationContext.configure(connection, opts={"compare_type": True, **own})
            return compare_metadata(context, tables.metadata)

        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []

    async def test_a_newer_schema_is_refused(self, ledger: Ledger, address: list[str], engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await connection.execute(text("INSERT INTO memory_schema VALUES (999, 'future', 'now')"))
        with pytest.raises(LedgerFailed, match="upgrade the package"):
            await try_to_open(address)

    async def test_a_migration_that_breaks_leaves_nothing_behind(
        self, address: list[str], engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = importlib.import_module("semantic_memory.ledger.migrations.0001_initial")
        whole = first.upgrade

        def half(op: Any) -> None:
            whole(op)
            op.execute("SELECT * FROM no_such_table")

        monkeypatch.setattr(first, "upgrade", half)
        with pytest.raises(LedgerFailed):
            await try_to_open(address)
        monkeypatch.undo()
        async with engine.connect() as connection:
            assert await connection.run_sync(schema_version) == 0
        await try_to_open(address)

    async def test_processes_can_open_an_empty_database_at_once(self, address: list[str]) -> None:
        program = "from tests.contract import test_ledger_contract as this; this.open_in_this_process()"
        processes = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", program, *address, stdout=asyncio.subprocess.PIPE
            )
            for _ in range(4)
        ]
        answers = [(await process.communicate())[0] for process in processes]
        assert len(set(answers)) == 1
        assert len(json.loads(answers[0])) == 32

    # ---- one transaction ---------------------------------------------------------------------------

    async def test_whatever_is_raised_inside_a_write_leaves_nothing(self, ledger: Ledger) -> None:
        await write(ledger, fact("f"))
        before = await state(ledger)

        async def stopped() -> None:
            def work(writer: Writer) -> None:
                writer.add_facts([fact("g")], [filed("g")])
                writer.claim("s", [Claim(digest="d", occurrence=0, position=0)], extractor="x")
                writer.set_status("f", "active", "retracted", reason=None)
                raise RuntimeError("stop")

            await ledger.write(before.user_key, "ada", work)

        with pytest.raises(RuntimeError, match="stop"):
            await stopped()
        assert await state(ledger) == before
        assert await texts(ledger) == ["fact f"]
        assert await ledger.learned(before.user_key, "s") == []
        assert len(await ledger.changes(before.user_key)) == 1

    async def test_a_cancelled_write_leaves_nothing_and_the_next_one_works(self, ledger: Ledger) -> None:
        inside, go_on = threading.Event(), threading.Event()

        def slow(writer: Writer) -> None:
            writer.add_facts([fact("f")], [filed("f")])
            inside.set()
            self.wait(writer, go_on)

        task = asyncio.ensure_future(ledger.write(ledger.user_key("ada"), "ada", slow))
        await asyncio.to_thread(inside.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        await asyncio.wait_for(write(ledger, fact("g")), 5)
        assert await texts(ledger) == ["fact g"]

    async def test_a_reader_sees_a_write_whole_or_not_at_all(self, ledger: Ledger) -> None:
        await write(ledger, fact("f"))
        here = asyncio.get_running_loop()

        def work(writer: Writer) -> list[str]:
            writer.add_facts([fact("g")], [filed("g")])
            return self.meanwhile(texts(ledger), here)

        assert await ledger.write(ledger.user_key("ada"), "ada", work) == ["fact f"]
        assert await texts(ledger) == ["fact f", "fact g"]

    async def test_readers_do_not_wait_for_a_writer(self, ledger: Ledger) -> None:
        await write(ledger, fact("f"))
        inside, go_on = threading.Event(), threading.Event()

        def slow(writer: Writer) -> None:
            inside.set()
            self.wait(writer, go_on)

        task = asyncio.ensure_future(ledger.write(ledger.user_key("bob"), "bob", slow))
        await asyncio.to_thread(inside.wait)
        assert await asyncio.wait_for(texts(ledger), 5) == ["fact f"]
        assert not task.done()
        go_on.set()
        await task

    async def test_what_was_decided_at_an_older_revision_is_not_written(self, ledger: Ledger) -> None:
        await write(ledger, fact("f"))
        before = await state(ledger)
        await write(ledger, fact("g"))

        def work(writer: Writer) -> None:
            writer.add_facts([fact("h")], [filed("h")])

        with pytest.raises(Moved):
            await ledger.write(before.user_key, "ada", work, revision=before.revision)
        assert await texts(ledger) == ["fact f", "fact g"]
        await ledger.write(before.user_key, "ada", work, revision=2)
        assert len(await texts(ledger)) == 3

    async def test_a_status_moves_only_from_the_status_that_was_seen(self, ledger: Ledger) -> None:
        await write(ledger, fact("f"))
        key = ledger.user_key("ada")
        await ledger.write(
            key, "ada", lambda writer: writer.set_status("f", "active", "retracted", reason="taken back")
        )
        with pytest.raises(Conflict, match="retracted"):
            await ledger.write(key, "ada", lambda writer: writer.set_status("f", "active", "forgotten", reason=None))
        with pytest.raises(NotFound):
            await ledger.write(key, "ada", lambda writer: writer.set_status("none", "active", "forgotten", reason=None))

    async def test_of_many_who_supersede_a_fact_one_wins(self, ledger: Ledger) -> None:
        await write(ledger, fact("old"))
        key = ledger.user_key("ada")

        async def supersede(by: str) -> None:
            def work(writer: Writer) -> None:
                writer.add_facts([fact(by, supersedes="old")], [filed(by)])
                writer.set_status("old", "active", "superseded", reason=None, superseded_by=by)

            await ledger.write(key, "ada", work)

        results = await asyncio.gather(*(supersede(f"n{i}") for i in range(8)), return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["Conflict"] * 7 + ["NoneType"]
        [active] = await ledger.facts(await state(ledger), FactFilter())
        [old] = (await ledger.facts_by_id(await state(ledger), ["old"])).values()
        assert old.superseded_by == active.id

    async def test_a_write_begun_before_an_erase_aborts(self, ledger: Ledger) -> None:
        await write(ledger, fact("f"))
        before = await state(ledger)
        await ledger.erase(before.user_key)
        with pytest.raises(Erased):
            await ledger.write(
                before.user_key, "ada", lambda writer: writer.add_facts([fact("g")], [filed("g")]), epoch=before.epoch
            )
        assert (await state(ledger)).user_id is None

    # ---- claims --------------------------------------------------------------------------------------

    async def test_a_message_is_claimed_once(self, ledger: Ledger) -> None:
        key = ledger.user_key("ada")
        claims = [Claim(digest=f"d{i}", occurrence=0, position=i) for i in range(3)]

        async def work(name: str, wanted: Sequence[Claim]) -> None:
            def work(writer: Writer) -> None:
                writer.claim("s", wanted, extractor="x")
                writer.add_facts([fact(name)], [filed(name)])

            await ledger.write(key, "ada", work)

        results = await asyncio.gather(
            work("one", claims[:2]), work("two", claims[1:]), work("three", claims[1:2]), return_exceptions=True
        )
        assert [type(result) for result in results].count(Conflict) == 2
        won = len(await ledger.learned(key, "s"))
        assert won in (1, 2)
        assert len(await texts(ledger)) == 1

    async def test_claims_are_told_in_the_order_of_the_transcript(self, ledger: Ledger) -> None:
        key = ledger.user_key("ada")

        async def claim(position: int) -> None:
            claims = [Claim(digest=f"d{position}", occurrence=0, position=position)]
            await ledger.write(key, "ada", lambda writer: writer.claim("s", claims, extractor="x"))

        for position in (2, 0, 1):
            await claim(position)
        assert await ledger.learned(key, "s") == [("d0", 0), ("d1", 0), ("d2", 0)]
        assert await ledger.learned(key, "another session") == []

    async def test_failed_tries_are_counted_by_session_until_a_message_is_dead_and_revived(
        self, ledger: Ledger
    ) -> None:
        key, claim = ledger.user_key("ada"), Claim(digest="d", occurrence=0, position=0)

        async def fail(session_key: str) -> None:
            await ledger.write(key, "ada", lambda writer: writer.note_failure(session_key, "s", [claim], "no", most=2))

        await fail("s")
        await fail("s")
        await fail("t")
        assert [(one.tries, one.dead) for one in await ledger.failed_messages(key)] == [(2, True), (1, False)]
        assert [one.dead for one in await ledger.failed_messages(key, session_key="t")] == [False]
        assert await ledger.revive(key) == 1
        assert [one.tries for one in await ledger.failed_messages(key, session_key="s")] == [0]
        await ledger.write(key, "ada", lambda writer: writer.claim("s", [claim], extractor="x"))
        await fail("s")
        assert await ledger.failed_messages(key, session_key="s") == []

    async def test_withdrawn_evidence_no_longer_stands(self, ledger: Ledger) -> None:
        key, claim = ledger.user_key("ada"), Claim(digest="d", occurrence=0, position=0)

        def work(writer: Writer) -> None:
            writer.claim("s", [claim], extractor="x")
            writer.add_facts([fact("f")], [filed("f", claim=claim)])

        await ledger.write(key, "ada", work)

        def work(writer: Writer) -> None:
            assert writer.withdraw("another session", claim) == []
            assert writer.withdraw("s", claim) == ["f"]
            assert writer.withdraw("s", claim) == []
            assert writer.standing_evidence("f") == 0
            writer.unclaim("s", [claim])

        await ledger.write(key, "ada", work)
        assert await ledger.evidence(key, "f") == []
        assert await ledger.learned(key, "s") == []

    # ---- revisions and the change log ----------------------------------------------------------------

    async def test_revisions_have_no_gap_under_concurrent_writers(self, ledger: Ledger) -> None:
        async def writer(name: str) -> None:
            for i in range(5):
                await write(ledger, fact(f"{name}{i}"))

        await asyncio.gather(*(writer(name) for name in "abcdefgh"))
        assert (await state(ledger)).revision == 40
        lines = await ledger.changes(ledger.user_key("ada"))
        assert [line.revision for line in lines] == list(range(1, 41))

    async def test_a_write_that_changes_nothing_leaves_the_revision(self, ledger: Ledger) -> None:
        await write(ledger, fact("f"))
        await ledger.write(ledger.user_key("ada"), "ada", lambda writer: None)
        assert (await state(ledger)).revision == 1

    async def test_the_change_log_tells_everything_in_order(self, ledger: Ledger) -> None:
        key = ledger.user_key("ada")
        await ledger.write(
            key,
            "ada",
            lambda writer: writer.add_facts([fact("a"), fact("b")], [filed("a", reason="because"), filed("b")]),
        )

        def work(writer: Writer) -> None:
            writer.set_status("a", "active", "superseded", reason="newer", superseded_by="b")
            writer.reaffirm(filed("b", id="e2"))

        await ledger.write(key, "ada", work)
        log = [
            (line.revision, line.fact_id, line.before, line.after, line.reason) for line in await ledger.changes(key)
        ]
        assert log == [
            (1, "a", None, "active", "because"),
            (1, "b", None, "active", None),
            (2, "a", "active", "superseded", "newer"),
            (2, "b", "active", "active", "reaffirmed"),
        ]
        assert len(await ledger.changes(key, fact_id="a")) == 2

    async def test_what_changed_after_a_revision_is_told_with_its_vectors(self, ledger: Ledger) -> None:
        key, vector = ledger.user_key("ada"), np.array([0.1, -0.2, 0.3, 1e-7], dtype=np.float32)

        def work(writer: Writer) -> None:
            writer.activate("g", MODEL)
            writer.add_facts([fact("a"), fact("b")], [filed("a"), filed("b")])
            writer.add_vectors({"a": vector}, MODEL.key)

        await ledger.write(key, "ada", work)
        await ledger.write(key, "ada", lambda writer: writer.set_status("b", "active", "retracted", reason=None))
        now, rows = await ledger.facts_with_vectors(await state(ledger), MODEL.key)
        assert [(one.id, kept is not None) for one, kept in rows] == [("a", True)]
        assert np.array_equal(rows[0][1], vector)
        assert (now.revision, now.generation, now.fingerprint) == (2, "g", MODEL.key)
        assert await ledger.fingerprint(MODEL.key) == MODEL
        _, rows = await ledger.facts_with_vectors(now, MODEL.key, after=1)
        assert [(one.id, one.status) for one, _ in rows] == [("b", "retracted")]
        _, rows = await ledger.facts_with_vectors(now, OTHER_MODEL.key)
        assert rows[0][1] is None

    async def test_many_users_first_facts_can_be_written_at_once(self, ledger: Ledger) -> None:
        async def first(user: str) -> None:
            def work(writer: Writer) -> None:
                writer.activate("g", MODEL)
                writer.add_facts([fact("f", user_id=user)], [filed("f")])

            await ledger.write(ledger.user_key(user), user, work)

        names = [f"user{i}" for i in range(12)]
        await asyncio.gather(*map(first, names))
        assert await ledger.user_ids() == sorted(names)

    # ---- one user's rows only -------------------------------------------------------------------------

    async def test_no_query_of_one_user_meets_another(self, ledger: Ledger) -> None:
        """Two users with equal ids, texts, sessions and messages everywhere: every verb sees and changes its own."""
        claim, receipt = Claim(digest="d", occurrence=0, position=0), some_receipt("r", "f")
        for user in ("ada", "bob"):

            def work(writer: Writer, user: str = user) -> None:
                writer.activate("g", MODEL)
                writer.claim("s", [claim], extractor="x")
                writer.add_facts([fact("f", user_id=user)], [filed("f", claim=claim, agent="helper")])
                writer.add_vectors({"f": np.ones(4, dtype=np.float32)}, MODEL.key)
                writer.note_failure("s", "s", [replace(claim, digest="bad")], "no", most=1)

            await ledger.write(ledger.user_key(user), user, work)
            await ledger.add_receipts([Kept(ledger.user_key(user), 0, receipt)])
        ada, bob = ledger.user_key("ada"), ledger.user_key("bob")
        before = await everything(ledger, "bob")

        def work(writer: Writer) -> None:
            writer.withdraw("s", claim)
            writer.unclaim("s", [claim])
            writer.set_status("f", "active", "retracted", reason=None)
            writer.blank("f")

        await ledger.write(ada, "ada", work)
        await ledger.revive(ada)
        assert await everything(ledger, "bob") == before
        await ledger.erase(ada)
        assert await everything(ledger, "bob") == before
        assert before["facts"][0].user_id == "bob"
        assert (await ledger.rows_of(bob))["memory_facts"] == 1
        assert await ledger.user_ids() == ["bob"]

    async def test_a_receipt_that_waits_while_its_user_is_erased_is_not_written(self, ledger: Ledger) -> None:
        key = ledger.user_key("ada")
        await write(ledger, fact("f"))
        for epoch in (0, None):
            waiting = Kept(key, epoch, replace(some_receipt(f"r{epoch}", "f"), at=NOW - timedelta(days=1)))
            await ledger.erase(key)
            await ledger.add_receipts([waiting])
            assert await ledger.find_receipts(key) == []
        await ledger.add_receipts([Kept(key, 2, some_receipt("later", "f"))])
        assert [receipt.id for receipt in await ledger.find_receipts(key)] == ["later"]

    async def test_a_forgotten_fact_takes_the_questions_with_it_that_it_answered(self, ledger: Ledger) -> None:
        key = ledger.user_key("ada")
        await write(ledger, fact("f"))
        await ledger.add_receipts([Kept(key, 0, some_receipt("before", "f")), Kept(key, 0, some_receipt("other", "g"))])

        def forget(writer: Writer) -> None:
            writer.set_status("f", "active", "forgotten", reason=None)
            writer.blank("f")

        await ledger.write(key, "ada", forget)
        await ledger.add_receipts([Kept(key, 0, some_receipt("late", "f"))])
        asked = {receipt.id: receipt.query for receipt in await ledger.find_receipts(key)}
        assert (asked["before"], asked["late"]) == ("", "")
        assert asked["other"]

    # ---- filters ---------------------------------------------------------------------------------------

    async def test_facts_are_found_by_each_field(self, ledger: Ledger) -> None:
        key, later = ledger.user_key("ada"), NOW + timedelta(days=1)
        odd = fact(
            "odd",
            kind="plan",
            subject="deploy target",
            origin="operator",
            session_id="billing",
            labels=("work",),
            said_at=later,
            text="Odd one out",
        )

        def work(writer: Writer) -> None:
            writer.add_facts([fact("a"), odd], [filed("a"), filed("odd", agent="helper")])
            writer.add_facts([fact("gone", status="quarantined")], [filed("gone")])

        await ledger.write(key, "ada", work)
        for wanted in (
            FactFilter(kind="plan"),
            FactFilter(subject="deploy target"),
            FactFilter(origin="operator"),
            FactFilter(session_id="billing"),
            FactFilter(agent="helper"),
            FactFilter(label="work"),
            FactFilter(text="ODD ONE"),
            FactFilter(since=later),
            FactFilter(kind="plan", label="work", agent="helper", since=later, text="odd"),
        ):
            assert await texts(ledger, wanted) == ["Odd one out"], wanted
        assert await texts(ledger, FactFilter(until=later)) == ["fact a"]
        assert await texts(ledger, FactFilter(status=("quarantined",))) == ["fact gone"]
        assert len(await texts(ledger, FactFilter(status=()))) == 3
        assert await texts(ledger, FactFilter(kind="plan", label="home")) == []

    async def test_wildcards_in_a_text_are_characters(self, ledger: Ledger) -> None:
        await write(
            ledger, *(fact(f"f{i}", text=said) for i, said in enumerate(["100% sure", "a_b", "axb", "a/b", "100 s"]))
        )
        assert await texts(ledger, FactFilter(text="0%")) == ["100% sure"]
        assert await texts(ledger, FactFilter(text="A_B")) == ["a_b"]
        assert await texts(ledger, FactFilter(text="a/b")) == ["a/b"]
        assert await texts(ledger, FactFilter(text="%")) == ["100% sure"]

    async def test_a_text_is_found_whatever_its_case_in_any_alphabet(self, ledger: Ledger) -> None:
        await write(ledger, fact("f", text="Wohnt in MÜNCHEN, früher Ærø"))
        for part in ("münchen", "München", "FRÜHER", "ÆRØ"):
            assert len(await texts(ledger, FactFilter(text=part))) == 1, part

    async def test_labels_are_told_apart_exactly(self, ledger: Ledger) -> None:
        for i, label in enumerate(["a", "ab", "A", "ü", 'say "a"', "back\\slash", "%", "a_"]):
            await write(ledger, fact(f"f{i}", labels=(label, "all"), text=label))
            assert await texts(ledger, FactFilter(label=label)) == [label]
        assert len(await texts(ledger, FactFilter(label="all"))) == 8
        assert await texts(ledger, FactFilter(label="b")) == []

    async def test_facts_are_paged_newest_first(self, ledger: Ledger) -> None:
        await write(ledger, *(fact(f"f{i}", said_at=NOW + timedelta(seconds=i)) for i in range(5)))
        pages = [await ledger.facts(await state(ledger), FactFilter(), limit=2, offset=at) for at in (0, 2, 4)]
        assert [[one.id for one in page] for page in pages] == [["f4", "f3"], ["f2", "f1"], ["f0"]]

    async def test_many_facts_are_read_by_id_at_once(self, ledger: Ledger) -> None:
        await write(ledger, *(fact(f"f{i}") for i in range(3)))
        wanted = [f"f{i}" for i in range(70_000)]
        assert len(await ledger.facts_by_id(await state(ledger), wanted)) == 3

    # ---- values ----------------------------------------------------------------------------------------

    async def test_a_fact_and_its_evidence_come_back_as_they_were(self, ledger: Ledger) -> None:
        whole = fact(
            "f",
            text="Zeilen\numbruch, Ünïcode 🐘, 'quotes' \"and\" %s ? :x",
            kind="preference",
            subject="s" * 400,
            stance="inferred",
            valid_from=NOW - timedelta(days=9000),
            valid_to=NOW + timedelta(days=9000),
            expires_at=NOW + timedelta(days=9000, microseconds=1),
            supersedes="x",
            conflicts_with="y",
            labels=("a", "ü"),
            session_id="s",
            position=7,
        )
        told = filed(
            "f", before="b", after="a", session_id="s", position=7, agent="helper", extractor="x/1", said_at=NOW
        )
        await ledger.write(ledger.user_key("ada"), "ada", lambda writer: writer.add_facts([whole], [told]))
        assert await ledger.facts_by_id(await state(ledger), ["f"]) == {"f": whole}
        assert await ledger.evidence(ledger.user_key("ada"), "f") == [told.evidence]

    async def test_a_receipt_from_before_answers_were_weighed_can_be_read(
        self, ledger: Ledger, engine: AsyncEngine
    ) -> None:
        key = ledger.user_key("ada")
        await ledger.add_receipts([Kept(key, 0, some_receipt("r", "f"))])
        near = [{"fact": "n", "relevance": 0.1, "by": "label", "signals": {}}]
        async with engine.begin() as connection:
            await connection.execute(tables.receipts.update().values(near=near, answerable=None))
        [receipt] = await ledger.find_receipts(key)
        assert receipt.answerable is None
        assert receipt.near == (NearMiss(fact_id="n", relevance=0.1, stopped_by="label", answerable=None),)

    async def test_receipts_come_back_and_go_when_they_are_old(self, ledger: Ledger) -> None:
        key = ledger.user_key("ada")
        old = replace(some_receipt("old", "f"), at=datetime.now(UTC) - timedelta(days=31))
        new = replace(some_receipt("new", "g", "f"), at=datetime.now(UTC).replace(microsecond=0))
        await ledger.add_receipts([Kept(key, 0, old), Kept(key, 0, new)])
        assert await ledger.find_receipts(key) == [new, old]
        assert await ledger.find_receipts(key, fact_id="g") == [new]
        assert await ledger.find_receipts(key, id="old") == [old]
        assert await ledger.find_receipts(key, limit=1) == [new]
        assert await ledger.find_receipts(ledger.user_key("bob")) == []
        await ledger.drop_receipts(older_than=timedelta(days=30))
        assert await ledger.find_receipts(key, fact_id="f") == [new]

    async def test_blanking_leaves_no_word_of_a_fact(self, ledger: Ledger, engine: AsyncEngine) -> None:
        key = ledger.user_key("ada")
        secret = fact("f", text="canary text", subject="canary subject", labels=("canary label",))
        told = filed("f", quote="canary quote", before="canary", after="canary", reason="canary reason")
        await ledger.write(key, "ada", lambda writer: writer.add_facts([secret], [told]))

        def work(writer: Writer) -> None:
            writer.set_status("f", "active", "forgotten", reason="asked")
            writer.blank("f")

        await ledger.write(key, "ada", work)
        async with engine.connect() as connection:
            for table in tables.metadata.sorted_tables:
                rows = (await connection.execute(table.select())).all()
                assert "canary" not in repr(rows), table.name
        assert [line.reason for line in await ledger.changes(key)][-1] == "asked"

    # ---- failure ---------------------------------------------------------------------------------------

    async def test_a_ledger_that_is_gone_fails_in_our_words(self, ledger: Ledger, engine: AsyncEngine) -> None:
        await write(ledger, fact("f"))
        here = await state(ledger)
        async with engine.begin() as connection:
            for table in tables.metadata.sorted_tables:
                await connection.execute(text(f"DROP TABLE {table.name}"))
        with pytest.raises(LedgerFailed):
            await ledger.user(here.user_key)
        with pytest.raises(LedgerFailed):
            await ledger.facts(here, FactFilter())
        with pytest.raises(LedgerFailed):
            await write(ledger, fact("g"))
        with pytest.raises(LedgerFailed):
            await ledger.add_receipts([Kept(here.user_key, here.epoch, some_receipt("r", "f"))])

    async def test_the_users_words_are_in_no_error(self, ledger: Ledger, engine: AsyncEngine) -> None:
        """Neither in the message nor in what it was raised from: logs outlive an erasure."""
        words = fact("f", text="canary words")
        await write(ledger, words)
        broken = replace(words, id="g", subject=["canary words"])  # type: ignore[arg-type]
        naive = replace(words, id="h", said_at="canary words")  # type: ignore[arg-type]
        for one in (words, broken, naive):
            with pytest.raises(LedgerFailed) as caught:
                await write(ledger, one)
            assert "canary" not in everything_said(caught.value)

    # ---- beside the caller's tables --------------------------------------------------------------------

    async def test_it_shares_a_database_with_a_session_through_its_engine(
        self, engine: AsyncEngine, tmp_path: Path
    ) -> None:
        session = SQLAlchemySession("s", engine=engine, create_tables=True)
        await session.add_items([{"role": "user", "content": "My deploy target is Hetzner."}])
        settings = Settings(path=tmp_path / "memory")
        async with SemanticMemory.open(settings, embedding=HashEmbeddingModel(), engine=engine) as memory:
            await memory.user("ada").learn(session)
        assert not (tmp_path / "memory" / "ledger.db").exists()
        assert len(await session.get_items()) == 1
        ledger = Ledger(Database.shared(engine))
        await ledger.open()
        assert await texts(ledger) == ["My deploy target is Hetzner."]
        await ledger.close()


class TestSQLite(LedgerContract):
    @pytest.fixture
    def address(self, tmp_path: Path) -> list[str]:
        return [f"sqlite:///{tmp_path / 'ledger.db'}"]

    @pytest.fixture
    async def engine(self, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
        async with _disposed(create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'ledger.db'}")) as engine:
            yield engine

    def wait(self, writer: Writer, go_on: threading.Event) -> None:
        go_on.wait(10)

    def meanwhile(self, work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(10)

    async def test_writers_who_are_cancelled_while_they_wait_write_nothing(self, ledger: Ledger) -> None:
        go_on = threading.Event()
        first = asyncio.ensure_future(ledger.write(ledger.user_key("bob"), "bob", lambda _: go_on.wait(10)))
        waiting = asyncio.ensure_future(write(ledger, fact("f")))
        await asyncio.sleep(0.05)
        waiting.cancel()
        go_on.set()
        await first
        await write(ledger, fact("g"))
        assert await texts(ledger) == ["fact g"]

    async def test_a_closed_ledger_fails_in_our_words(self, address: list[str]) -> None:
        async with opened(address) as ledger:
            key = ledger.user_key("ada")
        with pytest.raises(LedgerFailed, match="closed"):
            await ledger.user(key)

    @pytest.mark.parametrize("url", ["sqlite://", "sqlite+aiosqlite:///:memory:", "not a url"])
    def test_what_is_no_database_in_a_file_or_on_a_server_is_refused(self, url: str) -> None:
        with pytest.raises(InvalidInput):
            Database.at(url)

    async def test_the_callers_engine_keeps_its_settings(self, tmp_path: Path) -> None:
        async with _disposed(create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'theirs.db'}")) as theirs:
            ledger = Ledger(Database.shared(theirs))
            await ledger.open()
            await ledger.close()
            async with theirs.begin() as connection:
                assert (await connection.execute(text("PRAGMA busy_timeout"))).scalar() == 5000

    async def test_an_engine_in_memory_cannot_be_shared(self) -> None:
        async with _disposed(create_async_engine("sqlite+aiosqlite://")) as theirs:
            with pytest.raises(InvalidInput):
                Database.shared(theirs)

    @pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\x00" + b"\xff" * 4000])
    async def test_a_file_that_is_no_database_fails_in_our_words(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "ledger.db").write_bytes(content)
        with pytest.raises(LedgerFailed):
            await try_to_open([f"sqlite:///{tmp_path / 'ledger.db'}"])
        assert (tmp_path / "ledger.db").read_bytes() == content

    async def test_a_ledger_without_its_secret_is_refused(
        self, ledger: Ledger, address: list[str], engine: AsyncEngine
    ) -> None:
        await write(ledger, fact("f"))
        async with engine.begin() as connection:
            await connection.execute(text("DELETE FROM memory_meta"))
        with pytest.raises(LedgerFailed, match="secret"):
            await try_to_open(address)


class TestSharedSQLite(LedgerContract):
    """The file of an engine that the caller has."""

    @pytest.fixture
    def address(self, tmp_path: Path) -> list[str]:
        return ["shared", f"sqlite+aiosqlite:///{tmp_path / 'theirs.db'}"]

    @pytest.fixture
    async def engine(self, address: list[str]) -> AsyncIterator[AsyncEngine]:
        async with _disposed(create_async_engine(address[1])) as engine:
            yield engine

    def wait(self, writer: Writer, go_on: threading.Event) -> None:
        while not go_on.is_set():
            await_only(asyncio.sleep(0.01))

    def meanwhile(self, work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
        return await_only(work)


class TestPostgreSQL(LedgerContract):
    @pytest.fixture
    async def address(self) -> AsyncIterator[list[str]]:
        async with fresh_schema() as schema:
            yield ["postgresql", schema]

    @pytest.fixture
    async def engine(self, address: list[str]) -> AsyncIterator[AsyncEngine]:
        async with _disposed(engine_in(address[1])) as engine:
            yield engine

    def wait(self, writer: Writer, go_on: threading.Event) -> None:
        while not go_on.is_set():
            await_only(asyncio.sleep(0.01))

    def meanwhile(self, work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
        return await_only(work)

    @pytest.mark.parametrize(
        "broken",
        ["postgresql+asyncpg://root@127.0.0.1:1/test", "postgresql+asyncpg://root@no-such-host.invalid/test"],
        ids=["refused", "unknown host"],
    )
    async def test_a_server_that_is_not_there_fails_in_our_words(self, broken: str) -> None:
        with pytest.raises(LedgerFailed):
            await try_to_open([broken])

    async def test_a_database_that_is_not_there_fails_in_our_words(self) -> None:
        url = POSTGRESQL.url.rsplit("/", 1)[0] + "/no_such_database"
        with pytest.raises(LedgerFailed):
            await try_to_open([url])

    async def test_a_pool_of_one_connection_is_enough(self, address: list[str], tmp_path: Path) -> None:
        async with _disposed(engine_in(address[1], pool_size=1, max_overflow=0)) as engine:
            settings = Settings(path=tmp_path / "memory")
            async with SemanticMemory.open(settings, embedding=HashEmbeddingModel(), engine=engine) as memory:
                said = [f"My colleague {n} is called Name{n}." for n in range(10)]
                work = [memory.user(user).remember(one) for one in said for user in ("ada", "bob")]
                await asyncio.wait_for(asyncio.gather(*work), 20)
                assert len(await memory.user("bob").facts()) == 10

    async def test_a_strict_isolation_of_the_callers_engine_does_not_break_writers(
        self, address: list[str], tmp_path: Path
    ) -> None:
        async with _disposed(engine_in(address[1], isolation_level="SERIALIZABLE")) as engine:
            settings = Settings(path=tmp_path / "memory")
            async with SemanticMemory.open(settings, embedding=HashEmbeddingModel(), engine=engine) as memory:
                ada = memory.user("ada")
                await asyncio.gather(*(ada.remember("My deploy target is Hetzner.") for _ in range(10)))
                assert [one.evidence_count for one in await ada.facts()] == [10]


@asynccontextmanager
async def _disposed(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    yield engine
    await engine.dispose()


def open_in_this_process() -> None:
    """Open the ledger whose address is on the command line, and print a key that hangs on its secret."""
    asyncio.run(_open(sys.argv[1:]))


async def _open(address: list[str]) -> None:
    async with opened(address) as ledger:
        print(json.dumps(ledger.user_key("ada")))  # noqa: T201 - the parent reads it


@asynccontextmanager
async def opened(address: list[str]) -> AsyncIterator[Ledger]:
    """The ledger at a URL, in a file of an engine that is shared, or in a schema of PostgreSQL."""
    if len(address) == 1:
        theirs, database = None, Database.at(*address)
    else:
        theirs = create_async_engine(address[1]) if address[0] == "shared" else engine_in(address[1])
        database = Database.shared(theirs)
    ledger = Ledger(database)
    try:
        await ledger.open()
        yield ledger
    finally:
        await ledger.close()
        if theirs is not None:
            await theirs.dispose()


async def try_to_open(address: list[str]) -> None:
    async with opened(address):
        pass


async def everything(ledger: Ledger, user: str) -> dict[str, Any]:
    """What every query tells of a user."""
    key, here = ledger.user_key(user), await state(ledger, user)
    _, with_vectors = await ledger.facts_with_vectors(here, MODEL.key)
    return {
        "state": here,
        "facts": await ledger.facts(here, FactFilter(status=(), agent="helper")),
        "by id": await ledger.facts_by_id(here, ["f"]),
        "vectors": [(one, kept.tolist() if kept is not None else None) for one, kept in with_vectors],
        "as of": [one for one, _ in await ledger.facts_as_of(here, datetime.now(UTC))],
        "counts": await ledger.count_facts(key),
        "evidence": await ledger.evidence(key, "f"),
        "changes": await ledger.changes(key),
        "learned": await ledger.learned(key, "s"),
        "failed": await ledger.failed_messages(key),
        "receipts": await ledger.find_receipts(key, fact_id="f"),
        "generations": await ledger.generations(key),
    }


def some_receipt(receipt_id: str, *facts: str) -> Receipt:
    return Receipt(
        id=receipt_id,
        at=NOW,
        query="where?",
        shown=tuple((one, 0.5) for one in facts),
        signals=tuple({"cosine": 0.5} for _ in facts),
        near=(NearMiss(fact_id="n", relevance=0.1, stopped_by="gate", answerable=0.25, signals={"cosine": 0.25}),),
        source="api",
        answered_by="ledger",
        degraded=None,
        latency_ms=1.5,
        answerable=0.25,
        run_id="run",
    )


def everything_said(error: BaseException | None) -> str:
    """The messages of an error and of whatever it was raised from or beside."""
    said = []
    while error is not None:
        said.append(f"{error} {error!r}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return " ".join(said)
