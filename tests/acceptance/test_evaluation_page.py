"""`evaluate --html` writes what was measured as one page that needs nothing beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.acceptance.conftest import Run

FIGURES = 10
LINES = """\
{"type": "fact", "user": "u", "id": "1", "text": "Our <b>deploy</b> target is Hetzner.", "said_at": "2026-01-12"}
{"type": "fact", "user": "u", "id": "2", "text": "I can't eat gluten.", "said_at": "2026-01-13"}
{"type": "fact", "user": "v", "id": "1", "text": "I live in Lisbon.", "said_at": "2026-01-13"}
{"type": "fact", "user": "v", "id": "2", "text": "I have two cats.", "said_at": "2026-01-14"}
{"type": "question", "user": "u", "text": "Where do we deploy?", "asked_at": "2026-06-15", "gold": ["1"]}
{"type": "question", "user": "u", "text": "What is <i>my</i> shoe size?", "asked_at": "2026-06-15", "gold": ["2"]}
{"type": "question", "user": "v", "text": "Which city do I live in?", "asked_at": "2026-06-15", "gold": ["1"]}
"""


def test_the_page_has_the_figures_and_the_failures_and_loads_nothing(call: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="figures need the extra plots")
    (tmp_path / "mine.jsonl").write_text(LINES, encoding="utf-8")
    ran = call("evaluate", "--dataset", "file", "--path", "mine.jsonl", "--html", "report.html")
    assert (ran.code, ran.err) == (0, "")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == page.count("<figcaption") == FIGURES
    assert "What is &lt;i&gt;my&lt;/i&gt; shoe size?" in page
    outside = {url for url in re.findall(r"(?:src|href)=\"([^\"]+)\"", page) if not url.startswith("#")}
    assert outside == set()
    assert "<script" not in page


ONE = """\
{"type": "fact", "user": "u", "id": "1", "text": "Our deploy target is Hetzner.", "said_at": "2026-01-12"}
{"type": "question", "user": "u", "text": "Where do we deploy?", "asked_at": "2026-06-15", "gold": ["1"]}
"""
TOLD_ONLY = '{"type": "fact", "user": "w", "id": "1", "text": "I like tea.", "said_at": "2026-01-12"}\n'
ASKED_ONLY = '{"type": "question", "user": "x", "text": "Who won?", "asked_at": "2026-06-15", "gold": []}\n'
UNANSWERED = ONE.replace('["1"]', "[]")


@pytest.mark.parametrize(
    "lines", [ONE, ONE + TOLD_ONLY + ASKED_ONLY], ids=["one fact", "users without questions, or without facts"]
)
def test_the_smallest_set_has_a_page(lines: str, call: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="figures need the extra plots")
    (tmp_path / "mine.jsonl").write_text(lines, encoding="utf-8")
    ran = call("evaluate", "--dataset", "file", "--path", "mine.jsonl", "--html", "report.html")
    assert (ran.code, ran.err) == (0, "")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count(
        "<svg"
    ) == FIGURES - 1  # nobody to learn an order from


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (UNANSWERED, "no question that a fact answers"),
        (ASKED_ONLY, "no question that a fact answers"),
        (ONE.replace('["1"]', '["7"]'), "u has no active fact u/7"),
    ],
    ids=["nothing has an answer", "nobody has facts", "an answer that isn't there"],
)
def test_a_set_that_measures_nothing_is_refused(lines: str, why: str, call: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text(lines, encoding="utf-8")
    ran = call("evaluate", "--dataset", "file", "--path", "mine.jsonl", "--html", "report.html")
    assert ran.code == 1
    assert why in ran.err
    assert "unexpected" not in ran.err


def test_pairs_have_no_figures(call: Run, tmp_path: Path) -> None:
    ran = call("evaluate", "--dataset", "pairs", "--html", "report.html")
    assert ran.code == 1
    assert "leave --html out" in ran.err
    assert not (tmp_path / "report.html").exists()
