"""The command line: `semantic-memory`. Each command opens the memory, asks it one thing, and prints the answer."""

import signal
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, NoReturn, TextIO

import typer
from rich.text import Text

from semantic_memory import InvalidInput, NotFound
from semantic_memory.frontends import looking, pages, serving  # noqa: F401 - the commands that look and serve
from semantic_memory.frontends.command import (
    AsOf,
    Earlier,
    FactId,
    Labels,
    Limit,
    MaxTokens,
    MinRelevance,
    MinShare,
    Query,
    Reason,
    User,
    app,
    command,
)
from semantic_memory.frontends.desk import Desk
from semantic_memory.frontends.plain import plain, printable

Basis = Literal["model", "any-model", "words"]
NEAR_SHOWN = 10  # near misses: the rest is `why-not`'s


def main() -> None:
    """Run a command. It exits with 0, 1 for an error (told in one line), 2 for bad usage, 130 for Ctrl-C."""
    signal.signal(signal.SIGINT, _interrupt)
    app(prog_name="semantic-memory")


def _interrupt(*_: object) -> NoReturn:
    """Stop at once. asyncio's own handler waits for the next await, and an import or a read of a file has none."""
    raise KeyboardInterrupt


@command("demo")
async def demo(
    desk: Desk,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="A live model instead of a script.")
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", metavar="URL", help="Its OpenAI-compatible API. [OpenAI's, with OPENAI_API_KEY]"),
    ] = None,
) -> None:
    """Show an agent that remembers, in a story of two sessions.

    It works in a temporary folder, unless --memory names one to keep.
    """
    if base_url and not model:
        raise typer.BadParameter("--base-url needs --model")
    with desk.waiting("playing the story"), desk.folder_or_temporary() as folder:
        from semantic_memory.frontends.demo import live_model, play, story_page

        story = await play(folder, live=live_model(model, base_url) if model else None)
    desk.answer(story, story_page(story, model=model))


# ---- facts -----------------------------------------------------------------------------------------


@command("remember")
async def remember(
    desk: Desk,
    user: User,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A statement that stands alone.")],
    kind: Annotated[str, typer.Option("--kind", metavar="WORD", help="fact, preference, event, plan ...")] = "fact",
) -> None:
    """Keep a statement about a user."""
    async with desk.memory("remembering", load="wait", begin=True) as memory:
        fact = await memory.user(user).remember(text, kind=kind)
    desk.answer(fact, pages.facts_page(user, [fact]))


@command("recall")
async def recall(
    desk: Desk,
    user: User,
    query: Query,
    limit: Limit = None,
    max_tokens: MaxTokens = None,
    min_relevance: MinRelevance = None,
    min_share: MinShare = None,
    label: Labels = None,
    as_of: AsOf = None,
    earlier: Earlier = None,
    near: Annotated[bool, typer.Option("--near", help="Also show what was left out, and why.")] = False,
    why: Annotated[bool, typer.Option("--why", help="Also show what speaks for each fact.")] = False,
) -> None:
    """Show the facts that help with a question; often none."""
    async with desk.memory("recalling", load="wait") as memory:
        found = await memory.user(user).recall(
            query,
            limit=limit,
            max_tokens=max_tokens,
            min_relevance=min_relevance,
            min_share=min_share,
            labels=label or (),
            as_of=as_of,
            earlier=earlier or (),
            source="cli",
        )
        found = replace(found, near=found.near[:NEAR_SHOWN])
        missed = [await memory.user(user).fact(miss.fact_id) for miss in found.near] if near else []
    shown = pages.recall_page(found, near={fact.id: fact for fact in missed}, why=why)
    if why:
        desk.answers(found.explain(), shown)
    else:
        desk.answer(found, shown)


@command("why-not")
async def why_not(
    desk: Desk,
    user: User,
    fact: FactId,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="The question that did not bring it up.")],
    limit: Limit = None,
    max_tokens: MaxTokens = None,
    min_relevance: MinRelevance = None,
    min_share: MinShare = None,
    label: Labels = None,
    as_of: AsOf = None,
    earlier: Earlier = None,
) -> None:
    """Show what keeps a fact out of the answer to a question.

    The facts seem to hold no answer, or the fact isn't relevant enough, far behind the best, behind the limit, over
    the budget, said by a better one, behind another label, no longer active, or never came near the question. The
    options are those of `recall`: give the same, and it explains that very recall.
    """
    async with desk.memory("recalling", load="wait") as memory:
        reason = await memory.user(user).why_not(
            fact,
            query,
            limit=limit,
            max_tokens=max_tokens,
            min_relevance=min_relevance,
            min_share=min_share,
            labels=label or (),
            as_of=as_of,
            earlier=earlier or (),
        )
        asked_about = await memory.user(user).fact(fact)
    desk.answer(reason, pages.reason_page(asked_about, reason))


@command("correct")
async def correct(
    desk: Desk,
    user: User,
    fact: FactId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The statement as it is now.")],
    reason: Reason = None,
) -> None:
    """Replace a fact by a newer statement.

    The old one stays, superseded and linked.
    """
    async with desk.memory("correcting", load="wait") as memory:
        newer = await memory.user(user).correct(fact, text, reason=reason)
    desk.answer(newer, pages.facts_page(user, [newer]))


@command("forget")
async def forget(desk: Desk, user: User, fact: FactId, reason: Reason = None) -> None:
    """Blank a fact for good.

    Its text, its quotes and its vectors are gone; that there was one stays on record.
    """
    async with desk.memory("forgetting") as memory:
        await memory.user(user).forget(fact, reason=reason)
    desk.answer({"forgotten": fact}, Text.assemble("forgotten: ", (printable(fact), "cyan")))


