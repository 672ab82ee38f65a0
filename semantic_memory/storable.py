"""Whether what comes from elsewhere fits into a ledger: every text, number and time of a lineage."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime

from semantic_memory.errors import InvalidInput
from semantic_memory.facts import Change, Evidence, Fact, Lineage
from semantic_memory.identity import check_characters
from semantic_memory.statements import MAX_SUBJECT, check_moment

MAX_NAME = 2000  # characters of what names a session, an agent, an extractor, a run, a trace
NAMES = ("session_id", "agent", "extractor", "run_id", "trace_id")
LONGEST = {"subject": MAX_SUBJECT, "digest": 64, **dict.fromkeys(NAMES, MAX_NAME)}
MOST = 2**31 - 1  # of a number; PostgreSQL's integers hold no more
ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


def check_storable(lineage: Lineage) -> None:
    """Raise `InvalidInput` for a value that can't be written, or not be read again."""
    for one in lineage.evidence:
        if not ID.fullmatch(one.id):
            raise InvalidInput(f"{one.id[:40]!r} is no id of evidence: 1 to 32 letters, digits, - or _")
    for name, value in _values(lineage):
        check_moment(name, value) if isinstance(value, datetime) else _check_plain(name, value)


def _values(lineage: Lineage) -> Iterator[tuple[str, object]]:
    """Every value with its name; those of a tuple one by one."""
    parts: tuple[Fact | Evidence | Change, ...] = (lineage.fact, *lineage.evidence, *lineage.history)
    for part in parts:
        for field in fields(part):
            value = getattr(part, field.name)
            yield from ((field.name, one) for one in (value if isinstance(value, tuple) else (value,)))


def _check_plain(name: str, value: object) -> None:
    if isinstance(value, str):
        _check_string(name, value)
    if isinstance(value, int) and not 0 <= value <= MOST:
        raise InvalidInput(f"{name} is a number from 0 to {MOST}")


def _check_string(name: str, value: str) -> None:
    try:
        check_characters(value)
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error}") from None
    if len(value) > LONGEST.get(name, len(value)):
        raise InvalidInput(f"{name} has {len(value)} characters, at most {LONGEST[name]} are allowed")
