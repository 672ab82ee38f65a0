"""The pre-run hook: a filter before every model call, or dynamic instructions. Neither ever breaks a run."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from semantic_memory import context
from semantic_memory.blocks import Blocks
from semantic_memory.errors import MemoryUnavailable
from semantic_memory.settings import Placement

if TYPE_CHECKING:
    from agents import Agent, RunContextWrapper
    from agents.run_config import CallModelData, CallModelInputFilter, ModelInputData

log = logging.getLogger("semantic_memory")

WhichUser = Callable[[Any], str]  # your context object -> user id


class RecallForRun(Protocol):
    """What a hook asks of the memory; it is awaited on the run's own event loop."""

    async def __call__(
        self,
        user_id: str,
        question: str,
        *,
        earlier: Sequence[str],
        agent: str | None,
        labels: tuple[str, ...],
        required: bool,
    ) -> str:
        """The context block for a question."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """What both kinds of hook share: whose memory, how it is asked, and what happens when it fails."""

    recall: RecallForRun
    blocks: Blocks
    which_user: WhichUser
    labels: tuple[str, ...] = ()  # only facts that carry one of them; none: as the run says
    session_id: str | None = None  # for the receipt; None: as the run says
    required: bool = False

    async def block(self, run_context: Any, items: Sequence[Any], agent: str | None) -> str:
        """The context block for a model call; "" when anything goes wrong, unless it is required."""
        try:
            user_id = self.which_user(run_context)

            async def recalling(question: str, earlier: Sequence[str]) -> str:
                return await self.recall(
                    user_id, question, earlier=earlier, agent=agent, labels=self.labels, required=self.required
                )

            return await self.blocks.block(user_id, items, recalling, labels=self.labels, session_id=self.session_id)
        except MemoryUnavailable:
            if self.required:
                raise
            log.warning("memory is unavailable, the run goes on without it", exc_info=True)
        except Exception as error:
            if self.required:
                raise MemoryUnavailable(f"recall failed: {error}") from error
            log.exception("recall failed, the run goes on without memory")
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallHook:
    """A `RunConfig.call_model_input_filter` that adds the context block to what the model is told.

    It changes only the instructions (or, with `placement="input"`, adds one developer item before
    the last user item). A filter that you have already (`then_yours`) runs first, as it always did.
    """

    hook: Hook
    placement: Placement = "instructions"
    yours: CallModelInputFilter | None = None

    async def __call__(self, data: CallModelData[Any]) -> ModelInputData:
        """What to send to the model."""
        items = list(data.model_data.input)
        filtered = await self._yours(data)
        block = await self.hook.block(data.context, items, getattr(data.agent, "name", None))
        return self._with(filtered, block) if block else filtered

    async def _yours(self, data: CallModelData[Any]) -> ModelInputData:
        if self.yours is None:
            return data.model_data
        filtered = self.yours(data)
        return await filtered if inspect.isawaitable(filtered) else filtered

    def _with(self, filtered: ModelInputData, block: str) -> ModelInputData:
        if self.placement == "instructions":
            return replace(filtered, instructions=context.append(filtered.instructions, block))
        return replace(filtered, input=_before_the_question(filtered.input, block))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallInstructions:
    """Dynamic instructions for an `Agent`: the developer's own, and the context block behind them."""

    hook: Hook
    instructions: str | Callable[..., Any]

    async def __call__(self, run_context: RunContextWrapper[Any], agent: Agent[Any]) -> str:
        """The instructions for a model call."""
        own: Any = self.instructions
        if callable(own):
            own = own(run_context, agent)
            own = await own if inspect.isawaitable(own) else own
        block = await self.hook.block(run_context.context, run_context.turn_input, agent.name)
        return context.append(own, block) or ""


def _before_the_question(items: Sequence[Any], block: str) -> list[Any]:
    last = max((i for i, item in enumerate(items) if _is_user(item)), default=len(items))
    return [*items[:last], {"role": "developer", "content": block}, *items[last:]]


def _is_user(item: Any) -> bool:
    return isinstance(item, dict) and item.get("role") == "user"
