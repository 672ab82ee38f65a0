"""Facts move from one ledger to another with all that is known about them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from semantic_memory import FactFilter, InvalidInput, Lineage, SecretRefused, SemanticMemory, UserMemory
from semantic_memory.facts import Source
from semantic_memory.testing import HashEmbeddingModel


@pytest.fixture
async def elsewhere(tmp_path: Path):
    """The same user in another, empty memory."""
    async with SemanticMemory.open(tmp_path / "elsewhere", embedding=HashEmbeddingModel()) as memory:
        yield memory.user("ada")


@pytest.fixture
async def lineages(ada: UserMemory) -> list[Lineage]:
    """Of a fact, the one that replaced it, and a tool's statement."""
    old = await ada.remember("Our deploy target is Hetzner.", source=Source(origin="operator", labels=("ops",)))
    await ada.correct(old.id, "Our deploy target is AWS.", reason="moved in May")
    await ada.remember("The build takes 14 minutes.", source=Source(origin="tool"))
    return await ada.lineages()


async def test_a_lineage_holds_the_evidence_and_the_history(lineages: list[Lineage]) -> None:
    old = lineages[0]
    assert old.fact.status == "superseded"
    assert [evidence.quote for evidence in old.evidence] == ["Our deploy target is Hetzner."]
    assert [(change.before, change.after) for change in old.history] == [(None, "active"), ("active", "superseded")]


async def test_what_is_restored_is_what_was_exported(elsewhere: UserMemory, lineages: list[Lineage]) -> None:
    assert len(await elsewhere.restore(lineages)) == 3
    copied = await elsewhere.lineages()
    assert [one.fact for one in copied] == [one.fact for one in lineages]
    assert [one.evidence for one in copied] == [one.evidence for one in lineages]
    told = [[replace(change, revision=0) for change in one.history[:-1]] for one in copied]
    assert told == [[replace(change, revision=0) for change in one.history] for one in lineages]
    assert {one.history[-1].reason for one in copied} == {"imported"}


async def test_a_restored_fact_keeps_its_origin_and_is_recalled_only_if_it_was(
    elsewhere: UserMemory, lineages: list[Lineage]
) -> None:
    await elsewhere.restore(lineages)
    [tool] = await elsewhere.facts(FactFilter(status=(), origin="tool"))
    assert tool.status == "quarantined"
    found = await elsewhere.recall("What is our deploy target?", min_relevance=0)
    assert {one.fact.text for one in found.facts} == {"Our deploy target is AWS."}
    assert (await elsewhere.explain(lineages[0].fact.id)).chain[-1].text == "Our deploy target is AWS."


async def test_facts_that_are_known_stay_as_they_are(ada: UserMemory, lineages: list[Lineage]) -> None:
    newer = lineages[1].fact.id
    await ada.forget(newer)
    before = await ada.lineages()
    assert await ada.restore(lineages) == []
    assert await ada.lineages() == before


async def test_a_fact_that_comes_twice_is_written_once(elsewhere: UserMemory, lineages: list[Lineage]) -> None:
    assert len(await elsewhere.restore([*lineages, *lineages])) == 3


async def test_progress_counts_every_fact(elsewhere: UserMemory, lineages: list[Lineage]) -> None:
    steps: list[int] = []
    await elsewhere.restore(lineages[:2], on_progress=steps.append)
    await elsewhere.restore(lineages, on_progress=steps.append)
    assert sum(steps) == 2 + 3


def _changed(lineage: Lineage, **values: object) -> Lineage:
    return replace(lineage, fact=replace(lineage.fact, **values))  # type: ignore[arg-type]


def _evidenced(lineage: Lineage, **values: object) -> Lineage:
    return replace(lineage, evidence=(replace(lineage.evidence[0], **values),))  # type: ignore[arg-type]


# There is no such moment in UTC: it could be written, and never read again.
LATEST = datetime.max.replace(tzinfo=timezone(-timedelta(hours=14)))
EARLIEST = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda one: _changed(one, id="../up"), "is no fact id"),
        (lambda one: _changed(one, user_id="bob"), "another user's"),
        (lambda one: _changed(one, text=" "), "empty"),
        (lambda one: _changed(one, said_at=datetime(2026, 3, 2)), "without a time zone"),
        (lambda one: _changed(one, id="another"), "lineage of another"),
        (lambda one: _changed(one, said_at=LATEST), "said_at is outside the years"),
        (lambda one: _changed(one, expires_at=EARLIEST), "expires_at is outside the years"),
        (lambda one: _evidenced(one, recorded_at=LATEST), "recorded_at is outside the years"),
        (lambda one: replace(one, history=(replace(one.history[0], at=EARLIEST),)), "at is outside the years"),
        (lambda one: _changed(one, session_id="\ud800"), "session_id: .* surrogate"),
        (lambda one: _evidenced(one, agent="a\0b"), "agent: .* NUL"),
        (lambda one: _evidenced(one, run_id="x" * 3000), "run_id has 3000 characters"),
        (lambda one: _evidenced(one, id="e" * 33), "no id of evidence"),
        (lambda one: _changed(one, position=2**70), "position is a number"),
        (lambda one: _evidenced(one, span=(0, -1)), "span is a number"),
        (lambda one: replace(one, evidence=one.evidence * 2), "an id that other evidence has"),
        (lambda one: _changed(one, conflicts_with="nowhere"), "linked to nowhere"),
    ],
)
async def test_what_a_ledger_must_not_hold_is_refused_whole(
    elsewhere: UserMemory, lineages: list[Lineage], spoil, told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        await elsewhere.restore([lineages[0], lineages[1], spoil(lineages[2])])
    assert await elsewhere.lineages() == []


async def test_credentials_are_refused_wherever_they_stand(elsewhere: UserMemory, lineages: list[Lineage]) -> None:
    one, secret = lineages[2], "AKIAIOSFODNN7EXAMPLE"
    hidden = (
        _changed(one, text=f"the key is {secret}"),
        _changed(one, labels=(secret,)),
        _changed(one, subject=secret),
        *(
            replace(one, evidence=(replace(one.evidence[0], **{part: secret}),))
            for part in ("quote", "before", "reason")
        ),
        replace(one, history=(replace(one.history[0], reason=secret),)),
    )
    for spoiled in hidden:
        with pytest.raises(SecretRefused):
            await elsewhere.restore([spoiled])
    assert await elsewhere.lineages() == []


async def test_evidence_keeps_its_id_and_nobody_elses(elsewhere: UserMemory, lineages: list[Lineage]) -> None:
    """What a ledger knows under another fact is refused, not reported as a ledger that fails."""
    await elsewhere.restore(lineages)
    one = lineages[2]
    other = replace(
        _changed(_evidenced(one, fact_id="another"), id="another"),
        history=tuple(replace(change, fact_id="another") for change in one.history),
    )
    with pytest.raises(InvalidInput, match="an id that other evidence has"):
        await elsewhere.restore([other])
    assert len(await elsewhere.lineages()) == 3
