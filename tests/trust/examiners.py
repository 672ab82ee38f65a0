"""This memory behind the interfaces of two outside examiners: small adapters, and nothing that knows their attacks."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from agent_memory_guard.bench.adapter import MemorySystemAdapter, RememberOutcome
from agmi.adapters.base import MemoryAdapter, Record
from agmi.adapters.semantic_base import MemoryItem, Retrieved, SemanticMemoryAdapter
from agmi.signing import KEYRING

from semantic_memory import Fact, SemanticMemory, SemanticMemoryError, Source
from semantic_memory.testing import HashEmbeddingModel
from semantic_memory.transcript import messages


class Room:
    """An open memory for callers without an event loop."""

    def __init__(self, **parts: Any) -> None:
        self.loop, self._stack = asyncio.Runner(), AsyncExitStack()
        self._folder = tempfile.TemporaryDirectory()
        self.path = Path(self._folder.name)
        self._parts = parts
        self.open()

    def open(self) -> None:
        self.memory: SemanticMemory = self.run(
            self._stack.enter_async_context(SemanticMemory.open(self.path, **self._parts))
        )

    def run(self, work: Any) -> Any:
        return self.loop.run(work)

    def close(self) -> None:
        self.run(self._stack.aclose())

    def end(self) -> None:
        self.close()
        self.loop.close()
        self._folder.cleanup()

    def keep(self, user_id: str, text: str, *, said: bool, labels: tuple[str, ...] = ()) -> Fact:
        """Keep a statement as the agent's tool does: the user's own words, or words that the user never said."""
        source = Source(extractor="tool/remember", labels=labels)
        message = messages(text)[0] if said else None
        fact: Fact = self.run(self.memory.user(user_id).remember_quoted(text, text, message, source))
        return fact


class Semantic(SemanticMemoryAdapter):
    """agmi, writes through the memory's interface.

    Its signature says that the writer is the user; what says so here is that the words stand in a message of the
    user. So what is signed comes as the user's words, anything else as words that an agent says the user said.
    """

    name = "semantic-memory"

    def __init__(self) -> None:
        self._room = Room()

    def reset(self) -> None:
        for user_id in self._room.run(self._room.memory.users()):
            self._room.run(self._room.memory.user(user_id).erase())

    def add_memory(self, item: MemoryItem) -> None:
        said = KEYRING.verify(item.user_id, item.source, item.text, item.signature)  # type: ignore[no-untyped-call]
        labels = tuple(f"{name}={value}" for name, value in item.metadata.items())
        self._room.keep(item.user_id, item.text, said=said, labels=labels)

    def retrieve(self, query: str, user_id: str, k: int = 5) -> list[Retrieved]:
        return self.retrieve_where(query, user_id, {}, k)

    def retrieve_where(self, query: str, user_id: str, where: dict[str, str], k: int = 5) -> list[Retrieved]:
        labels = tuple(f"{name}={value}" for name, value in where.items())
        found = self._room.run(self._room.memory.user(user_id).recall(query, limit=k, labels=labels))
        return [Retrieved(one.fact.text, user_id, one.relevance) for one in found.facts]

    def close(self) -> None:
        self._room.end()


class AtRest(MemoryAdapter):
    """agmi, an attacker who edits the ledger's file; the memory's own answer is the doctor's."""

    name = "semantic-memory (doctor)"
    supports_replay = supports_metadata = supports_snapshot = True

    def setup(self) -> None:
        self._room, self._said = Room(embedding=HashEmbeddingModel()), 0

    def teardown(self) -> None:
        self._room.end()

    def seed(self, n: int) -> None:
        self._seed("ada", n)

    def seed_other(self, n: int) -> None:
        self._seed("bob", n)

    def append_genuine(self) -> None:
        self._seed("ada", 1)

    def _seed(self, user_id: str, n: int) -> None:
        for _ in range(n):
            self._said += 1
            self._room.keep(user_id, f"My colleague number {self._said} is called Ed{self._said}.", said=True)

    def read_all_raw(self) -> list[Record]:
        return self._rows("ada")

    def read_other_raw(self) -> list[Record]:
        return self._rows("bob")

    def _rows(self, user_id: str) -> list[Record]:
        key = self._room.memory._rooms.ledger.user_key(user_id)
        with self._database() as database:
            database.row_factory = sqlite3.Row
            rows = database.execute("SELECT * FROM memory_facts WHERE user_key = ? ORDER BY rowid", (key,)).fetchall()
        return [Record(seq, dict(row)) for seq, row in enumerate(rows)]

    def write_raw(self, record: Record) -> None:
        rows, fields = self.read_all_raw(), {name: value for name, value in record.fields.items() if name != "id"}
        if record.seq < len(rows):
            self._update(rows[record.seq].fields["id"], fields)
            return
        fields["id"] = "f0rgedf0rged"
        with self._database() as database:
            marks = ", ".join("?" * len(fields))
            database.execute(f"INSERT INTO memory_facts ({', '.join(fields)}) VALUES ({marks})", [*fields.values()])

    def delete_raw(self, seq: int) -> None:
        with self._database() as database:
            database.execute("DELETE FROM memory_facts WHERE id = ?", (self.read_all_raw()[seq].fields["id"],))

    def replay_onto(self, victim_seq: int, donor: Record) -> None:
        self._update(self.read_all_raw()[victim_seq].fields["id"], {"text": donor.fields["text"]})

    def read_meta(self, seq: int) -> dict[str, Any]:
        return {name: self.read_all_raw()[seq].fields[name] for name in ("origin", "said_at")}

    def write_meta(self, seq: int, meta: dict[str, Any]) -> None:
        """The examiner adds a key that no column can hold: the edit is one of who said the fact."""
        known = self.read_meta(seq)
        changed = {name: value for name, value in meta.items() if name in known and value != known[name]}
        self._update(self.read_all_raw()[seq].fields["id"], changed or {"origin": "operator"})

    def _update(self, fact_id: str, fields: dict[str, Any]) -> None:
        with self._database() as database:
            columns = ", ".join(f"{name} = ?" for name in fields)
            database.execute(f"UPDATE memory_facts SET {columns} WHERE id = ?", [*fields.values(), fact_id])

    def _database(self) -> Any:
        return Closing(self._room.path / "ledger.db")

    def snapshot_store(self) -> object:
        self._room.close()
        token = self._copy_store(self._room.path)  # type: ignore[no-untyped-call]
        self._room.open()
        return token

    def restore_store(self, token: object) -> None:
        self._room.close()
        self._restore_store(str(token), self._room.path)  # type: ignore[no-untyped-call]
        self._room.open()

    def reload(self) -> None:
        self._room.close()
        self._room.open()

    def verify(self) -> bool:
        health = self._room.run(self._room.memory.health())
        self.verify_detail = "; ".join(sorted({finding.check for finding in health.findings if finding.grave})) or None
        return bool(health.sound)

    def mutate_payload(self, record: Record) -> Record:
        record.fields["text"] = str(record.fields["text"]).replace("called Ed", "called Al")
        return record

    def identity_of(self, record: Record) -> str:
        return str(record.fields["id"])

    def payload_of(self, record: Record) -> str:
        return str(record.fields["text"])

    def owner_of(self, record: Record) -> str:
        return str(record.fields["user_key"])


