"""How well `reconcile` does on labelled pairs: by words alone, with an extractor's proposals, and in a stream."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Literal

from semantic_memory.embedding import EmbeddingModel, Matrix
from semantic_memory.facts import CandidateFact, Fact, Message, Operation, Role, Status
from semantic_memory.reconcile import Action, Decision, Thresholds, reconcile

Label = Literal["same", "replaces", "contradicts", "unrelated"]
Split = Literal["fit", "test"]

EXPECTED: Mapping[Label, Action] = {
    "same": "same",
    "replaces": "replaces",
    "contradicts": "conflicts",
    "unrelated": "new",
}
PROPOSED: Mapping[Label, Operation] = {
    "same": "same",
    "replaces": "replaces",
    "contradicts": "new",
    "unrelated": "new",
}
# What a wrong decision costs when thresholds are fitted: a wrong merge or replacement hides what is true, a wrong
# conflict marks it, and a missed one leaves a duplicate.
COSTS: Mapping[Action, float] = {"same": 5, "replaces": 5, "conflicts": 2, "new": 1}
WRONG_PROPOSALS = 0.2  # share of an extractor's proposals that is taken to be wrong
GRID = tuple(step / 50 for step in range(15, 50))

_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A known fact, a candidate, and how the one stands to the other."""

    known: str
    candidate: str
    label: Label
    split: Split
    family: str
    known_subject: str | None = None
    candidate_subject: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What an extractor makes of a pair, and what is wrong with that."""

    operation: Operation = "new"
    status: Status = "active"  # of the known fact
    shown: bool = True  # the known fact is among this user's
    role: Role = "user"  # of the message that is cited
    quoted: bool = True  # the quote occurs in it
    subjects: bool = True  # the extractor names subjects


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How one label came out; precision and recall are 0..1, None where there is nothing to divide by."""

    label: Label
    pairs: int
    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One sort of proposal: how often it was offered, and how often it was followed."""

    proposal: str
    offered: int
    followed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A decision in the stream that touched what it should not have touched."""

    candidate: str
    action: Action
    other: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The small evaluation set as it would be learned: each user's facts one by one, against all before."""

    facts: int
    comparisons: int  # pairs of a fact and an active earlier one of its user
    replacements: int  # facts that do replace an earlier one
    replaced: int  # of these, rightly decided
    marked: int  # of these, kept beside the old one as a conflict
    mistakes: tuple[Mistake, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationReport:
    """What `evaluate_reconciliation` found."""

    model: str
    split: Split
    thresholds: Thresholds
    words: tuple[Score, ...]  # no extractor model: every candidate is proposed as new
    proposals: tuple[Score, ...]  # an extractor proposes what is right
    settled: Offer  # an extractor knows which of two contradicting facts is the newer one
    refused: tuple[Offer, ...]  # an extractor proposes what is wrong
    stream: Stream


@dataclass(frozen=True, slots=True)
class Cosines:
    """The cosines of the texts of a data set."""

    rows: Mapping[str, int]
    vectors: Matrix

    def of(self, texts: Sequence[str], others: Sequence[str]) -> Matrix:
        """Shape (len(texts), len(others))."""
        left, right = ([self.rows[text] for text in side] for side in (texts, others))
        cosines: Matrix = self.vectors[left] @ self.vectors[right].T
        return cosines


WORDS = Proposal(subjects=False)
SETTLED: tuple[str, Label, Proposal] = (
    "a replacement, of what it contradicts",
    "contradicts",
    Proposal(operation="replaces"),
)
CORRUPTIONS: tuple[tuple[str, Label, Proposal], ...] = (
    ("the same, of what it replaces", "replaces", Proposal(operation="same")),
    ("the same, of what it contradicts", "contradicts", Proposal(operation="same")),
    ("the same, of something unrelated", "unrelated", Proposal(operation="same")),
    ("a replacement, of something unrelated", "unrelated", Proposal(operation="replaces")),
    ("a replacement, of what it repeats", "same", Proposal(operation="replaces")),
    ("of a fact that is no longer active", "replaces", Proposal(operation="replaces", status="superseded")),
    ("of a fact of nobody or another user", "replaces", Proposal(operation="replaces", shown=False)),
    ("with a quote that nobody said", "same", Proposal(operation="same", quoted=False)),
    ("from the assistant's words, the same", "same", Proposal(operation="same", role="assistant")),
    ("from a tool's output, a replacement", "replaces", Proposal(operation="replaces", role="tool")),
)


async def evaluate_reconciliation(
    model: EmbeddingModel, *, split: Split = "test", thresholds: Thresholds | None = None
) -> ReconciliationReport:
    """Measure `reconcile` on one split of the labelled pairs and on the small evaluation set of the package.

    `thresholds` are the defaults unless given; nothing is fitted here. Raises `EmbeddingFailed`.
    """
    thresholds = thresholds or Thresholds()
    pairs, facts = [pair for pair in read_pairs() if pair.split == split], _own_facts()
    cosines = await embed(model, [*_texts(pairs), *(fact["text"] for fact in facts)])
    return ReconciliationReport(
        model=model.name,
        split=split,
        thresholds=thresholds,
        words=_scores(pairs, [decide(pair, WORDS, cosines, thresholds) for pair in pairs]),
        proposals=_scores(pairs, [decide(pair, _right(pair), cosines, thresholds) for pair in pairs]),
        settled=_offer(*SETTLED, pairs, cosines, thresholds),
        refused=tuple(_offer(*corruption, pairs, cosines, thresholds) for corruption in CORRUPTIONS),
        stream=_stream(facts, cosines, thresholds),
    )


async def fit_thresholds(model: EmbeddingModel) -> Thresholds:
    """The thresholds of least cost on the pairs of the `fit` split, for any embedding model.

    Each in turn takes the upper quartile of its best values, twice round: where the pairs leave room, the
    stricter side of it.
    """
    pairs = [pair for pair in read_pairs() if pair.split == "fit"]
    cosines = await embed(model, _texts(pairs))
    thresholds = Thresholds()
    for name in [field.name for field in fields(Thresholds)] * 2:
        options = [replace(thresholds, **{name: value}) for value in GRID]
        costs = [_cost(pairs, cosines, option) for option in options]
        best = [option for option, cost in zip(options, costs, strict=True) if cost == min(costs)]
        thresholds = best[len(best) * 3 // 4]
    return thresholds


def read_pairs() -> list[Pair]:
    """The labelled pairs of the package."""
    return [Pair(**row) for row in _rows("pairs.jsonl")]


async def embed(model: EmbeddingModel, texts: Iterable[str]) -> Cosines:
    """Embed each different text once."""
    different = list(dict.fromkeys(texts))
    await model.load()
    vectors = await model.embed_documents(different)
    return Cosines({text: row for row, text in enumerate(different)}, vectors)


def decide(pair: Pair, proposal: Proposal, cosines: Cosines, thresholds: Thresholds) -> Decision:
    """What `reconcile` makes of a pair when an extractor proposes this."""
    message = Message(position=0, role=proposal.role, text=pair.candidate, digest=_DIGEST)
    candidate = CandidateFact(
        text=pair.candidate,
        position=0,
        quote=pair.candidate if proposal.quoted else f"{pair.candidate} indeed",
        operation=proposal.operation,
        target=None if proposal.operation == "new" else "known",
        subject=pair.candidate_subject if proposal.subjects else None,
    )
    known = [known_fact(pair.known, status=proposal.status, subject=pair.known_subject if proposal.subjects else None)]
    known = known if proposal.shown else []
    similarity = cosines.of([pair.candidate], [fact.text for fact in known])
    return reconcile([candidate], known, similarity, messages=[message], thresholds=thresholds)[0]


def _rows(name: str) -> Iterator[dict[str, Any]]:
    text = resources.files("semantic_memory.evaluation").joinpath("data", name).read_text("utf-8")
    return (json.loads(line) for line in text.splitlines())


def _texts(pairs: Iterable[Pair]) -> list[str]:
    return [text for pair in pairs for text in (pair.known, pair.candidate)]


def _own_facts() -> list[dict[str, Any]]:
    facts = [row for row in _rows("own.jsonl") if row["type"] == "fact"]
    return sorted(facts, key=lambda row: row["said_at"])


def user_message(text: str) -> Message:
    """What a user says, alone in its transcript."""
    return Message(position=0, role="user", text=text, digest=_DIGEST)


def known_fact(text: str, fact_id: str = "known", status: Status = "active", subject: str | None = None) -> Fact:
    """A fact as it is known before."""
    return Fact(
        id=fact_id,
        user_id="someone",
        text=text,
        origin="user",
        status=status,
        subject=subject,
        said_at=_DAY,
        recorded_at=_DAY,
    )


def _right(pair: Pair) -> Proposal:
    return Proposal(operation=PROPOSED[pair.label])


def scores(labels: Sequence[Label], actions: Sequence[Action | None]) -> tuple[Score, ...]:
    """One score per label, in the order of `EXPECTED`, of what became of pairs; None: nothing."""
    outcomes = list(zip(labels, actions, strict=True))
    return tuple(_score(label, outcomes) for label in EXPECTED)


def _scores(pairs: Sequence[Pair], decisions: Sequence[Decision]) -> tuple[Score, ...]:
    return scores([pair.label for pair in pairs], [decision.action for decision in decisions])


def _score(label: Label, outcomes: Sequence[tuple[Label, Action | None]]) -> Score:
    decided = [true == label for true, action in outcomes if action == EXPECTED[label]]
    found = [action == EXPECTED[label] for true, action in outcomes if true == label]
    return Score(
        label=label,
        pairs=len(found),
        precision=sum(decided) / len(decided) if decided else None,
        recall=sum(found) / len(found) if found else None,
    )


def _offer(
    name: str, label: Label, proposal: Proposal, pairs: Sequence[Pair], cosines: Cosines, thresholds: Thresholds
) -> Offer:
    decisions = [decide(pair, proposal, cosines, thresholds) for pair in pairs if pair.label == label]
    followed = sum(decision.action == proposal.operation for decision in decisions)
    return Offer(proposal=name, offered=len(decisions), followed=followed)


def _cost(pairs: Sequence[Pair], cosines: Cosines, thresholds: Thresholds) -> float:
    """What the decisions cost on words alone, on right proposals and on wrong ones."""
    cost = 0.0
    for pair in pairs:
        for proposal in (WORDS, _right(pair)):
            action = decide(pair, proposal, cosines, thresholds).action
            cost += 0 if action == EXPECTED[pair.label] else COSTS[action]
        if pair.label == "contradicts":
            cost += decide(pair, SETTLED[-1], cosines, thresholds).action != "replaces"
        for _, label, wrong in CORRUPTIONS:
            if label == pair.label and decide(pair, wrong, cosines, thresholds).action == wrong.operation:
                harm = COSTS["new" if label == "same" else wrong.operation]  # one of two equal facts is still there
                cost += harm * WRONG_PROPOSALS
    return cost


def _stream(facts: Sequence[Mapping[str, Any]], cosines: Cosines, thresholds: Thresholds) -> Stream:
    standing: defaultdict[str, dict[str, Fact]] = defaultdict(dict)
    counts: Counter[str] = Counter()
    mistakes = []
    for row in facts:
        known = standing[row["user"]]
        decision = _learn(row["text"], list(known.values()), cosines, thresholds)
        old = row.get("supersedes")
        counts["comparisons"] += len(known)
        counts["replacements"] += old is not None
        counts[decision.action] += old is not None and decision.target == old
        if decision.target and decision.target != old:
            mistakes.append(Mistake(candidate=row["text"], action=decision.action, other=known[decision.target].text))
        known.pop(str(old), None)
        known[row["id"]] = known_fact(row["text"], row["id"])
    return Stream(
        facts=len(facts),
        comparisons=counts["comparisons"],
        replacements=counts["replacements"],
        replaced=counts["replaces"],
        marked=counts["conflicts"],
        mistakes=tuple(mistakes),
    )


def _learn(text: str, known: Sequence[Fact], cosines: Cosines, thresholds: Thresholds) -> Decision:
    message = user_message(text)
    candidate = CandidateFact(text=text, position=0, quote=text)
    similarity = cosines.of([text], [fact.text for fact in known])
    return reconcile([candidate], known, similarity, messages=[message], thresholds=thresholds)[0]
