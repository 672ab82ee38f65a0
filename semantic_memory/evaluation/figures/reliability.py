"""Whether relevance means what it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from semantic_memory.evaluation.figures.style import BLUE, GREY, figure
from semantic_memory.evaluation.report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST = 1e-3  # of the axes, which are logarithmic: most facts that are ranked don't help


def reliability(reports: Sequence[Report]) -> Figure:
    """Predicted relevance against the share that was right, by bins of equal mass: a plot for each report."""
    made, plots = figure(columns=len(reports), width=3.4 * len(reports), height=3.4)
    for report, axes in zip(reports, plots, strict=True):
        axes.plot([LEAST, 1], [LEAST, 1], color=GREY, linestyle="--", linewidth=1.2)
        predicted, observed = ([max(one, LEAST) for one in side] for side in _sides(report))
        axes.plot(predicted, observed, color=BLUE, marker="o", markersize=5)
        axes.set(xscale="log", yscale="log", xlim=(LEAST / 1.5, 1.5), ylim=(LEAST / 1.5, 1.5))
        axes.set(xlabel="predicted relevance", ylabel="share that was right")
        axes.set_title(f"{report.dataset}: error {report.calibration_error:.3f}", fontsize=11)
    return made


def _sides(report: Report) -> tuple[list[float], list[float]]:
    return [one.predicted for one in report.reliability], [one.observed for one in report.reliability]
