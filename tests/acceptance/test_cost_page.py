"""The page about costs says what a simulated year costs."""

from __future__ import annotations

import re

import pytest

from scripts.refresh_docs import year
from tests.acceptance.conftest import ROOT


def numbers(text: str) -> list[float]:
    return [float(one.replace(",", "")) for one in re.findall(r"\d[\d,]*", text)]


def test_the_table_is_what_the_simulation_says() -> None:
    """To a quarter: what is recalled at the edge may differ from processor to processor."""
    page = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")
    written = page.partition("<!-- year -->\n")[2].partition("\n<!-- /year -->")[0]
    assert numbers(written) == pytest.approx(numbers(year()), rel=0.25)
