"""The demo tells what happens, and what happens is real."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from scripts.refresh_docs import demo, refreshed
from semantic_memory.frontends.demo.story import INSTRUCTIONS, SCENES
from tests.acceptance.conftest import ROOT, Run
from tests.model_api import model_api

DEPLOY = "We deploy the billing service to Hetzner, in Falkenstein."


def test_the_readme_shows_what_the_demo_prints() -> None:
    """After a change of either: `python scripts/refresh_docs.py`."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    assert refreshed(page, demo=demo()) == page


def test_the_agent_is_told_in_the_second_session_what_was_said_in_the_first(run: Run, tmp_path: Path) -> None:
    told = run("demo", "--json")
    assert (told.code, told.err) == (0, "")
    assert list(tmp_path.iterdir()) == []
    exchanges = told.document["exchanges"]
    assert [one["silent"] for one in exchanges] == [True, True, False, True]

    asked = exchanges[2]
    assert asked["session_id"] != exchanges[0]["session_id"]
    assert asked["instructions"].startswith(INSTRUCTIONS + "\n\n<user_memory>")
    assert json.dumps(DEPLOY) in asked["instructions"]
    assert DEPLOY in asked["messages"][-1]["text"]
    assert exchanges[3]["instructions"] == INSTRUCTIONS

    [deploy] = [one for one in told.document["learned"] if one["fact"]["text"] == DEPLOY]
    [evidence], [receipt] = deploy["evidence"], deploy["receipts"]
    assert (evidence["quote"], evidence["session_id"], evidence["position"]) == (DEPLOY, "acme-billing", 0)
    assert receipt["query"] == SCENES[1].says[0]


def test_a_folder_keeps_the_transcript_the_ledger_and_the_index(story: Path) -> None:
    with closing(sqlite3.connect(story / "conversations.db")) as transcript:
        assert transcript.execute("SELECT count(*) FROM agent_messages").fetchone() == (8,)
    with closing(sqlite3.connect(story / "ledger.db")) as ledger:
        assert ledger.execute("SELECT count(*) FROM memory_facts").fetchone() == (2,)
    [collection] = (story / "index").rglob("chroma.sqlite3")
    with closing(sqlite3.connect(collection)) as chroma:
        assert chroma.execute("SELECT count(*) FROM embeddings").fetchone() == (2,)


def test_a_live_model_plays_the_same_story_and_finds_the_facts(run: Run) -> None:
    def say(asked: dict[str, Any]) -> str:
        system, *_, last = asked["messages"]
        if "response_format" in asked:
            return json.dumps({"facts": _facts(last["content"])})
        return "It runs at Hetzner." if "Hetzner" in system["content"] else "I see."

    with model_api(say) as server:
        told = run("demo", "--model", "live-model", "--base-url", server.url, "--json")
    assert (told.code, told.err) == (0, "")
    exchanges = told.document["exchanges"]
    assert [one["messages"][-1]["text"] for one in exchanges] == ["I see.", "I see.", "It runs at Hetzner.", "I see."]
    [learned] = told.document["learned"]
    assert learned["evidence"][0]["extractor"].startswith("model/live-model/")
    assert {asked["model"] for asked in server.requests} == {"live-model"}


def _facts(conversation: str) -> list[dict[str, Any]]:
    if "Hetzner" not in conversation.partition("New messages:")[2]:
        return []
    proposal = {"message": 1, "quote": "We deploy the billing service to Hetzner", "act": "statement", "kind": "fact"}
    fact = "The user's billing service runs at Hetzner in Falkenstein."
    none = {"known": None, "subject": None, "valid_from": None, "valid_to": None}
    return [proposal | none | {"fact": fact, "operation": "new", "stance": "stated"}]
