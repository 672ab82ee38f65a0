"""Each example does what it says on its first lines, offline, in an empty folder."""

from __future__ import annotations

import importlib
import io
import re
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import agents
import pytest

from tests.acceptance.conftest import ROOT

EXAMPLES = ROOT / "examples"
Play = Callable[..., str]


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder, and the path that Python sets for a script."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setenv("SEMANTIC_MEMORY_DEADLINE", "10")  # this machine may be busy with other tests
    monkeypatch.setattr(agents, "set_tracing_disabled", lambda _: None)  # it's for the whole process
    yield
    for name in ("offline", "chat_backend"):
        sys.modules.pop(name, None)


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Play:
    """Run an example as a script; what it prints."""

    def play(name: str, *, given: str = "") -> str:
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        shown = capsys.readouterr()
        assert shown.err == ""
        return shown.out

    return play


def test_support_the_agent_behind_a_handoff_knows_its_own_customer_and_no_other(play: Play) -> None:
    nothing = "I know nothing about that yet."
    turns = re.findall(r"^\[(.*?)\] (\w+): (.*)$", play("support_agent"), re.MULTILINE)
    asked = {session: (who, what) for session, who, what in turns if who in ("ada", "bob")}
    answered = {session: (who, what) for session, who, what in turns if who not in ("ada", "bob")}
    assert answered["ada-order-7"] == (
        "shipping",
        "As you told me: My parcels go to the pharmacy next door while I am away.",
    )
    assert answered["bob-order-9"] == ("billing", nothing)  # only Ada has said anything of it
    assert answered["ada-invoice"][1] == answered["bob-hello"][1] == nothing
    for session, (_, what) in answered.items():
        own = {said for who, said in asked.values() if who == asked[session][0]}
        assert what.removeprefix("As you told me: ") in own | {nothing}
    assert len(answered) == 6


def test_the_terminal_assistant_knows_in_its_next_start_and_says_why(play: Play) -> None:
    play("cli_assistant", given="We deploy to Hetzner, in Falkenstein.\n\n")
    shown = play("cli_assistant", given="Where do we deploy?\n/why\n/facts\n\n")
    assert "As you told me: We deploy to Hetzner, in Falkenstein.\n" in shown
    assert "We deploy to Hetzner, in Falkenstein.\n  you said so in session " in shown
    (fact_id,) = re.findall(r"^> (\w{12})  We deploy", shown, re.MULTILINE)
    assert "Hetzner" not in play("cli_assistant", given=f"/forget {fact_id}\n/facts\nWhere do we deploy?\n\n")


def test_the_chat_backend_serves_many_users_with_one_configuration() -> None:
    testclient = pytest.importorskip("fastapi.testclient", reason="the backend needs fastapi")
    app = importlib.import_module("chat_backend").app
    with testclient.TestClient(app) as client:

        def say(user: str, chat: str, text: str) -> str:
            asked = client.post(
                f"/chats/{chat}", json={"text": text}, headers={"Authorization": f"Bearer token-of-{user}"}
            )
            assert asked.status_code == 200, asked.text
            return str(asked.json()["answer"])

        say("ada", "monday", "We deploy to Hetzner, in Falkenstein.")
        assert "Falkenstein" in say("ada", "friday", "Where do we deploy?")
        assert "Falkenstein" not in say("bob", "monday", "Where do we deploy?")
        stranger = client.post("/chats/x", json={"text": "hi"}, headers={"Authorization": "Bearer token-of-eve"})
        assert stranger.status_code == 401


def test_the_voice_assistant_says_what_it_heard_in_another_call(play: Play) -> None:
    said = re.findall(r"^\[(.*)\] said:  (.*)$", play("voice_assistant"), re.MULTILINE)
    assert said == [
        ("monday", "I know nothing about that yet."),
        ("friday", "As you told me: My doctor's appointment is on the third of May."),
        ("friday", "I know nothing about that yet."),
    ]


def test_a_realtime_session_gets_new_instructions_for_what_was_said_in_it(play: Play) -> None:
    monday, appointment, capital = play("realtime_assistant").strip().split("\n\n[friday] heard: ")
    assert "<user_memory>" not in monday
    assert '"My doctor\'s appointment is on the third of May."' in appointment
    assert capital == "What is the capital of France?\nOne short sentence."