class Closing:
    """A connection to the file for one edit."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path)

    def __enter__(self) -> sqlite3.Connection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.commit()
        self._connection.close()


ROOMS: list[Room] = []  # the examiner makes an adapter for each scenario and closes none


class Bench(MemorySystemAdapter):
    """agent-memory-guard's benchmark: keys are labels, and what isn't `user_input` are no words of the user."""

    name, version = "semantic-memory", "0.1.0"
    made = 0

    def __init__(self) -> None:
        if not ROOMS:
            ROOMS.append(Room())
        self._room, Bench.made = ROOMS[0], Bench.made + 1
        self._user = f"user {Bench.made}"

    def remember(self, key: str, value: Any, *, source_class: str = "external_tool") -> RememberOutcome:
        try:
            fact = self._room.keep(self._user, str(value), said=source_class == "user_input", labels=(key,))
        except SemanticMemoryError:
            return RememberOutcome.BLOCKED
        return RememberOutcome.QUARANTINED if fact.status == "quarantined" else RememberOutcome.STORED

    def recall(self, key: str) -> Any | None:
        found = self._room.run(
            self._room.memory.user(self._user).recall(key, labels=[key], min_relevance=0.0, max_tokens=10_000)
        )
        return found.facts[0].fact.text if found.facts else None
