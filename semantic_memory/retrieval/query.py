"""What is asked: the words, the vector and what was asked before."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from semantic_memory.embedding.protocol import Matrix
from semantic_memory.retrieval.lexical import terms, unique

# A message with at most this many content words, and that opens or points like a follow-up, leans on a turn before.
SHORT = 2
_OPENING = re.compile(r"^(?:(?:ok(?:ay)?|thanks|thank you|great|well|hm+|ah)\b[,.!]*\s+)*", re.IGNORECASE)
_POINTS_BACK = re.compile(
    r"""^(?:and|or|but|also|then|so|what\ about|how\ about|why|same|yes|no)\b
      | \b(?:it|that|this|those|these|them|they|he|she|one|ones|other|another|else)\b
      | (?<!\bis\ )(?<!\bare\ )\bthere\b(?!\ (?:is|are)\b)""",
    re.IGNORECASE | re.VERBOSE,
)
_POINTS_NOWHERE = re.compile(r"\bwhat time is it\b", re.IGNORECASE)
# Content words to the lexicon, but in a follow-up they only point.
_POINTERS = frozenset(terms("one ones another else way about ok okay thanks yes also"))
EARLIER_TURNS = 4
BORROWED = 0.4  # the weight of a borrowed term beside one of the message's own

_OF_ONESELF = re.compile(r"\b(?:i|me|my|mine|myself|we|us|our|ours|ourselves)\b", re.IGNORECASE)
# "Give me a riddle", "can you tell us": not of oneself, only to oneself.
_TO_ONESELF = re.compile(r"(?:^|[.!?:,]\s+)(?:(?:please|can you|could you|just)\s+)?\w+\s+(?:me|us)\b", re.IGNORECASE)
_NAME = re.compile(r"(?<=[^\s.!?:])\s+([^\W\d_a-z][\w'\u2019-]*)")


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question to one user's facts, as far as its words go."""

    text: str
    earlier: tuple[str, ...] = ()  # the user's turns before, oldest first

    @cached_property
    def borrowed(self) -> str | None:
        """The turn before that a short follow-up leans on."""
        return borrowed(self.text, self.earlier)

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The text, and what it borrows."""
        return (self.text,) if self.borrowed is None else (self.text, self.borrowed)

    @cached_property
    def terms(self) -> list[str]:
        """The index terms asked for, once each; the message's own first."""
        return unique([*self._own_terms, *(term for part in self.parts[1:] for term in terms(part))])

    @cached_property
    def weights(self) -> Matrix:
        """How much each term counts: what is borrowed says what is asked, the message's own words of what."""
        own = self._own_terms
        return np.array([1 if not own or term in own else BORROWED for term in self.terms], dtype=np.float32)

    @cached_property
    def names(self) -> frozenset[str]:
        """Those terms that the query writes as a name: with a capital, and not at the start of a sentence."""
        return frozenset(terms(" ".join(name for part in self.parts for name in names_in(part))))

    @cached_property
    def personal(self) -> bool:
        """Whether those who ask speak of themselves: "my", "for me", "should we"."""
        return any(_OF_ONESELF.search(_TO_ONESELF.sub(" ", part)) for part in self.parts)

    @cached_property
    def _own_terms(self) -> list[str]:
        own = unique(terms(self.text))
        return own if self.borrowed is None else [term for term in own if term not in _POINTERS]


@dataclass(frozen=True, kw_only=True)
class Query(Question):
    """A question and its vector: the embedding of `standalone(text, earlier)`."""

    vector: Matrix  # shape (dimension,), length 1


def names_in(text: str) -> list[str]:
    """What a text writes as names, without a possessive ending."""
    return [name.removesuffix("'s").removesuffix("\u2019s") for name in _NAME.findall(text)]


def standalone(text: str, earlier: Sequence[str] = ()) -> str:
    """The text to search with: a short follow-up ("and the other one?") borrows a turn before it.

    It stands on both sides of what it borrows: "And the cat?" asks for the cat, however long the turn about the dog.
    """
    turn = borrowed(text, earlier)
    return text if turn is None else f"{text}\n{turn}\n{text}"


def borrowed(text: str, earlier: Sequence[str]) -> str | None:
    """The last of the user's turns that asks, and is no follow-up itself; the last of all where none does.

    None where `text` stands alone.
    """
    if not earlier or not _follows_up(text):
        return None
    near = earlier[-EARLIER_TURNS:]
    asking = [turn for turn in near if "?" in turn and not _follows_up(turn)]
    return asking[-1] if asking else near[-1]


def _follows_up(text: str) -> bool:
    content, asked = unique(terms(text)), _OPENING.sub("", text)
    if len(content) > SHORT or _POINTS_NOWHERE.search(text):
        return False
    return not content or bool(_POINTS_BACK.search(asked))
