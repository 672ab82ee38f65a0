"""What is exported comes back whole, once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Run

Line = dict[str, Any]


def without_place(line: Line) -> Line:
    """A line without what belongs to one ledger: the revisions, and the note that it was imported."""
    history = [
        {key: value for key, value in change.items() if key != "revision"}
        for change in line["history"]
        if change["reason"] != "imported"
    ]
    return line | {"history": history}


@pytest.fixture
def changed(call: Run, told: Path) -> list[Line]:
    """An export of a memory in which a fact was replaced, another forgotten, and a second user lives."""
    first, second = call("facts", "ada", "--json").lines
    call("correct", "ada", first["id"], "My standup is at 10:15", "--reason", "a new team")
    call("forget", "ada", second["id"], "--reason", "asked to")
    call("remember", "bob", "Ich mag Käse 🧀 and\nnew lines", "--kind", "preference")
    return call("export").lines


def test_a_round_trip_loses_nothing(call: Run, changed: list[Line], tmp_path: Path) -> None:
    assert len(changed) == 4
    assert {line["fact"]["status"] for line in changed} == {"active", "superseded", "forgotten"}
    assert call("export", "--output", "all.jsonl").out == "4 facts in all.jsonl\n"

    assert call("import", "all.jsonl", "--memory", "new").out == "4 facts imported, 0 known already\n"

    copied = call("export", "--memory", "new").lines
    assert [without_place(line) for line in copied] == [without_place(line) for line in changed]
    assert all(line["history"][-1]["reason"] == "imported" for line in copied)


def test_importing_again_changes_nothing(run: Run, call: Run, changed: list[Line]) -> None:
    lines = run("export").out
    run("import", "-", "--memory", "new", given=lines)
    before = call("export", "--memory", "new").out
    assert call("import", "-", "--memory", "new", "--json", given=lines).document == {"imported": 0, "known": 4}
    assert call("export", "--memory", "new").out == before


def test_a_forgotten_fact_stays_forgotten_when_an_older_export_is_imported(call: Run, told: Path) -> None:
    older = call("export").out
    [fact] = call("facts", "ada", "--where", "text=Hetzner", "--json").lines
    call("forget", "ada", fact["id"])
    assert call("import", "-", given=older).code == 0
    assert "Hetzner" not in call("export").out


def test_imported_facts_are_recalled(call: Run, told: Path) -> None:
    call("import", "-", "--memory", "new", given=call("export").out)
    found = call("recall", "ada", "Where does our billing service run?", "--memory", "new", "--json").document
    assert "Hetzner" in found["facts"][0]["fact"]["text"]


def test_one_users_facts_can_be_exported_alone(call: Run, changed: list[Line]) -> None:
    assert {line["fact"]["user_id"] for line in call("export", "bob").lines} == {"bob"}


def test_a_line_by_hand_becomes_a_fact_of_origin_import_once(call: Run) -> None:
    line = json.dumps({"user_id": "ada", "text": "Likes tea", "said_at": "2026-01-01", "labels": ["kitchen"]})
    assert call("import", "-", "--json", given=f"{line}\n\n{line}\n").document == {"imported": 1, "known": 1}
    assert call("import", "-", "--json", given=line).document == {"imported": 0, "known": 1}
    [fact] = call("facts", "ada", "--json").lines
    assert (fact["origin"], fact["said_at"], fact["labels"]) == ("import", "2026-01-01T00:00:00+00:00", ["kitchen"])


GOOD = '{"user_id": "ada", "text": "Likes tea"}'


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 2: not JSON"),
        ("[1]", "line 2: not a JSON object"),
        ('{"text": "Likes tea"}', "line 2: user_id: Field required"),
        ('{"user_id": "ada", "text": "Likes tea", "lables": []}', "line 2: unknown key 'lables'"),
        ('{"user_id": "ada", "text": 5}', "line 2: text"),
        ('{"user_id": "ada", "text": ""}', "the text is empty"),
        ('{"user_id": "", "text": "Likes tea"}', "user id"),
        ('{"user_id": "bob", "text": "my key is AKIAIOSFODNN7EXAMPLE"}', "credential"),
        ('{"user_id": "bob", "text": "Likes tea", "labels": ["AKIAIOSFODNN7EXAMPLE"]}', "credential"),
        ('{"fact": {"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]}}', "line 2: unknown key 'lc'"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_and_nothing_is_imported(call: Run, line: str, told: str) -> None:
    failed = call("import", "-", given=f"{GOOD}\n{line}\n")
    assert failed.code == 1
    assert told in failed.err
    assert failed.err.count("\n") == 1
    listed = call("facts", "ada", "--json")
    assert listed.out == ""


def test_a_link_to_a_fact_that_is_not_there_is_refused(call: Run, changed: list[Line]) -> None:
    alone = next(line for line in changed if line["fact"]["superseded_by"])
    failed = call("import", "-", "--memory", "new", given=json.dumps(alone))
    assert failed.code == 1
    assert "is linked to" in failed.err


def test_text_that_is_not_utf_8_is_refused(call: Run, tmp_path: Path) -> None:
    (tmp_path / "latin.jsonl").write_bytes('{"user_id": "ada", "text": "Käse"}'.encode("latin-1"))
    failed = call("import", "latin.jsonl")
    assert failed.err.startswith("error: not UTF-8 text")
