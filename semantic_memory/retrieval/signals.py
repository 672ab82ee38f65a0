"""What speaks for a fact: one number per signal and fact, all computed at once over a shelf."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from semantic_memory.embedding.protocol import Matrix
from semantic_memory.retrieval.reading import TINY, Reading, Words
from semantic_memory.retrieval.shelf import Shelf
from semantic_memory.retrieval.temporal import Interval
from semantic_memory.retrieval.timeline import Timeline

Signals = dict[str, NDArray[np.float32] | float]  # per place of the timeline, or one for the whole query

BEST = 10  # facts that a query's own scale is read from
YEAR = 365.25 * 86400.0  # seconds
DAY = 86400.0


def told(shelf: Shelf, words: Words, *, now: datetime, asked_for: Interval | None = None) -> Signals:
    """What is known of every fact before the question has a vector, in the order of the shelf's timeline."""
    return wording(words) | surroundings(words) | form(words) | standing(shelf, now, asked_for)


def measure(reading: Reading, told: Signals) -> Signals:
    """Every signal of every fact: those told already, and those that want a vector."""
    fact = told | meaning(reading) | context(reading)
    return fact | question(reading, fact)


def wording(words: Words) -> Signals:
    """What the fact's own words say."""
    held = (words.strength > 0).astype(np.float32)
    told, rarity = words.told, words.rarity
    rarest = (held * rarity[:, None]).max(axis=0, initial=0.0)
    return {
        "lexical": words.lexical,
        "lexical_even": words.strength.sum(axis=0) / np.float32(max(len(rarity), 1)),
        "lexical_place": _place(told),
        "lexical_lead": np.exp(4 * (told - told.max()) / np.maximum(words.idf.sum(), TINY)),
        "lexical_length": words.lexical * np.log1p(words.lengths),
        "coverage": words.weight @ held,
        "coverage_told": rarity @ held,
        "rarest_term": rarest / np.maximum(rarity.max(initial=0.0), TINY),
    }


def surroundings(words: Words) -> Signals:
    """What the words around the fact and in its session say."""
    line, lexical = words.line, words.lexical
    near, far = line.nearby(words.strength, decay=0.7, reach=3), line.nearby(words.strength, decay=0.85, reach=8)
    session_told = words.rarity @ line.best_of_session(words.strength)
    session_lexical = line.best_of_session(lexical)
    return {
        "lexical_nearby": words.rarity @ near - words.told,
        "lexical_far": words.weight @ far - lexical,
        "session_told": session_told[line.spans] - words.told,
        "session_coverage": (session_told / np.maximum(session_told.max(), TINY))[line.spans],
        "session_lexical": (session_lexical / np.maximum(session_lexical.max(), TINY))[line.spans],
    }


def form(words: Words) -> Signals:
    """What the fact looks like."""
    return {"length": np.log1p(words.lengths), "asks": words.asks}


def standing(shelf: Shelf, now: datetime, asked_for: Interval | None) -> Signals:
    """What is known of the fact beside its text."""
    columns, order = shelf.columns, shelf.timeline.order
    age = np.maximum(now.timestamp() - columns["said_at"], 0.0) / YEAR
    return {
        "evidence": np.log2(np.maximum(columns["evidence"], 1)).astype(np.float32)[order],
        "own": columns["own"].astype(np.float32)[order],
        "recency": (1 / (1 + age)).astype(np.float32)[order],
        "in_time": _in_time(columns, asked_for)[order],
    }


def meaning(reading: Reading) -> Signals:
    """What the fact's own vector says."""
    cosine = reading.cosine
    best = np.partition(cosine, -min(BEST, len(cosine)))[-BEST:]
    apart = np.maximum(np.float32(reading.near) - cosine, 0) * (reading.words.told == 0)
    return {"cosine": cosine, "cosine_margin": cosine - best.mean(), "apart": apart}


def context(reading: Reading) -> Signals:
    """What the vectors around the fact and in its session say."""
    line, centred, asks = reading.words.line, reading.centred, reading.words.asks
    mixed = centred / (4 * reading.spread) + reading.words.lexical
    return {
        "cosine_around": line.around(centred, decay=0.7, reach=6),
        "cosine_session": (line.best_of_session(reading.cosine) - reading.cosine.max())[line.spans],
        "session_share": _log_share(mixed, line)[line.spans],
        "answers": line.shifted(asks, 1) * line.shifted(centred, 1),
    }


def question(reading: Reading, fact: Signals) -> Signals:
    """What is known of the query as a whole: it moves all facts alike, towards silence or away from it."""
    words, total = reading.words, np.maximum(reading.words.idf.sum(), TINY)
    unknown, known = (words.names & ~words.known).sum(), (words.names & words.known).sum()
    cosine, coverage = float(reading.cosine.max()), float(np.max(fact["coverage_told"]) / total)
    named = float(known > 0)
    return {
        "query_cosine": cosine,
        "query_spread": float(reading.centred.max() / reading.spread),
        "query_known": float(words.rarity.sum() / total),
        "query_coverage": coverage,
        "query_told": float(words.told.max()),
        "query_session": float(np.max(fact["session_told"])),
        "query_length": float(np.log1p(len(words.idf))),
        "personal": float(words.personal),
        "unknown_names": float(unknown),
        "known_names": float(known),
        "no_names": float(unknown + known == 0),
        # A name alone brings a question near to facts about anybody of that name: more must be known beside it.
        "named": named,
        "named_cosine": named * cosine,
        "named_coverage": named * coverage,
        "shelf_size": float(np.log1p(len(reading.cosine))),
    }


def _place(scores: Matrix) -> Matrix:
    """Minus the log of the rank, for what scores at all: 0 for the best."""
    rank = np.empty(len(scores), dtype=np.float32)
    rank[np.argsort(-scores, kind="stable")] = np.arange(len(scores), dtype=np.float32)
    return np.asarray(-np.log1p(rank) * (scores > 0))


def _log_share(scores: Matrix, line: Timeline) -> Matrix:
    """The log of each session's part of the softmax of all scores."""
    mass = np.exp(4 * (scores - scores.max()))
    return np.asarray(np.log(np.maximum(np.add.reduceat(mass, line.begins) / mass.sum(), TINY)))


def _in_time(columns: NDArray[np.void], asked_for: Interval | None) -> Matrix:
    """High for what was said or held in the stretch of time asked for, less by the days it lies outside.

    It counts as far as it tells facts apart: where all were said today, "today" speaks for none of them.
    """
    if asked_for is None:
        return np.zeros(len(columns), dtype=np.float32)
    said, begin = columns["said_at"], columns["valid_from"]
    held = np.where(np.isfinite(begin), _outside(asked_for, begin, np.maximum(columns["valid_to"], begin)), np.inf)
    within = 1 / (1 + np.minimum(_outside(asked_for, said, said), held) / DAY)
    return np.asarray(within * (1 - within.mean()), dtype=np.float32)


def _outside(asked_for: Interval, begin: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """The seconds between two stretches of time; 0 where they meet."""
    return np.asarray(np.maximum(np.maximum(asked_for.start - end, begin - asked_for.end), 0.0))
