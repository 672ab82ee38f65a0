"""Function tools for the agent: bound to a user by the program, and writing only in the user's own words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agents.tool_context import ToolContext  # at run time: the SDK reads the annotations of the tools

from semantic_memory.blocks import current_trace, this_run, words_of_the_user
from semantic_memory.errors import NotFound, SemanticMemoryError
from semantic_memory.facts import Fact, Message, Source
from semantic_memory.identity import check_text
from semantic_memory.reconcile import walled_off
from semantic_memory.running import asked_in_run
from semantic_memory.transcript import messages
from semantic_memory.vouching import asking_to_forget, vouching

if TYPE_CHECKING:
    from agents import FunctionTool

    from semantic_memory.verbs import UserVerbs

WhoseMemory = Callable[[Any], "UserVerbs"]  # your context object -> the user's memory

NOT_SAID = "refused: the user has not said this in this conversation, or not in so many words"
SAID_SO = "the user said so"  # what they said is the evidence
ASIDE = "kept aside: the user has not said this, or not in so many words"


def memory_tools(whose: WhoseMemory, *, labels: tuple[str, ...] = ()) -> list[FunctionTool]:
    """`remember`, `recall`, `correct` and `forget` for the user whom `whose` finds in the run's context.

    The writing ones take the user's own words as `quote`. Where no user message of this run holds them, or these
    words don't carry what the agent wants, it may come from a poisoned page: then `remember` keeps it in quarantine,
    and `correct` and `forget` refuse. See `vouching`. `labels` go for what is recalled and kept.
    """
    from agents import function_tool

    @function_tool(failure_error_function=_explained)
    async def remember(context: ToolContext[Any], statement: str, quote: str) -> str:
        """Keep a lasting fact about the user for later conversations.

        Args:
            statement: The fact as one sentence that stands alone, such as "The deploy target is Hetzner".
                In the user's own language, words, names and numbers.
            quote: The exact words of the user that say so.
        """
        said = _vouching(context, quote, statement)
        source = _source(context, labels, "remember")
        fact = await whose(context.context).remember_quoted(statement, quote, said, source)
        kept = {"fact": fact.id, "status": fact.status, "text": fact.text}
        return _answer(kept if said else kept | {"note": ASIDE})

    @function_tool(failure_error_function=_explained)
    async def recall(context: ToolContext[Any], query: str) -> str:
        """Look up what is known about the user.

        Args:
            query: What you want to know, as a question or in a few words.
        """
        user, agent = whose(context.context), getattr(context, "agent", None)
        question = check_text(query, most=None)
        asked = asked_in_run(user.settings, question, getattr(agent, "name", None), source="tool", labels=labels)
        found = await user.ask(asked)
        return found.context or "nothing relevant is known"

    @function_tool(failure_error_function=_explained)
    async def correct(context: ToolContext[Any], fact_id: str, statement: str, quote: str) -> str:
        """Replace a known fact, because the user said that it is wrong or out of date.

        Args:
            fact_id: The id of the fact, as recall shows it.
            statement: The fact as it is now, as one sentence that stands alone.
                In the user's own language, words, names and numbers.
            quote: The exact words of the user that say so.
        """
        user, source = whose(context.context), _source(context, labels, "correct", reason=SAID_SO)
        old = await _in_sight(user, fact_id, source.labels)
        said = _vouching(context, quote, statement, known=old.text)
        if said is None:
            return NOT_SAID
        fact = await user.correct_quoted(old.id, statement, quote, said, source)
        return _answer({"fact": fact.id, "text": fact.text, "replaces": fact_id})

    @function_tool(failure_error_function=_explained)
    async def forget(context: ToolContext[Any], fact_id: str, quote: str) -> str:
        """Delete a known fact for good, because the user asked for it.

        Args:
            fact_id: The id of the fact, as recall shows it.
            quote: The exact words of the user that ask for it.
        """
        user = whose(context.context)
        fact = await _in_sight(user, fact_id, _or_of_the_run(labels))
        if asking_to_forget(quote, fact.text, words_of_the_user(context.turn_input)) is None:
            return NOT_SAID
        await user.forget(fact_id, reason="the user asked for it")
        return _answer({"forgotten": fact_id})

    return [remember, recall, correct, forget]


def _vouching(context: ToolContext[Any], quote: str, statement: str, *, known: str = "") -> Message | None:
    """The user's message in this run that carries the statement."""
    said, conversation = words_of_the_user(context.turn_input), messages(context.turn_input)
    return vouching(quote, statement, said, conversation=conversation, known=known)


async def _in_sight(user: UserVerbs, fact_id: str, labels: tuple[str, ...]) -> Fact:
    """A fact that a recall in this run could show; any other is one that isn't there. Raises `NotFound`."""
    fact = await user.fact(fact_id)
    if walled_off(labels, fact.labels):
        raise NotFound(f"there is no fact {fact_id} for this user")
    return fact


def _source(context: ToolContext[Any], labels: tuple[str, ...], tool: str, *, reason: str | None = None) -> Source:
    agent = getattr(context, "agent", None)
    run = this_run()
    return Source(
        agent=getattr(agent, "name", None),
        extractor=f"tool/{tool}",
        reason=reason,
        session_id=run.session_id if run else None,
        run_id=run.id if run else None,
        trace_id=current_trace()[1],
        labels=_or_of_the_run(labels),
    )


def _or_of_the_run(labels: tuple[str, ...]) -> tuple[str, ...]:
    run = this_run()
    return labels or (run.labels if run else ())


def _explained(_context: Any, error: Exception) -> str:
    if isinstance(error, SemanticMemoryError):
        return f"refused: {error}"
    return f"memory failed ({type(error).__name__}); go on without it"


def _answer(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False)
