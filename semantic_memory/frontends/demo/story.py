"""What happens in the demo, and what there is to see of it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agents import Agent, AgentsException, RunConfig
from agents.extensions.memory import SQLAlchemySession
from agents.models.interface import Model
from openai import OpenAIError

from semantic_memory import (
    Explanation,
    InvalidInput,
    Message,
    SemanticMemory,
    SemanticMemoryError,
    Settings,
    UserMemory,
)
from semantic_memory.extraction.model import ModelExtractor
from semantic_memory.frontends.demo.models import Witness, scripted_model
from semantic_memory.identity import ALPHABET, NewId
from semantic_memory.transcript import messages

USER = "ada"
INSTRUCTIONS = "You are a concise assistant for software teams."
PATIENCE = 10.0  # seconds for a recall: the story shall be the same on a busy machine
MODEL_PATIENCE = 300.0  # seconds for an extraction: a live model may be a small one on the same machine


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A session of the script: what the user says in it."""

    session_id: str
    at: datetime
    says: tuple[str, ...]


SCENES = (
    Scene(
        session_id="acme-billing",
        at=datetime(2026, 3, 2, 9, tzinfo=UTC),
        says=(
            "Hi! We deploy the billing service to Hetzner, in Falkenstein. How often should we back it up?",
            "Good. My standup is at 9:30, so never book a meeting before ten.",
        ),
    ),
    Scene(
        session_id="acme-onboarding",
        at=datetime(2026, 3, 5, 14, tzinfo=UTC),
        says=("Where does our billing service run?", "How do I say good morning in French?"),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One run of the agent: what was said in it, and what its model was told."""

    session_id: str
    at: datetime
    messages: tuple[Message, ...]
    instructions: str  # as the model received them
    silent: bool  # they are the agent's own, byte for byte


@dataclass(frozen=True, kw_only=True)
class Story:
    """What happened."""

    user_id: str
    instructions: str  # the agent's own
    exchanges: tuple[Exchange, ...]
    learned: tuple[Explanation, ...]  # at the end, in the order in which it was said


async def play(folder: Path, *, live: Model | None = None) -> Story:
    """Play the story in an empty folder with the scripted model, or with a live one, which also finds the facts."""
    if (folder / "ledger.db").exists():
        raise InvalidInput(f"{folder} holds a memory already; the demo wants a folder of its own")
    witness = Witness(live or scripted_model())
    agent = Agent(name="Assistant", instructions=INSTRUCTIONS, model=witness)
    clock = Clock(SCENES[0].at)
    exchanges = []
    async with SemanticMemory.open(
        Settings(path=folder, deadline=PATIENCE, learn_timeout=MODEL_PATIENCE),
        extractor=ModelExtractor(live, timeout=MODEL_PATIENCE) if live else None,
        clock=clock,
        new_id=repeatable_ids(),
    ) as memory:
        ada = memory.user(USER)
        for scene in SCENES:
            clock.now = scene.at
            async with _session(folder, scene.session_id) as session:
                exchanges += [await _exchange(ada, agent, witness, session, said, scene.at) for said in scene.says]
        learned = [await ada.explain(fact.id) for fact in await ada.facts()]
    learned.sort(key=lambda one: (one.fact.said_at, one.fact.position or 0))
    return Story(user_id=USER, instructions=INSTRUCTIONS, exchanges=tuple(exchanges), learned=tuple(learned))


async def _exchange(
    ada: UserMemory, agent: Agent[Any], witness: Witness, session: SQLAlchemySession, said: str, at: datetime
) -> Exchange:
    """One turn: recall, run, learn; then look at what the session holds and what the model was told."""
    before = len(await session.get_items())
    try:
        quiet = RunConfig(tracing_disabled=True)  # nobody asked to upload the demo
        await ada.run(agent, said, session=session, run_config=quiet, learn="wait")
    except (AgentsException, OpenAIError) as error:
        raise SemanticMemoryError(f"the model did not answer: {error}") from error
    transcript = messages(await session.get_items())
    return Exchange(
        session_id=session.session_id,
        at=at,
        messages=tuple(message for message in transcript if message.position >= before),
        instructions=witness.told[-1],
        silent=witness.told[-1] == INSTRUCTIONS,
    )


@asynccontextmanager
async def _session(folder: Path, session_id: str) -> AsyncIterator[SQLAlchemySession]:
    url = f"sqlite+aiosqlite:///{folder / 'conversations.db'}"
    session = SQLAlchemySession.from_url(session_id, url=url, create_tables=True)
    try:
        yield session
    finally:
        await session.engine.dispose()


@dataclass
class Clock:
    """A clock that stands still until the next scene."""

    now: datetime

    def __call__(self) -> datetime:
        """The time of the scene."""
        return self.now


def repeatable_ids() -> NewId:
    """Ids that look like any others and are the same in every demo."""
    dice = random.Random(2026)  # noqa: S311 - nobody is to be kept from guessing them
    return lambda: "".join(dice.choices(ALPHABET, k=12))
