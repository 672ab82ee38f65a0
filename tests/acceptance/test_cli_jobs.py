"""Long work from the command line, on the demo's memory: two facts of one user."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path

import pytest
from rich.console import Console

from semantic_memory import jobs
from semantic_memory.frontends.desk import Desk
from semantic_memory.frontends.jobs import report_page
from tests.acceptance.conftest import Run
from tests.embedding_api import tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(autouse=True)
def still_nice(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The commands of these tests run in this process, which keeps its priority."""
    given: list[int] = []
    monkeypatch.setattr(os, "nice", given.append)
    return given


def active(call: Run) -> dict[str, int]:
    return {use["fingerprint"]["name"]: use["active"] for use in call("reembed", "status", "--json").document["models"]}


def test_a_change_of_model_from_the_plan_to_the_end(
    call: Run, told: Path, tiny: str, still_nice: list[int], tmp_path: Path
) -> None:
    planned = call("reembed", "--model", tiny, "--dry-run", "--json").document
    assert (planned["users"], planned["texts"], planned["dimension"]) == (1, 2, 32)
    assert "todo" not in planned
    assert active(call) == {"all-MiniLM-L6-v2": 1}
    assert still_nice == []

    events = call("reembed", "--model", tiny, "--json").lines
    assert [event["event"] for event in events] == ["plan", "embedded", "settled", "done"]
    assert (events[-1]["users"], events[-1]["failed"]) == (1, [])
    assert still_nice == [19]
    shown = call("reembed", "status").out
    assert "tiny" in shown
    assert "no job is running" in shown
    assert active(call) == {"tiny": 1, "all-MiniLM-L6-v2": 0}

    assert call("reembed", "--rollback").out.strip().endswith("is back on all-MiniLM-L6-v2")
    assert active(call) == {"tiny": 0, "all-MiniLM-L6-v2": 1}
    assert call("reembed", "--finish").out.strip() == "1 generation dropped"
    assert active(call) == {"all-MiniLM-L6-v2": 1}
    assert "error: there is no older generation" in call("reembed", "--rollback").err


def test_people_see_how_far_it_is_how_fast_and_what_has_changed(call: Run, told: Path, tiny: str) -> None:
    assert call("reembed", "--model", tiny, "--dry-run").out.splitlines()[1:4] == [
        "users     1",
        "facts     2",
        "to embed  2 texts, 115 characters",
    ]
    done = call("reembed", "--model", tiny, FORCE_COLOR="1")  # as on a terminal
    bars = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", done.err)
    assert re.search(r"texts .* 2/2 \d+/s +\d:\d\d:\d\d", bars), bars
    assert re.search(r"users .* 1/1 +\d:\d\d:\d\d", bars), bars
    assert re.match(r"1 user switched to tiny, 2 texts embedded in [\d.]+ s\n", done.out)


def test_the_report_tells_how_much_of_the_order_is_kept() -> None:
    report = jobs.Report(
        model="tiny",
        fingerprint="0" * 16,
        users=2,
        texts=30,
        seconds=3.0,
        overlap=0.75,
        correlation=0.5,
        gained=3,
        lost=1,
        failed=(jobs.Failed(user_id="bob", error="it is poisoned"),),
    )
    desk = Desk(out=Console(file=io.StringIO(), width=120))
    desk.show(report_page(report, hold=False))
    assert desk.out.file.getvalue().splitlines() == [
        "2 users switched to tiny, 30 texts embedded in 3 s",
        "questions of the past: 75% of what they showed is shown again, its order kept by 0.50 (Kendall's tau), "
        "3 gained, 1 lost",
        "1 user failed:",
        "bob  it is poisoned",
    ]


def test_a_user_who_fails_is_listed_and_told_by_the_exit_code(call: Run, told: Path, tiny: str) -> None:
    """The tiny model's weights are random: the facts of a larger memory aren't found by their own words."""
    lines = [{"user_id": "bob", "text": f"I visited {n} museums."} for n in range(200)]
    made = call("import", "-", given="".join(json.dumps(line) + "\n" for line in lines))
    assert made.code == 0, made.err
    done = call("reembed", "--model", tiny)
    assert done.code == 1
    assert "1 user switched to tiny" in done.out
    assert "1 user failed:\nbob  only" in done.out
    assert active(call) == {"all-MiniLM-L6-v2": 1, "tiny": 1}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--model", "no-such/model"), "no-such/model"),
        (("--model", "no/such/folder"), "no/such/folder"),
        (("--model", "all-MiniLM-L6-v2", "--users", "carl"), "nothing to re-embed for 'carl'"),
        (("--model", "all-MiniLM-L6-v2", "--engine", "ray"), "PostgreSQL"),
        (("--model", "all-MiniLM-L6-v2", "--evaluation", "missing.jsonl"), "missing.jsonl"),
    ],
)
def test_a_wrong_turn_is_told_in_one_line(call: Run, told: Path, arguments: tuple[str, ...], said: str) -> None:
    turned = call("reembed", *arguments)
    assert (turned.code, turned.out) == (1, "")
    assert turned.err.startswith("error: ")
    assert turned.err.count("\n") == 1
    assert said in turned.err


def test_exactly_one_thing_is_asked_for(call: Run, told: Path) -> None:
    for arguments in ((), ("status", "--finish"), ("--model", "m", "--rollback")):
        assert call("reembed", *arguments).code == 2


def test_both_models_are_measured_before_the_job(call: Run, told: Path, tiny: str) -> None:
    (told.parent / "questions.jsonl").write_text(
        "\n".join(
            json.dumps({"user": "ada"} | line)
            for line in (
                {"type": "fact", "id": "f1", "text": "We deploy to Hetzner.", "said_at": "2026-01-01"},
                {"type": "fact", "id": "f2", "text": "The two dogs live in Berlin.", "said_at": "2026-01-02"},
                {"type": "question", "text": "Where do the dogs live?", "gold": ["f2"], "asked_at": "2026-02-01"},
            )
        )
    )
    shown = call("reembed", "--model", tiny, "--dry-run", "--evaluation", "questions.jsonl", "--json")
    assert shown.code == 0, shown.err
    assert [line.get("model") for line in shown.lines] == ["all-MiniLM-L6-v2", "tiny", "tiny"]


def test_an_index_is_built_again(call: Run, told: Path) -> None:
    assert call("reindex").out == "1 user indexed\n"
    assert "nothing to index for 'carl'" in call("reindex", "--users", "carl").err


def test_sessions_are_read_again(call: Run, told: Path) -> None:
    (user,) = call("users", "--json").lines
    chats = f"sqlite:///{told / 'conversations.db'}"
    shown = call("relearn", user, "--session-db", chats, "--session", "acme-billing")
    assert shown.code == 0, shown.err
    assert "2 facts found as known" in shown.out
