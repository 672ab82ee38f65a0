"""The how-to's run, from the first line of their page to the last, as somebody would try them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from agents import Agent, Runner, SQLiteSession
from agents.testing import ModelStep, ScriptedModel, assistant_message

from semantic_memory import FactFilter, SemanticMemory, Settings
from semantic_memory.extraction.model import ModelExtractor
from tests.acceptance.conftest import ROOT, execute

PAGE = (ROOT / "docs" / "how-to.md").read_text(encoding="utf-8")
PIECES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
async def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, Any]]:
    """What the page takes for granted."""
    monkeypatch.chdir(tmp_path)
    model = ScriptedModel([ModelStep(output=[assistant_message("Hetzner.")]) for _ in range(16)])
    async with SemanticMemory.open(Settings(path=tmp_path / "memory", deadline=10, learn="wait")) as memory:
        yield {
            "Agent": Agent,
            "FactFilter": FactFilter,
            "ModelExtractor": ModelExtractor,
            "Runner": Runner,
            "SemanticMemory": SemanticMemory,
            "ada": memory.user("ada"),
            "agent": Agent[Any](name="Assistant", instructions="Be brief.", model=model),
            "memory": memory,
            "model": model,
            "session": SQLiteSession("monday"),
        }


async def test_every_piece_of_the_page_runs_and_does_what_it_says(
    names: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    for piece in PIECES:
        await execute(piece, names, page="docs/how-to.md")
    said = "We deploy to Hetzner."
    assert capsys.readouterr().out.splitlines() == [f"{said}  (session monday: {said!r})", "True"]
    told = [call.system_instructions or "" for call in names["model"].calls]
    assert all("Hetzner" in one for one in told[1:4])  # the ways in which an agent gets a memory
    assert names["newer"].supersedes == names["fact"].id
    assert names["recall"].facts[0].relevance >= 0.1
