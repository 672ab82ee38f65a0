"""When recall speaks: the relevance of right, wrong and needless facts, and what a threshold makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from semantic_memory.evaluation import details
from semantic_memory.evaluation.details import Details, as_shipped, trade_off
from semantic_memory.evaluation.figures.style import BLUE, GREY, INK, ORANGE, RED, figure, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from semantic_memory.evaluation.evaluate import Answer

LEAST = 1e-4  # relevance below it is drawn as this
LEAST_SHARE = 0.01  # percent; fewer pairs are drawn as none


def scores(found: Details) -> Figure:
    """Which share of facts has at least a relevance: right ones, wrong ones beside them, the best for a stranger."""
    made, [axes] = figure()
    for values, label, colour, line in (
        ([_right(one) for _, one in found.answerable], "best right fact", BLUE, "-"),
        ([_wrong(one) for _, one in found.answerable], "best wrong fact", ORANGE, "--"),
        ([one.scored[0].relevance if one.scored else 0.0 for one in found.unrelated], "unrelated question", RED, ":"),
    ):
        reached = np.sort(np.maximum(values, LEAST))[::-1]
        share = 100 * np.arange(1, len(reached) + 1) / len(reached)
        axes.step(reached, share, where="post", color=colour, linestyle=line, linewidth=2.2, label=label)
    _mark(axes, found.calibration.min_relevance, 101)
    axes.set(xlabel="relevance (probability, log scale)", ylabel="at least as relevant (% of questions)")
    axes.set_xscale("log")
    axes.set_xlim(LEAST, 1)
    axes.set_ylim(0, 107)
    legend(made, axes)
    return made


def pairs(found: Details) -> Figure:
    """How relevance spreads over pairs of a question and a fact: right ones, wrong ones, and unrelated questions'."""
    made, [axes] = figure()
    bins = np.geomspace(LEAST, 1, 33)
    values = details.pairs(found)
    for (label, one), colour, line in zip(values.items(), (BLUE, ORANGE, RED), ("-", "--", ":"), strict=True):
        counts, _ = np.histogram(np.clip(one, LEAST, 1), bins)
        share = 100 * counts / max(len(one), 1)
        label = f"{label} ({len(one):,} pairs)"
        share = np.maximum(share, LEAST_SHARE)
        axes.stairs(share, bins, baseline=LEAST_SHARE, color=colour, linestyle=line, linewidth=2.2, label=label)
        axes.stairs(share, bins, baseline=LEAST_SHARE, color=colour, fill=True, alpha=0.12)
    _mark(axes, found.calibration.min_relevance, 110)
    axes.set(xlabel="relevance (probability, log scale)", ylabel="share of pairs (%, log scale)")
    axes.set(xscale="log", yscale="log", ylim=(LEAST_SHARE, 200))
    axes.set_yticks([0.01, 0.1, 1, 10, 100], ["0.01", "0.1", "1", "10", "100"])
    axes.set_xlim(LEAST, 1)
    legend(made, axes, columns=1)
    return made


def threshold(found: Details, chosen: float | None = None) -> Figure:
    """What thresholds from 0.001 to 0.5 keep and let through; dots mark `chosen`, or (None) what ships."""
    curve = trade_off(found, np.geomspace(0.001, 0.5, 60))
    here = as_shipped(found) if chosen is None else trade_off(found, [chosen])
    at = float(here.thresholds[0])
    made, [axes] = figure()
    for values, now, label, colour, line in (
        (curve.kept, here.kept, "questions that get a right fact", BLUE, "-"),
        (curve.precision, here.precision, "right among the facts shown", ORANGE, "--"),
        (curve.disturbed, here.disturbed, "unrelated questions that get anything", RED, ":"),
    ):
        axes.plot(curve.thresholds, 100 * values, color=colour, linestyle=line, linewidth=2.2, label=label)
        axes.plot([at], 100 * now, color=colour, marker="o", markersize=7)
        axes.annotate(f"{100 * now[0]:.0f}%", (at, 100 * now[0]), (6, 6), textcoords="offset points", fontsize=11)
    axes.axvline(at, color=GREY, linewidth=1.2)
    axes.set(xlabel="min_relevance (probability, log scale)", ylabel="share (%)")
    axes.set_xscale("log")
    axes.set_ylim(0, 104)
    title = "As it ships" if chosen is None else f"At {at:.3f}"
    axes.set_title(f"{title}, with at most {found.dataset.cutoff} facts shown", fontsize=12)
    legend(made, axes, columns=2)
    return made


def _mark(axes: Axes, least: float, height: float) -> None:
    """The threshold."""
    axes.axvline(least, color=GREY, linewidth=1.2)
    axes.annotate(f"threshold {least:.2g}", (least, height), (4, 0), textcoords="offset points", fontsize=11, color=INK)


def _right(one: Answer) -> float:
    return max((s.relevance for s in one.scored if s.fact_id in one.trial.right), default=0.0)


def _wrong(one: Answer) -> float:
    return max((s.relevance for s in one.scored if s.fact_id not in one.trial.right), default=0.0)
