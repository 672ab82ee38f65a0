"""Why a fact was shown, and how good recall is: what the command line tells of both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from semantic_memory.retrieval.relevance import Calibration
from tests.acceptance.conftest import Run
from tests.acceptance.test_cli import DEPLOY, STANDUP, fact_id

QUESTION = "Where does our billing service run?"


@pytest.mark.usefixtures("told")
class TestReasons:
    def test_a_recall_says_what_spoke_for_each_fact(self, call: Run) -> None:
        shown = call("recall", "ada", QUESTION, "--why").out
        assert DEPLOY in " ".join(shown.split())
        assert "words +" in shown
        assert max(map(len, shown.splitlines())) <= 80

    def test_reasons_are_json_lines_best_first(self, call: Run) -> None:
        first, second = call("recall", "ada", QUESTION, "--why", "--json").lines
        assert (first["verdict"], second["verdict"]) == ("shown", "share")
        assert first["relevance"] > second["relevance"]

    def test_a_weak_fact_is_not_shown_beside_a_strong_one_unless_asked_for(self, call: Run) -> None:
        def texts(*more: str) -> list[str]:
            return [one["fact"]["text"] for one in call("recall", "ada", QUESTION, "--json", *more).document["facts"]]

        assert texts() == [DEPLOY]
        assert texts("--min-share", "0") == [DEPLOY, STANDUP]

    def test_why_not_names_what_keeps_a_fact_out(self, call: Run) -> None:
        standup = fact_id(call, "standup")
        assert call("why-not", "ada", standup, QUESTION, "--json").document["verdict"] == "share"
        assert "far behind the best" in call("why-not", "ada", standup, QUESTION).out
        assert call("why-not", "ada", standup, "What is my standup?", "--json").document["verdict"] == "shown"

    def test_why_not_takes_what_recall_takes(self, call: Run) -> None:
        standup = fact_id(call, "standup")

        def verdict(*given: str) -> str:
            found: str = call("why-not", "ada", standup, QUESTION, *given, "--json").document["verdict"]
            return found

        assert verdict("--min-share", "0") == "shown"
        assert verdict("--min-share", "0", "--limit", "1") == "limit"
        assert verdict("--min-share", "0", "--max-tokens", "80") == "budget"
        assert verdict("--min-relevance", "1") == "threshold"
        assert verdict("--label", "work") == "label"
        assert verdict("--as-of", "2020-01-01") == "status"
        assert verdict("--earlier", "When is my standup?") in ("shown", "share")

    def test_silence_says_that_the_facts_hold_no_answer(self, call: Run) -> None:
        question = "Who painted the Mona Lisa?"
        told = call("recall", "ada", question, "--why", "--near").out
        assert "0.00  that these facts hold an answer at all" in told
        assert "the facts hold no answer, it seems" in told
        assert call("recall", "ada", question, "--why", "--json").lines[0]["verdict"] == "gate"
        told = call("why-not", "ada", fact_id(call, "standup"), question).out
        assert "the facts hold no answer, it seems" in " ".join(told.split())
        assert "that these facts hold an answer at all" in told

    def test_why_not_of_a_fact_that_is_not_there_is_an_error(self, call: Run) -> None:
        assert call("why-not", "ada", "nothing", QUESTION).code == 1


@pytest.mark.usefixtures("told")
class TestEvaluate:
    def test_a_memory_is_measured_and_fitted_with_questions_of_its_own(self, call: Run, tmp_path: Path) -> None:
        rows = [
            {"user": "ada", "text": QUESTION, "gold": [fact_id(call)]},
            {"user": "ada", "text": "When is my standup?", "gold": [fact_id(call, "standup")]},
        ]
        (tmp_path / "asked.jsonl").write_text("\n".join(map(json.dumps, rows)))
        asked = ("evaluate", "--dataset", "memory", "--path", "asked.jsonl")
        [report] = call(*asked, "--json").lines
        assert (report["facts"], report["questions"]) == (2, 2)
        assert [one["all_at"]["1"]["mean"] for one in report["scores"]] == [1, 1, 1]
        table = call(*asked).out
        assert "dense only" in table
        assert "all@20" in table
        assert max(map(len, table.splitlines())) <= 80

        assert call(*asked, "--fit", "mine.json").code == 0
        mine = Calibration.read(tmp_path / "mine.json")
        [refitted] = call(*asked, "--json", SEMANTIC_MEMORY_CALIBRATION="mine.json").lines
        assert refitted["silence"]["threshold"] == mine.min_relevance
        found = call("recall", "ada", QUESTION, "--json", SEMANTIC_MEMORY_CALIBRATION="mine.json")
        assert found.document["facts"][0]["fact"]["text"] == DEPLOY

    @pytest.mark.parametrize(
        ("row", "error"),
        [
            ({"user": "ada", "text": "?", "gold": ["f7"]}, "ada has no active fact f7"),
            ({"user": "ada", "text": "?", "gold": []}, "there is no question that a fact answers"),
        ],
    )
    def test_questions_that_measure_nothing_are_refused(
        self, call: Run, tmp_path: Path, row: dict[str, object], error: str
    ) -> None:
        (tmp_path / "asked.jsonl").write_text(json.dumps(row))
        told = call("evaluate", "--dataset", "memory", "--path", "asked.jsonl")
        assert (told.code, told.err.strip()) == (1, f"error: {error}")

    def test_a_file_that_holds_no_calibration_is_an_error_that_says_so(self, call: Run, tmp_path: Path) -> None:
        (tmp_path / "mine.json").write_text("{}")
        told = call("recall", "ada", QUESTION, SEMANTIC_MEMORY_CALIBRATION="mine.json")
        assert told.code == 1
        assert "mine.json holds no calibration" in told.err
