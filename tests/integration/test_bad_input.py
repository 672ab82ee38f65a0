"""What can't be used is refused in one clear sentence, before anything is lost or kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from semantic_memory import FactFilter, InvalidInput, NotFound, Settings, UserMemory
from semantic_memory.facts import Source

NAIVE = datetime(2026, 5, 1)
CAT = "The cat is called Miso."

CALLS: dict[str, Callable[[UserMemory, str], Any]] = {
    "an unknown origin": lambda ada, _: ada.remember(CAT, source=Source(origin="bogus")),  # type: ignore[arg-type]
    "a session id that is a number": lambda ada, _: ada.remember(CAT, source=Source(session_id=3)),  # type: ignore[arg-type]
    "a source that is a text": lambda ada, _: ada.remember(CAT, labels=["x"], source="user"),
    "one text for many": lambda ada, _: ada.remember_all("abc"),
    "nothing for many": lambda ada, _: ada.remember_all(None),
    "a limit below 0": lambda ada, _: ada.facts(limit=-1),
    "a limit that is a text": lambda ada, _: ada.facts(limit="3"),
    "an offset below 0": lambda ada, _: ada.facts(offset=-1),
    "a limit of receipts below 0": lambda ada, _: ada.receipts(limit=-1),
    "one status for several": lambda ada, _: ada.facts(FactFilter(status="active")),  # type: ignore[arg-type]
    "an unknown status": lambda ada, _: ada.facts(FactFilter(status=("bogus",))),  # type: ignore[arg-type]
    "an unknown origin of a filter": lambda ada, _: ada.facts(FactFilter(origin="bogus")),  # type: ignore[arg-type]
    "a day without a time zone": lambda ada, _: ada.facts(FactFilter(since=NAIVE)),
    "a number for a text": lambda ada, _: ada.facts(FactFilter(text=3)),  # type: ignore[arg-type]
    "half a character": lambda ada, _: ada.facts(FactFilter(text="\ud800")),
    "a filter that is none": lambda ada, _: ada.facts({"kind": "x"}),
    "a moment without a time zone": lambda ada, _: ada.facts(as_of=NAIVE),
    "a moment that is a text": lambda ada, _: ada.facts(as_of="2026-05-01"),
    "a number for a reason to forget": lambda ada, fact_id: ada.forget(fact_id, reason=3),  # type: ignore[arg-type]
    "a number for a reason to correct": lambda ada, fact_id: ada.correct(fact_id, "x y", reason=3),  # type: ignore[arg-type]
    "what is no lineage": lambda ada, _: ada.restore([1]),  # type: ignore[list-item]
    "no items": lambda ada, _: ada.learn_items(None, session_id="s"),
    "a session of items that is a number": lambda ada, _: ada.learn_items("x", session_id=3),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_call_with_something_that_cannot_be_used_is_refused(ada: UserMemory, call: Any) -> None:
    fact = await ada.remember("My deploy target is Hetzner.")
    with pytest.raises(InvalidInput) as refused:
        await call(ada, fact.id)
    assert len(str(refused.value)) > 10
    assert await ada.facts(FactFilter(status=())) == [fact]


@pytest.mark.parametrize("fact_id", [None, 3, "", "\ud800", "a\0b", "ünknown", "x" * 10_000])
async def test_what_can_be_no_id_is_the_id_of_no_fact(ada: UserMemory, fact_id: Any) -> None:
    await ada.remember(CAT)
    for verb in (ada.fact, ada.explain, ada.forget, lambda one: ada.correct(one, "The cat is called Kater.")):
        with pytest.raises(NotFound):
            await verb(fact_id)


@pytest.mark.parametrize(
    "setting",
    [
        {"learn_from": ("usr",)},
        {"learn_from": "user"},
        {"trusted": ("usr",)},
        {"trusted": "user"},
        {"namespace": None},
        {"expiry": {"plan": 5}},
        {"receipts_kept": timedelta(days=-1)},
        {"generations_kept": 14},
    ],
    ids=str,
)
def test_a_setting_with_a_word_that_nobody_knows_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(setting))):
        Settings(**setting)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"status": "bogus"}, "status is one of"),
        ({"origin": "bogus"}, "origin is one of"),
        ({"stance": "bogus"}, "stance is one of"),
        ({"labels": ("",)}, "label"),
        ({"kind": "x" * 300}, "kind"),
        ({"evidence_count": -3}, "evidence_count"),
        ({"status": "superseded"}, "nothing says by what"),
        ({"superseded_by": "x"}, "what superseded it"),
    ],
    ids=str,
)
async def test_a_fact_that_a_ledger_would_not_write_is_not_restored(
    ada: UserMemory, memory: Any, changed: dict[str, Any], told: str
) -> None:
    await ada.remember_all([CAT, "My deploy target is Hetzner."])
    one, other = [replace(line, fact=replace(line.fact, user_id="bob")) for line in await ada.lineages()]
    bob = memory.user("bob")
    with pytest.raises(InvalidInput, match=told):
        await bob.restore([replace(one, fact=replace(one.fact, **changed)), other])
    with pytest.raises(InvalidInput, match="has no evidence"):
        await bob.restore([replace(one, evidence=()), other])
    with pytest.raises(InvalidInput, match="origin is one of"):
        await bob.restore([replace(one, evidence=(replace(one.evidence[0], origin="bogus"),)), other])
    assert await bob.facts(FactFilter(status=())) == []
    assert len(await bob.restore([one, other])) == 2
