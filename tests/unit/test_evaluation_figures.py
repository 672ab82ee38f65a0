"""What figures show is what was measured, and they can be read."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import io
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from semantic_memory import reasons
from semantic_memory.evaluation import store
from semantic_memory.evaluation.ablation import lost_by_kind
from semantic_memory.evaluation.cost import Habits, Year, year_of_use
from semantic_memory.evaluation.datasets import Dataset, load
from semantic_memory.evaluation.details import (
    RANKS,
    Details,
    as_shipped,
    ask,
    by_kind,
    by_rank,
    cost_of_budgets,
    cost_of_limits,
    details,
    details_of,
    missed,
    pairs,
    trade_off,
)
from semantic_memory.evaluation.evaluate import evaluate, prepared, reports
from semantic_memory.evaluation.figures import comparison, costs, ranking, silence, stores
from semantic_memory.evaluation.figures import reliability as reliability_module
from semantic_memory.evaluation.figures import surroundings as surroundings_module
from semantic_memory.evaluation.figures.reliability import reliability
from semantic_memory.evaluation.figures.surroundings import Surroundings, surroundings, surroundings_map
from semantic_memory.evaluation.fitting import ORDER
from semantic_memory.evaluation.report import Report
from semantic_memory.retrieval.relevance import Calibration
from semantic_memory.settings import Settings
from semantic_memory.testing import HashEmbeddingModel

MODEL = HashEmbeddingModel(dimension=128)
HABITS = Habits(days=30)
CHANGES = (
    store.Change(query="Where do we deploy?", before=("a",), after=("a",)),
    store.Change(query="Who am I?", before=("a",), after=()),
    store.Change(query="What is my name?", before=("a", "b"), after=()),
)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    [own] = load("own")
    return dataclasses.replace(own, cases=own.cases[:2])


@pytest.fixture(scope="module")
def found(dataset: Dataset) -> Details:
    return asyncio.run(details(dataset, MODEL))


@pytest.fixture(scope="module")
def report(dataset: Dataset) -> Report:
    [measured] = asyncio.run(evaluate([dataset], MODEL))
    return measured


@pytest.fixture(scope="module")
def year(dataset: Dataset) -> Year:
    return asyncio.run(year_of_use(dataset, MODEL, HABITS))


@pytest.fixture(scope="module")
def seen(found: Details) -> Surroundings:
    return surroundings(asyncio.run(ask(found, "ines", "Where do our logs go?")))


def test_curves_and_kinds_are_what_the_report_says(report: Report, found: Details) -> None:
    curves = by_rank(found)
    for scores in report.scores:
        for k in set(RANKS) & set(scores.all_at):
            assert curves[scores.ranker][k - 1].mean == pytest.approx(scores.all_at[k].mean)
    assert {kind: one["recall"].mean for kind, one in by_kind(found).items()} == pytest.approx(
        {kind: one.mean for kind, one in report.by_kind.items()}
    )


def test_a_higher_threshold_shows_less_to_everybody(found: Details) -> None:
    seen = trade_off(found, np.geomspace(1e-4, 0.9, 20))
    assert (np.diff(seen.kept) <= 0).all()
    assert (np.diff(seen.disturbed) <= 0).all()
    assert seen.kept[0] > seen.kept[-1]
    assert seen.disturbed[0] > seen.disturbed[-1]
    right = [
        any(s.fact_id in one.trial.right for s in one.scored[: found.dataset.cutoff]) for _, one in found.answerable
    ]
    assert trade_off(found, [0.0]).kept[0] == pytest.approx(np.mean(right))


async def test_what_ships_is_what_the_report_says(dataset: Dataset, found: Details) -> None:
    [report] = await evaluate([dataset], MODEL)
    found_at_all = report.scores[0].any_at[dataset.cutoff].mean
    assert as_shipped(found).kept[0] == pytest.approx(report.silence.any_kept * found_at_all)


def test_a_larger_limit_costs_more_and_brings_no_less(found: Details) -> None:
    points = cost_of_limits(found, range(1, 8))
    assert all(before[1] <= after[1] for before, after in itertools.pairwise(points))
    assert all(before[2].mean <= after[2].mean for before, after in itertools.pairwise(points))


def test_a_larger_budget_costs_more_and_brings_no_less(found: Details) -> None:
    points = cost_of_budgets(found, [20, 80, 100, Settings().max_tokens])
    assert all(before[1] <= after[1] <= after[0] for before, after in itertools.pairwise(points))
    assert all(before[2].mean <= after[2].mean for before, after in itertools.pairwise(points))
    assert points[-1][1:] == cost_of_limits(found, [Settings().limit])[0][1:]


def test_every_pair_of_a_question_and_a_fact_is_counted_once(found: Details) -> None:
    counted = pairs(found)
    asked = [one for _, one in found.answerable]
    assert len(counted["right fact"]) == sum(len(one.trial.right) for one in asked)
    assert len(counted["right fact"]) + len(counted["wrong fact"]) == sum(len(one.trial.shelf) for one in asked)
    assert len(counted["unrelated question"]) == sum(len(one.trial.shelf) for one in found.unrelated)
    assert np.median(counted["right fact"]) > np.median(counted["wrong fact"])


def test_what_a_kind_of_signal_gives_is_what_the_order_loses_without_it(
    found: Details, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reasons, "KINDS", {"source": reasons.KINDS["source"], "all": frozenset(ORDER) | {"in_time"}})
    [lost] = lost_by_kind([found])
    assert lost.counts == {kind: sum(kind == its for its, _ in found.answerable) for kind in lost.counts}
    assert "source" not in lost.change  # all these facts come from the users themselves
    assert set(lost.change["all"]) == set(lost.counts)
    assert np.mean([one.mean for one in lost.change["all"].values()]) < -0.2


async def test_details_are_of_the_calibration_that_the_report_is_of(dataset: Dataset, tmp_path: Path) -> None:
    mine = dataclasses.replace(Calibration.load(MODEL.name), min_relevance=0.4)
    (tmp_path / "mine.json").write_text(mine.to_json())
    ready = await prepared([dataset], MODEL, calibration=tmp_path / "mine.json")
    [report], [found] = reports(ready), details_of(ready)
    assert found.calibration.min_relevance == report.silence.threshold == 0.4
    found_at_all = report.scores[0].any_at[dataset.cutoff].mean
    assert as_shipped(found).kept[0] == pytest.approx(report.silence.any_kept * found_at_all)


def test_what_is_missed_says_why(found: Details) -> None:
    failures = missed(found, 1)
    assert {one.why for one in failures} >= {"silent", "too far down"}
    for one in failures:
        assert (one.rank is None) == (one.for_wanted == {})
        assert all(own < its for own, its in one.against().values())
    beaten = [one for one in failures if one.rank and one.rank > 1 and one.best != one.wanted]
    assert beaten
    assert all(set(one.against()) <= set(reasons.KINDS) for one in beaten)
    assert any(one.against() for one in beaten)


def test_what_is_missed_is_not_shown(found: Details) -> None:
    failures = missed(found, 3)
    complete = cost_of_limits(found, [3])[0][2].mean * len(found.answerable)
    assert len(failures) == round(len(found.answerable) - complete)
    shown = {one.trial.query.text: [one.trial.shelf.get(i).text for i in one.shown[:3]] for _, one in found.answerable}
    assert all(one.wanted not in shown[one.question] for one in failures)
    assert all(one.rank is None or one.rank > 0 for one in failures)


def test_a_year_of_use_replays_everything_and_remembers_what_was_told(year: Year) -> None:
    assert len(year.day) == HABITS.days * HABITS.turns
    assert (np.diff(year.replayed) > HABITS.answer).all()
    assert year.remembered.max() < 1000 < year.replayed[-1]
    assert year.known[0] == 0
    assert year.known[-1] > 10
    assert year.facts[year.known == 0].sum() == 0
    assert year.facts.max() > 0


def test_the_map_keeps_the_angle_to_the_question(found: Details, seen: Surroundings) -> None:
    query = asyncio.run(MODEL.embed_query(seen.question))
    cosines = found.embedded[0].shelf.vectors_of(seen.ids) @ query
    assert seen.shown[0][0] == "ines/ines-f17"
    assert np.cos(np.radians(np.linalg.norm(seen.points, axis=1))) == pytest.approx(cosines, abs=1e-3)


def test_the_reliability_diagram_has_a_plot_a_report_and_a_point_a_bin(report: Report) -> None:
    pytest.importorskip("matplotlib", reason="figures need the extra plots")
    made = reliability([report, report])
    assert len(made.axes) == 2
    for axes in made.axes:
        _, points = axes.lines
        assert [round(float(one), 6) for one in points.get_ydata()] == [
            round(max(one.observed, 0.001), 6) for one in report.reliability
        ]
        assert f"{report.calibration_error:.3f}" in axes.get_title()


def test_a_bar_has_a_part_for_each_kind_of_change() -> None:
    pytest.importorskip("matplotlib", reason="figures need the extra plots")
    [axes] = stores.changes({"a threshold": CHANGES, "a model": CHANGES[:1]}).axes
    parts = {bars.get_label(): [bar.get_width() for bar in bars] for bars in axes.containers}
    assert parts == {
        "as before": [1, 1],
        "more or fewer facts": [0, 0],
        "another comes first": [0, 0],
        "newly silent": [2, 0],
        "no longer silent": [0, 0],
    }


DRAWN: dict[str, Callable[[Any], Any]] = {
    "recall_at_k": lambda of: ranking.recall_at_k(of.found),
    "kinds": lambda of: ranking.kinds(of.found),
    "without": lambda of: ranking.without(lost_by_kind([of.found])[0]),
    "limits": lambda of: ranking.limits(of.found),
    "pairs": lambda of: silence.pairs(of.found),
    "scores": lambda of: silence.scores(of.found),
    "threshold": lambda of: silence.threshold(of.found),
    "reliability": lambda of: reliability([of.report]),
    "tokens_per_run": lambda of: costs.tokens_per_run(of.year),
    "map": lambda of: surroundings_map(of.seen),
    "used": lambda of: stores.used(store.uses(of.found.dataset.cases[0].facts, []), datetime.now(UTC)),
    "other_thresholds": lambda of: stores.other_thresholds(store.rethought([], [0.01, 0.1], limit=5), 0.05),
    "changes": lambda of: stores.changes({"another threshold": CHANGES}),
    "models": lambda of: comparison.models([of.compared], 5),
    "neighbourhoods": lambda of: comparison.neighbourhoods([0.2, 0.5, 0.5, 1.0]),
}


@pytest.fixture(scope="module")
def drawn_of(found: Details, report: Report, year: Year, seen: Surroundings) -> SimpleNamespace:
    quality = report.scores[0].all_at[5]
    compared = comparison.Compared(name="a model", quality=quality, vector_bytes=1536, milliseconds=2.0)
    return SimpleNamespace(found=found, report=report, year=year, seen=seen, compared=compared)


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_a_figure_names_its_axes_and_can_be_read_at_half_its_width(
    draw: Callable[[Any], Any], drawn_of: SimpleNamespace
) -> None:
    pytest.importorskip("matplotlib", reason="figures need the extra plots")
    from matplotlib.text import Text

    made = draw(drawn_of)
    made.savefig(io.BytesIO(), format="png")
    plots = [axes for axes in made.axes if axes.axison]
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in plots)
    written = [text for text in made.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(text.get_fontsize() for text in written) >= 10


def test_every_figure_is_looked_at() -> None:
    """By the test before: each function of a module of figures that gives a figure is among those drawn."""
    modules = (comparison, costs, ranking, reliability_module, silence, stores, surroundings_module)
    figures = {
        name
        for module in modules
        for name, one in inspect.getmembers(module, inspect.isfunction)
        if one.__module__ == module.__name__ and not name.startswith("_") and one.__annotations__["return"] == "Figure"
    }
    assert {"surroundings_map" if name == "map" else name for name in DRAWN} == figures
