"""The words of one user's facts: an incremental BM25 index."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
from Stemmer import Stemmer

from semantic_memory.embedding.protocol import Matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A run of letters and digits, or one character of a script that puts no spaces between words.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0e7f"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+(?:[.'\u2019][^\W_{_UNSPACED}]+)*")
_PLAIN_WORD = re.compile(r"[a-z0-9]+(?:[.'][a-z0-9]+)*")  # the same for ASCII in lower case, in half the time

# Saturation and length normalisation of BM25 (Robertson & Zaragoza 2009), set on short conversational texts.
K1 = 1.2
B = 0.5
# Rows imagined to hold no term at all, so that on a shelf of six facts a word of one still counts as rare.
BACKGROUND = 100
MOST_WORDS = 1 << 16  # whose terms are kept
COUNT_BITS = 20  # of a number that holds a row and a count: more than a text has words
MOST_COUNT = (1 << COUNT_BITS) - 1


def words(text: str) -> list[str]:
    """The words of `text` in lower case, as they stand."""
    lowered = text.lower()
    return (_PLAIN_WORD if lowered.isascii() else _WORD).findall(lowered)


def terms(text: str) -> list[str]:
    """The index terms of `text`: stems of its words, without the words that only hold a sentence together."""
    return list(filter(None, map(_TERMS.__getitem__, words(text))))


@lru_cache(maxsize=1)
def _stop_words() -> frozenset[str]:
    return frozenset(resources.files(__package__).joinpath("stop_words.txt").read_text("utf-8").split())


@lru_cache(maxsize=1)
def _stemmer() -> Stemmer:
    return Stemmer("english", 0)  # its own cache off: ours knows the stop words too


class _Terms(dict[str, str]):
    """The term of each word, empty for one that is none; found when it is first asked for, and kept for a while."""

    def __missing__(self, word: str) -> str:
        if len(self) >= MOST_WORDS:
            self.clear()
        plain = word.replace("\u2019", "'").removesuffix("'s")
        term = self[word] = "" if plain in _stop_words() else _stemmer().stemWord(plain)
        return term


_TERMS = _Terms()


class _Lists(dict[str, "array[int]"]):
    """A list of numbers for each term, begun when it is first asked for."""

    def __missing__(self, term: str) -> array[int]:
        listed = self[term] = array("q")
        return listed


class Lexicon:
    """BM25 over the rows of a shelf. A row can be put and dropped at a cost that doesn't grow with the shelf.

    Not safe for use from several threads at once.
    """

    def __init__(self) -> None:
        self._held = _Lists()  # by term: the rows that have it, each with how often (see `_unpacked`)
        self._terms: list[tuple[str, ...]] = []
        self._lengths = np.zeros(64, dtype=np.float32)
        self._total = 0

    def __len__(self) -> int:
        return len(self._terms)

    @property
    def lengths(self) -> Matrix:
        """How many terms each row has."""
        return self._lengths[: len(self)]

    def append(self, text: str) -> None:
        """Index `text` as the next row."""
        row, found = len(self._terms), terms(text)
        if row == len(self._lengths):
            self._lengths = np.concatenate([self._lengths, np.zeros_like(self._lengths)])
        self._terms.append(tuple(found))
        self._write(row)

    def drop(self, row: int) -> None:
        """Forget `row`; the last row takes its place."""
        last = len(self._terms) - 1
        self._clear(last)
        if row != last:
            self._clear(row)
            self._terms[row] = self._terms[last]
            self._write(row)
        self._terms.pop()

    def terms_of(self, row: int) -> tuple[str, ...]:
        """The index terms of a row, in the order of its text."""
        return self._terms[row]

    def frequency(self, term: str) -> int:
        """How many rows hold `term`."""
        return len(self._held[term]) if term in self._held else 0

    def idf(self, wanted: Sequence[str]) -> Matrix:
        """The weight of each term: high for the rare ones, highest for those that no row holds."""
        found = np.array([self.frequency(term) for term in wanted], dtype=np.float32)
        return np.log1p((BACKGROUND + len(self) - found + 0.5) / (found + 0.5)).astype(np.float32)

    def saturation(self, wanted: Sequence[str]) -> Matrix:
        """How strongly each row holds each term, 0 to K1 + 1: shape (terms, rows)."""
        strength = np.zeros((len(wanted), len(self)), dtype=np.float32)
        damping = K1 * (1 - B + B * self._lengths[: len(self)] / max(self._total / max(len(self), 1), 1.0))
        for line, term in zip(strength, wanted, strict=True):
            if term in self._held:
                rows, counts = _unpacked(self._held[term])
                line[rows] = counts * (K1 + 1) / (counts + damping[rows])
        return strength

    def scores(self, wanted: Sequence[str]) -> Matrix:
        """The BM25 score of every row."""
        return self.idf(wanted) @ self.saturation(wanted)

    def _write(self, row: int) -> None:
        found, held, shifted = self._terms[row], self._held, row << COUNT_BITS
        if len(set(found)) == len(found):  # most texts say a word once
            once = shifted | 1
            for term in found:
                held[term].append(once)
        else:
            for term, count in Counter(found).items():
                held[term].append(shifted | count)
        self._lengths[row] = len(found)
        self._total += len(found)

    def _clear(self, row: int) -> None:
        for term in set(self._terms[row]):
            self._unlist(term, row)
        self._total -= len(self._terms[row])

    def _unlist(self, term: str, row: int) -> None:
        listed = self._held[term]
        place = int(np.flatnonzero(_unpacked(listed)[0] == row)[0])
        listed[place] = listed[-1]
        listed.pop()
        if not listed:
            del self._held[term]


def _unpacked(listed: array[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows in a list, and how often each has the term; a row is kept with its count in one number."""
    numbers = np.frombuffer(listed, dtype=np.int64)
    return numbers >> COUNT_BITS, numbers & MOST_COUNT


def unique(found: Iterable[str]) -> list[str]:
    """The terms once each, in order of first appearance."""
    return list(dict.fromkeys(found))
