"""The commands that look: which facts, where they come from, what became of them, what an answer was told."""

from datetime import datetime
from typing import Annotated, get_args

import typer
from rich.text import Text

from semantic_memory import Fact, Health, SemanticMemory
from semantic_memory.facts import Origin, Status
from semantic_memory.frontends import checkup, lineages, pages
from semantic_memory.frontends.command import FactId, User, command, moment
from semantic_memory.frontends.conditions import CONDITIONS, fact_filter
from semantic_memory.frontends.desk import Desk
from semantic_memory.frontends.plain import printable

STATUSES, ORIGINS = (", ".join(get_args(choice)) for choice in (Status, Origin))


@command("facts")
async def facts(
    desk: Desk,
    user: User,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="FIELD=VALUE",
            help=f"{CONDITIONS}. May be repeated. Statuses: {STATUSES}, or any; active if none is named. "
            f"Origins: {ORIGINS}. Dates are UTC.",
        ),
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", metavar="DATE", parser=moment, help="Believed at that moment, whatever came later."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="At most so many.")] = None,
) -> None:
    """List a user's facts, the last said first.

    All conditions must hold.
    """
    wanted = fact_filter(where or ())
    async with desk.memory() as memory:
        found = await memory.user(user).facts(wanted, as_of=as_of, limit=limit)
    desk.answers(found, pages.facts_page(user, found))


@command("explain")
async def explain(desk: Desk, user: User, fact: FactId) -> None:
    """Show where a fact comes from.

    Who said it, in which words, what became of it, and the recalls that showed it.
    """
    async with desk.memory() as memory:
        explanation = await memory.user(user).explain(fact)
    desk.answer(explanation, lineages.explanation_page(explanation))


@command("show")
async def show(desk: Desk, user: User, fact: FactId) -> None:
    """The same as `explain`."""
    await explain(desk, user, fact)


@command("timeline")
async def timeline(
    desk: Desk,
    user: User,
    about: Annotated[
        str | None, typer.Option("--about", metavar="WORDS", help="Only what is about this, such as 'deploy target'.")
    ] = None,
) -> None:
    """Show how what is known came about.

    Each fact with those that it replaced: when, why, and from which words. ● holds, ○ is over.
    """
    async with desk.memory() as memory:
        found = await memory.user(user).timeline(about)
    desk.answers(found, lineages.timeline_page(user, found))


@command("receipts")
async def receipts(
    desk: Desk,
    user: User,
    fact: Annotated[str | None, typer.Option("--fact", metavar="FACT", help="Only recalls that showed it.")] = None,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="Only those of this run.")] = None,
    trace: Annotated[str | None, typer.Option("--trace", metavar="ID", help="Only those of this SDK trace.")] = None,
    session: Annotated[str | None, typer.Option("--session", metavar="ID", help="Only those in this session.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="At most so many.")] = 20,
) -> None:
    """List what was asked and what was shown, newest first."""
    async with desk.memory() as memory:
        found = await memory.user(user).receipts(
            fact_id=fact, run_id=run, trace_id=trace, session_id=session, limit=limit
        )
    desk.answers(found, pages.receipts_page(found))


@command("shown")
async def shown(
    desk: Desk,
    user: User,
    receipt: Annotated[
        str | None, typer.Argument(metavar="[RECEIPT]", help="A recall's id, as `receipts` shows it.")
    ] = None,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="All recalls of this run instead.")] = None,
) -> None:
    """Show what an answer was told, and the words that taught it."""
    if (receipt is None) == (run is None):
        raise typer.BadParameter("name a receipt, or a run with --run")
    async with desk.memory() as memory:
        found = await memory.user(user).shown(receipt_id=receipt, run_id=run)
    desk.answers(found, lineages.shown_page(found))


@command("users")
async def users(desk: Desk) -> None:
    """List the users who have a memory."""
    async with desk.memory() as memory:
        found = await memory.users()
    desk.answers(found, Text("\n".join(map(printable, found)) or "no users yet"))


@command("doctor")
async def doctor(
    desk: Desk,
    repair: Annotated[bool, typer.Option("--repair", help="Put right what can be put right.")] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Let the next `learn` try again what failed too often.")
    ] = False,
) -> None:
    """Look at everything that should agree, and say what doesn't.

    The exit code is 1 where something is wrong, after a repair where something still is.
    """
    async with desk.memory("examining") as memory:
        retried = await memory.retry_dead_letters() if retry else 0
        health = await memory.health(repair=repair)
        suspects = await _suspects(memory, health)
    desk.answer(health, checkup.health_page(health, suspects, retried=retried))
    if not health.sound:
        raise typer.Exit(1)


async def _suspects(memory: SemanticMemory, health: Health) -> dict[str, Fact]:
    """The facts that the page names, by id."""
    named = [(finding.user_id, finding.fact_ids[: checkup.FACTS_SHOWN]) for finding in checkup.told(health)]
    return {one: await memory.user(user).fact(one) for user, ids in named if user for one in ids}
