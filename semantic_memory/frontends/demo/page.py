"""The demo's story as it is printed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.text import Text

from semantic_memory import Explanation
from semantic_memory.frontends.demo.story import Exchange, Story
from semantic_memory.frontends.lineages import evidence_text
from semantic_memory.frontends.pages import count, fact_text, grid
from semantic_memory.frontends.plain import printable

COLUMNS = 72  # of what is quoted

INTRODUCTION = """\
The SDK's session keeps what was said; this memory keeps what is true about the user. Below, the Runner,
the SQLAlchemySession, Chroma and the embeddings are real. The agent's lines are {model}."""


def story_page(story: Story, *, model: str | None) -> RenderableType:
    """The whole story; `model` names the live model that told it."""
    return Group(*_parts(story, f"{model}'s" if model else "scripted (a live model: --model NAME)"))


def _parts(story: Story, lines: str) -> Iterator[RenderableType]:
    yield Text(" ".join(INTRODUCTION.format(model=lines).split()))
    first, *_ = story.exchanges
    for number, exchange in enumerate(story.exchanges):
        previous = story.exchanges[number - 1].session_id if number else None
        if exchange.session_id != previous:
            if previous:
                yield from _learned([one for one in story.learned if one.fact.session_id == previous])
            yield from _heading(f"{exchange.at:%A} {exchange.at.day} {exchange.at:%B}, session {exchange.session_id}")
        yield from _turn(exchange, told=exchange.session_id != first.session_id)
    if story.learned:
        yield from _why(story)


def _heading(title: str) -> Iterator[RenderableType]:
    yield Text()
    yield Rule(Text(title, "bold"), align="left", style="dim")


def _turn(exchange: Exchange, *, told: bool) -> Iterator[RenderableType]:
    for message in exchange.messages:
        yield grid([(Text(f"{message.position:>2}", "dim"), Text(f"{message.role:<9}", "bold"), _said(message.text))])
        if message.role == "user" and told:
            yield from _told(exchange)


def _said(text: str) -> Text:
    return Text(printable(text))


def _told(exchange: Exchange) -> Iterator[RenderableType]:
    if exchange.silent:
        size = len(exchange.instructions.encode())
        yield Text(f"\n    memory is silent: the model received the agent's own {size} bytes, unchanged\n", "italic")
        return
    yield Text("\n    the instructions that the model received:\n", "italic")
    lines = (part for line in exchange.instructions.split("\n") for part in textwrap.wrap(line, COLUMNS) or [""])
    yield Text("\n".join(f"    │ {printable(line)}" for line in lines) + "\n")


def _learned(learned: Sequence[Explanation]) -> Iterator[RenderableType]:
    if not learned:
        yield from _heading("Learned: nothing")
        return
    yield from _heading(f"Learned: {count(len(learned), 'fact')}, each with its evidence")
    for one in learned:
        yield _with_evidence(one)


def _with_evidence(one: Explanation) -> RenderableType:
    lines = Group(fact_text(one.fact), *(evidence_text(evidence) for evidence in one.evidence))
    return grid([(Text(one.fact.id, "cyan"), lines)])


def _why(story: Story) -> Iterator[RenderableType]:
    """The way back: from a fact to the runs that it surfaced in."""
    yield from _heading("And the way back: where each fact surfaced")
    for one in story.learned:
        shown = [f"“{printable(receipt.query)}” in {receipt.session_id}" for receipt in one.receipts]
        yield grid([(Text(one.fact.id, "cyan"), Text("\n".join(shown) or "nowhere yet"))])
