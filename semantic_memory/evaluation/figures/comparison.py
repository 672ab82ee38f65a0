"""Embedding models side by side: quality against size and speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from semantic_memory.evaluation.figures.style import BLUE, GREEN, GREY, ORANGE, RED, SKY, figure, legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from semantic_memory.evaluation.metrics import Estimate

COLOURS = (BLUE, ORANGE, GREEN, RED, SKY, GREY)
MARKERS = "os^Dv*"
ASIDE = 0.025  # of the widest vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One embedding model's results on one data set."""

    name: str
    quality: Estimate  # all@cutoff of recall
    vector_bytes: int  # that a fact's vector takes
    milliseconds: float  # to embed a query, median


def models(compared: Sequence[Compared], cutoff: int) -> Figure:
    """Quality with 95% bootstrap intervals, against bytes a vector and against milliseconds a query."""
    made, [sizes, speeds] = figure(columns=2, width=9.0, height=4.6)
    for number, one in enumerate(compared):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        mean, low, high = (100 * part for part in (one.quality.mean, one.quality.low, one.quality.high))
        aside = one.vector_bytes + _aside(number, [other.vector_bytes for other in compared])
        for axes, x in ((sizes, aside), (speeds, one.milliseconds)):
            axes.errorbar(
                [x], [mean], yerr=[[mean - low], [high - mean]], color=colour, marker=marker, label=one.name, ls="none"
            )
    for axes, label in ((sizes, "size of a vector (bytes)"), (speeds, "embedding a query (ms, log scale)")):
        axes.set(xlabel=label, ylabel=f"all evidence in the first {cutoff} (%)")
        axes.set_ylim(0, 102)
    sizes.set_xlim(left=0)
    speeds.set_xscale("log")
    legend(made, sizes, columns=2)
    return made


def _aside(number: int, sizes: Sequence[int]) -> float:
    """By how much one of several models with vectors of one size is drawn beside the others."""
    same = [other for other, size in enumerate(sizes) if size == sizes[number]]
    return ASIDE * max(sizes) * (same.index(number) - (len(same) - 1) / 2)


def neighbourhoods(kept: Sequence[float]) -> Figure:
    """Facts by how many of their nearest facts two models both name: what a change of the model moves."""
    made, [axes] = figure(height=3.6)
    axes.hist([100 * one for one in kept], bins=range(-5, 106, 10), rwidth=0.9, color=BLUE)
    axes.set(xlabel="of a fact's ten nearest facts, both models name (%)", ylabel="facts (number)")
    axes.set_xlim(-6, 106)
    mean = sum(kept) / max(len(kept), 1)
    axes.set_title(f"On average {mean:.0%} of a neighbourhood stays", fontsize=12)
    return made
