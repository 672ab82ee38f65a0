"""The SDK integration of a memory: hooks, dynamic instructions, tools, and the learn passes behind runs."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from semantic_memory import running
from semantic_memory.blocks import Blocks, Run, current_run
from semantic_memory.hooks import Hook, RecallHook, RecallInstructions, WhichUser
from semantic_memory.settings import Placement, Settings
from semantic_memory.statements import check_labels

if TYPE_CHECKING:
    from agents import FunctionTool, RunConfig
    from agents.memory import Session
    from agents.run_config import CallModelInputFilter

    from semantic_memory.verbs import UserVerbs


ASK_AGAIN = 0.01  # seconds


@dataclass(frozen=True, slots=True)
class Behind:
    """Whose run a learn pass in the background is behind."""

    user_id: str
    run: Run


class Runs(ABC):
    """A memory of many users, as far as runs of agents use it."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._learning: dict[asyncio.Task[Any], Behind] = {}

    @property
    @abstractmethod
    def settings(self) -> Settings:
        """How this memory was opened."""

    @abstractmethod
    def user(self, user_id: str) -> UserVerbs:
        """One user's memory."""

    def recall_hook(
        self,
        *,
        user: WhichUser,
        then: CallModelInputFilter | None = None,
        placement: Placement | None = None,
        labels: Sequence[str] = (),
        required: bool = False,
        session: Session | str | None = None,
    ) -> RecallHook:
        """A `call_model_input_filter`; `user` tells the user id from your context object.

        With `labels`, here as below, only facts that carry one of them are recalled. `session`, one of the SDK's or
        its id, is what the receipts of its runs name: a hook is not told it.
        """
        hook = self._hook(user, labels, required, session)
        return RecallHook(hook=hook, placement=placement or self.settings.placement, yours=then)

    def run_config(
        self,
        base: RunConfig | None = None,
        *,
        user: WhichUser,
        labels: Sequence[str] = (),
        required: bool = False,
        session: Session | str | None = None,
    ) -> RunConfig:
        """A run configuration for many users: `base` with the recall hook behind its own filter."""
        from agents import RunConfig

        base = base or RunConfig()
        then = base.call_model_input_filter
        hook = self.recall_hook(user=user, then=then, labels=labels, required=required, session=session)
        return replace(base, call_model_input_filter=hook)

    def instructions(
        self,
        instructions: str | Callable[..., Any] = "",
        *,
        user: WhichUser,
        labels: Sequence[str] = (),
        required: bool = False,
        session: Session | str | None = None,
    ) -> RecallInstructions:
        """Dynamic instructions for an `Agent`: yours, and the context block behind them."""
        return RecallInstructions(hook=self._hook(user, labels, required, session), instructions=instructions)

    def tools(self, *, user: WhichUser, labels: Sequence[str] = ()) -> list[FunctionTool]:
        """Function tools `remember`, `recall`, `correct` and `forget` for the user that your context names.

        What they keep carries the `labels` too.
        """
        from semantic_memory.tools import memory_tools

        return memory_tools(lambda context: self.user(user(context)), labels=check_labels(labels))

    def _hook(self, user: WhichUser, labels: Sequence[str], required: bool, session: Session | str | None) -> Hook:
        async def recall(
            user_id: str,
            question: str,
            *,
            earlier: Sequence[str],
            agent: str | None,
            labels: tuple[str, ...],
            required: bool,
        ) -> str:
            asked = running.asked_by_hook(self.settings, question, earlier, agent, labels=labels)
            return await running.recall_in_time(self.user(user_id), asked, required=required)

        return Hook(
            recall=recall,
            blocks=self._blocks,
            which_user=user,
            labels=check_labels(labels),
            session_id=session if isinstance(session, str) else getattr(session, "session_id", None),
            required=required,
        )

    async def _drain(self) -> None:
        """Wait for the learn passes that runs began in the background."""
        here = asyncio.get_running_loop()
        await asyncio.gather(
            *(task for task in list(self._learning) if task.get_loop() is here), return_exceptions=True
        )

    async def _learned(self, user_id: str, session_id: str) -> None:
        """Wait for the learn passes behind the runs of a session; inside one of them, not for its own.

        They are asked, not waited for: they may go on on another event loop.
        """
        while self._being_learned(user_id, session_id):  # noqa: ASYNC110
            await asyncio.sleep(ASK_AGAIN)

    def _being_learned(self, user_id: str, session_id: str) -> bool:
        inside = current_run.get()
        return any(
            behind.user_id == user_id and behind.run.session_id == session_id and behind.run is not inside
            for task, behind in list(self._learning.items())
            if not task.get_loop().is_closed()
        )

    def _in_background(self, task: asyncio.Task[Any], user_id: str, run: Run) -> None:
        self._learning[task] = Behind(user_id, run)
        task.add_done_callback(lambda done: self._learning.pop(done, None))
