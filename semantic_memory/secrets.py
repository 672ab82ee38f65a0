"""What may not be stored: credentials, payment cards and bank accounts.

Two detectors, one answer. `secret_shapes` knows the common shapes whatever their letters are, also the weak
and invented ones that people paste, and how passwords are said in prose. Kingfisher
(github.com/mongodb/kingfisher) knows hundreds of rarer ones and judges them by their entropy. It takes half
a second to start, four where its compiled rules are not yet in the user's cache folder, so it is asked only
about what the table left over, and only where a long unbroken run of characters holds a digit.

A password of several plain words looks like any other sentence: nothing here finds it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from semantic_memory.errors import InvalidInput, SecretRefused

if TYPE_CHECKING:
    from kingfisher_sdk import Scanner

Redactor = Callable[[str], str]
"""Your own rule for personal data: gets text that is about to be stored, gives back what may be stored."""


BLOT = "*"  # stands for one character of a secret where places in the text have to stay
_QUICK = 2_000  # characters that are searched in less time than it takes to ask a thread


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a text holds a secret, without the secret."""

    kind: str
    span: tuple[int, int]  # in characters: text[start:end] is the secret


def as_it_is(text: str) -> str:
    """The redactor of who has none."""
    return text


def redacted(redactor: Redactor, text: str) -> str:
    """What the redactor lets be stored; `InvalidInput` where it fails, so that nothing is stored as it was."""
    try:
        kept: object = redactor(text) if text else text
    except Exception as error:
        raise InvalidInput(f"the redactor failed: {type(error).__name__}") from None
    if not isinstance(kept, str):
        raise InvalidInput(f"the redactor gave back {type(kept).__name__} instead of text")
    return kept


def find(text: str) -> list[Secret]:
    """The secrets in `text` in reading order; overlapping ones are joined."""
    common = _joined(_common(text))
    rest = _replaced(text, common, lambda secret: " " * (secret.span[1] - secret.span[0]))
    return _joined([*common, *_rare(rest)])


def mask(text: str) -> str:
    """`text` with every secret replaced by a note of what was there."""
    return _replaced(text, find(text), lambda secret: f"[removed: {secret.kind}]")


def blotted(text: str) -> str:
    """`text` with every secret blotted out, so that every other character is where it was."""
    return _replaced(text, find(text), lambda secret: BLOT * (secret.span[1] - secret.span[0]))


async def fit_to_read(redactor: Redactor, text: str) -> str:
    """What a model may read of a text that nobody has looked at; `InvalidInput` where the redactor fails."""
    if len(text) <= _QUICK and not _LONG_RUN.search(text):
        return redacted(redactor, mask(text))
    return await asyncio.to_thread(lambda: redacted(redactor, mask(text)))  # it may take seconds to start


def refuse(text: str) -> None:
    """Raise `SecretRefused` when `text` holds a secret; the message tells its kind and place only."""
    for secret in find(text):
        start, end = secret.span
        raise SecretRefused(
            f"characters {start} to {end} look like a credential ({secret.kind}), and those are never stored"
        )


def _common(text: str) -> Iterator[Secret]:
    from semantic_memory.secret_shapes import SHAPES

    lowered = text.lower()
    for shape in SHAPES:
        for span in shape.spans(text, lowered):
            yield Secret(shape.kind, span)


_LONG_RUN = re.compile(r"(?<![!-~])(?=[!-/:-~]*+[0-9])[!-~]{16}")
_PIECE, _OVERLAP = 16_384, 4_096  # characters; some of the scanner's rules take longer than a text grows


def _rare(text: str) -> Iterator[Secret]:
    if not _LONG_RUN.search(text):
        return
    # One byte for every character: the scanner counts bytes, spans count characters.
    written = text.encode("ascii", "replace")
    for start in range(0, len(written), _PIECE):
        for finding in _scanner().scan(written[start : start + _PIECE + _OVERLAP]):
            if finding.visible:
                place = finding.location
                yield Secret(_kind(finding.rule_id), (start + place["start_offset"], start + place["end_offset"]))


def _kind(rule_id: str) -> str:
    return re.sub(r"^betterleaks\.|^veles\.secrets/|\.\d+$", "", rule_id).replace("-", " ")


@cache
def _scanner() -> Scanner:
    """Kingfisher's rules; scanning is offline, and findings are never checked with their provider."""
    from kingfisher_sdk import Rules, Scanner

    return Scanner(Rules(), base64=False)


def _joined(secrets: Iterable[Secret]) -> list[Secret]:
    apart: list[Secret] = []
    for secret in sorted(secrets, key=lambda secret: secret.span):
        if apart and secret.span[0] < apart[-1].span[1]:
            start, end = apart[-1].span
            apart[-1] = Secret(apart[-1].kind, (start, max(end, secret.span[1])))
        else:
            apart.append(secret)
    return apart


def _replaced(text: str, secrets: Sequence[Secret], note: Callable[[Secret], str]) -> str:
    ends = [0, *(secret.span[1] for secret in secrets)]
    parts = [text[end : secret.span[0]] + note(secret) for end, secret in zip(ends, secrets, strict=False)]
    return "".join(parts) + text[ends[-1] :]
