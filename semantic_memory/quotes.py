"""Quotes: whether somebody really said these words, and where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

CONTEXT = 200  # characters kept on either side of a quote

_MARKS = "\"'`´‘’‚‛“”„‟‹›«»′″"  # noqa: RUF001 - these are the marks that are taken for each other
_PIECE = re.compile(rf"\s+|[{_MARKS}]+|[^\s{_MARKS}]+")

# Thai and Lao, Burmese, Khmer, Japanese, Chinese, Korean: words that follow each other without a space, or nearly so.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_SPACED = re.compile(rf"[^\W{UNSPACED}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """A quote as it stands in its message; the fields are those of `Evidence`."""

    quote: str
    span: tuple[int, int]
    before: str
    after: str


def find_quote(quote: str, text: str, *, context: int = CONTEXT, whole: bool = False) -> Excerpt | None:
    """The first place of `quote` in `text`, or None; only white space and the form of quote marks may differ.

    A place where it begins and ends with a word comes before one inside of words; with `whole` only such a place
    counts. One that holds the very characters comes before one that doesn't.

    `span` counts characters of `text`, `text[span[0]:span[1]] == excerpt.quote`; `context` is the number of
    characters kept before and after. A quote without a letter or digit proves nothing and is never found.
    """
    if not any(character.isalnum() for character in quote):
        return None
    span = _span(quote.strip(), text, whole)
    if span is None:
        return None
    start, end = span
    return Excerpt(
        quote=text[start:end],
        span=(start, end),
        before=text[max(0, start - context) : start],
        after=text[end : end + context],
    )


def _span(quote: str, text: str, whole: bool) -> tuple[int, int] | None:
    exact = _first_at_words(_places(quote, text), text)
    if exact:
        return exact
    pattern = re.compile("".join(_loosely(piece) for piece in _PIECE.findall(quote)))
    places = [found.span() for found in _overlapping(pattern, text)]
    return _first_at_words(places, text) or (places[0] if places and not whole else None)


def _places(quote: str, text: str) -> Iterator[tuple[int, int]]:
    start = text.find(quote)
    while start >= 0:
        yield start, start + len(quote)
        start = text.find(quote, start + 1)


def _overlapping(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    found = pattern.search(text)
    while found:
        yield found
        found = pattern.search(text, found.start() + 1)


def _first_at_words(places: Iterable[tuple[int, int]], text: str) -> tuple[int, int] | None:
    """The first place that begins and ends where words do, as far as its script tells."""
    return next((one for one in places if not any(_inside_of_a_word(edge, text) for edge in one)), None)


def _inside_of_a_word(edge: int, text: str) -> bool:
    return 0 < edge < len(text) and bool(_SPACED.match(text[edge - 1]) and _SPACED.match(text[edge]))


def _loosely(piece: str) -> str:
    if piece.isspace():
        return r"\s+"
    if piece[0] in _MARKS:
        return rf"[{_MARKS}]+"
    return re.escape(piece)
