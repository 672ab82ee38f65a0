"""The walk-through of a fact's life runs, and prints what it says."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from agents import Agent, SQLiteSession
from agents.testing import ModelStep, ScriptedModel, assistant_message

from semantic_memory import FactFilter, SemanticMemory, Settings
from tests.acceptance.conftest import ROOT, execute

PAGE = (ROOT / "docs" / "lineage.md").read_text(encoding="utf-8")
STEPS = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
async def names(tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    """What the page takes for granted."""
    steps = [ModelStep(output=[assistant_message("Noted.")]) for _ in range(8)]
    async with SemanticMemory.open(Settings(path=tmp_path / "memory", deadline=10)) as memory:
        yield {
            "FactFilter": FactFilter,
            "SQLiteSession": SQLiteSession,
            "UTC": UTC,
            "ada": memory.user("ada"),
            "agent": Agent[Any](name="Assistant", model=ScriptedModel(steps)),
            "datetime": datetime,
        }


async def test_every_block_prints_what_stands_below_it(
    names: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(STEPS) == PAGE.count("```python")
    for code, printed in STEPS:
        await execute(code, names, page="docs/lineage.md")
        assert capsys.readouterr().out == printed
