"""A real memory: which facts are used, which grow old unused, and what another threshold would change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from semantic_memory.evaluation.figures.style import BLUE, GREEN, GREY, INK, ORANGE, RED, SKY, figure, legend
from semantic_memory.evaluation.store import KINDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from semantic_memory.evaluation.store import Change, Rethought, Use

SECONDS_A_DAY = 86_400


def used(uses: Sequence[Use], now: datetime) -> Figure:
    """Facts by their age and by how often they were recalled; never recalled ones stand out."""
    made, [axes] = figure()
    ages = np.array([(now - one.fact.said_at).total_seconds() / SECONDS_A_DAY for one in uses])
    times = np.array([one.times for one in uses])
    lift = np.random.default_rng(0).uniform(-0.15, 0.15, len(uses))  # so that equal facts don't hide each other
    never = times == 0
    axes.scatter(ages[~never], (times + lift)[~never], s=45, color=BLUE, label="recalled")
    axes.scatter(ages[never], (times + lift)[never], s=45, color=ORANGE, marker="x", label="never recalled")
    axes.set(xlabel="age (days since it was said)", ylabel="recalls that showed it (number)")
    axes.set_ylim(bottom=-0.5)
    axes.set_title(f"{len(uses)} facts, {int(never.sum())} of them never recalled", fontsize=12)
    legend(made, axes)
    return made


def other_thresholds(seen: Rethought, chosen: float) -> Figure:
    """What thresholds would have made of the recalls; `chosen` is marked."""
    made, [left, right] = figure(columns=2, width=9.0, height=3.8)
    for axes, values, before, label, colour in (
        (left, seen.facts, seen.facts_now, "facts shown in a recall (mean)", BLUE),
        (right, 100 * seen.silent, 100 * seen.silent_now, "recalls that show nothing (%)", RED),
    ):
        axes.plot(seen.thresholds, values, color=colour, linewidth=2.2, label="with another threshold")
        axes.axhline(before, color=INK, linestyle=":", linewidth=1.8, label="as it was")
        axes.axvline(chosen, color=GREY, linewidth=1.2, label=f"the one to try, {chosen:g}")
        axes.set(xlabel="min_relevance (probability, log scale)", ylabel=label, xscale="log")
        axes.set_ylim(bottom=0)
    right.set_ylim(0, 102)
    legend(made, left)
    return made


def changes(variations: Mapping[str, Sequence[Change]]) -> Figure:
    """How many recalls would be as before, and what would be different of the others: a bar a variation."""
    made, [axes] = figure(height=1.9 + 0.6 * len(variations))
    places, left = np.arange(len(variations)), np.zeros(len(variations))
    for kind, colour in zip(KINDS, (SKY, BLUE, GREEN, RED, ORANGE), strict=True):
        counts = np.array([sum(one.kind == kind for one in found) for found in variations.values()])
        bars = axes.barh(places, counts, left=left, color=colour, height=0.62, edgecolor="white", label=kind)
        ink = INK if colour in (SKY, ORANGE) else "white"
        axes.bar_label(bars, [str(count or "") for count in counts], label_type="center", fontsize=11, color=ink)
        left += counts
    axes.set_yticks(places, list(variations))
    axes.set(xlabel="recalls (number)", ylabel="with")
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    legend(made, axes)
    return made
