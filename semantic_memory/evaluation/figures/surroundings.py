"""Where a user's facts stand around a question, and which of them are recalled."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from semantic_memory.evaluation.figures.style import BLUE, GREY, RED, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle

    from semantic_memory.evaluation.evaluate import Answer

SHOWN = 8  # facts, as in a context block
COLUMN = 46  # characters of a fact's text beside the map
SAME = 1e-6  # length from which a direction is one


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """A question, and a user's facts as seen from it."""

    question: str
    texts: Mapping[str, str]  # by fact id
    ids: tuple[str, ...]
    points: NDArray[np.float64]  # shape (facts, 2), in degrees; the question is at (0, 0)
    shown: tuple[tuple[str, float], ...]  # (fact id, relevance), best first


def surroundings(one: Answer) -> Surroundings:
    """Look at the facts of a user from a question that was ranked.

    The distance of a fact from the question is exact: the angle between their vectors. The direction is a
    projection: the first two principal components of what of each vector is perpendicular to the question's.
    """
    shelf, query = one.trial.shelf, one.trial.query
    cosines = np.clip(shelf.vectors @ query.vector, -1, 1)
    sideways = shelf.vectors - np.outer(cosines, query.vector)
    _, _, axes = np.linalg.svd(sideways - sideways.mean(axis=0), full_matrices=False)
    flat = np.zeros((len(shelf), 2))
    flat[:, : len(axes[:2])] = sideways @ axes[:2].T  # one fact spans one axis only
    flat[np.linalg.norm(flat, axis=1) < SAME] = (1, 0)  # all facts lie in one direction: any will do
    away = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    relevance = {scored.fact_id: scored.relevance for scored in one.scored}
    return Surroundings(
        question=query.text,
        texts={fact_id: shelf.get(fact_id).text for fact_id in shelf.ids},
        ids=shelf.ids,
        points=away * np.degrees(np.arccos(cosines))[:, None],
        shown=tuple((fact_id, relevance[fact_id]) for fact_id in one.shown[:SHOWN]),
    )


def surroundings_map(seen: Surroundings) -> Figure:
    """The map: the question in the middle, rings of equal angle, what is recalled numbered and told beside it."""
    made, [axes, beside] = figure(columns=2, width=9.0, height=5.0)
    for ring in (30, 60, 90):
        axes.add_patch(_circle(ring))
        axes.annotate(f"{ring}\N{DEGREE SIGN}", (0, ring), ha="center", va="bottom", fontsize=11, color=GREY)
    order = {fact_id: rank for rank, (fact_id, _) in enumerate(seen.shown, start=1)}
    others = np.array([fact_id not in order for fact_id in seen.ids])
    axes.scatter(seen.points[others, 0], seen.points[others, 1], s=22, color=GREY, alpha=0.6, label="a fact")
    axes.scatter(seen.points[~others, 0], seen.points[~others, 1], s=60, color=BLUE, label="recalled")
    axes.scatter([0], [0], s=120, color=RED, marker="*", label="the question", zorder=3)
    for fact_id, point in zip(seen.ids, seen.points, strict=True):
        if fact_id in order:
            axes.annotate(f"{order[fact_id]}", point, (6, 5), textcoords="offset points", fontsize=12, color=BLUE)
    axes.set(xlim=(-108, 108), ylim=(-108, 108), xlabel="angle to the question (degrees)", ylabel="degrees")
    axes.set_aspect("equal")
    axes.grid(visible=False)
    _tell(beside, seen)
    beside.legend(*axes.get_legend_handles_labels(), frameon=False, fontsize=11, loc="lower left")
    return made


def _circle(radius: float) -> Circle:
    from matplotlib.patches import Circle

    return Circle((0, 0), radius, fill=False, color=GREY, alpha=0.5, linewidth=0.8)


def _tell(axes: Axes, seen: Surroundings) -> None:
    lines = [f"{rank}. {relevance:.2f}  {seen.texts[one]}" for rank, (one, relevance) in enumerate(seen.shown, start=1)]
    axes.set_axis_off()
    axes.text(0, 1, "\n".join(_wrapped(f"\N{BLACK STAR} {seen.question}")), va="top", fontsize=12, color=RED)
    told = "\n".join(line for one in lines for line in _wrapped(one)) or "Nothing is recalled."
    axes.text(0, 0.86, told, va="top", fontsize=11, linespacing=1.4)


def _wrapped(text: str) -> Sequence[str]:
    return textwrap.wrap(text, COLUMN, subsequent_indent="    ")
