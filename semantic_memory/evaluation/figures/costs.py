"""What a year of use costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from semantic_memory.evaluation.figures.style import BLUE, ORANGE, SKY, figure, legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from semantic_memory.evaluation.cost import Year


def tokens_per_run(year: Year) -> Figure:
    """Input tokens of each run, mean of a week: all transcripts replayed, against this session and the facts."""
    weeks = year.day // 7
    made, [axes] = figure()
    for values, label, colour, line in (
        (year.replayed, "every transcript replayed", ORANGE, "--"),
        (year.remembered, "this session and the facts", BLUE, "-"),
        (year.session, "this session alone", SKY, ":"),
    ):
        means = [values[weeks == week].mean() for week in np.unique(weeks)]
        axes.plot(np.unique(weeks) + 1, means, color=colour, linestyle=line, linewidth=2.2, label=label)
    axes.set(xlabel="week of use (means of a week)", ylabel="input tokens a run (log scale)")
    axes.set_yscale("log")
    axes.set_ylim(bottom=50)
    last = year.day >= year.day.max() - 7
    ratio = year.replayed[last].mean() / year.remembered[last].mean()
    axes.set_title(f"After a year: {ratio:,.0f} times fewer tokens a run, {year.known[-1]} facts known", fontsize=12)
    legend(made, axes, columns=2)
    return made
