"""What can be said about one user, whichever way the memory is reached: here, or on a server.

The verbs that are put together from others stand here; `UserMemory` and `RemoteUser` bring the others.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from semantic_memory import running
from semantic_memory.errors import InvalidInput
from semantic_memory.facts import (
    Asked,
    CandidateFact,
    Certificate,
    Explanation,
    Fact,
    Learned,
    Message,
    Recall,
    Source,
)
from semantic_memory.hooks import RecallHook, RecallInstructions
from semantic_memory.identity import check_text
from semantic_memory.limits import LIMITS
from semantic_memory.reasons import Reason
from semantic_memory.settings import LearnMode, Placement, Settings
from semantic_memory.statements import check_labels, check_moment, check_source, check_source_name, check_turns
from semantic_memory.transcript import WHOLE, Part

if TYPE_CHECKING:
    from agents import Agent, FunctionTool, RunConfig, RunResult, RunResultBase, RunResultStreaming
    from agents.memory import Session
    from agents.run_config import CallModelInputFilter

    from semantic_memory.blocks import Run
    from semantic_memory.runs import Runs


class Learns(Protocol):
    """Who learns what a transcript says, and takes back what it taught; see `learning.Learner`."""

    async def known(self, user_id: str, source: Source) -> Any:
        """What was learned from a session so far."""
        ...

    async def learn(self, user_id: str, transcript: Sequence[Message], source: Source, *, gone: Any = ()) -> Learned:
        """Learn what is new, after taking back what is gone."""
        ...

    def popped_claims(self, known: Any, transcript: Sequence[Message], items: Sequence[Any]) -> Any:
        """What was certainly popped from a session."""
        ...

    def turn_claims(self, items: Sequence[Any], turn: Sequence[Any], part: Part = WHOLE) -> Any:
        """The messages of the last `turn` of `items`, which may be a part of a transcript."""
        ...

    async def take_back(self, user_id: str, source: Source, gone: Any, *, reason: str) -> Learned:
        """Retract what only the messages that are `gone` taught."""
        ...


class UserVerbs(ABC):
    """One user's facts, from wherever they are."""

    def __init__(self, memory: Runs, user_id: str) -> None:
        self._memory = memory
        self.user_id = user_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.user_id!r})"

    # ---- facts -------------------------------------------------------------------------------------

    async def remember(
        self,
        text: str,
        *,
        kind: str = "fact",
        subject: str | None = None,
        source: Source | None = None,
        said_at: datetime | None = None,
        valid_from: datetime | None = None,
        valid_to: datetime | None = None,
        labels: Sequence[str] = (),
        expires_at: datetime | None = None,
    ) -> Fact:
        """Keep a statement. The fact that now says it: a new one, or the known one that it repeats.

        It holds from `valid_from` to `valid_to` in the world; from `expires_at` on nobody cares any more, and it
        is never recalled. When this returns, the fact is durable and recallable. Raises `InvalidInput`,
        `SecretRefused`.
        """
        source = check_source(source or Source(origin="operator"))
        if labels or expires_at:
            source = replace(source, labels=(*source.labels, *check_labels(labels)), expires_at=expires_at)
        candidate = statement(
            text, kind=kind, subject=subject, said_at=said_at, valid_from=valid_from, valid_to=valid_to
        )
        return (await self.remember_all([candidate], source=source))[0]

    async def recall(
        self,
        query: str,
        *,
        limit: int | None = None,
        max_tokens: int | None = None,
        min_relevance: float | None = None,
        min_share: float | None = None,
        labels: Sequence[str] = (),
        as_of: datetime | None = None,
        earlier: Sequence[str] = (),
        source: str = "api",
    ) -> Recall:
        """The facts that help to answer `query`, best first; often none. `earlier` is what the user said before.

        Shown is what reaches `min_relevance` and `min_share` of the best fact's odds. By default both are
        calibrated; a `min_relevance` that is given stands alone, unless a `min_share` is given too. Raises
        `InvalidInput`.
        """
        given = {"limit": limit, "max_tokens": max_tokens, "min_relevance": min_relevance, "min_share": min_share}
        asked = self._asked(query, given, labels, as_of, earlier)
        return await self.ask(replace(asked, source=check_source_name(source)))

    async def why_not(
        self,
        fact_id: str,
        query: str,
        *,
        limit: int | None = None,
        max_tokens: int | None = None,
        min_relevance: float | None = None,
        min_share: float | None = None,
        labels: Sequence[str] = (),
        as_of: datetime | None = None,
        earlier: Sequence[str] = (),
    ) -> Reason:
        """What that very recall makes of one fact, whatever its status: what stops it, or that it is shown.

        Leaves no receipt. Raises `NotFound`, `InvalidInput`.
        """
        given = {"limit": limit, "max_tokens": max_tokens, "min_relevance": min_relevance, "min_share": min_share}
        return await self.ask_why_not(fact_id, self._asked(query, given, labels, as_of, earlier))

    def _asked(
        self,
        query: str,
        given: Mapping[str, float | None],
        labels: Sequence[str],
        as_of: datetime | None,
        earlier: Sequence[str],
    ) -> Asked:
        """A question with the settings' limits, where no others are given."""
        check_moment("as_of", as_of)
        limits: dict[str, Any] = {name: getattr(self.settings, name) for name in LIMITS}
        limits |= {name: limit for name, limit in given.items() if limit is not None}
        text = check_text(query, most=None)
        return Asked(text=text, labels=check_labels(labels), as_of=as_of, earlier=check_turns(earlier), **limits)

    async def reinstate(self, fact_id: str, *, reason: str | None = None) -> Fact:
        """Believe again what was superseded, taken back, kept aside or expired: the fact that says so now.

        Where another one has taken its place, that one is superseded. Raises `InvalidInput` for a fact whose words
        are gone.
        """
        why = await self.explain(fact_id)
        fact, last = why.fact, why.chain[-1]
        if fact.status == "active":
            return fact
        if fact.status == "forgotten":
            raise InvalidInput("its words are gone: what was forgotten can't be believed again")
        if last.status == "active":
            return await self.correct(last.id, fact.text, reason=reason)
        source = Source(origin="operator", reason=reason, labels=fact.labels)
        return await self.remember(fact.text, kind=fact.kind, subject=fact.subject, source=source)

    async def erase(self, *, sessions: Sequence[Session] = ()) -> Certificate:
        """Remove everything about this user, from every file. Sessions that are passed are cleared too.

        Keyed hashes of what was learned stay, so that a transcript kept elsewhere teaches nothing again.
        """
        for session in sessions:
            await session.clear_session()
        certificate = await self._erase()
        cleared = {session.session_id for session in sessions}
        kept = tuple(one for one in certificate.transcripts if one not in cleared)
        return replace(certificate, transcripts=kept)

    # ---- conversations -----------------------------------------------------------------------------

    async def learn(
        self,
        session: Session | None = None,
        *,
        result: RunResultBase | None = None,
        given: str | Sequence[Any] = (),
        labels: Sequence[str] = (),
    ) -> Learned:
        """Learn what is new in a session, and in a run's own messages where its `result` is given.

        Exactly once per message, however often and from however many processes it is called.
        """
        if session is None and result is None:
            raise InvalidInput("learn from a session, from the result of a run, or from both")
        return await running.learn(self, session, result=result, given=given, labels=check_labels(labels))

    async def rewind(self, session: Session) -> Learned:
        """Take the last turn back: pop its items from the session, and retract what only it taught.

        The turn begins with its whole input, however many items that was; an input before it that nobody answered
        counts as part of it, because a session doesn't tell them apart. Waits for what `run` is still learning from
        the session in the background.
        """
        return await running.rewind(self, session)

    async def run(
        self,
        agent: Agent[Any],
        input: Any,  # noqa: A002 - the SDK's own name
        *,
        session: Session | None = None,
        run_config: RunConfig | None = None,
        learn: LearnMode | None = None,
        labels: Sequence[str] = (),
        required: bool = False,
        **runner: Any,
    ) -> RunResult:
        """Recall, `Runner.run`, learn: the one call. `runner` goes to `Runner.run` as it is.

        `learn`: after the run in the "background" (the default; closing the memory waits for it),
        "wait" for it, or "off". `labels`: only facts that carry one of them are recalled, also by the tools,
        and what is learned carries them.
        """
        config = self.run_config(run_config, required=required)
        return await running.run(self, agent, input, session, config, learn, check_labels(labels), runner)

    def run_streamed(
        self,
        agent: Agent[Any],
        input: Any,  # noqa: A002 - the SDK's own name
        *,
        session: Session | None = None,
        run_config: RunConfig | None = None,
        learn: LearnMode | None = None,
        labels: Sequence[str] = (),
        required: bool = False,
        **runner: Any,
    ) -> RunResultStreaming:
        """Recall, `Runner.run_streamed`, and learn in the background when the stream has ended."""
        config = self.run_config(run_config, required=required)
        return running.run_streamed(self, agent, input, session, config, learn, check_labels(labels), runner)

    def recall_hook(
        self,
        *,
        then: CallModelInputFilter | None = None,
        placement: Placement | None = None,
        labels: Sequence[str] = (),
        required: bool = False,
        session: Session | str | None = None,
    ) -> RecallHook:
        """A `call_model_input_filter` for this user's runs; see `SemanticMemory.recall_hook`."""
        return self._memory.recall_hook(
            user=self._always, then=then, placement=placement, labels=labels, required=required, session=session
        )

    def run_config(
        self,
        base: RunConfig | None = None,
        *,
        labels: Sequence[str] = (),
        required: bool = False,
        session: Session | str | None = None,
    ) -> RunConfig:
        """A run configuration for this user: `base` with the recall hook behind its own filter."""
        return self._memory.run_config(base, user=self._always, labels=labels, required=required, session=session)

    def instructions(
        self,
        instructions: str | Callable[..., Any] = "",
        *,
        labels: Sequence[str] = (),
        required: bool = False,
        session: Session | str | None = None,
    ) -> RecallInstructions:
        """Dynamic instructions for an `Agent` that serves this user."""
        return self._memory.instructions(
            instructions, user=self._always, labels=labels, required=required, session=session
        )

    def tools(self, *, labels: Sequence[str] = ()) -> list[FunctionTool]:
        """Function tools `remember`, `recall`, `correct` and `forget` for this user."""
        return self._memory.tools(user=self._always, labels=labels)

    # ---- what is brought by those who know where the facts are ------------------------------------------

    @property
    @abstractmethod
    def settings(self) -> Settings:
        """How the memory was opened."""

    @property
    @abstractmethod
    def learner(self) -> Learns:
        """The memory's learn pass."""

    @abstractmethod
    async def remember_all(
        self, statements: Sequence[str | CandidateFact], *, source: Source | None = None
    ) -> list[Fact]:
        """Keep many statements; the facts that now say them, in their order."""

    @abstractmethod
    async def remember_quoted(self, text: str, quote: str, said: Message | None, source: Source) -> Fact:
        """Keep what an agent says the user said; `said` is the user's message that holds the quote."""

    @abstractmethod
    async def correct_quoted(self, fact_id: str, text: str, quote: str, said: Message, source: Source) -> Fact:
        """Replace a fact by what an agent says the user said; `said` is the user's message that holds the quote."""

    @abstractmethod
    async def ask(self, asked: Asked) -> Recall:
        """A recall with everything about it said."""

    @abstractmethod
    async def ask_why_not(self, fact_id: str, asked: Asked) -> Reason:
        """What a recall with everything about it said makes of one fact."""

    @abstractmethod
    async def fact(self, fact_id: str) -> Fact:
        """One fact, whatever its status."""

    @abstractmethod
    async def explain(self, fact_id: str) -> Explanation:
        """Why a fact is believed."""

    @abstractmethod
    async def correct(self, fact_id: str, text: str, *, reason: str | None = None) -> Fact:
        """Replace a fact by a newer statement."""

    @abstractmethod
    async def forget(self, fact_id: str, *, reason: str | None = None) -> None:
        """Blank a fact for good."""

    @abstractmethod
    async def _erase(self) -> Certificate:
        """Remove everything about this user."""

    @abstractmethod
    def new_id(self) -> str:
        """A new id for a run."""

    @abstractmethod
    def source(self, session_id: str | None, **known: Any) -> Source:
        """Evidence for what a session says."""

    @abstractmethod
    def note_degraded(self, asked: Asked, reason: str, latency_ms: float) -> None:
        """Leave a record of a recall that gave no answer."""

    def in_background(self, task: asyncio.Task[Any], run: Run) -> None:
        """Keep the learn pass behind a run until it is done; closing the memory waits for it."""
        self._memory._in_background(task, self.user_id, run)

    async def learned(self, session_id: str) -> None:
        """Wait for what is still being learned in the background from the runs of a session."""
        await self._memory._learned(self.user_id, session_id)

    def _always(self, _context: object) -> str:
        return self.user_id


def statement(given: str | CandidateFact, **fields: Any) -> CandidateFact:
    """What a caller wants to have kept, as a candidate."""
    if isinstance(given, CandidateFact):
        return given
    text = check_text(given)
    return CandidateFact(text=text, position=0, quote=text, **fields)
