"""How good the ranking is: by rank, by kind of question, and for what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from semantic_memory.evaluation.details import (
    RANKS,
    Details,
    Point,
    by_kind,
    by_rank,
    cost_of_budgets,
    cost_of_limits,
)
from semantic_memory.evaluation.figures.style import BLUE, INK, MARKERS, RANKERS, RED, figure, legend, losses_and_gains
from semantic_memory.settings import Settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from semantic_memory.evaluation.ablation import Lost
    from semantic_memory.evaluation.metrics import Estimate

BUDGETS = (75, 100, 150, 200, 300, 600, 900)  # tokens, beside the default
NAMED = 0.08  # of the axis: dots that are nearer to the last named one have no number


def recall_at_k(found: Details) -> Figure:
    """How often all evidence is among the first k: ours, dense alone, words alone, with 95% bootstrap bands."""
    made, [axes] = figure()
    for name, estimates in by_rank(found).items():
        means, low, high = (100 * np.array(part) for part in zip(*map(_parts, estimates), strict=True))
        axes.plot(RANKS, means, color=RANKERS[name], marker=MARKERS[name], label=name, linewidth=2)
        axes.fill_between(RANKS, low, high, color=RANKERS[name], alpha=0.15, linewidth=0)
    axes.set(xlabel="k, facts from the top", ylabel="all evidence among them (% of questions)", xticks=list(RANKS))
    axes.set_ylim(0, 102)
    axes.set_title(f"Finding: {found.dataset.name}, {len(found.answerable)} questions with an answer", fontsize=12)
    legend(made, axes)
    return made


def kinds(found: Details) -> Figure:
    """The same at the set's cutoff, by kind of question: where meaning, words and the rest help."""
    table = by_kind(found)
    made, [axes] = figure(height=1.6 + 0.55 * len(table))
    lines = np.arange(len(table))
    for nth, name in enumerate(RANKERS):
        _dots(axes, lines + 0.22 * (nth - 1), [table[kind][name] for kind in table], name)
    counts = [sum(kind == its for its, _ in found.answerable) for kind in table]
    labels = [f"{kind or 'all'} ({count})" for kind, count in zip(table, counts, strict=True)]
    axes.set_yticks(lines, labels)
    axes.set(xlabel=f"all evidence among the first {found.dataset.cutoff} (% of questions)", xlim=(-2, 102))
    axes.set_ylabel("kind of question (how many)")
    axes.invert_yaxis()
    axes.set_title(f"Where each helps: {found.dataset.name}", fontsize=12)
    legend(made, axes)
    return made


def without(lost: Lost) -> Figure:
    """What questions of each kind lose without each kind of signal; bold where the interval excludes nothing."""
    made, [axes] = figure(height=2.2 + 0.5 * len(lost.change))
    means = 100 * np.array([[one.mean for one in kinds.values()] for kinds in lost.change.values()])
    reach = max(10.0, float(np.abs(means).max(initial=0)))
    edges = [np.arange(count + 1) - 0.5 for count in means.shape[::-1]]  # an image would not be a drawing in SVG
    axes.pcolormesh(*edges, means, cmap=losses_and_gains(), vmin=-reach, vmax=reach)
    for line, kinds in enumerate(lost.change.values()):
        for column, one in enumerate(kinds.values()):
            sure = one.low > 0 or one.high < 0
            text = f"{100 * one.mean:+.0f}" if one.mean else "0"
            axes.text(
                column, line, text, ha="center", va="center", fontsize=12, fontweight="bold" if sure else "normal"
            )
    labels = [f"{kind or 'all'}\n({count})" for kind, count in lost.counts.items()]
    axes.set_xticks(range(len(labels)), labels)
    axes.tick_params(axis="x", labelsize=10)
    axes.set_yticks(range(len(lost.change)), list(lost.change))
    axes.set(xlabel="kind of question (how many)", ylabel="without")
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.set_title(f"All evidence among the first {lost.cutoff}, in points: {lost.dataset}", fontsize=12)
    return made


def limits(found: Details, most: int = 12) -> Figure:
    """What more facts bring, and what they cost: quality against tokens, a dot for each `limit` and each budget."""
    made, [left, right] = figure(columns=2, width=9.0, height=4.2)
    shown = Settings()
    _against_tokens(left, cost_of_limits(found, range(1, most + 1)), shown.limit)
    _against_tokens(right, cost_of_budgets(found, sorted({*BUDGETS, shown.max_tokens})), shown.max_tokens)
    for axes, name in ((left, "limit"), (right, "max_tokens")):
        axes.set_title(f"Choosing `{name}` (beside the dots)", fontsize=12)
    highest = max(axes.get_xlim()[1] for axes in (left, right))
    left.set_xlim(0, 1.05 * highest)
    right.set_xlim(0, 1.05 * highest)
    legend(made, left)
    return made


def _against_tokens(axes: Axes, points: Sequence[Point], default: int) -> None:
    tokens = [tokens for _, tokens, _ in points]
    means, low, high = (100 * np.array(part) for part in zip(*(_parts(one) for _, _, one in points), strict=True))
    axes.fill_between(tokens, low, high, color=BLUE, alpha=0.15, linewidth=0)
    axes.plot(tokens, means, color=BLUE, marker="o", linewidth=2)
    named = -np.inf
    for (setting, x, _), y in zip(points, means, strict=True):
        if setting == default:
            axes.plot(
                [x], [y], color=RED, marker="o", markersize=11, fillstyle="none", linestyle="none", label="default"
            )
        if x - named > NAMED * max(tokens) or setting == default:
            under = setting == default  # where the others end, so that no number covers another
            axes.annotate(
                f"{setting}",
                (x, y),
                (0, -20 if under else 9),
                textcoords="offset points",
                ha="center",
                fontsize=11,
                color=INK,
            )
            named = x if not under else named
    axes.set(xlabel="tokens shown, mean of a question", ylabel="questions that get all they need (%)")
    axes.set_ylim(0, 104)


def _dots(axes: Axes, lines: ArrayLike, estimates: list[Estimate], name: str) -> None:
    means, low, high = (100 * np.array(part) for part in zip(*map(_parts, estimates), strict=True))
    reach = np.maximum(0, [means - low, high - means])
    axes.errorbar(means, lines, xerr=reach, color=RANKERS[name], marker=MARKERS[name], label=name, linestyle="none")


def _parts(one: Estimate) -> tuple[float, float, float]:
    return one.mean, one.low, one.high
