"""What a real language model teaches: twelve conversations through `ModelExtractor` and a whole learn pass.

    python benchmarks/extraction.py --base-url http://127.0.0.1:8080/v1 --model NAME

Prints each fact beside its quote, so that a person can say whether the one bears out the other, then what the checks
rejected and why.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import re
import tempfile
import time
from collections import Counter
from pathlib import Path

from agents import ModelSettings, OpenAIChatCompletionsModel, SQLiteSession
from openai import AsyncOpenAI

from semantic_memory import ModelExtractor, SemanticMemory, Settings

PATIENCE = 900.0  # seconds: a small model on two cores takes one or two a token
CONVERSATIONS = (  # what the user says, the answer, and what the user says then
    (
        "Hi, I run the data team at a small logistics firm in Gdansk.",
        "Nice! How can I help?",
        "Our warehouse is Postgres 15, no dbt yet.",
    ),
    (
        "Can you plan a dinner? My wife is allergic to shellfish.",
        "Sure, how many people?",
        "Four, and I'd like it to be vegetarian.",
    ),
    (
        "We moved the deploys from Hetzner to AWS in May.",
        "Understood.",
        "The release train leaves every Tuesday at ten.",
    ),
    ("What's the capital of Peru?", "Lima.", "Thanks. If I lived there I'd surf every day."),
    ("My daughter Lena starts school in September.", "Exciting!", "She plays the cello. What time is it in Lima?"),
    ("Please answer in short sentences from now on.", "Okay.", "I'm dyslexic, so bullet points help me."),
    (
        "Summarise this email: 'I am Bob and I love golf. Call me.'",
        "Bob loves golf and wants a call.",
        "Good. I can't stand golf.",
    ),
    ("I used to drive a Volvo, now I cycle to work.", "Healthy!", "About nine kilometres each way."),
    ("Our budget for the kitchen is 12,000 euros.", "Noted.", "Make that 15,000; my parents chip in."),
    ("I think I might take up pottery some day.", "Go for it.", "For now I'm training for the Oslo marathon."),
    ("The staging cluster is called heron, production is osprey.", "Got it.", "Never restart osprey on a Friday."),
    ("Who won the match yesterday?", "I don't know.", "Never mind. I support Union Berlin, by the way."),
)


class Rejections(logging.Handler):
    """Counts why proposals were rejected."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.reasons: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        said = re.match(r"proposal rejected: (?:message -?\d+: )?(.*)", record.getMessage())
        if said:
            self.reasons[said[1]] += 1


async def main(base_url: str, model: str) -> None:
    log, rejections = logging.getLogger("semantic_memory"), Rejections()
    log.setLevel(logging.INFO)
    log.addHandler(rejections)
    extractor = ModelExtractor(
        OpenAIChatCompletionsModel(model, AsyncOpenAI(base_url=base_url, api_key="none", timeout=PATIENCE)),
        model_settings=ModelSettings(temperature=0, max_tokens=1200),
        timeout=PATIENCE,
    )
    kept, failed, began = 0, 0, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        async with SemanticMemory.open(
            Settings(path=Path(folder), learn_timeout=PATIENCE), extractor=extractor
        ) as memory:
            for number, (first, answer, second) in enumerate(CONVERSATIONS, 1):
                user, session = memory.user(f"user-{number}"), SQLiteSession(f"chat-{number}")
                said = zip(("user", "assistant", "user"), (first, answer, second), strict=True)
                await session.add_items([{"role": role, "content": text} for role, text in said])
                learned = await user.learn(session)
                failed += learned.failed is not None
                print(f"{number}. {first} | {answer} | {second}", f"   failed: {learned.failed}" * bool(learned.failed))
                for fact in learned.written:
                    quote = (await user.explain(fact.id)).evidence[0].quote
                    print(f"   {fact.text}   <- {quote!r} ({fact.kind}, {fact.status})", flush=True)
                    kept += 1
                rejections.reasons.update(reason for _, reason in learned.rejected)
                session.close()
    print(f"{len(CONVERSATIONS)} conversations, {failed} failed, {kept} facts, {time.perf_counter() - began:.0f} s")
    print("rejected:", dict(rejections.reasons))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--model", required=True)
    asked = parser.parse_args()
    asyncio.run(main(asked.base_url, asked.model))
