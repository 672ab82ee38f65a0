"""The extractor on a language model: any model of the Agents SDK, with a structured output."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import TYPE_CHECKING

from semantic_memory.errors import ExtractionFailed
from semantic_memory.facts import CandidateFact, Fact, Message, Role

if TYPE_CHECKING:
    from agents import Model, ModelSettings

    from semantic_memory.extraction.proposals import Proposal

PROMPT = "facts-1"  # a file in prompts/; a change of the text is a new file
READ_CHARACTERS = 6_000  # of a message; what is longer was pasted
CONTEXT_CHARACTERS = 500  # of each message that is shown only for understanding


class ModelExtractor:
    """Facts that a language model finds, each with its exact quote; what can't be quoted is dropped.

    `model` is whatever an SDK agent takes: a name, or a `Model` such as `OpenAIChatCompletionsModel`
    on a local server. Long transcripts are read in chunks of `chunk_characters`, each with the
    `context_messages` before it. A call that takes more than `timeout` seconds, or that the model
    answers with anything but the asked JSON, raises `ExtractionFailed`. The run is never traced.
    """

    def __init__(
        self,
        model: str | Model,
        *,
        model_settings: ModelSettings | None = None,
        assistant: bool = False,
        chunk_characters: int = 8_000,
        context_messages: int = 4,
        timeout: float = 60.0,
    ) -> None:
        self._model = model
        self._model_settings = model_settings
        self._roles: frozenset[Role] = frozenset({"user", "assistant"} if assistant else {"user"})
        self._chunk_characters = chunk_characters
        self._context_messages = context_messages
        self._timeout = timeout

    @property
    def version(self) -> str:
        """The model's name and the prompt's version: "model/gpt-4.1-mini/facts-1"."""
        name = self._model if isinstance(self._model, str) else getattr(self._model, "model", None)
        return f"model/{name or type(self._model).__name__}/{PROMPT}"

    async def extract(
        self, messages: Sequence[Message], *, known: Sequence[Fact] = (), context: Sequence[Message] = ()
    ) -> list[CandidateFact]:
        """What `messages` say about the user, in one model call a chunk."""
        from semantic_memory.extraction.proposals import candidates

        handles = {f"K{number}": fact for number, fact in enumerate(known, 1)}
        said = [message for message in messages if message.role in ("user", "assistant")]
        earlier = [message for message in context if message.role in ("user", "assistant")]
        found: list[CandidateFact] = []
        for chunk in self._chunks(said):
            learnable = (message for message in chunk if message.role in self._roles)
            numbered = dict(enumerate(learnable, 1))
            if numbered:
                shown = _conversation(chunk, numbered, handles, earlier[-self._context_messages :])
                found += candidates(await self._ask(shown), numbered=numbered, handles=handles)
            earlier += chunk
        return found

    def _chunks(self, messages: Sequence[Message]) -> Iterator[list[Message]]:
        chunk: list[Message] = []
        size = 0
        for message in messages:
            shown = len(_shown_text(message, learnable=message.role in self._roles))
            if chunk and size + shown > self._chunk_characters:
                yield chunk
                chunk, size = [], 0
            chunk.append(message)
            size += shown
        if chunk:
            yield chunk

    async def _ask(self, conversation: str) -> list[Proposal]:
        from agents import Agent, ModelSettings, RunConfig, Runner

        from semantic_memory.extraction.proposals import Proposals

        agent = Agent(
            name="Fact extractor",
            instructions=resources.files(__package__).joinpath("prompts", f"{PROMPT}.md").read_text("utf-8"),
            model=self._model,
            model_settings=self._model_settings or ModelSettings(),
            output_type=Proposals,
        )
        try:
            async with asyncio.timeout(self._timeout):
                run_config = RunConfig(tracing_disabled=True)  # the user's words are not ours to upload
                result = await Runner.run(agent, conversation, max_turns=1, run_config=run_config)
        except TimeoutError as error:
            raise ExtractionFailed(f"the model took longer than {self._timeout:g} s") from error
        except Exception as error:  # a model, its client and the SDK may raise anything
            raise ExtractionFailed(f"the model could not be asked: {type(error).__name__}") from error
        return result.final_output_as(Proposals).facts


def _conversation(
    chunk: Sequence[Message],
    numbered: dict[int, Message],
    handles: dict[str, Fact],
    earlier: Sequence[Message],
) -> str:
    """What the model reads: one JSON object a line, so that no text can pass for another message."""
    numbers = {message.position: number for number, message in numbered.items()}
    sections: dict[str, list[dict[str, object]]] = {
        "Known facts": [{"known": handle, "fact": fact.text} for handle, fact in handles.items()],
        "Earlier messages": [
            {"role": message.role, "text": _shown_text(message, learnable=False)} for message in earlier
        ],
        "New messages": [_shown(message, numbers.get(message.position)) for message in chunk],
    }
    return "\n".join(
        "\n".join([f"{title}:", *(json.dumps(line, ensure_ascii=False) for line in lines)])
        for title, lines in sections.items()
        if lines
    )


def _shown(message: Message, number: int | None) -> dict[str, object]:
    numbered = {} if number is None else {"message": number}
    return {**numbered, "role": message.role, "text": _shown_text(message, learnable=number is not None)}


def _shown_text(message: Message, *, learnable: bool) -> str:
    return message.text[: READ_CHARACTERS if learnable else CONTEXT_CHARACTERS]
