"""The commands that look: which facts, where they come from, what became of them, what an answer was told."""

from datetime import datetime
from typing import Annotated, Literal, get_args

import typer
from rich.text import Text

from semantic_memory import Fact, FactFilter, Health, SemanticMemory
from semantic_memory.facts import Origin, Status
from semantic_memory.frontends import checkup, lineages, pages
from semantic_memory.frontends.command import FactId, User, command, moment
from semantic_memory.frontends.desk import Desk
from semantic_memory.frontends.plain import printable

STATUSES, ORIGINS = (", ".join(get_args(choice)) for choice in (Status, Origin))


@command("facts")
async def facts(
    desk: Desk,
    user: User,
    status: Annotated[
        Literal[Status, "any"], typer.Option("--status", metavar="STATUS", help=f"{STATUSES} or any.")
    ] = "active",
    kind: Annotated[str | None, typer.Option("--kind", metavar="WORD", help="fact, preference, event ...")] = None,
    subject: Annotated[str | None, typer.Option("--subject", metavar="WORDS", help="Is about this.")] = None,
    text: Annotated[str | None, typer.Option("--text", metavar="WORDS", help="Holds these words.")] = None,
    label: Annotated[str | None, typer.Option("--label", metavar="LABEL", help="Has this label.")] = None,
    origin: Annotated[Origin | None, typer.Option("--origin", metavar="ORIGIN", help=f"{ORIGINS}.")] = None,
    session: Annotated[str | None, typer.Option("--session", metavar="ID", help="First said in this session.")] = None,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="Taught by this run.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Said to this agent.")] = None,
    since: Annotated[
        datetime | None, typer.Option("--since", metavar="DATE", parser=moment, help="Said then or later; UTC.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", metavar="DATE", parser=moment, help="Said before then; UTC.")
    ] = None,
    never_recalled: Annotated[bool, typer.Option("--never-recalled", help="No kept receipt shows them.")] = False,
    disputed: Annotated[bool, typer.Option("--disputed", help="An active fact contradicts them.")] = False,
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", metavar="DATE", parser=moment, help="Believed at that moment, whatever came later."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="At most so many.")] = None,
) -> None:
    """List a user's facts, the last said first.

    Every condition that is given must hold.
    """
    wanted = FactFilter(
        status=() if status == "any" else (status,),
        kind=kind,
        subject=subject,
        text=text,
        label=label,
        origin=origin,
        session_id=session,
        run_id=run,
        agent=agent,
        since=since,
        until=until,
        never_recalled=never_recalled,
        disputed=disputed,
    )
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
