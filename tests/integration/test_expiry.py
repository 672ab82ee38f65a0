"""Facts that are over: never recalled, never deleted, and true again when they are said again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from agents import SQLiteSession

from semantic_memory import CandidateFact, Conflict, FactFilter, InvalidInput, SemanticMemory, Settings, UserMemory
from semantic_memory.embedding.bundled import bundled

PARKED = "The car is parked on level three."
QUESTION = "Where is the car parked?"
DAY = timedelta(days=1)


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ada(open_memory: Callable[..., Awaitable[SemanticMemory]], clock: Clock) -> UserMemory:
    return (await open_memory(clock=clock, expiry={"plan": 30 * DAY})).user("ada")


async def recalled(user: UserMemory, **asked: Any) -> list[str]:
    return [found.fact.text for found in (await user.recall(QUESTION, **asked)).facts]


async def statuses(user: UserMemory) -> dict[str, str]:
    return {fact.id: fact.status for fact in await user.facts(FactFilter(status=()))}


async def test_a_fact_is_recalled_until_it_expires(ada: UserMemory, clock: Clock) -> None:
    await ada.remember(PARKED, expires_at=clock.now + DAY)
    clock.now += DAY - timedelta(seconds=1)
    assert await recalled(ada) == [PARKED]
    clock.now += timedelta(seconds=1)
    assert await recalled(ada) == []


async def test_the_next_write_says_that_it_is_over_and_deletes_nothing(ada: UserMemory, clock: Clock) -> None:
    fact = await ada.remember(PARKED, expires_at=clock.now + DAY)
    clock.now += 2 * DAY
    await ada.remember("The cat is called Miso.")
    explained = await ada.explain(fact.id)
    assert (explained.fact.status, explained.fact.text) == ("expired", PARKED)
    assert [(change.before, change.after) for change in explained.history] == [(None, "active"), ("active", "expired")]
    assert explained.evidence[0].quote == PARKED


async def test_what_is_over_is_listed_as_expired_before_any_write_says_so(ada: UserMemory, clock: Clock) -> None:
    fact = await ada.remember(PARKED, expires_at=clock.now + DAY)
    clock.now += 2 * DAY
    assert await ada.facts() == []
    assert [(one.id, one.status) for one in await ada.facts(FactFilter(status=("expired",)))] == [(fact.id, "expired")]


async def test_what_is_over_is_expired_for_every_verb_before_any_write_says_so(ada: UserMemory, clock: Clock) -> None:
    fact = await ada.remember(PARKED, expires_at=clock.now + DAY)
    clock.now += 2 * DAY
    assert (await ada.fact(fact.id)).status == "expired"
    explained = await ada.explain(fact.id)
    assert (explained.fact.status, [one.status for one in explained.chain]) == ("expired", ["expired"])
    with pytest.raises(Conflict, match="is expired"):
        await ada.correct(fact.id, "The car is parked on level four.")
    again = await ada.reinstate(fact.id)
    assert (again.text, again.status, again.expires_at) == (PARKED, "active", None)
    assert await statuses(ada) == {fact.id: "expired", again.id: "active"}


async def test_what_is_over_can_be_forgotten(ada: UserMemory, clock: Clock) -> None:
    fact = await ada.remember(PARKED, expires_at=clock.now + DAY)
    clock.now += 2 * DAY
    await ada.forget(fact.id)
    assert (await ada.fact(fact.id)).status == "forgotten"


async def test_what_is_over_was_believed_before(ada: UserMemory, clock: Clock) -> None:
    fact, before = await ada.remember(PARKED, expires_at=clock.now + DAY), clock.now
    clock.now += 2 * DAY
    await ada.remember("The cat is called Miso.")
    assert [one.id for one in await ada.facts(as_of=before)] == [fact.id]
    assert await ada.facts(as_of=before + DAY) == []
    assert await recalled(ada, as_of=before) == [PARKED]


async def test_what_is_said_again_after_it_expired_is_a_new_fact(ada: UserMemory, clock: Clock) -> None:
    old = await ada.remember(PARKED, expires_at=clock.now + DAY)
    clock.now += 2 * DAY
    new = await ada.remember(PARKED)
    assert await statuses(ada) == {old.id: "expired", new.id: "active"}
    assert await recalled(ada) == [PARKED]


async def test_a_kind_of_facts_can_have_its_time(ada: UserMemory, clock: Clock) -> None:
    plan = CandidateFact(text=PARKED, position=0, quote=PARKED, kind="plan")
    fact = (await ada.remember_all([plan]))[0]
    assert fact.expires_at == clock.now + 30 * DAY
    stated = await ada.remember("The bike is parked in the yard.", kind="plan", expires_at=clock.now + DAY)
    assert stated.expires_at == clock.now + DAY
    assert (await ada.remember("The cat is called Miso.")).expires_at is None


async def test_saying_it_again_prolongs_what_would_be_over_and_never_shortens(ada: UserMemory, clock: Clock) -> None:
    fact, began = await ada.remember(PARKED, kind="plan"), clock.now
    clock.now += 20 * DAY
    assert (await ada.remember(PARKED, kind="plan")).id == fact.id
    assert (await ada.fact(fact.id)).expires_at == began + 50 * DAY
    assert (await ada.remember(PARKED, expires_at=clock.now + DAY)).expires_at == began + 50 * DAY
    cat = await ada.remember("The cat is called Miso.")
    assert (await ada.remember("The cat is called Miso.", expires_at=clock.now + DAY)).expires_at is None
    assert (await ada.fact(cat.id)).evidence_count == 2


async def test_what_held_until_yesterday_is_told_with_its_end_and_not_as_of_later(
    ada: UserMemory, clock: Clock
) -> None:
    fact = await ada.remember(PARKED, valid_to=clock.now + DAY)
    assert await recalled(ada) == [PARKED]
    before = clock.now
    clock.now += 2 * DAY
    assert "until" in (await ada.recall(QUESTION)).context
    assert await recalled(ada, as_of=before) == [PARKED]
    assert await recalled(ada, as_of=clock.now) == []
    assert (await ada.fact(fact.id)).status == "active"


async def test_what_will_hold_stands_beside_what_holds_with_its_beginning(open_memory: Any, clock: Clock) -> None:
    ada = (await open_memory(clock=clock, embedding=bundled())).user("ada")
    today = await ada.remember("My deploy target is Hetzner.")
    coming = await ada.remember("My deploy target is now AWS.", valid_from=datetime(2026, 12, 1, tzinfo=UTC))
    assert {fact.id for fact in await ada.facts()} == {today.id, coming.id}
    context = (await ada.recall("Where do we deploy?")).context
    assert "disputed" not in context
    assert 'from 1 Dec 2026 "My deploy target is now AWS."' in context


async def test_what_ends_before_it_begins_is_refused(ada: UserMemory, clock: Clock) -> None:
    with pytest.raises(InvalidInput, match="valid_from is after valid_to"):
        await ada.remember(PARKED, valid_from=clock.now, valid_to=clock.now - DAY)
    assert await ada.facts() == []


async def test_what_held_until_yesterday_is_not_what_is_said_today(ada: UserMemory, clock: Clock) -> None:
    old = await ada.remember(PARKED, valid_to=clock.now + DAY)
    clock.now += 2 * DAY
    new = await ada.remember(PARKED)
    assert new.id != old.id
    assert (new.valid_to, new.supersedes) == (None, None)


async def test_an_extractor_is_not_shown_what_is_over(open_memory: Any, clock: Clock) -> None:
    shown: list[str] = []

    class Seeing:
        version = "seeing/1"

        async def extract(self, messages: Any, *, known: Any = (), context: Any = ()) -> list[CandidateFact]:
            shown.extend(fact.text for fact in known)
            return []

    ada = (await open_memory(clock=clock, extractor=Seeing())).user("ada")
    await ada.remember(PARKED, expires_at=clock.now + DAY)
    await ada.remember("The car is being repaired.", valid_to=clock.now + DAY)
    await ada.remember("The car is red.")
    clock.now += 2 * DAY
    session = SQLiteSession("s")
    await session.add_items([{"role": "user", "content": "Where is the car parked?"}])
    await ada.learn(session)
    assert shown == ["The car is red."]


async def test_a_moment_without_a_time_zone_is_refused_and_nothing_is_kept(ada: UserMemory) -> None:
    naive = datetime(2026, 5, 2)
    for name in ("expires_at", "valid_from", "valid_to", "said_at"):
        with pytest.raises(InvalidInput, match="time zone"):
            await ada.remember(PARKED, **{name: naive})
    with pytest.raises(InvalidInput, match="time zone"):
        await ada.recall(QUESTION, as_of=naive)
    assert await ada.facts() == []


async def test_a_moment_that_is_not_there_in_utc_is_refused_and_nothing_is_kept(ada: UserMemory) -> None:
    last, first = timezone(-timedelta(hours=14)), timezone(timedelta(hours=14))
    for moment in (datetime.max.replace(tzinfo=last), datetime.min.replace(tzinfo=first)):
        for name in ("expires_at", "valid_from", "valid_to", "said_at"):
            with pytest.raises(InvalidInput, match=f"{name} is outside the years 1 to 9999"):
                await ada.remember(PARKED, **{name: moment})
        with pytest.raises(InvalidInput, match="as_of is outside"):
            await ada.recall(QUESTION, as_of=moment)
    assert await ada.facts() == []


async def test_what_was_said_at_the_end_of_the_calendar_never_expires(ada: UserMemory) -> None:
    fact = await ada.remember(PARKED, kind="plan", said_at=datetime.max.replace(tzinfo=UTC))
    assert fact.expires_at is None


def test_the_time_of_a_kind_can_be_set_in_the_environment() -> None:
    settings = Settings.from_environment({"SEMANTIC_MEMORY_EXPIRY": "plan=30, event=0.5"})
    assert settings.expiry == {"plan": 30 * DAY, "event": DAY / 2}
    for wrong in ("plan", "plan=soon", "plan=-1"):
        with pytest.raises(InvalidInput):
            Settings.from_environment({"SEMANTIC_MEMORY_EXPIRY": wrong})
