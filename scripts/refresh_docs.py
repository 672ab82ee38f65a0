"""Rewrite what the documentation quotes from the program.

The demo in README.md, the commands in docs/cli.md, the simulated year in docs/cost.md.

    python scripts/refresh_docs.py

A test compares: what is quoted is what the program prints.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from semantic_memory.embedding.bundled import bundled
from semantic_memory.evaluation.cost import Year, year_of_use
from semantic_memory.evaluation.datasets import load
from semantic_memory.frontends.cli import app
from semantic_memory.frontends.command import COMMON

ROOT = Path(__file__).parents[1]
WEEKS = (1, 4, 13, 26, 52)
LOUD = {"COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE", "PYTHONPATH"}


def refreshed(page: str, **parts: str) -> str:
    """A page with each part between its marks written anew."""
    for name, part in parts.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not marked.search(page):
            raise ValueError(f"the page has no place for {name}")
        page = marked.sub(lambda found, part=part: f"{found[1]}{part}\n{found[2]}", page)
    return page


def demo() -> str:
    """What `semantic-memory demo` prints in 80 columns."""
    quiet = {key: value for key, value in os.environ.items() if key not in LOUD}
    shown = subprocess.run(
        [sys.executable, "-m", "semantic_memory.frontends.cli", "demo"],
        cwd=ROOT,
        env=quiet | {"COLUMNS": "80", "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    ).stdout
    return f"```text\n{shown.rstrip()}\n```"


def listed(group: Any = None, prefix: str = "") -> dict[str, Any]:
    """Every command by its name; those of a group by both names."""
    found: dict[str, Any] = {}
    for name, one in (group or get_command(app)).commands.items():
        found |= listed(one, f"{prefix}{name} ") if hasattr(one, "commands") else {prefix + name: one}
    return found


def year() -> str:
    """What a simulated year of use costs, as Markdown: tokens of a run, mean of a week, to two digits."""
    simulated = asyncio.run(_year())
    week = simulated.day // 7 + 1
    lines = ["| tokens a run | " + " | ".join(f"week {one}" for one in WEEKS) + " |", "|---|" + "---:|" * len(WEEKS)]
    for name, tokens in (
        ("every transcript replayed", simulated.replayed),
        ("this session alone", simulated.session),
        ("this session and the facts", simulated.remembered),
    ):
        lines.append(f"| {name} | " + " | ".join(_rounded(tokens[week == one].mean()) for one in WEEKS) + " |")
    told = simulated.facts > 0
    lines += [
        "",
        f"{told.mean():.0%} of the runs were told facts, {_rounded(simulated.facts[told].mean())} tokens of them.",
    ]
    return "\n".join(lines)


async def _year() -> Year:
    embedding = bundled()
    try:
        return await year_of_use(load("own")[0], embedding)
    finally:
        await embedding.close()


def _rounded(number: float) -> str:
    return f"{float(f'{number:.1e}'):,.0f}"


def commands() -> str:
    """Every command with its help, as Markdown."""
    return "\n".join(line for name, one in listed().items() for line in _command(name, one))


def common_options() -> str:
    """The options that every command takes."""
    any_command = next(iter(listed().values()))
    return "\n".join(_parameter(one) for one in any_command.params if one.name in COMMON)


def _command(name: str, command: Any) -> Iterator[str]:
    yield f"\n### {name}\n"
    yield "\n".join(line.strip() for line in command.help.splitlines())
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and one.name not in COMMON]
    yield f"\n```sh\nsemantic-memory {' '.join([name, *map(_usage, arguments)])}{' [OPTIONS]' * bool(options)}\n```\n"
    yield from map(_parameter, [*arguments, *options])


def _usage(argument: Any) -> str:
    return argument.metavar


def _parameter(one: Any) -> str:
    name = one.metavar if one.param_type_name == "argument" else one.opts[0]
    value = "" if one.param_type_name == "argument" or one.is_flag else f" {one.metavar}"
    default = f" Default: `{one.default}`." if one.default not in (None, False, "") and not one.required else ""
    required = " Required." if one.required and one.param_type_name == "option" else ""
    return f"- `{name}{value}`: {one.help}{required}{default}"


def main() -> None:
    """Refresh the pages."""
    pages: dict[str, dict[str, str]] = {
        "README.md": {"demo": demo()},
        "docs/cost.md": {"year": year()},
        "docs/cli.md": {"commands": commands(), "common": common_options()},
    }
    for name, parts in pages.items():
        page = ROOT / name
        page.write_text(refreshed(page.read_text(encoding="utf-8"), **parts), encoding="utf-8")


if __name__ == "__main__":
    main()
