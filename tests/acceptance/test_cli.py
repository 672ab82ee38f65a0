"""Each command does what it says, for people and, with --json, for programs."""

from __future__ import annotations

import resource
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from semantic_memory import Explanation, Fact, Recall, Receipt
from tests.acceptance.conftest import COMMAND, Run, environment

DEPLOY = "We deploy the billing service to Hetzner, in Falkenstein."
STANDUP = "My standup is at 9:30, so never book a meeting before ten."
LIGHT = """
import sys
from semantic_memory.frontends.cli import main
try:
    main()
except SystemExit:
    heavy = {"torch", "onnxruntime", "chromadb", "agents", "openai", "sentence_transformers", "alembic"}
    print(sorted(heavy & set(sys.modules)))
"""


def names(of: type) -> set[str]:
    return {field.name for field in fields(of)}


def fact_id(run: Run, text: str = "Hetzner") -> str:
    [fact] = run("facts", "ada", "--where", f"text={text}", "--json").lines
    return fact["id"]


@pytest.mark.usefixtures("told")
class TestLooking:
    def test_facts_are_listed_with_their_words_and_their_day(self, run: Run) -> None:
        shown = run("facts", "ada")
        assert shown.code == 0
        assert shown.err == ""
        assert "We deploy the billing service to Hetzner" in shown.out
        assert "2 Mar 2026" in shown.out
        assert max(map(len, shown.out.splitlines())) <= 80

    def test_json_has_the_names_of_the_fields_as_keys(self, run: Run) -> None:
        facts = run("facts", "ada", "--json").lines
        assert {fact["text"] for fact in facts} == {DEPLOY, STANDUP}
        assert all(fact.keys() == names(Fact) for fact in facts)

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            (["--where", "kind=preference"], {STANDUP}),
            (["--where", "text=hetzner"], {DEPLOY}),
            (["--where", "origin=user"], {DEPLOY, STANDUP}),
            (["--where", "origin=tool"], set()),
            (["--where", "session=acme-billing"], {DEPLOY, STANDUP}),
            (["--where", "session=acme-onboarding"], set()),
            (["--where", "since=2026-03-02", "--where", "until=2026-03-02T10:00"], {DEPLOY, STANDUP}),
            (["--where", "since=2026-03-03"], set()),
            (["--where", "until=2026-03-02"], set()),
            (["--where", "label=work"], set()),
            (["--where", "subject=standup"], {STANDUP}),
            (["--where", "agent=Assistant"], {DEPLOY, STANDUP}),
            (["--where", "agent=Nobody"], set()),
            (["--where", "run=unknown"], set()),
            (["--where", "never_recalled", "--where", "kind=preference"], {STANDUP}),
            (["--where", "disputed"], set()),
            (["--as-of", "2026-03-01"], set()),
            (["--as-of", "2026-03-03", "--where", "kind=preference"], {STANDUP}),
            (["--where", "status=forgotten"], set()),
            (["--where", "status=any"], {DEPLOY, STANDUP}),
            (["--where", "status=superseded,active", "--where", "text=a=b"], set()),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_filters_narrow_the_list(self, call: Run, wanted: list[str], found: set[str]) -> None:
        assert {fact["text"] for fact in call("facts", "ada", "--json", *wanted).lines} == found

    def test_a_fact_is_shown_with_the_words_that_taught_it(self, call: Run) -> None:
        shown = call("explain", "ada", fact_id(call)).out
        assert "Hi! “We deploy the billing service to Hetzner" in shown
        assert "session acme-billing, item 0, characters 4 to 61" in shown
        assert "written → active" in shown

    def test_explain_as_json_is_the_whole_explanation(self, call: Run) -> None:
        explanation = call("explain", "ada", fact_id(call), "--json").document
        assert explanation.keys() == names(Explanation)
        [evidence] = explanation["evidence"]
        assert evidence["quote"] == DEPLOY
        assert evidence["span"] == [4, 4 + len(DEPLOY)]

    def test_users_are_listed(self, run: Run) -> None:
        assert run("users").out == "ada\n"
        assert run("users", "--json").lines == ["ada"]

    def test_looking_at_facts_loads_no_model_and_no_database_of_vectors(self, tmp_path: Path) -> None:
        before = _seconds_of_children()
        shown = subprocess.run(
            [sys.executable, "-c", LIGHT, "facts", "ada"],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
        )
        assert "Hetzner" in shown.stdout
        assert shown.stdout.splitlines()[-1] == "[]"
        assert (
            _seconds_of_children() - before < 2
        )  # 0.7 on the machine it was written on; processor time, so load is no matter


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class TestChanging:
    def test_what_is_remembered_is_recalled_and_the_recall_leaves_a_receipt(self, run: Run) -> None:
        kept = run("remember", "ada", "Our deploy target is Hetzner", "--kind", "fact", "--json")
        assert (kept.code, kept.err) == (0, "")
        found = run("recall", "ada", "What is our deploy target?", "--json").document
        assert found.keys() == names(Recall)
        assert [one["fact"]["id"] for one in found["facts"]] == [kept.document["id"]]
        [receipt] = run("receipts", "ada", "--json").lines
        assert receipt.keys() == names(Receipt)
        assert receipt["id"] == found["receipt_id"]
        assert receipt["source"] == "cli"
        assert "What is our deploy target?" in run("receipts", "ada", "--fact", kept.document["id"]).out

    @pytest.mark.usefixtures("told")
    def test_what_has_nothing_to_do_with_the_user_recalls_nothing(self, call: Run) -> None:
        found = call("recall", "ada", "What is the capital of France?", "--near")
        assert found.out.startswith("nothing relevant is known")
        assert "the facts hold no answer, it seems" in found.out
        assert DEPLOY[:40] in found.out

    @pytest.mark.usefixtures("told")
    def test_a_corrected_fact_stays_linked_to_the_newer_one(self, call: Run) -> None:
        old = fact_id(call)
        newer = call(
            "correct", "ada", old, "We deploy the billing service to AWS", "--reason", "moved in May", "--json"
        )
        assert newer.document["supersedes"] == old
        assert {fact["text"] for fact in call("facts", "ada", "--json").lines} == {newer.document["text"], STANDUP}
        shown = call("explain", "ada", old).out
        assert "active → superseded  moved in May" in shown
        assert "We deploy the billing service to AWS" in shown

    def test_a_forgotten_fact_is_in_no_file_of_the_folder(self, call: Run, told: Path) -> None:
        (told / "conversations.db").unlink()  # the transcript is not memory's to forget
        gone = fact_id(call)
        assert "Falkenstein" in call("facts", "ada").out
        assert call("forget", "ada", gone).code == 0
        assert call("facts", "ada", "--where", "status=forgotten", "--json").lines[0]["text"] == ""
        assert "(forgotten)" in call("explain", "ada", gone).out
        assert [path for path in told.rglob("*") if path.is_file() and b"Falkenstein" in path.read_bytes()] == []

    def test_an_erased_user_is_gone_and_the_certificate_says_so(self, call: Run, told: Path) -> None:
        certificate = call("erase", "ada", "--yes", "--json").document
        assert (certificate["index"], certificate["ledger"]) == ("removed", "scrubbed")
        assert certificate["transcripts"] == ["acme-billing"]
        assert call("users").out == "no users yet\n"
        (told / "conversations.db").unlink()
        assert [path for path in told.rglob("*") if path.is_file() and b"Falkenstein" in path.read_bytes()] == []

    @pytest.mark.usefixtures("told")
    def test_erasing_asks_first(self, run: Run) -> None:
        assert run("erase", "ada", given="n\n").code == 1
        assert run("users").out == "ada\n"

    def test_ids_and_texts_that_begin_with_a_dash_stand_behind_two(self, run: Run) -> None:
        assert run("remember", "--", "-ada", "-5 is my favourite number").code == 0
        assert "-5 is my favourite number" in run("facts", "--", "-ada").out

    def test_what_a_terminal_would_obey_is_shown_instead(self, call: Run) -> None:
        text = "I like \x1b[31mred\x1b[0m and \u202eright to left\x9b, [bold]always[/bold] :smile:"
        call("remember", "ada", text)
        shown = call("facts", "ada").out
        assert not {"\x1b", "\u202e", "\x9b"} & set(shown)
        assert "\\u001b[31mred" in shown
        assert "[bold]always[/bold]" in " ".join(shown.split())
        line = call("facts", "ada", "--json")
        assert not {"\x1b", "\u202e", "\x9b"} & set(line.out)
        assert line.lines[0]["text"] == text

    def test_the_folder_is_the_one_that_the_environment_names(self, run: Run, tmp_path: Path) -> None:
        assert run("remember", "ada", "I like tea", SEMANTIC_MEMORY_PATH="elsewhere").code == 0
        assert (tmp_path / "elsewhere" / "ledger.db").exists()
        assert not (tmp_path / "memory").exists()
        assert "I like tea" in run("facts", "ada", "--memory", "elsewhere").out