@command("erase")
async def erase(
    desk: Desk,
    user: User,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Remove everything about a user, and certify it.

    Transcripts are yours: the certificate names the sessions that taught facts.
    """
    if not yes:
        typer.confirm(f"Erase everything about {printable(user)}?", abort=True, err=True)
    async with desk.memory("erasing") as memory:
        if user not in await memory.users():
            raise NotFound(f"there is no user {user}")
        certificate = await memory.user(user).erase()
    desk.answer(certificate, pages.certificate_page(certificate))


@command("evaluate")
async def evaluate(
    desk: Desk,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset",
            metavar="NAME",
            help="own, stores, locomo, prefeval, pairs, file for JSON lines, or memory for questions about your own"
            " facts; may be repeated. [own]",
        ),
    ] = None,
    path: Annotated[Path | None, typer.Option("--path", metavar="PATH", help="The data set's file or folder.")] = None,
    out_of_fold: Annotated[
        bool, typer.Option("--out-of-fold", help="Refit the calibration without the user who is asked; slow.")
    ] = False,
    basis: Annotated[
        Basis, typer.Option("--basis", metavar="WORD", help="What relevance rests on: model, any-model or words.")
    ] = "model",
    fit: Annotated[
        Path | None,
        typer.Option("--fit", metavar="FILE", help="Instead, fit a calibration on all the data sets and write it."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="Embedding model. [the bundled one]")
    ] = None,
    proposer: Annotated[
        str | None,
        typer.Option("--proposer", metavar="NAME", help="A language model that reads the pairs, instead of none."),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option("--base-url", metavar="URL", help="Its OpenAI-compatible API. [OpenAI's]")
    ] = None,
    pairs: Annotated[int | None, typer.Option("--pairs", min=1, metavar="N", help="It reads only so many.")] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="PATH", help="Write a page with figures; needs the extra plots.")
    ] = None,
) -> None:
    """Measure recall on labelled questions.

    Dense-only and BM25-only are measured beside it, with confidence intervals.
    """
    from semantic_memory.frontends import evaluation

    wanted = evaluation.Wanted(
        datasets=tuple(dataset or ["own"]),
        path=path,
        basis=basis,
        out_of_fold=out_of_fold,
        proposer=evaluation.Proposer(name=proposer, base_url=base_url, most=pairs) if proposer else None,
    )
    await evaluation.evaluate(desk, wanted, model=model, fit=fit, html=html)


# ---- conversations ---------------------------------------------------------------------------------


@command("learn")
async def learn(
    desk: Desk,
    user: User,
    session_db: Annotated[
        str, typer.Option("--session-db", metavar="URL", help="The database of your SQLAlchemySession.")
    ],
    session: Annotated[list[str], typer.Option("--session", metavar="ID", help="A session id; may be repeated.")],
) -> None:
    """Learn from sessions what nobody has learned yet.

    Each message is learned once, whoever learns it.
    """
    from semantic_memory.frontends.sessions import open_session

    failed = []
    async with desk.memory("learning", load="wait", begin=True) as memory:
        for session_id in session:
            async with open_session(session_db, session_id) as transcript:
                learned = await memory.user(user).learn(transcript)
            desk.answer({"session_id": session_id} | plain(learned), pages.learned_page(learned))
            failed += [learned.failed] if learned.failed else []
    if failed:
        raise InvalidInput(f"some messages stay unlearned, the next `learn` tries again: {failed[0]}")


# ---- moving ----------------------------------------------------------------------------------------


@command("export")
async def export(
    desk: Desk,
    user: Annotated[
        list[str] | None, typer.Argument(metavar="[USER]...", help="Whose facts; everybody's if left out.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Instead of stdout.")] = None,
) -> None:
    """Write facts and their lineage as JSON lines."""
    from semantic_memory.frontends.transfer import to_line

    async with desk.memory() as memory:
        everybody = await memory.users()
        if missing := sorted(set(user or ()) - set(everybody)):
            raise NotFound(f"there is no user {missing[0]}")
        lines = [
            to_line(lineage)
            for one in desk.tracked(user or everybody, "exporting")
            for lineage in await memory.user(one).lineages()
        ]
    if output:
        output.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        desk.answer({"facts": len(lines), "file": str(output)}, Text(f"{pages.count(len(lines), 'fact')} in {output}"))
    else:
        for line in lines:
            desk.write(line)


@command("import")
async def import_(
    desk: Desk,
    file: Annotated[
        typer.FileText, typer.Argument(metavar="FILE", encoding="utf-8-sig", help="JSON lines; - for stdin.")
    ],
) -> None:
    """Take over exported facts.

    Facts whose ids are known already stay as they are, so that importing twice changes nothing.
    """
    from semantic_memory.frontends.transfer import read_lines

    given = read_lines(_lines(file), now=datetime.now(UTC))
    total = sum(map(len, given.values()))
    written = 0
    async with desk.memory(load="wait", begin=True) as memory:
        with desk.progress() as progress:
            bar = progress.add_task("importing", total=total)
            for user, lineages in given.items():
                done = await memory.user(user).restore(lineages, on_progress=lambda more: progress.advance(bar, more))
                written += len(done)
    shown = f"{pages.count(written, 'fact')} imported, {total - written} known already"
    desk.answer({"imported": written, "known": total - written}, Text(shown))


def _lines(file: TextIO) -> list[str]:
    try:
        return file.readlines()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"not UTF-8 text: {error}") from None


from semantic_memory.frontends import jobs  # noqa: E402, F401 - its commands come behind these

if __name__ == "__main__":
    main()
