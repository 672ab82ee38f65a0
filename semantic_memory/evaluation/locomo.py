"""LoCoMo (Maharana et al. 2024): long dialogues of two people, as turns and as extracted facts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from semantic_memory.evaluation.datasets import Case, Dataset, Question, statement
from semantic_memory.facts import Fact

ADVERSARIAL = 5  # the category of questions that ask about the wrong person
Dialogue = Mapping[str, Any]


def read(dialogues: Sequence[Dialogue]) -> tuple[Dataset, ...]:
    """Two data sets: every turn is a fact, and the observations are the facts."""
    return (
        Dataset(name="locomo turns", cases=tuple(map(_turns, dialogues))),
        Dataset(name="locomo facts", cases=tuple(map(_observations, dialogues))),
    )


@dataclass(frozen=True, slots=True)
class _Session:
    number: int
    at: datetime
    turns: Sequence[Mapping[str, Any]]


def _turns(dialogue: Dialogue) -> Case:
    facts = {turn["dia_id"]: fact for turn, fact in _turn_facts(dialogue)}
    questions = [
        _question(dialogue, asked, tuple(frozenset({facts[one].id}) for one in said))
        for asked in dialogue["qa"]
        if (said := [one for one in _ids(asked.get("evidence", [])) if one in facts])
    ]
    return Case(user=dialogue["sample_id"], facts=tuple(facts.values()), questions=tuple(questions))


def _observations(dialogue: Dialogue) -> Case:
    turns = {turn["dia_id"] for turn, _ in _turn_facts(dialogue)}
    facts = list(_observed(dialogue))
    questions = []
    for asked in dialogue["qa"]:
        said = [one for one in _ids(asked.get("evidence", [])) if one in turns]
        pieces = [frozenset(fact.id for fact, ids in facts if one in ids) for one in said]
        if asked["category"] != ADVERSARIAL and pieces and all(pieces):
            questions.append(_question(dialogue, asked, tuple(pieces)))
    return Case(user=dialogue["sample_id"], facts=tuple(fact for fact, _ in facts), questions=tuple(questions))


def _turn_facts(dialogue: Dialogue) -> Iterator[tuple[Mapping[str, Any], Fact]]:
    for session in _sessions(dialogue):
        for position, turn in enumerate(session.turns):
            caption = f" [shares {turn['blip_caption']}]" if turn.get("blip_caption") else ""
            yield (
                turn,
                _fact(dialogue, session, position, turn["dia_id"], f"{turn['speaker']}: {turn['text']}{caption}"),
            )


def _observed(dialogue: Dialogue) -> Iterator[tuple[Fact, set[str]]]:
    number = 0
    for session in _sessions(dialogue):
        by_speaker = dialogue["observation"].get(f"session_{session.number}_observation", {})
        for text, evidence in (entry for entries in by_speaker.values() for entry in entries):
            ids = set(_ids([evidence] if isinstance(evidence, str) else evidence))
            position = min((int(one.split(":")[1]) - 1 for one in ids), default=0)
            yield _fact(dialogue, session, position, f"o{number}", text), ids
            number += 1


def _fact(dialogue: Dialogue, session: _Session, position: int, number: str, text: str) -> Fact:
    return statement(
        dialogue["sample_id"],
        number,
        text,
        session.at,
        session_id=f"{dialogue['sample_id']}/{session.number}",
        position=position,
    )


def _question(dialogue: Dialogue, asked: Mapping[str, Any], evidence: tuple[frozenset[str], ...]) -> Question:
    return Question(
        text=asked["question"],
        evidence=tuple(dict.fromkeys(evidence)),
        asked_at=max(session.at for session in _sessions(dialogue)) + timedelta(days=1),
        group=dialogue["sample_id"],
        kind=str(asked["category"]),
    )


def _sessions(dialogue: Dialogue) -> Iterator[_Session]:
    talk, number = dialogue["conversation"], 1
    while when := talk.get(f"session_{number}_date_time"):
        at = datetime.strptime(when, "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
        yield _Session(number, at, talk.get(f"session_{number}", []))
        number += 1


def _ids(entries: Sequence[str]) -> list[str]:
    """The turn ids in a list of strings that may hold several each."""
    return [one for entry in entries for one in re.split(r"[;,\s]+", entry) if re.fullmatch(r"D\d+:\d+", one)]
