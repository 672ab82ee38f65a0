"""Write what the trust tests have seen into docs/trust.md, with the commit and the date.

    python scripts/refresh_trust.py FIGURES

FIGURES is what `.ci/full` collects: a JSON object a line. Promises that it doesn't tell of stay as they are.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "trust.md"
Notes = Sequence[dict[str, Any]]


def main(figures: Path) -> None:
    """Rewrite the parts of the page that have figures."""
    seen: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for note in map(json.loads, figures.read_text("utf-8").splitlines()):
        seen["examiners" if note["what"].startswith("ag") else str(note["promise"])].append(note)
    page = PAGE.read_text("utf-8")
    for part, notes in seen.items():
        mark = rf"(<!-- {part} -->).*?(<!-- /{part} -->)"
        said = told(notes) if part == "examiners" else f"{summary(notes)} ({at()})"
        page = re.sub(mark, lambda found, said=said: f"{found[1]}{said}{found[2]}", page, flags=re.DOTALL)
    PAGE.write_text(page, "utf-8")


def at() -> str:
    """The commit that was tested, and the day."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    return f"{ran.stdout.strip()}, {datetime.now(UTC):%Y-%m-%d}"


def summary(notes: Notes) -> str:
    """One promise in a cell of the table; many notes of one kind become their sums and their worst."""
    if len(notes) <= 8:
        return "<br>".join(f"{note['what']}: {_figures(note['figures'])}" for note in notes)
    timed = [note for note in notes if "added_p99_ms" in note["figures"]]
    counted = [note for note in notes if "missed" in note["figures"]]
    others = [note for note in notes if note not in timed and note not in counted]
    lines = [f"{note['what']}: {_figures(note['figures'])}" for note in others]
    if timed:
        worst = max(timed, key=lambda note: note["figures"]["added_p99_ms"])
        runs = sum(note["figures"]["runs"] for note in timed)
        most = worst["figures"]["added_p99_ms"]
        lines.append(f"{len(timed)} faults x ways to run, {runs} runs: worst added p99 {most} ms ({worst['what']})")
    if counted:
        sums = {name: sum(note["figures"][name] for note in counted) for name in ("asked", "missed", "gone")}
        lines.append(f"{len(counted)} damaged memories: {_figures(sums)}")
    return "<br>".join(lines)


def told(notes: Notes) -> str:
    """What the examiners said, raw, as a table."""
    rows = []
    for note in notes:
        figures = note["figures"]
        verdict = figures.pop("status", None) or f"grade {figures.pop('grade')}"
        detail = figures.get("detail") or _figures({name: value for name, value in figures.items() if value})
        rows.append(f"| {note['what']} | {verdict} | {detail} |")
    head = f"\n\n| attack | verdict | in its own words ({at()}) |\n|---|---|---|\n"
    return head + "\n".join(rows) + "\n\n"


def _figures(figures: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in figures.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {number:,}" for name, number in value.items()) + ")"
    return f"{value:,}" if isinstance(value, int) and abs(value) < 10**7 else str(value)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
