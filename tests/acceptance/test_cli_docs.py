"""No command without help, none without a place in docs/cli.md, and none that says something else there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts.refresh_docs import commands, common_options, listed, refreshed
from tests.acceptance.conftest import COMMAND, ROOT, Run, environment

LISTED = listed()
PAGE = ROOT / "docs" / "cli.md"


@pytest.mark.parametrize("name", LISTED)
def test_a_command_says_what_it_does_and_what_it_takes(call: Run, name: str) -> None:
    command = LISTED[name]
    assert command.help
    assert all(one.help for one in command.params)
    shown = call(*name.split(), "--help")
    assert (shown.code, shown.err) == (0, "")
    assert command.help.splitlines()[0] in shown.out
    assert "--json" in shown.out
    assert "--memory" in shown.out


def test_the_page_of_the_command_line_is_up_to_date() -> None:
    """After a change of a command: `python scripts/refresh_docs.py`."""
    page = PAGE.read_text(encoding="utf-8")
    assert refreshed(page, commands=commands(), common=common_options()) == page
    assert all(f"### {name}\n" in page for name in LISTED)


def test_the_list_of_commands_fits_into_80_columns_uncut(tmp_path: Path) -> None:
    shown = subprocess.run(
        [*COMMAND, "--help"], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    ).stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert "..." not in shown.partition("Commands:")[2]