@pytest.mark.usefixtures("told")
class TestLearning:
    SESSIONS = ("--session-db", "sqlite:///memory/conversations.db", "--session", "acme-billing")

    def test_a_session_that_nobody_learned_is_learned_once(self, run: Run) -> None:
        learned = run("learn", "bob", *self.SESSIONS, "--session", "acme-onboarding", "--json").lines
        assert [(one["session_id"], one["messages"]) for one in learned] == [
            ("acme-billing", 4),
            ("acme-onboarding", 4),
        ]
        assert {fact["text"] for fact in learned[0]["written"]} == {DEPLOY, STANDUP}
        assert run("learn", "bob", *self.SESSIONS).out == "0 new messages: 0 facts learned\n"
        assert len(run("facts", "bob", "--json").lines) == 2

    def test_what_the_program_learned_already_is_not_learned_again(self, call: Run) -> None:
        assert call("learn", "ada", *self.SESSIONS, "--json").document["messages"] == 0

    def test_an_extractor_that_fails_is_an_error_and_the_messages_are_learned_the_next_time(self, run: Run) -> None:
        broken = {
            "SEMANTIC_MEMORY_EXTRACTION_MODEL": "no-such-model",
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        }
        failed = run("learn", "bob", *self.SESSIONS, **broken)
        assert failed.code == 1
        assert "error: some messages stay unlearned" in failed.err
        assert "2 facts learned" in run("learn", "bob", *self.SESSIONS).out


def test_a_reader_that_has_seen_enough_ends_the_command_quietly(told: Path, tmp_path: Path) -> None:
    lines = "".join(f'{{"user_id": "big", "text": "I counted to {n}"}}\n' for n in range(300))
    (tmp_path / "big.jsonl").write_text(lines)
    subprocess.run([*COMMAND, "import", "big.jsonl"], cwd=tmp_path, env=environment(), check=True, capture_output=True)
    listing = subprocess.Popen(
        [*COMMAND, "facts", "big", "--json"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert listing.stdout is not None
    assert listing.stderr is not None
    assert listing.stdout.readline()
    listing.stdout.close()
    assert listing.stderr.read() == b""
    listing.stderr.close()
    listing.wait()
