"""Questions about somebody else of the same name: what a silence must tell from questions about the user's own.

In the data sets a name that the facts know nearly always means that they answer, because hardly two users know
people of one name. Outside there is many a John. So questions of other users get the names of this user's people.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from semantic_memory.embedding.protocol import EmbeddingModel
from semantic_memory.evaluation.training import alike, some
from semantic_memory.evaluation.trials import Embedded, Trial
from semantic_memory.retrieval.lexical import terms
from semantic_memory.retrieval.query import Query, names_in
from semantic_memory.retrieval.shelf import Shelf

NAMESAKE = "elsewhere, of a namesake"
SEED = 5
MOST = 300  # questions per case


async def namesakes(embedded: Sequence[Embedded], embedding: EmbeddingModel) -> list[Trial]:
    """Questions of each data set's other users, with the names of a user's own people, asked of that user."""
    random, found = np.random.default_rng(SEED), []
    for one in embedded:
        for asked, text in _renamed(one, embedded, random):
            query = Query(text=text, vector=await embedding.embed_query(text))
            like = one.trials[0]
            found.append(replace(like, shelf=one.shelf, query=query, evidence=(), source=NAMESAKE, asker=asked.group))
    return found


def _renamed(one: Embedded, embedded: Sequence[Embedded], random: np.random.Generator) -> Iterator[tuple[Trial, str]]:
    """Others' questions that name one of their own people, and what they are with one of this user's."""
    own = [name for trial in one.trials for name in _known(trial)]
    named = [
        (trial, names.pop())
        for other in embedded
        if alike(other, one) and other is not one
        for trial in other.trials
        if trial.right and len(names := set(_known(trial))) == 1
    ]
    for trial, name in some(named if own else [], MOST, random):
        instead = str(random.choice(own))  # as often as the user's own questions name them
        if instead != name:
            yield trial, re.sub(rf"\b{re.escape(name)}\b", instead, trial.query.text)


def _known(trial: Trial) -> list[str]:
    """The names in a question that the facts know."""
    return [name for name in names_in(trial.query.text) if _holds(trial.shelf, name)]


def _holds(shelf: Shelf, name: str) -> bool:
    wanted = terms(name)
    return bool(wanted) and all(shelf.lexicon.frequency(term) for term in wanted)
