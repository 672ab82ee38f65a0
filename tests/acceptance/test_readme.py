"""What the README says can be run, runs."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from agents import Agent, Runner, SQLiteSession
from agents.testing import ModelStep, ScriptedModel, assistant_message

from semantic_memory import FactFilter, SemanticMemory, Settings
from semantic_memory.extraction.model import ModelExtractor
from tests.acceptance.conftest import ROOT, environment, execute
from tests.model_api import model_api

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PROGRAMS = [block for block in BLOCKS if block.startswith("import ")]
PATIENT = {"SEMANTIC_MEMORY_DEADLINE": "10"}  # this machine may be busy with other tests
FRAGMENTS = [block for block in BLOCKS if not block.startswith("import ")]


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_a_program_runs_as_it_stands(program: str, tmp_path: Path) -> None:
    """The model is asked over HTTP, as it would be; what answers knows only what it was told."""

    def say(asked: dict[str, Any]) -> str:
        return "Hetzner, as you said." if "Hetzner" in (asked["instructions"] or "") else "I see."

    with model_api(say) as server:
        online = {
            "OPENAI_BASE_URL": server.url,
            "OPENAI_API_KEY": "loopback",
            "OPENAI_AGENTS_DISABLE_TRACING": "1",
        } | PATIENT
        ran = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env=environment(**online), capture_output=True, text=True
        )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "Hetzner, as you said.\n", "")
    assert "<user_memory>" not in server.requests[0]["instructions"]
    assert "We deploy to Hetzner, in Falkenstein." in server.requests[-1]["instructions"]


def test_the_first_screen_holds_ten_lines_of_code_the_numbers_and_the_two_commands() -> None:
    screen = README.partition("<details")[0]
    [program] = PROGRAMS
    assert program in screen
    assert len([line for line in program.splitlines() if line]) <= 10
    assert len(screen.splitlines()) <= 48


@pytest.fixture
async def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, Any]]:
    """What the README's fragments take for granted."""
    monkeypatch.chdir(tmp_path)
    answers = ScriptedModel([ModelStep(output=[assistant_message("Hetzner.")]) for _ in range(8)])
    agent = Agent[Any](name="Assistant", instructions="Be brief.", model=answers)
    async with SemanticMemory.open(Settings(path=tmp_path / "memory", deadline=10)) as memory:
        ada = memory.user("ada")
        await ada.remember("We deploy to Hetzner, in Falkenstein.")
        yield {
            "Agent": Agent,
            "FactFilter": FactFilter,
            "ModelExtractor": ModelExtractor,
            "Runner": Runner,
            "SemanticMemory": SemanticMemory,
            "ada": ada,
            "agent": agent,
            "answers": answers,
            "memory": memory,
            "session": SQLiteSession("monday"),
        }


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=range(len(FRAGMENTS)))
async def test_a_fragment_runs_inside_a_program(fragment: str, names: dict[str, Any]) -> None:
    await execute(fragment, names)
    told = [call.system_instructions or "" for call in names["answers"].calls]
    assert all("Falkenstein" in instructions for instructions in told)
    assert bool(told) == ("Runner." in fragment)


async def test_the_verbs_do_what_their_comments_say(names: dict[str, Any]) -> None:
    verbs = next(fragment for fragment in FRAGMENTS if "ada.remember(" in fragment)
    await execute(verbs, names)
    assert [found.fact.id for found in names["recall"].facts][:1] == [names["fact"].id]
    assert names["newer"].supersedes == names["fact"].id
    assert names["why"].history[0].reason == "moved in May"
    assert names["certificate"].complete
    assert await names["ada"].facts() == []


def test_ci_runs_the_two_command_lines_of_the_readme() -> None:
    script = ROOT / ".ci" / "run"
    if not script.exists():
        pytest.skip("this copy has no .ci/run")
    picked = re.findall(r"grep -m1 '([^']+)' README\.md", script.read_text())
    assert len(picked) == 2
    lines = [next(line for line in README.splitlines() if re.search(pattern, line)) for pattern in picked]
    assert [line.rpartition("&& ")[2] for line in lines] == ["semantic-memory demo", "pytest"]
    assert all("-c constraints.txt" in line for line in lines)


def test_the_numbers_of_the_first_screen_stand_in_the_pages_that_explain_them() -> None:
    table = README.partition("| measured |")[2].partition("How, on what")[0]
    numbers = re.findall(r"\d[\d.,]*%|\d[\d,]{2,}", table)
    pages = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("recall-quality.md", "cost.md"))
    assert len(numbers) >= 4
    assert [
        one for one in numbers if not re.search(rf"(?<![\d.,]){re.escape(one.rstrip('%'))}(?![\d.,]*\d)", pages)
    ] == []


@pytest.mark.parametrize(
    "page", ["README.md", "CHANGELOG.md", "docs/cli.md", "docs/architecture.md", "docs/lineage.md"]
)
def test_every_link_to_a_page_of_ours_leads_somewhere(page: str) -> None:
    place = ROOT / page
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", place.read_text(encoding="utf-8"))
    assert [target for target in targets if not (place.parent / target).exists()] == []
