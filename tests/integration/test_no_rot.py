"""What memory has said comes back in every way that it can, and teaches nothing."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from agents import Agent, SQLiteSession
from agents.testing import ScriptedModel, assistant_message, function_call

from semantic_memory import CandidateFact, FactFilter, SemanticMemory, UserMemory
from semantic_memory.embedding.bundled import bundled
from semantic_memory.extraction.prose import sentences
from semantic_memory.settings import Settings

FACTS = (
    "My deploy target is Hetzner.",
    "My cat is called Miso.",
    "I live in Lisbon.",
    "I prefer tabs over spaces.",
    "My daughter was born in 2019.",
)
ECHOES = (  # what an assistant says of a fact
    "{fact}",
    "As you told me: {fact}",
    "I remember that {as_you}",
    "Sure. {As_you}. Shall I go on?",
    "You said: “{fact}”",
    "Here is what I know:\n\n- {fact}\n- {other}",
)
QUOTES = (  # and what a user says of what the assistant said
    "You said {as_said}. Is that still so?",
    "You told me that {as_said}",
    "As you said, {as_said}",
    "You just wrote: “{fact}” Why?",
    "> {fact}\n\nWhere did you get that from?",
    "What do you know about me?",
    "Earlier you mentioned {as_said}, right?",
)
TURNS = 50
EVERYBODY = (*Settings().trusted, "assistant", "tool")
OpenMemory = Callable[..., Awaitable[SemanticMemory]]


def spoken(form: str, n: int) -> str:
    fact, other = FACTS[n % len(FACTS)], FACTS[(n + 1) % len(FACTS)]
    plain = fact.rstrip(".")
    as_said = plain if plain.startswith("I ") else plain[0].lower() + plain[1:]
    as_you = as_said.replace("my ", "your ").replace("I ", "you ")
    return form.format(fact=fact, other=other, as_said=as_said, as_you=as_you, As_you=as_you[0].upper() + as_you[1:])


def turn(n: int) -> tuple[str, list[Any]]:
    """What the user says, and what the model does: it looks up what is known, and repeats it."""
    recall = [function_call("recall", {"query": FACTS[n % len(FACTS)]}, call_id=f"c{n}")]
    answer = [assistant_message(spoken(ECHOES[n % len(ECHOES)], n))]
    return spoken(QUOTES[n % len(QUOTES)], n), [recall, answer]


async def converse(user: UserMemory, session: SQLiteSession, **run: Any) -> None:
    for n in range(TURNS):
        said, steps = turn(n)
        agent: Agent[Any] = Agent(name="helper", model=ScriptedModel(steps), tools=user.tools())
        await user.run(agent, said, session=session, learn="wait", **run)


async def active(user: UserMemory) -> list[str]:
    return sorted(fact.text for fact in await user.facts())


async def test_fifty_turns_of_echoes_change_no_fact(open_memory: OpenMemory) -> None:
    ada = (await open_memory(learn_from=("user", "assistant"), trusted=EVERYBODY)).user("ada")
    await ada.remember_all(FACTS)
    await converse(ada, SQLiteSession("s"))
    assert [text for text in await active(ada) if text not in FACTS] == []
    assert await active(ada) == sorted(FACTS)
    receipts = await ada.receipts(limit=1000)
    assert sum(receipt.source == "tool" for receipt in receipts) == TURNS
    assert any(receipt.shown for receipt in receipts)


async def test_what_was_quarantined_of_the_echoes_does_not_pile_up(open_memory: OpenMemory) -> None:
    ada = (await open_memory(learn_from=("user", "assistant"))).user("ada")
    await ada.remember_all(FACTS)
    await converse(ada, SQLiteSession("s"))
    aside = await ada.facts(FactFilter(status=("quarantined",)))
    assert aside == []


class EagerExtractor:
    """Takes all that anybody says of the user for a fact, in the third person, as a careless model does."""

    version = "eager/1"

    async def extract(self, messages: Any, *, known: Any = (), context: Any = ()) -> list[CandidateFact]:
        said = [(message, message.text[slice(*span)]) for message in messages for span in sentences(message.text)]
        worded = [(message, quote, third_person(quote)) for message, quote in said]
        return [
            CandidateFact(text=text, position=message.position, quote=quote)
            for message, quote, text in worded
            if text.startswith("The user")
        ]


def third_person(sentence: str) -> str:
    """As a model words it: the user's cat, the user lives in Lisbon."""
    inner = re.sub(r"^.*?\b(?=(?:I|you|my|your|My|Your) (?!said|told|just|remember|mentioned))", "", sentence, count=1)
    inner = re.sub(r"\b(?:my|your)\b", "the user's", inner, flags=re.IGNORECASE)
    inner = re.sub(r"\b(?:I|you) (live|prefer)\b", r"the user \1s", inner)
    inner = inner.removesuffix(", right?").strip("“”.>-? ")
    return f"{inner[:1].upper()}{inner[1:]}."


async def test_fifty_turns_change_no_fact_even_where_the_extractor_takes_echoes_for_facts(
    open_memory: OpenMemory,
) -> None:
    everybody = {"learn_from": ("user", "assistant", "tool"), "trusted": EVERYBODY}
    ada = (await open_memory(extractor=EagerExtractor(), embedding=bundled(), **everybody)).user("ada")
    await ada.remember_all(FACTS)
    await converse(ada, SQLiteSession("s"))
    assert [text for text in await active(ada) if text not in FACTS] == []
    assert await active(ada) == sorted(FACTS)
