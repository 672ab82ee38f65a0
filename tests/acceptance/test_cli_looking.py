"""What became of facts, what an answer was told, and how a memory is: from the command line."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from agents import SQLiteSession

from semantic_memory import ExtractionFailed, SemanticMemory, Settings
from semantic_memory.testing import ScriptedExtractor
from tests.acceptance.conftest import Run

HETZNER, AWS, CAT = "Our deploy target is Hetzner", "Our deploy target is AWS", "My cat is called Miso"
QUESTION = "What is our deploy target?"


@pytest.fixture
def moved(call: Run) -> dict[str, str]:
    """A memory in which one fact has replaced another; their ids by their texts."""
    old = call("remember", "ada", HETZNER, "--json").document["id"]
    new = call("correct", "ada", old, AWS, "--reason", "moved in May", "--json").document["id"]
    cat = call("remember", "ada", CAT, "--json").document["id"]
    return {HETZNER: old, AWS: new, CAT: cat}


def width(shown: str) -> int:
    return max(map(len, shown.splitlines()))


class TestTimeline:
    def test_a_fact_stands_below_the_one_that_it_replaced_with_the_reason(
        self, call: Run, moved: dict[str, str]
    ) -> None:
        shown = call("timeline", "ada", "--about", "target deploy").out
        assert shown.index(moved[HETZNER]) < shown.index("moved in May") < shown.index(moved[AWS])
        assert [line[0] for line in shown.splitlines()] == ["○", "│", "│", "●", " "]
        assert CAT not in shown
        assert width(shown) <= 80

    def test_without_a_subject_everything_is_told(self, call: Run, moved: dict[str, str]) -> None:
        shown = call("timeline", "ada").out
        assert all(text in shown for text in moved)

    def test_json_has_a_line_for_each_chain(self, call: Run, moved: dict[str, str]) -> None:
        chains = call("timeline", "ada", "--json").lines
        assert [[one["fact"]["id"] for one in chain] for chain in chains] == [
            [moved[HETZNER], moved[AWS]],
            [moved[CAT]],
        ]

    def test_what_nothing_is_known_about_is_told_so(self, call: Run, moved: dict[str, str]) -> None:
        assert call("timeline", "ada", "--about", "holiday").out == "nothing of this is known about ada\n"


class TestShown:
    def test_from_a_recall_to_the_words_that_taught_what_it_showed(self, call: Run, moved: dict[str, str]) -> None:
        receipt = call("recall", "ada", QUESTION, "--json").document["receipt_id"]
        shown = call("shown", "ada", receipt).out
        assert f"“{AWS}”" in shown
        assert "said by the program" in shown
        assert [one["fact"]["id"] for one in call("shown", "ada", receipt, "--json").lines] == [moved[AWS]]

    @pytest.mark.usefixtures("moved")
    def test_what_a_silent_recall_showed_is_nothing(self, call: Run) -> None:
        receipt = call("recall", "ada", "What is the capital of France?", "--json").document["receipt_id"]
        assert call("shown", "ada", receipt).out == "nothing: memory was silent\n"

    @pytest.mark.usefixtures("moved")
    @pytest.mark.parametrize("given", [[], ["a", "--run", "b"]])
    def test_one_recall_or_one_run_is_named(self, call: Run, given: list[str]) -> None:
        assert call("shown", "ada", *given).code == 2

    @pytest.mark.usefixtures("moved")
    def test_receipts_are_found_by_what_they_belong_to(self, call: Run) -> None:
        call("recall", "ada", QUESTION)
        assert len(call("receipts", "ada", "--json").lines) == 1
        for option in ("--run", "--trace", "--session"):
            assert call("receipts", "ada", option, "unknown", "--json").lines == []


class TestDoctor:
    def test_a_sound_memory_is_told_on_one_page_and_the_code_is_0(self, call: Run, moved: dict[str, str]) -> None:
        call("recall", "ada", QUESTION)
        looked = call("doctor")
        assert (looked.code, looked.err) == (0, "")
        assert looked.out.startswith("sound: nothing is wrong\n")
        assert "ada   1               revision 3 of 3  2 active, 1 superseded" in looked.out
        assert width(looked.out) <= 80

    @pytest.mark.usefixtures("moved")
    def test_a_damaged_index_is_wrong_until_it_is_repaired(self, call: Run, tmp_path: Path) -> None:
        call("doctor")  # builds nothing, but lets go of the folder
        for folder in (tmp_path / "memory" / "index").iterdir():
            if folder.is_dir() and (folder / "chroma.sqlite3").exists():
                os.truncate(folder / "chroma.sqlite3", 100)
        hurt = call("doctor")
        assert (hurt.code, hurt.err) == (1, "")
        assert hurt.out.startswith("1 thing wrong")
        assert call("doctor", "--json").document["findings"] != []
        healed = call("doctor", "--repair")
        assert healed.code == 0
        assert "repaired  index" in healed.out
        assert call("doctor").code == 0

    def test_facts_that_are_suspected_are_named_with_their_words(self, call: Run) -> None:
        lines = [f'{{"user_id": "ada", "text": "{CAT}{end}"}}' for end in (".", "!")]
        call("import", "-", given="\n".join(lines))
        looked = call("doctor", "--repair")
        assert looked.code == 0
        assert "look      duplicate  ada: two facts with a cosine of " in looked.out
        assert f"{CAT}. " in looked.out
        assert f"{CAT}! " in looked.out

    def test_messages_that_could_not_be_learned_get_another_chance(self, call: Run, tmp_path: Path) -> None:
        asyncio.run(fail_to_learn(tmp_path / "memory"))
        looked = call("doctor")
        assert looked.code == 1
        assert "dead letter ada: a message of session s failed once: junk" in " ".join(looked.out.split())
        again = call("doctor", "--retry")
        assert "doctor --retry" in looked.out
        assert (again.code, again.out.splitlines()[1]) == (0, "1 message will be tried again by the next `learn`")

    def test_a_folder_without_a_memory_is_an_error(self, call: Run, tmp_path: Path) -> None:
        shutil.rmtree(tmp_path / "memory", ignore_errors=True)
        assert "there is no memory" in call("doctor").err


async def fail_to_learn(folder: Path) -> None:
    steps: list[Any] = [ExtractionFailed("junk")]
    settings = Settings(path=folder, learn_tries=1)
    session = SQLiteSession("s")
    await session.add_items([{"role": "user", "content": CAT}])
    async with SemanticMemory.open(settings, extractor=ScriptedExtractor(steps), load="lazy") as memory:
        await memory.user("ada").learn(session)
    session.close()
