"""Facts as JSON lines, out of one ledger and into another: a line a fact, with its evidence and history.

A line that `export` wrote holds `fact`, `evidence` and `history`. A line written by hand, or by another program,
can be as short as {"user_id": "ada", "text": "Deploys to Hetzner"}; its fact has the origin `import`, and an id
that is made from its words, so that importing the line again changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from semantic_memory import Change, Evidence, Fact, InvalidInput, Lineage
from semantic_memory.frontends.plain import to_json
from semantic_memory.identity import check_user_id
from semantic_memory.restoring import check, check_links

if TYPE_CHECKING:
    from pydantic import TypeAdapter

ByUser = defaultdict[str, list[Lineage]]


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A line without a lineage."""

    user_id: str
    text: str
    kind: str = "fact"
    subject: str | None = None
    said_at: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    labels: tuple[str, ...] = ()


def to_line(lineage: Lineage) -> str:
    """A fact as a line of an export."""
    return to_json(lineage)


def read_lines(lines: Iterable[str], *, now: datetime) -> ByUser:
    """The facts of an export by user, in their order; `InvalidInput` names the line that can't be used."""
    found: ByUser = defaultdict(list)
    numbers: dict[int, Lineage] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            with _naming(number):
                numbers[number] = lineage = _lineage(line, now)
                check(lineage, check_user_id(lineage.fact.user_id))
            found[lineage.fact.user_id].append(lineage)
    _check_together(numbers)
    return found


def _check_together(numbers: Mapping[int, Lineage]) -> None:
    """What no line shows alone: where its links lead, and whose its evidence is."""
    ids: dict[str, set[str]] = defaultdict(set)
    for one in numbers.values():
        ids[one.fact.user_id].add(one.fact.id)
    owners: dict[tuple[str, str], str] = {}
    for number, one in numbers.items():
        with _naming(number):
            check_links(one, ids[one.fact.user_id])
            for evidence in one.evidence:
                if owners.setdefault((one.fact.user_id, evidence.id), one.fact.id) != one.fact.id:
                    raise InvalidInput(f"evidence {evidence.id} is that of another fact too")


@contextmanager
def _naming(number: int) -> Iterator[None]:
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(f"line {number}: {error}") from None


def _lineage(line: str, now: datetime) -> Lineage:
    try:
        data = json.loads(line)
    except ValueError as error:
        raise InvalidInput(f"not JSON: {error}") from None
    except RecursionError:
        raise InvalidInput("not JSON that anybody means: it is nested too deeply") from None
    if not isinstance(data, dict):
        raise InvalidInput("not a JSON object")
    if "fact" not in data:
        _refuse_unknown(data, Statement)
        return _from_statement(_parsed(Statement, data), now)
    _refuse_unknown(data, Lineage)
    _refuse_unknown(data["fact"], Fact)
    for part, made in (("evidence", Evidence), ("history", Change)):
        if not isinstance(given := data.get(part, []), list):
            raise InvalidInput(f"{part} is a list")
        for one in given:
            _refuse_unknown(one, made)
    lineage: Lineage = _parsed(Lineage, data)
    return lineage


def _refuse_unknown(data: Any, made: type) -> None:
    """A misspelt key would lose what it holds."""
    known = {field.name for field in fields(made)}
    unknown = sorted(data.keys() - known) if isinstance(data, Mapping) else []
    if unknown:
        raise InvalidInput(f"unknown key {unknown[0][:40]!r}; known are {', '.join(sorted(known))}")


def _parsed(made: type, data: Any) -> Any:
    from pydantic import ValidationError

    try:
        return _adapter(made).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


@cache
def _adapter(made: type) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(made)


def _from_statement(given: Statement, now: datetime) -> Lineage:
    words = "\0".join((given.user_id, given.text, str(given.said_at or "")))
    name = hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:20]
    fact = Fact(
        id=name,
        user_id=given.user_id,
        text=given.text,
        origin="import",
        status="active",
        kind=given.kind,
        subject=given.subject,
        said_at=_in_utc(given.said_at) or now,
        recorded_at=now,
        valid_from=_in_utc(given.valid_from),
        valid_to=_in_utc(given.valid_to),
        labels=given.labels,
    )
    evidence = Evidence(
        id=name,
        fact_id=name,
        origin="import",
        quote=given.text,
        span=(0, len(given.text)),
        said_at=fact.said_at,
        recorded_at=now,
    )
    written = Change(revision=0, fact_id=name, before=None, after="active", reason=None, at=now)
    return Lineage(fact=fact, evidence=(evidence,), history=(written,))


def _in_utc(moment: datetime | None) -> datetime | None:
    """Without a zone, UTC is meant: a file has no place."""
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment
