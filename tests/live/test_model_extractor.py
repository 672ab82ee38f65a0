"""ModelExtractor on a real model behind an OpenAI-compatible server.

Skipped unless SEMANTIC_MEMORY_LIVE_URL (http://127.0.0.1:8080/v1) and SEMANTIC_MEMORY_LIVE_MODEL are set.
"""

import os
from datetime import UTC, datetime

import pytest
from agents import ModelSettings, OpenAIChatCompletionsModel
from openai import AsyncOpenAI

from semantic_memory.extraction.model import ModelExtractor
from semantic_memory.facts import Fact
from semantic_memory.transcript import messages

URL, MODEL = os.environ.get("SEMANTIC_MEMORY_LIVE_URL"), os.environ.get("SEMANTIC_MEMORY_LIVE_MODEL")

pytestmark = pytest.mark.skipif(not (URL and MODEL), reason="no live model configured")

CONVERSATION = messages(
    [
        {"role": "user", "content": "Quick thing: we moved the deploys from Hetzner to AWS in May."},
        {"role": "assistant", "content": "Got it, AWS. I deploy to Mars."},
        {"role": "user", "content": "And my colleague Bea is allergic to nuts. What time is it in Lima?"},
    ]
)


async def test_facts_quote_the_user_and_say_what_was_said():
    client = AsyncOpenAI(base_url=URL, api_key=os.environ.get("SEMANTIC_MEMORY_LIVE_KEY", "none"))
    now = datetime.now(UTC)
    known = Fact(
        id="deploy",
        user_id="u",
        text="The user's deploy target is Hetzner.",
        origin="user",
        status="active",
        said_at=now,
        recorded_at=now,
    )
    extractor = ModelExtractor(
        OpenAIChatCompletionsModel(MODEL, client),
        model_settings=ModelSettings(temperature=0, max_tokens=1500),
        timeout=600,
    )
    found = await extractor.extract(CONVERSATION, known=[known])
    said = {message.position: message for message in CONVERSATION}
    facts = " ".join(candidate.text for candidate in found)
    assert all(candidate.quote in said[candidate.position].text for candidate in found)
    assert {said[candidate.position].role for candidate in found} == {"user"}
    assert "AWS" in facts
    assert "nuts" in facts
    assert "Mars" not in facts
