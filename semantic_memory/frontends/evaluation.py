"""The `evaluate` command: recall and reconciliation, measured beside what anyone could have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from semantic_memory import InvalidInput, Settings
from semantic_memory.frontends.desk import Desk

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from semantic_memory.embedding import EmbeddingModel
    from semantic_memory.evaluation.datasets import Dataset
    from semantic_memory.evaluation.evaluate import Basis
    from semantic_memory.evaluation.proposing import ProposingReport
    from semantic_memory.evaluation.reconciliation import ReconciliationReport, Score

PATIENCE = 600.0  # seconds a model may take for one pair
DATASETS = ("own", "stores", "locomo", "prefeval", "file", "memory", "pairs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposer:
    """A language model that is to propose facts from the labelled pairs."""

    name: str
    base_url: str | None = None
    most: int | None = None  # pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to measure, with what."""

    datasets: tuple[str, ...]
    path: Path | None
    basis: Basis
    out_of_fold: bool
    proposer: Proposer | None = None


async def evaluate(desk: Desk, wanted: Wanted, *, model: str | None, fit: Path | None, html: Path | None) -> None:
    """Measure data sets and print their reports, or fit a calibration on all of them and write it.

    Where `html` says, the reports are written as a page with figures too.
    """
    if unknown := [name for name in wanted.datasets if name not in DATASETS]:
        raise InvalidInput(f"no data set {unknown[0]!r}: {', '.join(DATASETS)}")
    if html and "pairs" in wanted.datasets:
        raise InvalidInput("there are no figures of pairs: leave --html out")
    from semantic_memory.rooms import embedding_model

    settings = Settings.from_environment(embedding_model=model)
    embedding = embedding_model(settings)
    try:
        if fit is not None:
            await _fit(desk, wanted, embedding, fit)
        else:
            await _measure(desk, wanted, embedding, settings.calibration, html)
    finally:
        await embedding.close()


async def _fit(desk: Desk, wanted: Wanted, embedding: EmbeddingModel, file: Path) -> None:
    from semantic_memory.evaluation.evaluate import fit

    sets = await _sets(desk, wanted)
    with desk.waiting("fitting"):
        calibration = await fit(sets, embedding, basis=wanted.basis)
    _write(file, calibration.to_json())
    desk.answer(calibration, Text(f"{file}: the calibration of {calibration.name}"))


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise InvalidInput(f"{file} can't be written: {error.strerror}") from error


async def _measure(
    desk: Desk, wanted: Wanted, embedding: EmbeddingModel, calibration: Path | None, html: Path | None
) -> None:
    from rich.console import Group

    from semantic_memory.evaluation.evaluate import prepared
    from semantic_memory.evaluation.evaluate import reports as measure

    shown: list[tuple[Any, RenderableType]] = []
    if sets := await _sets(desk, wanted):
        with desk.waiting("measuring"):
            ready = await prepared(
                sets,
                embedding,
                calibration=calibration,
                out_of_fold=wanted.out_of_fold,
                basis=wanted.basis,
            )
            reports = measure(ready)
            if html:
                from semantic_memory.evaluation.page import evaluation_page

                _write(html, await evaluation_page(ready, reports))
        shown += [(report, report.render()) for report in reports]
    if "pairs" in wanted.datasets:
        with desk.waiting("measuring"):
            shown.append(await _of_pairs(embedding, wanted.proposer))
    desk.answers([report for report, _ in shown], Group(*(page for _, page in shown)))


async def _sets(desk: Desk, wanted: Wanted) -> tuple[Dataset, ...]:
    from semantic_memory.evaluation.datasets import load

    found: tuple[Dataset, ...] = ()
    for name in wanted.datasets:
        if name == "memory":
            found += (await _of_memory(desk, wanted.path),)
        elif name != "pairs":
            found += load(name, wanted.path)
    return found


async def _of_memory(desk: Desk, path: Path | None) -> Dataset:
    """Questions of a file about the facts that the memory holds now."""
    from semantic_memory.evaluation.datasets import about, read_file

    if path is None:
        raise InvalidInput("questions about your memory are read from a file: --path")
    rows = read_file(path)
    async with desk.memory("reading") as memory:
        facts = {user: await memory.user(user).facts() for user in {row["user"] for row in rows}}
    return about(facts, rows, now=datetime.now(UTC))


async def _of_pairs(embedding: EmbeddingModel, proposer: Proposer | None) -> tuple[Any, RenderableType]:
    if proposer:
        return await _proposed(embedding, proposer)
    from rich.console import Group

    from semantic_memory.evaluation.reconciliation import evaluate_reconciliation

    found = await evaluate_reconciliation(embedding)
    return found, Group(*_pairs(found))


async def _proposed(embedding: EmbeddingModel, proposer: Proposer) -> tuple[ProposingReport, RenderableType]:
    from agents import ModelSettings

    from semantic_memory.evaluation.proposing import evaluate_proposing
    from semantic_memory.extraction.model import ModelExtractor
    from semantic_memory.frontends.demo import live_model

    model = live_model(proposer.name, proposer.base_url)
    extractor = ModelExtractor(model, model_settings=ModelSettings(temperature=0), timeout=PATIENCE)
    found = await evaluate_proposing(extractor, embedding, most=proposer.most)
    title = f"labelled pairs, {found.split} split: as proposed by {found.extractor}, silent in {found.silent}"
    return found, _scores(title, found.scores)


def _pairs(report: ReconciliationReport) -> Iterator[Table]:
    yield _scores(f"labelled pairs, {report.split} split: by their words ({report.model})", report.words)
    yield _scores("the same pairs, rightly proposed by an extractor", report.proposals)


def _scores(title: str, scores: tuple[Score, ...]) -> Table:
    from rich.table import Table

    table = Table(title=title)
    for heading in ("label", "pairs", "precision", "recall"):
        table.add_column(heading, justify="left" if heading == "label" else "right")
    for one in scores:
        table.add_row(one.label, str(one.pairs), _two_places(one.precision), _two_places(one.recall))
    return table


def _two_places(share: float | None) -> str:
    return "-" if share is None else f"{share:.2f}"
