"""Around a run: recall before it, learn after it, and never in its way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from semantic_memory.blocks import Run, current_run, current_trace, enter, this_run
from semantic_memory.errors import MemoryUnavailable
from semantic_memory.facts import Asked, Learned
from semantic_memory.patience import in_time
from semantic_memory.settings import LearnMode, Settings
from semantic_memory.transcript import WHOLE, Items, Part, clean, last_turn, merged, messages, run_messages

if TYPE_CHECKING:
    from agents import Agent, RunConfig, RunResult, RunResultBase, RunResultStreaming
    from agents.memory import Session

    from semantic_memory.verbs import UserVerbs

log = logging.getLogger("semantic_memory")
EVERYTHING = 2**31 - 1  # get_items(limit=None) obeys the session's own limit; a number doesn't
LONGEST_QUERY = 8000  # characters of a user's message that a recall looks at
EARLIER_TURNS = 4


# ---- before ----------------------------------------------------------------------------------------


def asked_by_hook(
    settings: Settings, question: str, earlier: Sequence[str], agent: str | None, *, labels: tuple[str, ...] = ()
) -> Asked:
    """The recall that a hook makes for a model call."""
    earlier = tuple(turn[:LONGEST_QUERY] for turn in earlier[-EARLIER_TURNS:])
    asked = asked_in_run(settings, question, agent, source="hook", labels=labels)
    return replace(asked, earlier=earlier, within=settings.deadline)


def asked_in_run(
    settings: Settings, question: str, agent: str | None, *, source: str, labels: tuple[str, ...] = ()
) -> Asked:
    """A recall on behalf of the run that goes on here, with its labels unless others are given."""
    run, (_, trace_id) = this_run(), current_trace()
    return Asked(
        text=clean(question)[:LONGEST_QUERY],
        limit=settings.limit,
        max_tokens=settings.max_tokens,
        min_relevance=settings.min_relevance,
        min_share=settings.min_share,
        labels=labels or (run.labels if run else ()),
        source=source,
        run_id=run.id if run else None,
        trace_id=trace_id,
        session_id=run.session_id if run else None,
        agent=agent,
    )


async def recall_in_time(user: UserVerbs, asked: Asked, *, required: bool) -> str:
    """The context block, or "" once the deadline is over; with `required`, `MemoryUnavailable` then."""
    began = time.perf_counter()
    with span("memory.recall") as seen:
        try:
            recall = await in_time(user.ask(asked), asked.within)
        except Exception as error:
            reason = _reason(error, asked)
            seen["degraded"] = reason
            user.note_degraded(asked, reason, (time.perf_counter() - began) * 1000)
            if required:
                raise MemoryUnavailable(reason) from error
            log.warning("the run goes on without memory: %s", reason)
            return ""
        seen |= {"facts": len(recall.facts), "receipt": recall.receipt_id, "answered_by": recall.answered_by}
        if recall.degraded:
            seen["degraded"] = recall.degraded
            log.warning("memory is degraded: %s", recall.degraded)
            if required:
                raise MemoryUnavailable(recall.degraded)
        return recall.context


def _reason(error: Exception, asked: Asked) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {asked.within} s"
    return f"{type(error).__name__}: {error}"


# ---- the run ---------------------------------------------------------------------------------------


async def run(
    user: UserVerbs,
    agent: Agent[Any],
    given: Any,
    session: Session | None,
    run_config: RunConfig,
    learn_mode: LearnMode | None,
    labels: tuple[str, ...],
    runner: dict[str, Any],
) -> RunResult:
    """`Runner.run` between recall and learn."""
    from agents import Runner

    mode = _mode(user, learn_mode)
    with _this_run(user, session, labels) as this:
        try:
            result = await Runner.run(agent, given, session=session, run_config=run_config, **runner)
        finally:
            this.over = True
    if mode != "off" and not result.interruptions:  # an interrupted run is learned when it was resumed
        work = _learn_quietly(user, session, result, given, this)
        if mode == "wait":
            await work
        else:
            user.in_background(asyncio.ensure_future(work), this)
    return result


def run_streamed(
    user: UserVerbs,
    agent: Agent[Any],
    given: Any,
    session: Session | None,
    run_config: RunConfig,
    learn_mode: LearnMode | None,
    labels: tuple[str, ...],
    runner: dict[str, Any],
) -> RunResultStreaming:
    """`Runner.run_streamed` between recall and, once the stream has ended, learn."""
    from agents import Runner

    mode = _mode(user, learn_mode)
    with _this_run(user, session, labels) as this:
        result = Runner.run_streamed(agent, given, session=session, run_config=run_config, **runner)
    if result.run_loop_task is not None:
        result.run_loop_task.add_done_callback(lambda _: setattr(this, "over", True))
    if mode != "off":
        user.in_background(asyncio.ensure_future(_learn_after_stream(user, session, result, given, this)), this)
    return result


def _mode(user: UserVerbs, given: LearnMode | None) -> LearnMode:
    """What to do after a run; refused before it where it's none of these."""
    return user.settings.learn if given is None else replace(user.settings, learn=given).learn


