"""One context block per run: which run a model call belongs to, and what the user said in it.

The SDK tells a filter neither which run a model call belongs to nor when a run ends. But it keeps a span for
each run and for each agent at work, with tracing switched off too, and every call, tool and instruction is
made inside of them. So the spans around a call name its run, and the runs around that one: the input of an
agent used as a tool was written by a model, and stands inside another agent's.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any
from weakref import WeakKeyDictionary

from semantic_memory.facts import Message
from semantic_memory.transcript import messages, query_text

KEPT = 1024  # blocks by their input; a run that is resumed behind so many others recalls once more

Recalling = Callable[[str, Sequence[str]], Awaitable[str]]  # question and the user's turns before it -> block


@dataclass(slots=True, eq=False)
class Run:
    """One run as far as the memory knows it."""

    id: str | None = None  # of `UserMemory.run`; None for a plain Runner call
    session_id: str | None = None
    labels: tuple[str, ...] = ()  # of what is recalled in it and learned from it
    trace: Any = None  # the SDK's trace, once a model call has shown it
    began_in: Any = None  # the SDK's span that was current before it
    over: bool = False
    said: tuple[Message, ...] = ()  # the user's own messages in its input, once a model call has shown it
    blocks: dict[Key, Block] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Block:
    """What was recalled for a run, and the question it was recalled for."""

    user_id: str
    question: str
    before: tuple[str, ...]
    text: str
    drops: int  # of the user when it was recalled


Key = tuple["Blocks", str, tuple[str, ...]]  # whose, and with which labels

current_run: ContextVar[Run | None] = ContextVar("semantic_memory_run", default=None)
_plain_runs: WeakKeyDictionary[Any, Run] = WeakKeyDictionary()  # by their span


class Blocks:
    """The blocks of the runs that go on, and the last ones by their input, for runs that are resumed."""

    def __init__(self) -> None:
        self._by_input: OrderedDict[tuple[str, str, tuple[str, ...]], Block] = OrderedDict()
        self._drops: Counter[str] = Counter()

    def drop(self, user_id: str) -> None:
        """Forget what was recalled for a user; runs that go on recall again."""
        self._drops[user_id] += 1  # a block may be in the hands of a run, or on its way
        for key in [key for key in list(self._by_input) if key[0] == user_id]:
            self._by_input.pop(key, None)

    async def block(
        self,
        user_id: str,
        items: Sequence[Any],
        recalling: Recalling,
        *,
        labels: tuple[str, ...] = (),
        session_id: str | None = None,
    ) -> str:
        """The block for a model call with this input: recalled, or the one this run has already."""
        runs = runs_here()
        if runs:
            _tell(runs, items, session_id)
        key = (self, user_id, labels or (runs[0].labels if runs else ()))
        known = next((run.blocks[key] for run in runs if key in run.blocks), None)
        found = known or await self._by_its_input(key, items, recalling)
        if runs:
            found = runs[-1].blocks.setdefault(key, found)
        return await self._text(found, recalling)

    async def _by_its_input(self, key: Key, items: Sequence[Any], recalling: Recalling) -> Block:
        """The block of a run that is resumed, whose input goes on behind the question; otherwise a new one."""
        _, user_id, labels = key
        place = (user_id, _digest_to_question(items), labels)
        known = self._by_input.get(place) if _goes_on(items) else None
        self._by_input[place] = block = known or await self._recalled(user_id, items, recalling)
        self._by_input.move_to_end(place)
        if len(self._by_input) > KEPT:
            self._by_input.popitem(last=False)
        return block

    async def _recalled(self, user_id: str, items: Sequence[Any], recalling: Recalling) -> Block:
        drops, (question, earlier) = self._drops[user_id], query_text(items)
        before = tuple(message.text for message in earlier if message.role == "user")
        text = await recalling(question, before) if question else ""
        return Block(user_id, question, before, text, drops)

    async def _text(self, block: Block, recalling: Recalling) -> str:
        """The block's text; recalled again where something was forgotten since."""
        while block.question and block.drops != self._drops[block.user_id]:
            block.text, block.drops = "", self._drops[block.user_id]
            block.text = await recalling(block.question, block.before)
        return block.text


