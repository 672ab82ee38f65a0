"""Questions about somebody else of the same name: what a silence must tell from questions about the user's own.

In the data sets a name that the facts know nearly always means that they answer, because hardly two users know
people of one name. Outside there is many a John. So questions of other users get the names of this user's people.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from semantic_memory.embedding.protocol import EmbeddingModel
from semantic_memory.evaluation.training import others, some, stray
from semantic_memory.evaluation.trials import Embedded, Trial, embed_queries
from semantic_memory.retrieval.lexical import terms
from semantic_memory.retrieval.query import names_in
from semantic_memory.retrieval.shelf import Shelf

NAMESAKE = "elsewhere, of a namesake"
SEED = 5
MOST = 300  # questions per case


async def namesakes(embedded: Sequence[Embedded], embedding: EmbeddingModel) -> list[Trial]:
    """Questions of each data set's other users, with the names of a user's own people, asked of that user."""
    random, found = np.random.default_rng(SEED), []
    for one in embedded:
        renamed = list(_renamed(one, embedded, random))
        queries = await embed_queries([text for _, text in renamed], embedding)
        for (asked, _), query in zip(renamed, queries, strict=True):
            found.append(stray(query, one, one.shelf, NAMESAKE, asker=asked.group))
    return found


def _renamed(one: Embedded, embedded: Sequence[Embedded], random: np.random.Generator) -> Iterator[tuple[Trial, str]]:
    """Others' questions that name one of their own people, and what they are with one of this user's."""
    own = [name for trial in one.trials for name in _known(trial)]
    named = [(trial, names.pop()) for trial in others(one, embedded) if len(names := set(_known(trial))) == 1]
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