@contextlib.contextmanager
def _this_run(user: UserVerbs, session: Session | None, labels: tuple[str, ...]) -> Iterator[Run]:
    """Tell what happens inside which run it belongs to; nothing of it stays behind."""
    this = Run(id=user.new_id(), session_id=getattr(session, "session_id", None), labels=labels)
    token = enter(this)
    try:
        yield this
    finally:
        current_run.reset(token)


# ---- after -----------------------------------------------------------------------------------------


async def read_items(session: Session) -> list[Any]:
    """Every item of a session, whatever its own limit; to be awaited on the session's event loop."""
    return list(await session.get_items(limit=EVERYTHING))


async def learn(
    user: UserVerbs,
    session: Session | None,
    *,
    result: RunResultBase | None,
    given: Items = (),
    labels: tuple[str, ...] = (),
    this: Run | None = None,
) -> Learned:
    """One learn pass over a session and, where it is at hand, over the messages of a run."""
    with span("memory.learn", parent=this.trace if this else None) as seen:
        source = user.source(
            getattr(session, "session_id", None),
            agent=_agent_name(result),
            run_id=this.id if this else None,
            trace_id=_trace_id(this),
            labels=labels,
        )
        known = await user.learner.known(user.user_id, source) if session is not None else ()
        items = await read_items(session) if session is not None else []
        transcript = merged(messages(items), run_messages(result, given=given) if result is not None else [])
        gone = user.learner.popped_claims(known, transcript, items)
        learned = await user.learner.learn(user.user_id, transcript, source, gone=gone)
        seen |= {"messages": learned.messages, "facts": len(learned.written)}
        if learned.failed:
            seen["failed"] = learned.failed
        return learned


async def learn_items(
    user: UserVerbs, items: Items, session_id: str | None, known: Mapping[str, Any], part: Part = WHOLE
) -> Learned:
    """One learn pass over the items of a conversation that somebody else keeps."""
    with span("memory.learn") as seen:
        learned = await user.learner.learn(user.user_id, messages(items, part), user.source(session_id, **known))
        seen |= {"messages": learned.messages, "facts": len(learned.written)}
        return learned


async def rewind(user: UserVerbs, session: Session) -> Learned:
    """Pop the last turn of a session and take back what only it taught."""
    await user.learned(session.session_id)  # a pass that knows the turn already would teach it afterwards
    items = await read_items(session)
    turn = last_turn(items)
    for _ in turn:
        await session.pop_item()
    return await take_back(user, items, session.session_id, start=len(items) - len(turn))


async def take_back(
    user: UserVerbs, items: Sequence[Any], session_id: str | None, *, start: int, part: Part = WHOLE
) -> Learned:
    """Retract what only the items from `start` on taught."""
    claims, source = user.learner.turn_claims(items, items[start:], part), user.source(session_id)
    return await user.learner.take_back(user.user_id, source, claims, reason="its turn was taken back")


async def _learn_quietly(
    user: UserVerbs, session: Session | None, result: RunResultBase, given: Any, this: Run
) -> None:
    """A learn pass that tells the log, and nobody else, that it failed: the next one makes up for it."""
    try:
        await learn(user, session, result=result, given=_as_items(given), labels=this.labels, this=this)
    except Exception:
        log.exception("learning failed; the next pass over this session makes up for it")


async def _learn_after_stream(
    user: UserVerbs, session: Session | None, result: RunResultStreaming, given: Any, this: Run
) -> None:
    task = result.run_loop_task
    if task is not None:
        await asyncio.wait({task})
        if task.cancelled() or task.exception() is not None:
            return
    if not result.interruptions:
        await _learn_quietly(user, session, result, given, this)


@contextlib.contextmanager
def span(name: str, *, parent: Any = None) -> Iterator[dict[str, Any]]:
    """A custom span in the run's trace, where there is one; what is put into the dict is its data.

    Counts and ids only: what a user said stays out of traces.
    """
    data: dict[str, Any] = {}
    if parent is None and current_trace()[0] is None:
        yield data
        return
    from agents.tracing import custom_span

    with custom_span(name, parent=parent) as live:
        try:
            yield data
        finally:
            live.span_data.data.update(data)


def _as_items(given: Any) -> Items:
    return given if isinstance(given, str | list) else ()  # a RunState carries its input itself


def _agent_name(result: RunResultBase | None) -> str | None:
    return getattr(getattr(result, "last_agent", None), "name", None)


def _trace_id(this: Run | None) -> str | None:
    if this is not None and this.trace is not None:
        return str(this.trace.trace_id)
    return current_trace()[1]
