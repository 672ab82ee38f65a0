"""The default operating point, with the bundled model: what helps is shown, alone, and otherwise nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from semantic_memory import SemanticMemory, UserMemory
from semantic_memory.evaluation.datasets import personal_prompts, unrelated_prompts

FACTS = (
    "I am vegetarian.",
    "My dog is called Rex.",
    "We deploy the billing service to Hetzner, in Falkenstein.",
    "My standup is at 9:30, so never book a meeting before ten.",
    "I live in Porto.",
    "My manager is Bruno.",
)
PROMPTS = unrelated_prompts()[::4]


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="user")
async def remembered(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[UserMemory]:
    async with SemanticMemory.open(tmp_path_factory.mktemp("memory")) as memory:
        await memory.user("ada").remember_all(FACTS)
        yield memory.user("ada")


@pytest.mark.parametrize(
    ("question", "fact"),
    [
        ("What should I cook?", FACTS[0]),
        ("What should I cook for dinner?", FACTS[0]),
        ("What's my pet's name?", FACTS[1]),
        ("Where does our billing service run?", FACTS[2]),
    ],
)
async def test_a_fact_that_helps_comes_first_though_it_may_share_no_word(
    user: UserMemory, question: str, fact: str
) -> None:
    assert (await user.recall(question)).facts[0].fact.text == fact


async def test_a_fact_that_helps_is_shown_without_those_that_do_not(user: UserMemory) -> None:
    found = await user.recall("Where does our billing service run?")
    assert [one.fact.text for one in found.facts] == [FACTS[2]]


@pytest.mark.parametrize(
    "prompt",
    [
        "What should I wear today?",
        "Do I need an umbrella today?",
        "Did I miss an eclipse this year?",
        "Which stock news did I miss this week?",
        "Which comet can I see this month?",
        "How do I stretch before I lift weights?",
    ],
)
async def test_a_word_of_time_does_not_make_an_answer_of_what_was_said_today(user: UserMemory, prompt: str) -> None:
    assert (await user.recall(prompt)).facts == ()


async def test_unrelated_prompts_of_people_who_speak_of_themselves_are_met_with_silence(user: UserMemory) -> None:
    prompts = personal_prompts()  # nothing was fitted on them
    shown = [prompt for prompt in prompts if (await user.recall(prompt)).facts]
    assert len(shown) <= 0.06 * len(prompts), shown


@pytest.mark.parametrize(
    ("asked", "fact"),
    [
        ("Suggest a recipe for the weekend.", FACTS[0]),
        ("Order a pizza for me.", FACTS[0]),
        ("Recommend a cookbook.", FACTS[0]),
        ("Find a slot for the review meeting.", FACTS[3]),
    ],
)
async def test_a_request_that_a_fact_should_shape_is_told_that_fact(user: UserMemory, asked: str, fact: str) -> None:
    assert (await user.recall(asked)).facts[0].fact.text == fact


async def test_what_concerns_no_fact_is_met_with_silence(user: UserMemory) -> None:
    shown = [prompt for prompt in PROMPTS if (await user.recall(prompt)).facts]
    assert len(shown) <= 0.03 * len(PROMPTS)


BROTHER = (
    "John is my brother.",
    "John works as a nurse in Leeds.",
    "John plays the cello in an orchestra.",
    "John's daughter Amy started school in May.",
    "I lent John my tent for the festival.",
    "John is allergic to shellfish.",
    "John's wedding was in Cornwall.",
    "John wants to run a marathon in spring.",
)
ASKED_OF_HIM = (
    "Where does John work?",
    "What instrument does John play?",
    "What is John allergic to?",
    "Where did John get married?",
    "What did I lend John?",
)
ASKED_OF_ANOTHER = (  # nothing was fitted on them
    "Which hospital was John born in?",
    "How much did John pay for his flat?",
    "What is the name of John's boat?",
    "Did John ever learn Spanish?",
    "Which team does John support?",
    "What did John think of the opera in Verona?",
    "Why did John sell his bakery?",
    "When did John adopt the kitten?",
    "How tall is John?",
    "What is John's favourite cheese?",
)


async def test_a_known_name_alone_makes_no_answer(tmp_path: Path) -> None:
    async with SemanticMemory.open(tmp_path) as memory:
        user = memory.user("ada")
        await user.remember_all(BROTHER)
        assert all([(await user.recall(question)).facts for question in ASKED_OF_HIM])
        shown = [question for question in ASKED_OF_ANOTHER if (await user.recall(question)).facts]
    assert len(shown) <= 0.5 * len(ASKED_OF_ANOTHER), shown
