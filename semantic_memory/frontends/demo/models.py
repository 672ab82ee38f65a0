"""Who speaks for the agent: a script, or a live model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from agents import OpenAIChatCompletionsModel
from agents.items import ModelResponse, TResponseStreamEvent
from agents.models.interface import Model
from agents.testing import ModelCall, ModelStep, ScriptedModel, assistant_message
from openai import AsyncOpenAI, OpenAIError

from semantic_memory import InvalidInput
from semantic_memory.context import CLOSE, OPEN, parse


class Witness(Model):
    """A model that writes down the instructions of every call before it passes them on."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.told: list[str] = []

    async def get_response(self, system_instructions: str | None, *given: Any, **named: Any) -> ModelResponse:
        """The model's response."""
        self.told.append(system_instructions or "")
        return await self._model.get_response(system_instructions, *given, **named)

    def stream_response(
        self, system_instructions: str | None, *given: Any, **named: Any
    ) -> AsyncIterator[TResponseStreamEvent]:
        """The model's response, in pieces."""
        self.told.append(system_instructions or "")
        return self._model.stream_response(system_instructions, *given, **named)


def scripted_model() -> Model:
    """The agent's lines. Where memory matters, the line is made of what the instructions say, or admits ignorance."""
    return ScriptedModel(
        [
            [assistant_message("Nightly, kept for 30 days, and restore one every month to be sure.")],
            [assistant_message("Understood: no meetings before ten.")],
            ModelStep.respond(_from_memory),
            [assistant_message("Bonjour!")],
        ]
    )


def _from_memory(call: ModelCall) -> ModelStep:
    told = call.system_instructions or ""
    if OPEN not in told:
        return ModelStep(output=[assistant_message("I don't know where it runs.")])
    known = parse(OPEN + told.partition(OPEN)[2].partition(CLOSE)[0] + CLOSE)
    best = known[0]
    day = f"{best.said_on.day} {best.said_on:%B}"
    return ModelStep(output=[assistant_message(f"You told me on {day}: {best.text}")])


def live_model(name: str, base_url: str | None) -> Model:
    """A model behind an OpenAI-compatible API; the key is taken from OPENAI_API_KEY, as the client does."""
    try:
        client = AsyncOpenAI(base_url=base_url)
    except OpenAIError as error:
        if base_url is None:
            raise InvalidInput("--model needs OPENAI_API_KEY, or --base-url of a server that needs no key") from error
        client = AsyncOpenAI(base_url=base_url, api_key="none")
    return OpenAIChatCompletionsModel(model=name, openai_client=client)
