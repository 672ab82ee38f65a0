"""Quotes: whether somebody really said these words, and where."""

from __future__ import annotations

import re
from dataclasses import dataclass

CONTEXT = 200  # characters kept on either side of a quote

_MARKS = "\"'`´‘’‚‛“”„‟‹›«»′″"  # noqa: RUF001 - these are the marks that are taken for each other
_PIECE = re.compile(rf"\s+|[{_MARKS}]+|[^\s{_MARKS}]+")

# Thai and Lao, Burmese, Khmer, Japanese, Chinese, Korean: words that follow each other without a space, or nearly so.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_SPACED = rf"[^\W{UNSPACED}]"


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
    counts.

    `span` counts characters of `text`, `text[span[0]:span[1]] == excerpt.quote`; `context` is the number of
    characters kept before and after. A quote without a letter or digit proves nothing and is never found.
    """
    if not any(character.isalnum() for character in quote):
        return None
    pattern = "".join(_loosely(piece) for piece in _PIECE.findall(quote.strip()))
    found = re.search(_at_words(pattern, quote.strip()), text) or (None if whole else re.search(pattern, text))
    if found is None:
        return None
    start, end = found.span()
    return Excerpt(
        quote=text[start:end],
        span=(start, end),
        before=text[max(0, start - context) : start],
        after=text[end : end + context],
    )


def _at_words(pattern: str, quote: str) -> str:
    """A pattern that begins and ends where words do, as far as the quote's script tells."""
    begins = rf"(?<!{_SPACED})" if re.match(_SPACED, quote[0]) else ""
    ends = rf"(?!{_SPACED})" if re.match(_SPACED, quote[-1]) else ""
    return f"{begins}{pattern}{ends}"


def _loosely(piece: str) -> str:
    if piece.isspace():
        return r"\s+"
    if piece[0] in _MARKS:
        return rf"[{_MARKS}]+"
    return re.escape(piece)
