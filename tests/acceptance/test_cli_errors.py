"""What people get wrong is told in one clear line, and changes nothing."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import COMMAND, Run, environment

SECRET = "my key is AKIAIOSFODNN7EXAMPLE"
SESSION = ("--session", "monday")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["facts", "ada", "--memory", "mistyped"], "there is no memory in mistyped"),
        (["explain", "ada", "nope"], "there is no fact nope for this user"),
        (["explain", "bob", "FACT"], "there is no"),
        (["forget", "bob", "FACT"], "there is no"),
        (["correct", "bob", "FACT", "I know better"], "there is no"),
        (["remember", "ada", ""], "the text is empty"),
        (["remember", "ada", SECRET], "credential"),
        (["remember", "", "I like tea"], "a user id is"),
        (["recall", "ada", " "], "the text is empty"),
        (["erase", "nobody", "--yes"], "there is no user nobody"),
        (["export", "ada", "nobody"], "there is no user nobody"),
        (["facts", "ada", "--memory", "broken"], "file is not a database"),
        (["remember", "ada", "I like tea", "--memory", "file"], "file exists"),
        (["learn", "ada", "--session-db", "sqlite:///none.db", *SESSION], "there is no file none.db"),
        (["learn", "ada", "--session-db", "chats.db", *SESSION], "not a database url"),
        (["learn", "ada", "--session-db", "sqlite:///memory/ledger.db", *SESSION], "no such table"),
        (
            ["learn", "ada", "--session-db", "sqlite:///memory/conversations.db", *SESSION],
            "session monday has no messages",
        ),
        (["learn", "ada", "--session-db", "oracle+nodriver://u:hidden@h/d", *SESSION], "oracle"),
        (["demo", "--memory", "memory"], "holds a memory already"),
        (["demo", "--model", "some-model"], "needs openai_api_key"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_an_error_is_one_line_on_stderr(
    call: Run, told: str, arguments: list[str], tmp_path: Path, story: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "ledger.db").write_text("no database, whatever its name says" * 100)
    (tmp_path / "memory").symlink_to(story)
    before = facts_in(story)
    known_id = before[0][1]

    failed = call(*[known_id if argument == "FACT" else argument for argument in arguments])

    assert failed.code == 1
    assert failed.out == ""
    assert failed.err.startswith("error: ")
    assert failed.err.count("\n") == 1
    assert told in failed.err.lower()
    assert "hidden" not in failed.err
    assert facts_in(story) == before


def facts_in(memory: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(memory / "ledger.db")) as ledger:
        return ledger.execute("SELECT * FROM memory_facts ORDER BY id").fetchall()


@pytest.mark.parametrize(
    "arguments",
    [
        ["fact", "ada"],
        ["facts"],
        ["facts", "ada", "bob"],
        ["facts", "ada", "--where", "status=gone"],
        ["facts", "ada", "--where", "status=active,gone"],
        ["facts", "ada", "--where", "origin=nobody"],
        ["facts", "ada", "--where", "since=yesterday"],
        ["facts", "ada", "--where", "kind"],
        ["facts", "ada", "--where", "kind="],
        ["facts", "ada", "--where", "disputed=yes"],
        ["facts", "ada", "--where", "colour=red"],
        ["facts", "ada", "--where", "kind=fact", "--where", "kind=event"],
        ["facts", "ada", "--nonsense"],
        ["recall", "ada", "tea?", "--min-relevance", "2"],
        ["recall", "ada", "tea?", "--limit", "0"],
        ["learn", "ada", "--session", "monday"],
        ["import", "missing.jsonl"],
        ["demo", "--base-url", "http://127.0.0.1:9/v1"],
    ],
    ids=" ".join,
)
def test_bad_usage_exits_with_2_and_says_what_is_wrong(call: Run, arguments: list[str], tmp_path: Path) -> None:
    failed = call(*arguments)
    assert failed.code == 2
    assert failed.out == ""
    assert "Error: " in failed.err
    assert "Traceback" not in failed.err
    assert list(tmp_path.iterdir()) == []


def test_a_process_tells_an_error_the_same_way(run: Run) -> None:
    failed = run("facts", "ada", "--memory", "mistyped")
    told = "error: there is no memory in mistyped; `remember` and `learn` begin one\n"
    assert (failed.code, failed.out, failed.err) == (1, "", told)


def test_debug_shows_where_an_error_comes_from(run: Run) -> None:
    failed = run("facts", "ada", "--debug")
    assert failed.code == 1
    assert "Traceback" in failed.err
    assert "NotFound" in failed.err


def test_a_setting_that_cannot_be_used_is_named(call: Run) -> None:
    failed = call("facts", "ada", SEMANTIC_MEMORY_LIMIT="many")
    assert failed.err.startswith("error: SEMANTIC_MEMORY_LIMIT='many'")


def test_ctrl_c_ends_a_command_at_once_with_130(tmp_path: Path) -> None:
    waits = tmp_path / "lines"
    os.mkfifo(waits)
    process = subprocess.Popen(
        [*COMMAND, "import", "lines"], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with waits.open("w"):  # which waits until the command reads
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, b"", b"")
