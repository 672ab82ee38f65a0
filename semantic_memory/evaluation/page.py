"""An evaluation as one page that needs nothing beside it: what was measured, and the figures."""

from __future__ import annotations

import html
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from semantic_memory.evaluation.ablation import Lost, lost_by_kind
from semantic_memory.evaluation.cost import year_of_use
from semantic_memory.evaluation.details import Details, Missed, details_of, missed
from semantic_memory.evaluation.evaluate import Prepared
from semantic_memory.evaluation.figures import costs, ranking, silence
from semantic_memory.evaluation.figures.reliability import reliability
from semantic_memory.evaluation.figures.surroundings import surroundings, surroundings_map

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from semantic_memory.evaluation.report import Report

WIDTH = 88  # columns of the tables
FAILURES = 30

STYLE = """
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; color: #222; }
pre { overflow-x: auto; font-size: 12px; line-height: 1.35; }
figure { margin: 2rem 0; } figure svg { max-width: 100%; height: auto; } figcaption { color: #555; }
table { border-collapse: collapse; font-size: 14px; }
td, th { text-align: left; padding: .3rem .6rem; vertical-align: top; }
tr + tr { border-top: 1px solid #ddd; }
"""


async def evaluation_page(ready: Prepared, reports: Sequence[Report]) -> str:
    """The page, as HTML: the figures are made with the calibrations that the reports were. Raises `MissingExtra`."""
    parts = [part for report in reports for part in _measured(report)]
    founds = details_of(ready)
    lost = {one.dataset: one for one in lost_by_kind(founds)}
    for found in founds:
        parts += [f"<h2>{html.escape(found.dataset.name)}: figures{', out of fold' if ready.out_of_fold else ''}</h2>"]
        parts += [_figure(made, caption) for made, caption in _figures(found, lost.get(found.dataset.name))]
        year = await year_of_use(found.dataset, ready.embedding)
        parts += [_figure(costs.tokens_per_run(year), COST), _failures(found)]
    return _document(f"Recall with {ready.embedding.name}", parts)


WITHOUT = "What an order learned without a kind of signal loses, in points; bold: the interval excludes nothing."
COST = "A simulated year: a conversation a day of six turns; all transcripts replayed, against the session and facts."


def _measured(report: Report) -> Iterator[str]:
    yield f"<h2>{html.escape(report.dataset)}</h2>"
    console = Console(file=io.StringIO(), record=True, width=WIDTH)
    console.print(report.render())
    yield f"<pre>{html.escape(console.export_text())}</pre>"
    yield _figure(reliability([report]), "What was predicted against what was right, in bins of equal mass.")


def _figures(found: Details, lost: Lost | None) -> Iterator[tuple[Figure, str]]:
    yield ranking.recall_at_k(found), "How often everything that a question needs is among the first k facts."
    yield ranking.kinds(found), "The same at the set's cutoff, by kind of question."
    if lost:
        yield ranking.without(lost), WITHOUT
    yield ranking.limits(found), "What more facts bring, and what they cost."
    yield silence.pairs(found), "How relevance spreads over right and wrong facts, and over unrelated questions' facts."
    yield silence.scores(found), "Right facts, wrong ones beside them, and the best for questions without an answer."
    yield silence.threshold(found), "What a threshold keeps and lets through; dots at the one that ships."
    yield surroundings_map(surroundings(found.answerable[0][1])), "One user's facts, as seen from a question."


def _figure(made: Figure, caption: str) -> str:
    drawn = io.StringIO()
    made.savefig(drawn, format="svg", metadata={"Date": None})
    svg = drawn.getvalue()
    return f"<figure>{svg[svg.index('<svg') :]}<figcaption>{html.escape(caption)}</figcaption></figure>"


def _failures(found: Details) -> str:
    failures = missed(found, found.dataset.cutoff)
    rows = "".join(map(_failure, failures[:FAILURES]))
    return (
        f"<h2>What is missed</h2><p>{len(failures)} of {len(found.answerable)} questions don't get all they need"
        f" within {found.dataset.cutoff} facts; the {min(FAILURES, len(failures))} least understood, with the chance"
        " of an answer as recall saw it, and what put another fact first: of each kind of signal, how much it lifts"
        " the wanted fact and the first one above the facts considered (in log-odds).</p>"
        "<table><tr><th>question</th><th>wanted</th><th>rank</th><th>why not</th><th>chance</th>"
        f"<th>came first</th><th>wanted : first</th></tr>{rows}</table>"
    )


def _failure(one: Missed) -> str:
    against = ", ".join(f"{kind} {own:+.1f} : {its:+.1f}" for kind, (own, its) in one.against().items())
    cells = (one.question, one.wanted, str(one.rank or "-"), one.why, f"{one.answerable:.2f}", one.best, against)
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"


def _document(title: str, parts: Sequence[str]) -> str:
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>\n'
        f"<body><h1>{html.escape(title)}</h1>\n" + "\n".join(parts) + "\n</body></html>\n"
    )
