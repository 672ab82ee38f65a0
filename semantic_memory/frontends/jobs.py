"""The commands for long work on a memory: `reembed`, `reindex`, `relearn`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from semantic_memory import SemanticMemory, Settings
from semantic_memory.frontends import pages
from semantic_memory.frontends.command import User, command
from semantic_memory.frontends.desk import Desk
from semantic_memory.frontends.plain import printable

if TYPE_CHECKING:
    from rich.progress import Progress

    from semantic_memory import jobs
    from semantic_memory.embedding import EmbeddingModel
    from semantic_memory.jobs.on_ray import RayEngine

Users = Annotated[list[str] | None, typer.Option("--users", metavar="USER", help="Only this user; may be repeated.")]


@command("reembed")
async def reembed(
    desk: Desk,
    what: Annotated[
        Literal["status"] | None,
        typer.Argument(metavar="[status]", help="Show how far the users are from model to model, and do nothing."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", help="sentence-transformers name or folder, or all-MiniLM-L6-v2."),
    ] = None,
    users: Users = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what it would take; time by a sample.")] = False,
    evaluation: Annotated[
        Path | None,
        typer.Option("--evaluation", metavar="FILE", help="First measure both models on labelled questions."),
    ] = None,
    hold: Annotated[bool, typer.Option("--hold", help="Build and verify, and stop before the switch.")] = False,
    finish: Annotated[bool, typer.Option("--finish", help="Drop what isn't active: there is no way back.")] = False,
    rollback: Annotated[bool, typer.Option("--rollback", help="Make the model before active again.")] = False,
    engine: Annotated[
        Literal["local", "ray"], typer.Option("--engine", metavar="NAME", help="local, or ray: on many machines.")
    ] = "local",
) -> None:
    """Change the embedding model of a memory that goes on working.

    The new vectors are built beside the old ones, verified, and switched to user by user. Killed and started again it
    goes on where it was. It exits with 1 where a user failed; the others are done.
    """
    from semantic_memory import jobs

    if [what is not None, model is not None, finish, rollback].count(True) != 1:
        raise typer.BadParameter("give one of: status, --model NAME, --finish, --rollback")
    if model and not dry_run:
        _give_way()
    async with desk.memory(None if model else "looking") as memory:
        if what == "status":
            found = await jobs.status(memory)
            desk.answer(found, status_page(found))
        elif finish:
            dropped = await jobs.finish(memory)
            desk.answer({"dropped": dropped}, Text(f"{pages.count(dropped, 'generation')} dropped"))
        elif rollback:
            went = await jobs.rollback(memory, users=users)
            desk.answers(went, Group(*map(_went_back, went)))
        elif model:
            job = Job(model, users, evaluation, dry_run=dry_run, hold=hold, ray=engine == "ray")
            await _reembed(desk, memory, job)


@dataclass(frozen=True)
class Job:
    """What is asked for."""

    model: str
    users: list[str] | None
    evaluation: Path | None
    dry_run: bool
    hold: bool
    ray: bool


def _give_way() -> None:
    """Let whatever answers on this machine come first. Threads inherit it, so it comes before any is made."""
    with suppress(OSError, AttributeError):
        os.nice(19)


async def _reembed(desk: Desk, memory: SemanticMemory, job: Job) -> None:
    from semantic_memory import jobs
    from semantic_memory.rooms import embedding_model

    make = partial(embedding_model, Settings.from_environment(embedding_model=job.model))
    engine = _ray(memory, make) if job.ray else None
    model = make()
    try:
        if job.evaluation:
            with desk.waiting("measuring"):
                measured = await jobs.measure(memory, model, job.evaluation)
            desk.answers(measured, measured_page(measured))
        if job.dry_run:
            with desk.waiting("planning"):
                plan = await jobs.plan(memory, model, users=job.users)
            desk.answer(plan, plan_page(plan))
            return
        with _bars(desk) as bars:
            tell = _teller(desk, bars)
            report = await jobs.reembed(memory, model, users=job.users, engine=engine, hold=job.hold, on_event=tell)
    finally:
        await model.close()
    if not desk.as_json:
        desk.show(report_page(report, hold=job.hold))
    if report.failed:
        raise typer.Exit(1)


def _ray(memory: SemanticMemory, make: Callable[[], EmbeddingModel]) -> RayEngine:
    from semantic_memory.jobs.on_ray import RayEngine

    return RayEngine(memory, make)


@command("reindex")
async def reindex(desk: Desk, users: Users = None) -> None:
    """Build lost or damaged indexes again from the ledger.

    No model is loaded, and the ledger answers recalls meanwhile. It exits with 1 where a user failed.
    """
    from semantic_memory import jobs

    async with desk.memory("indexing") as memory:
        done: list[jobs.Rebuilt | jobs.Failed] = []
        failed = await jobs.reindex(memory, users=users, on_event=done.append)
    lines = [Text(f"{pages.count(len(done) - len(failed), 'user')} indexed"), *map(_failed, failed)]
    desk.answers(done, Group(*lines))
    if failed:
        raise typer.Exit(1)


@command("relearn")
async def relearn(
    desk: Desk,
    user: User,
    session_db: Annotated[
        str, typer.Option("--session-db", metavar="URL", help="The database of your SQLAlchemySession.")
    ],
    session: Annotated[list[str], typer.Option("--session", metavar="ID", help="A session id; may be repeated.")],
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="Extract with this model. [as the settings say]")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Write what differs.")] = False,
) -> None:
    """Read learned sessions again, and show what is found otherwise.

    With --apply what is said otherwise supersedes the fact that says it now, and what is new is kept. A fact that is
    not found any more stays.
    """
    from semantic_memory import jobs
    from semantic_memory.frontends.sessions import open_session
    from semantic_memory.rooms import extractor_of

    extractor = extractor_of(Settings.from_environment(extraction_model=model))
    async with desk.memory("relearning", load="wait") as memory:
        for session_id in session:
            async with open_session(session_db, session_id) as transcript:
                found = await jobs.relearn(memory, user, transcript, extractor, apply=apply)
            desk.answer(found, difference_page(found))


def _bars(desk: Desk) -> Progress:
    """Texts and users, with the rate and the time that is left."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=desk.err,
        transient=True,
        disable=not desk.err.is_terminal or desk.as_json,
    )


