"""What recall is measured on: users with facts, and questions whose right facts are known."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from semantic_memory.errors import InvalidInput
from semantic_memory.facts import Fact

OWN = files("semantic_memory.evaluation") / "data"
SHIPPED = ("own", "stores", "shaped")
HELD_OUT = "stores"  # the set that nothing is ever fitted on
FITTED_ON = "shaped"  # the set that is only there to be fitted on: requests that a stored preference shapes


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question to one user's facts."""

    text: str
    evidence: tuple[frozenset[str], ...]  # pieces of evidence, each given by any of these facts; (): unanswerable
    asked_at: datetime
    group: str  # questions of a group are held out together
    kind: str = ""

    @property
    def right(self) -> frozenset[str]:
        """All facts that help."""
        return frozenset().union(*self.evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One user: active facts and the questions asked of them."""

    user: str
    facts: tuple[Fact, ...]
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Cases of one kind."""

    name: str
    cases: tuple[Case, ...]
    cutoff: int = 10  # facts that an agent would be shown: the k that the set is reported by

    @property
    def groups(self) -> tuple[str, ...]:
        """What can be held out, sorted."""
        return tuple(sorted({question.group for case in self.cases for question in case.questions}))


def load(name: str, path: Path | None = None) -> tuple[Dataset, ...]:
    """The data sets of a name: `own` or `stores` (in the package), `locomo`, `prefeval`, or `file` for JSON lines.

    `path` is the file, or the folder that holds it. Raises `InvalidInput` where there is no such set or file, or no
    question in it that its user's facts answer.
    """
    from semantic_memory.evaluation import locomo, prefeval

    readers: Mapping[str, tuple[Callable[[Any], tuple[Dataset, ...]], tuple[str, ...]]] = {
        "locomo": (locomo.read, ("locomo*.json",)),
        "prefeval": (prefeval.read, ("explicit*.json", "prefeval*.json", "*.json")),
        "file": (lambda lines: (from_lines(lines),), ("*.jsonl",)),
    }
    if name in SHIPPED:
        return (from_lines(read_lines((OWN / f"{name}.jsonl").read_text("utf-8")), name=name),)
    if name not in readers:
        raise InvalidInput(f"no data set {name!r}: own, stores, locomo, prefeval or file")
    if path is None:
        raise InvalidInput(f"{name} does not ship with the package: where is it (path)?")
    read, patterns = readers[name]
    text = _file(path, patterns).read_text("utf-8")
    return tuple(map(_measurable, read(read_lines(text) if name == "file" else json.loads(text))))


def unrelated_prompts() -> tuple[str, ...]:
    """Prompts that no user's facts have anything to do with."""
    return tuple(row["text"] for row in read_lines((OWN / "unrelated.jsonl").read_text("utf-8")))


def asides() -> tuple[str, ...]:
    """More such prompts, of people who speak of themselves all the same: to fit on, never to measure with."""
    return tuple(row["text"] for row in read_lines((OWN / "asides.jsonl").read_text("utf-8")))


def personal_prompts() -> tuple[str, ...]:
    """More of the same kind: to measure with, never to fit on."""
    return tuple(row["text"] for row in read_lines((OWN / "personal.jsonl").read_text("utf-8")))


def read_file(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of a file, or of the first such file in a folder."""
    return read_lines(_file(path, ("*.jsonl",)).read_text("utf-8"))


def read_lines(text: str) -> list[dict[str, Any]]:
    """One JSON object a line."""
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def from_lines(rows: Iterable[Mapping[str, Any]], *, name: str = "file") -> Dataset:
    """A data set from rows of `type` `fact` (user, id, text, said_at ...) and `question` (user, text, gold ...)."""
    facts: defaultdict[str, list[Fact]] = defaultdict(list)
    questions: defaultdict[str, list[Question]] = defaultdict(list)
    for row in rows:
        if row["type"] == "fact" and row.get("status", "active") == "active":
            facts[row["user"]].append(_fact(row))
        elif row["type"] == "question":
            questions[row["user"]].append(_question(row))
    cases = [Case(user=user, facts=tuple(facts[user]), questions=tuple(questions[user])) for user in facts | questions]
    return Dataset(name=name, cases=tuple(cases), cutoff=5)


def about(facts: Mapping[str, Sequence[Fact]], rows: Iterable[Mapping[str, Any]], *, now: datetime) -> Dataset:
    """Questions about facts of your own, by user: rows of `user`, `text` and `gold`, a list of fact ids.

    Raises `InvalidInput` where there is no question, or one is answered by a fact that its user doesn't have.
    """
    asked: defaultdict[str, list[Question]] = defaultdict(list)
    for row in rows:
        evidence = tuple(frozenset({one}) for one in row["gold"])
        asked[row["user"]].append(Question(text=row["text"], evidence=evidence, asked_at=now, group=row["user"]))
    cases = (Case(user=user, facts=tuple(facts.get(user, ())), questions=tuple(asked[user])) for user in asked)
    return _measurable(Dataset(name="memory", cases=tuple(cases), cutoff=5))


def statement(user: str, number: int | str, text: str, said_at: datetime, **more: Any) -> Fact:
    """A fact as a data set gives it: active, of the user's own."""
    return Fact(
        id=f"{user}/{number}",
        user_id=user,
        text=text,
        said_at=said_at,
        recorded_at=said_at,
        **{"origin": "user", "status": "active", **more},
    )


def moment(text: str) -> datetime:
    """An ISO date or time, in UTC where it names no zone."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _measurable(dataset: Dataset) -> Dataset:
    """The same without users that have no facts or are asked nothing. Raises `InvalidInput` where nothing is left."""
    for case in dataset.cases:
        known = {fact.id for fact in case.facts}
        if unknown := sorted({one for question in case.questions for one in question.right} - known):
            raise InvalidInput(f"{case.user} has no active fact {', '.join(unknown)}")
    cases = tuple(case for case in dataset.cases if case.facts and case.questions)
    if not any(question.evidence for case in cases for question in case.questions):
        raise InvalidInput("there is no question that a fact answers")
    return replace(dataset, cases=cases)


def _fact(row: Mapping[str, Any]) -> Fact:
    times = {name: moment(row[name]) for name in ("valid_from", "valid_to") if row.get(name)}
    return statement(
        row["user"],
        row["id"],
        row["text"],
        moment(row["said_at"]),
        session_id=row.get("session"),
        position=row.get("position"),
        subject=row.get("subject"),
        **times,
    )


def _question(row: Mapping[str, Any]) -> Question:
    return Question(
        text=row["text"],
        evidence=tuple(frozenset({f"{row['user']}/{one}"}) for one in row["gold"]),
        asked_at=moment(row["asked_at"]),
        group=row["user"],
        kind=row.get("category", ""),
    )


def _file(path: Path, patterns: Sequence[str]) -> Path:
    if path.is_file():
        return path
    for pattern in patterns if path.is_dir() else ():
        if found := sorted(path.rglob(pattern)):
            return found[0]
    raise InvalidInput(f"no file {' or '.join(patterns)} at {path}")
