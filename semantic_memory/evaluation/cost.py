"""What it costs to know a user: tokens a run, of replaying old transcripts against a session and a few facts.

A year of use is played with a user's real words: the facts and questions of a data set's users, and prompts that
concern no fact. Recall is the real one, on a shelf that grows as facts are told; only the assistant's answers are
of one length. Whatever both ways cost alike (instructions, tools) is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from semantic_memory import context
from semantic_memory.embedding.protocol import EmbeddingModel
from semantic_memory.evaluation.datasets import Dataset, statement, unrelated_prompts
from semantic_memory.evaluation.evaluate import answer
from semantic_memory.evaluation.trials import Trial
from semantic_memory.facts import Fact
from semantic_memory.retrieval.query import Query
from semantic_memory.retrieval.relevance import Calibration
from semantic_memory.retrieval.selection import select
from semantic_memory.retrieval.shelf import Shelf
from semantic_memory.settings import Settings

NEW_YEAR = datetime(2026, 1, 1, 9, tzinfo=UTC)
SEED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How somebody uses an assistant."""

    days: int = 365
    conversations: float = 1.0  # a day
    turns: int = 6  # of the user, in a conversation
    telling: float = 0.15  # share of turns that tell something about the user
    asking: float = 0.25  # share of turns that ask for something told; the rest is about something else
    answer: int = 120  # tokens of the assistant's answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """A year of use, one element a run."""

    day: NDArray[np.float64]
    replayed: NDArray[np.int64]  # tokens of all conversations so far, replayed
    session: NDArray[np.int64]  # tokens of this conversation so far
    facts: NDArray[np.int64]  # tokens of the context block; 0 where recall is silent
    known: NDArray[np.int64]  # facts known

    @property
    def remembered(self) -> NDArray[np.int64]:
        """Tokens of this conversation and the context block."""
        return self.session + self.facts


@dataclass(frozen=True, slots=True)
class _Turn:
    day: float
    text: str
    tells: bool
    opens: bool  # a conversation begins


async def year_of_use(dataset: Dataset, embedding: EmbeddingModel, habits: Habits | None = None) -> Year:
    """Play the year; the same for the same input."""
    habits = habits or Habits()
    turns = list(_turns(dataset, habits))
    texts = list(dict.fromkeys(turn.text for turn in turns))
    vectors = dict(zip(texts, await embedding.embed_documents(texts), strict=True))
    size = {text: embedding.count_tokens(text) for text in texts}
    asked = {text: Query(text=text, vector=vectors[text]) for text in texts}
    shelf, replayed, session, rows = Shelf(), 0, 0, []
    for number, turn in enumerate(turns):
        session = 0 if turn.opens else session
        replayed, session = replayed + size[turn.text], session + size[turn.text]
        now = NEW_YEAR + timedelta(days=turn.day)
        rows.append((turn.day, replayed, session, _block(shelf, asked[turn.text], now, embedding), len(shelf)))
        replayed, session = replayed + habits.answer, session + habits.answer
        if turn.tells:
            shelf.put(_fact(turn.text, number, now), vectors[turn.text])
    day, *counts = np.array(rows).T
    whole = [column.astype(np.int64) for column in counts]
    return Year(day=day, replayed=whole[0], session=whole[1], facts=whole[2], known=whole[3])


def _turns(dataset: Dataset, habits: Habits) -> Iterator[_Turn]:
    random = np.random.default_rng(SEED)
    told = [fact.text for case in dataset.cases for fact in case.facts]
    asked = [question.text for case in dataset.cases for question in case.questions]
    tell, ask, chat = (_endless(texts, random) for texts in (told, asked, unrelated_prompts()))
    for number in range(round(habits.days * habits.conversations)):
        for turn in range(habits.turns):
            chance = random.random()
            tells = chance < habits.telling
            text = next(tell if tells else ask if chance < habits.telling + habits.asking else chat)
            yield _Turn(number / habits.conversations, text, tells, opens=turn == 0)


def _endless(texts: Sequence[str], random: np.random.Generator) -> Iterator[str]:
    """All texts in an order of chance, again and again."""
    while True:
        yield from (texts[int(number)] for number in random.permutation(len(texts)))


def _block(shelf: Shelf, query: Query, now: datetime, embedding: EmbeddingModel) -> int:
    """Tokens of the context block for a question."""
    trial = Trial(shelf=shelf, query=query, evidence=(), now=now, group="user", source="year")
    ranked, settings = answer(trial, Calibration.load(embedding.name)), Settings()
    reached = set(ranked.shown)
    chosen = select(
        [one for one in ranked.scored if one.fact_id in reached],
        shelf,
        min_relevance=0.0,
        limit=settings.limit,
        max_tokens=settings.max_tokens,
        tokens=embedding.count_tokens,
    )
    return embedding.count_tokens(context.render(chosen.shown))


def _fact(text: str, number: int, now: datetime) -> Fact:
    """A fact told in this turn; said again, it is the fact that it was."""
    return statement("user", text, text, now, position=number)
