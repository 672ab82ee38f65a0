"""Whether a statement can be kept, whoever makes it: a caller, a tool, an extractor that returns junk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

from semantic_memory.errors import InvalidInput
from semantic_memory.facts import CandidateFact, Lineage, Operation, Origin, Source, Stance
from semantic_memory.identity import check_text
from semantic_memory.transcript import clean

MAX_KIND = 64  # characters
MAX_SUBJECT = 500
MAX_LABEL = 64
MAX_REASON = 2000
MAX_SOURCE = 16
MAX_NAME = 512  # of an agent, a session, a run
NAMES = ("session_id", "agent", "extractor", "run_id", "trace_id")


def check_statement(value: object) -> CandidateFact:
    """`value`, if it is a `CandidateFact` whose every field can be stored; else `InvalidInput` names the field."""
    if not isinstance(value, CandidateFact):
        raise InvalidInput(f"a statement is a text or a CandidateFact, not {type(value).__name__}")
    check_text(value.text)
    check_text(value.quote, most=None)
    check_words_about(value.kind, value.subject, ())
    if not isinstance(value.position, int) or not isinstance(value.target, str | None):
        raise InvalidInput("position is a number and target the id of a fact")
    check_one_of("stance", value.stance, get_args(Stance))
    check_one_of("operation", value.operation, get_args(Operation))
    for name in ("said_at", "valid_from", "valid_to"):
        check_moment(name, getattr(value, name))
    if value.valid_from and value.valid_to and value.valid_from > value.valid_to:
        raise InvalidInput("valid_from is after valid_to")
    return value


def check_source(source: object) -> Source:
    """`source` as it can be stored: names are cleaned and cut, for an agent may be called as it likes.

    Raises `InvalidInput` for an unknown origin, or labels, an expiry or a reason that can't be stored.
    """
    if not isinstance(source, Source):
        raise InvalidInput(f"a source is a Source, not {type(source).__name__}")
    check_one_of("origin", source.origin, (None, *get_args(Origin)))
    check_labels(source.labels)
    check_reason(source.reason)
    check_moment("expires_at", source.expires_at)
    names: dict[str, Any] = {name: fit_name(name, getattr(source, name)) for name in NAMES}
    return replace(source, **names)


def fit_name(what: str, value: object) -> str | None:
    """A name as every store can hold it. Raises `InvalidInput` for what is no text."""
    if not isinstance(value, str | None):
        raise InvalidInput(f"{what} is a text, not {type(value).__name__}")
    return value and clean(value)[:MAX_NAME]


def check_reason(reason: object) -> None:
    """Raise `InvalidInput` for a reason that can't be stored."""
    if reason is not None:
        check_text(reason, most=MAX_REASON)


def check_one_of(what: str, value: object, known: Sequence[object]) -> None:
    """Raise `InvalidInput` for a value that is none of the `known` ones."""
    if value not in known:
        names = ", ".join(str(one) for one in known if one is not None)
        raise InvalidInput(f"{what} is one of {names}, not {value!r}")


def check_many(what: str, given: object) -> list[Any]:
    """`given` as a list, if it is many; a text would be taken for its letters. Raises `InvalidInput`."""
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise InvalidInput(f"{what} are a sequence, not {type(given).__name__}")
    return list(given)


def check_lineage(value: object) -> Lineage:
    """`value`, if it is a `Lineage`; `InvalidInput` otherwise."""
    if not isinstance(value, Lineage):
        raise InvalidInput(f"what is restored is a Lineage, not {type(value).__name__}")
    return value


def check_words_about(kind: object, subject: object, labels: Sequence[str]) -> None:
    """Raise `InvalidInput` for a kind, a subject or labels that can't be stored."""
    _check_line("kind", kind, MAX_KIND)
    if subject is not None:
        _check_line("subject", subject, MAX_SUBJECT)
    check_labels(labels)


def check_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """`labels` without repetitions, if each is a word or a few; `InvalidInput` otherwise."""
    for label in check_many("labels", labels):
        _check_line("label", label, MAX_LABEL)
    return tuple(dict.fromkeys(labels))


def check_turns(turns: Sequence[str]) -> tuple[str, ...]:
    """The turns before a question, if they are texts; `InvalidInput` otherwise."""
    if isinstance(turns, str) or not all(isinstance(turn, str) for turn in turns):
        raise InvalidInput("earlier turns are a sequence of texts")
    return tuple(turns)


def check_source_name(name: str) -> str:
    """Where a question comes from, if it is a word that a receipt can keep; `InvalidInput` otherwise."""
    _check_line("source", name, MAX_SOURCE)
    return name


def check_moment(name: str, value: object) -> None:
    """Raise `InvalidInput` for anything but None and a time that tells its time zone, and exists in UTC."""
    if value is None:
        return
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidInput(f"{name} is a datetime with a time zone, not {value!r}")
    try:
        value.astimezone(UTC)
    except OverflowError:  # the first or last hours of the calendar, in another zone: written, it could not be read
        raise InvalidInput(f"{name} is outside the years 1 to 9999 in UTC: {value.isoformat()}") from None


def _check_line(name: str, value: object, most: int) -> None:
    try:
        line = check_text(value, most=most)
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error}") from None
    if line != line.strip() or not line.isprintable():
        raise InvalidInput(f"{name}: it begins or ends with white space, or holds a character that can't be shown")