def runs_here() -> list[Run]:
    """The run that this code works for, last, and before it those that it works inside of, outermost first."""
    mine = current_run.get()
    mine = None if mine is None or mine.over else mine
    found = [_plain_runs.setdefault(span, Run()) for span in _run_spans(until=mine and mine.began_in)][::-1]
    return found if mine is None else [mine, *found[1:]]


def this_run() -> Run | None:
    """The run that the user began and this code works for."""
    runs = runs_here()
    return runs[0] if runs else None


def enter(run: Run) -> Token[Run | None]:
    """Make what happens from here on part of a run, and of none around it."""
    from agents.tracing import get_current_span

    run.began_in = get_current_span()
    return current_run.set(run)


def current_trace() -> tuple[Any, str | None]:
    """The SDK's trace that this code runs in, and its id; (None, None) where nothing is traced."""
    from agents.tracing import get_current_trace

    trace = get_current_trace()
    if trace is None or trace.trace_id == "no-op":
        return None, None
    return trace, trace.trace_id


def words_of_the_user(items: Sequence[Any]) -> tuple[Message, ...]:
    """The user's messages in this run; inside an agent used as a tool, those known to be theirs outside."""
    runs = runs_here()
    if len(runs) > 1:
        return runs[0].said  # the input here was written by a model
    said = runs[0].said if runs else ()
    return tuple({message.digest: message for message in (*_said(items), *said)}.values())


def _tell(runs: Sequence[Run], items: Sequence[Any], session_id: str | None) -> None:
    """Note on the outermost run what a model call shows of it."""
    outermost, (trace, _) = runs[0], current_trace()
    outermost.trace = trace or outermost.trace
    outermost.session_id = outermost.session_id or session_id
    if len(runs) == 1:
        outermost.said = outermost.said or _said(items)


def _said(items: Sequence[Any]) -> tuple[Message, ...]:
    return tuple(message for message in messages(items) if message.role == "user")


def _run_spans(*, until: Any) -> Iterator[Any]:
    """The spans that stand for the runs around this code, innermost first: a run's own, or its agent's.

    The SDK can be told to leave out the spans of runs.
    """
    spans = list(_spans(until))
    for span, above in zip_longest(spans, spans[1:]):
        if _kind(span) == "agent":
            yield above if _kind(above) == "task" else span
    if spans and not hasattr(spans[-1], "_prev_span_token"):
        yield spans[-1]  # it doesn't tell what is around it: nothing must pass for the user's words


def _spans(until: Any) -> Iterator[Any]:
    """The open spans around this code, innermost first, as far as `until`.

    An untraced span knows no parent. What the SDK resets at its end does tell it, traced or not.
    """
    from agents.tracing import get_current_span

    span: Any = get_current_span()
    while span is not None and span is not until and span is not Token.MISSING:
        yield span
        span = getattr(getattr(span, "_prev_span_token", None), "old_value", None)


def _kind(span: Any) -> str | None:
    return getattr(getattr(span, "span_data", None), "type", None)


def _last_question(items: Sequence[Any]) -> int:
    users = [i for i, item in enumerate(items) if isinstance(item, dict) and item.get("role") == "user"]
    return users[-1] if users else -1


def _goes_on(items: Sequence[Any]) -> bool:
    """Whether an agent has done something behind the question already."""
    behind = items[_last_question(items) + 1 :]
    return any(not isinstance(item, dict) or item.get("role") not in ("system", "developer") for item in behind)


def _digest_to_question(items: Sequence[Any]) -> str:
    digest = hashlib.sha256()
    for message in messages(list(items)[: _last_question(items) + 1]):
        digest.update(message.digest.encode())
    return digest.hexdigest()
