"""Follow-ups, with the bundled model: they ask for something else than the turn that they lean on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio
from agents import Agent, SQLiteSession
from agents.testing import ScriptedModel, assistant_message

from semantic_memory import SemanticMemory, UserMemory

FACTS = (
    "My dog is called Rex.",
    "My cat is called Minka.",
    "I live in Porto.",
    "I am vegetarian.",
    "My standup is at 9:30.",
    "My manager is Bruno.",
    "We deploy the billing service to Hetzner.",
    "The staging server is called heron.",
    "The production server is called eagle.",
    "My car is a Skoda Octavia.",
    "Our office is in Graz.",
    "I was born in 1988.",
)
DOG, CAT, PORTO, VEGETARIAN, STANDUP, BRUNO, DEPLOY, HERON, EAGLE, CAR, OFFICE, BORN = FACTS
WHICH_DOG, WHO = "What is my dog called?", "Who is my manager?"


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="user")
async def remembered(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[UserMemory]:
    async with SemanticMemory.open(tmp_path_factory.mktemp("memory")) as memory:
        await memory.user("ada").remember_all(FACTS)
        yield memory.user("ada")


async def shown(user: UserMemory, question: str, earlier: Sequence[str]) -> list[str]:
    return [one.fact.text for one in (await user.recall(question, earlier=earlier)).facts]


@pytest.mark.parametrize(
    ("before", "question", "fact"),
    [
        ([WHICH_DOG], "And the cat?", CAT),
        ([WHICH_DOG], "What about my cat?", CAT),
        ([WHICH_DOG, "Thanks"], "And my cat?", CAT),
        ([WHICH_DOG, "And the cat?"], "And my manager?", BRUNO),
        (["What is the staging server called?"], "And the production one?", EAGLE),
        (["What is the production server called?"], "and staging?", HERON),
        (["Where do I live?"], "And my office?", OFFICE),
        (["Where is our office?"], "And where do I live?", PORTO),
        ([WHO], "and my dog?", DOG),
        (["What is my cat called?"], "Thanks. And my dog?", DOG),
        (["What car do I drive?"], "How many seats does it have?", CAR),
        (["How do I cook risotto?"], "And for me?", VEGETARIAN),
    ],
)
async def test_what_a_follow_up_asks_for_comes_first(
    user: UserMemory, before: list[str], question: str, fact: str
) -> None:
    assert (await shown(user, question, before))[0] == fact


@pytest.mark.parametrize(
    ("before", "question", "fact"),
    [
        ([WHICH_DOG, "Your dog is called Rex."], "And the cat?", CAT),  # a caller that gives both sides' turns
        (["What is the staging server called?"], "And the other one?", EAGLE),
        (["Where do we deploy the billing service?"], "What about staging?", HERON),
        ([WHICH_DOG], "And the other pet?", CAT),
        ([WHO], "Is he vegetarian?", BRUNO),
        (["When is my standup?"], "And my birthday?", BORN),
    ],
)
async def test_what_a_follow_up_asks_for_is_shown(
    user: UserMemory, before: list[str], question: str, fact: str
) -> None:
    assert fact in await shown(user, question, before)


@pytest.mark.parametrize(
    ("before", "question"),
    [
        (["Tell me about the French revolution."], "Who led it?"),
        (["Tell me about the French revolution."], "Why?"),
        (["What is the capital of France?"], "And of Mongolia?"),
        ([WHICH_DOG], "Thanks!"),
        ([WHICH_DOG], "ok"),
    ],
)
async def test_a_follow_up_that_concerns_no_fact_is_met_with_silence(
    user: UserMemory, before: list[str], question: str
) -> None:
    assert await shown(user, question, before) == []


async def test_a_run_borrows_what_the_user_said_and_not_what_the_assistant_did(user: UserMemory) -> None:
    session = SQLiteSession("pets")
    steps = [[assistant_message("Which car? You told me: Rex the dog drives a Skoda?")], [assistant_message("Minka.")]]
    agent = Agent(name="helper", model=ScriptedModel(steps))
    await user.run(agent, WHICH_DOG, session=session, learn="off")
    result = await user.run(agent, "And the cat?", session=session, learn="off")
    assert result.final_output == "Minka."
    [*_, receipt] = sorted(await user.receipts(session_id="pets"), key=lambda one: one.at)
    first, *others = [(await user.fact(fact_id)).text for fact_id, _ in receipt.shown]
    assert first == CAT
    assert CAR not in others
