"""Which words of a message are its author's: code, logs, quoted mail and quotations are not."""

from __future__ import annotations

import re
from collections.abc import Iterator

READ_CHARACTERS = 20_000  # of a message; what is longer was pasted, not said

Span = tuple[int, int]  # start and end, in characters

QUOTATION = re.compile(
    r"\"[^\"]+\"|\u201c[^\u201d]+\u201d|\u00ab[^\u00bb]+\u00bb|`[^`]+`|(?<=\s)'[^']*\s[^']*'(?=\W|$)"
)
_FENCED = re.compile(r"(```|~~~).*?(?:\1|\Z)", re.DOTALL)
_OWN_LABELS = (  # what users put before their own words; any other name and colon is a chat log
    r"(?:note|please note|fyi|p\.?s|btw|update|correction|edit|reminder|remember|important|also|context"
    r"|background|about|intro|quick intro|me|i|my|we|our|actually|for|one|another|just|so|please|thanks"
    r"|hi|hello|hey)\b"
)
_PASTED_LINES = (
    re.compile(r"\s*>"),  # a quoted mail
    re.compile(r"\s*\S*://\S*\s*$"),  # an address alone
    re.compile(r"\s*\|.*\|\s*$"),  # a table row
    re.compile(r"\s*(?:Traceback|Caused by|File \"|at \S+\()"),  # a stack trace
    re.compile(r"\s*\[?(?:\d{4}-\d\d-\d\d[T ])?\d{1,2}:\d\d\b"),  # a log, or a chat with times
    re.compile(r".*\b(?:ERROR|WARN|WARNING|INFO|DEBUG|FATAL)\b"),
    re.compile(rf"\s*(?i:(?!{_OWN_LABELS}))[A-Z][\w.-]*(?: [A-Z][\w.-]*)?: "),  # Bob: I live in Rome
    re.compile(r"(?:.*?[{}<>;=\\|\[\]]){2}|.*(?:\w\(\)|::|->|=>|[a-z]_[a-z])"),  # code
    re.compile(r"\s*(?:def|import|const|let|var) \w"),
)
_BULLET = re.compile(r"\s*(?:[-*\u2022\u2013]|\d{1,2}[.)])\s+")
_AFTER_EMOJI = re.compile(r"(?<=[\u2600-\u27bf\ufe0f\U0001f300-\U0001faff])\s+(?=[A-Z])")


def sentences(text: str) -> Iterator[Span]:
    """Where each sentence of `text` starts and ends, white space left out; a line break ends one too."""
    from sentencex import get_sentence_boundaries  # type: ignore[import-untyped]

    for line in re.finditer(r"[^\n]+", _without_pasted(text[:READ_CHARACTERS])):
        bullet = _BULLET.match(line[0])
        offset = line.start() + (bullet.end() if bullet else 0)
        for found in get_sentence_boundaries("en", text[offset : line.end()]):
            begin = offset + found["start_index"]
            yield from ((begin + start, begin + end) for start, end in _split_at_emoji(found["text"]))


def is_own(text: str, start: int, end: int) -> bool:
    """Whether most of `text[start:end]` is the author's own words, not pasted and not in quotation marks."""
    own = QUOTATION.sub(lambda quoted: "\n" * len(quoted[0]), _without_pasted(text))[start:end]
    return own.count("\n") * 2 < end - start


def _without_pasted(text: str) -> str:
    """`text` with code and pasted lines made line breaks, every other character in its place."""
    text = _FENCED.sub(lambda fenced: "\n" * len(fenced[0]), text)
    lines = text.split("\n")
    return "\n".join("\n" * len(line) if _is_pasted(line) else line for line in lines)


def _is_pasted(line: str) -> bool:
    return any(pattern.match(line) for pattern in _PASTED_LINES)


def _split_at_emoji(sentence: str) -> Iterator[Span]:
    ends = [gap.start() for gap in _AFTER_EMOJI.finditer(sentence)] + [len(sentence)]
    for start, end in zip([0, *ends], ends, strict=False):
        piece = sentence[start:end]
        if piece.strip():
            yield start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