def _teller(desk: Desk, bars: Progress) -> Callable[[jobs.Event], None]:
    """Shows a job's events: as lines of JSON, or as bars on a terminal."""
    texts = bars.add_task("texts", total=None, rate="")
    users = bars.add_task("users", total=None, rate="")

    def tell(event: jobs.Event) -> None:
        if desk.as_json:
            desk.event(event)
        if event.event == "plan":
            bars.update(texts, total=event.texts)
            bars.update(users, total=event.users)
        elif event.event == "embedded":
            rate = f"{event.texts / max(event.seconds, 1e-9):.0f}/s"
            bars.update(texts, completed=event.texts, total=event.of, rate=rate)
        elif event.event in ("settled", "failed"):
            bars.advance(users)

    return tell


def plan_page(plan: jobs.Plan) -> RenderableType:
    """What a job would take."""
    rows = [
        ("model", f"{printable(plan.model)} ({plan.dimension} dimensions, {plan.fingerprint})"),
        ("users", f"{plan.users:,}"),
        ("facts", f"{plan.facts:,}"),
        ("to embed", f"{plan.texts:,} texts, {plan.characters:,} characters"),
        ("time", "nothing to embed" if plan.seconds is None else f"about {duration(plan.seconds)}"),
        *(
            ("disk", f"about {size(disk.bytes_needed)} of {size(disk.bytes_free)} free in {printable(disk.folder)}")
            for disk in plan.disks
        ),
    ]
    return pages.grid([(Text(name, "bold"), Text(value)) for name, value in rows])


def measured_page(measured: Iterable[jobs.Measured]) -> RenderableType:
    """How well each model does."""
    rows = [
        (one.model, f"some right fact in {one.cutoff}: {one.any_at:.1%}", f"all: {one.all_at:.1%}") for one in measured
    ]
    return pages.grid([[Text(printable(cell)) for cell in row] for row in rows])


def report_page(report: jobs.Report, *, hold: bool) -> RenderableType:
    """What a job has done, and who failed."""
    done = "built, verified and held" if hold else "switched"
    lines = [
        Text(
            f"{pages.count(report.users, 'user')} {done} to {printable(report.model)}, "
            f"{pages.count(report.texts, 'text')} embedded in {duration(report.seconds)}"
        )
    ]
    if report.overlap is not None:
        order = "" if report.correlation is None else f", its order kept by {report.correlation:.2f} (Kendall's tau)"
        shown = f"{report.overlap:.0%} of what they showed is shown again{order}"
        lines.append(Text(f"questions of the past: {shown}, {report.gained} gained, {report.lost} lost"))
    if report.failed:
        lines += [Text(f"{pages.count(len(report.failed), 'user')} failed:"), *map(_failed, report.failed)]
    return Group(*lines)


def status_page(status: jobs.Status) -> RenderableType:
    """What there is of each model."""
    rows: list[tuple[str, ...]] = [("model", "fingerprint", "active", "building", "retired", "vectors")]
    for use in status.models:
        numbers = (use.active, use.building, use.retired, use.vectors)
        rows.append((printable(use.fingerprint.name), use.key, *(f"{number:,}" for number in numbers)))
    running = "a job is running" if status.running else "no job is running"
    table = pages.grid([[Text(cell, "bold" if not at else "") for cell in row] for at, row in enumerate(rows)])
    return Group(table, Text(f"{pages.count(status.facts, 'fact')} with words; {running}"))


def difference_page(found: jobs.Difference) -> RenderableType:
    """What relearning a session changes, or has changed."""
    read, same = pages.count(found.messages, "message"), pages.count(found.same, "fact")
    lines = [Text(f"{printable(found.session_id)}: {read} read by {printable(found.extractor)}, {same} found as known")]
    lines += [
        Text.assemble((f"~ {printable(one.before or '')}\n", "yellow"), f"  -> {printable(one.text)}")
        for one in found.rewritten
    ]
    lines += [Text(f"+ {printable(one.text)}", "green") for one in found.new]
    lines += [Text(f"? {printable(text)} ({printable(fact_id)}: not found today)") for fact_id, text in found.not_found]
    lines += [Text(f"! {printable(text)}: {printable(reason)}", "red") for text, reason in found.refused]
    if (found.rewritten or found.new) and not found.applied:
        lines.append(Text("nothing is written: --apply does"))
    return Group(*lines)


def _failed(one: jobs.Failed) -> Text:
    return Text.assemble((printable(one.user_id), "bold red"), f"  {printable(one.error)}")


def _went_back(one: jobs.WentBack) -> Text:
    left = f"; {pages.count(one.unembedded, 'fact')} found by words until embedded with it" if one.unembedded else ""
    return Text(f"{printable(one.user_id)} is back on {printable(one.model)}{left}")


def duration(seconds: float) -> str:
    """12 s, 3 min, 2.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 2 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def size(number: int) -> str:
    """12 kB, 3.4 MB, 2.5 GB."""
    for unit, one in (("GB", 1e9), ("MB", 1e6)):
        if number >= one:
            return f"{number / one:.1f} {unit}"
    return f"{number / 1e3:.0f} kB"
