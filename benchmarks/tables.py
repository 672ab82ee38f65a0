"""The recorded runs as Markdown: `python -m benchmarks.tables` prints what docs/performance.md shows."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.figures import RECORDED


def main() -> None:
    for path in sorted(RECORDED.glob("*.json")):
        report = json.loads(path.read_text())
        given = " ".join(f"{name}={value}" for name, value in report["given"].items())
        print(
            f"### `{' '.join(filter(None, ['python -m benchmarks', report['scene'], given and f'--set {given}']))}`\n"
        )
        print(table(report["result"]["times"]))
        rest = {name: value for name, value in report["result"].items() if name != "times"}
        print("".join(f"\n- {name.replace('_', ' ')}: {said(value)}" for name, value in rest.items()))
        print()


def table(times: dict[str, dict[str, Any]]) -> str:
    """Names with their medians, the middle half, and the ratios to the floor."""
    lines = ["| | ms | middle half | of the floor | best tenths |", "|---|---|---|---|---|"]
    for name, row in times.items():
        low, high = row["middle_half"]
        ratios = f"{row.get('ratio', '')} | {row.get('ratio_of_best_tenths', '')}"
        lines.append(f"| {name} | {row['ms']:.1f} | {low:.1f} to {high:.1f} | {ratios} |")
    return "\n".join(lines)


def said(value: Any) -> str:
    """A figure, or some with their names."""
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {one}" for name, one in value.items())
    return str(value)


if __name__ == "__main__":
    main()
