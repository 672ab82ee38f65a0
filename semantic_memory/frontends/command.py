"""What every command shares: its options, its desk, and the one line in which it tells an error."""

import asyncio
import inspect
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer
from rich.text import Text
from typer.core import TyperGroup

from semantic_memory import SemanticMemoryError
from semantic_memory.frontends.desk import Desk
from semantic_memory.frontends.plain import printable

P = ParamSpec("P")
Command = Callable[Concatenate[Desk, P], Awaitable[None]]

ORDER = (
    *("demo", "remember", "recall", "facts", "explain", "show", "timeline", "correct", "forget", "erase"),
    *("learn", "export", "import", "users", "receipts", "shown", "doctor", "evaluate"),
    *("reembed", "reindex", "relearn", "serve", "mcp", "keys"),
)


class Commands(TyperGroup):
    """The commands in the order in which one meets them; what isn't in `ORDER` comes last."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Their names."""
        listed = [name for name in ORDER if name in self.commands]
        return [*listed, *(name for name in self.commands if name not in ORDER)]


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMON = {
    "folder": Annotated[
        Path | None,
        typer.Option("--memory", metavar="PATH", help="The memory folder. [SEMANTIC_MEMORY_PATH, or memory]"),
    ],
    "as_json": Annotated[bool, typer.Option("--json", help="Print JSON: one document, or a line for each thing.")],
    "debug": Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")],
}
DEFAULTS: dict[str, Any] = {"folder": None, "as_json": False, "debug": False}


def command(name: str, *, to: typer.Typer = app) -> Callable[[Command[P]], Command[P]]:
    """Make a coroutine function a command (of a group of commands), with the options that every command takes."""

    def register(work: Command[P]) -> Command[P]:
        def run(*, folder: Path | None, as_json: bool, debug: bool, **given: Any) -> None:
            async def work_at_desk() -> None:
                await work(Desk(folder=folder, as_json=as_json), **given)  # type: ignore[call-arg]

            with errors_in_one_line(debug=debug):
                asyncio.run(work_at_desk())

        own = list(inspect.signature(work, eval_str=True).parameters.values())[1:]
        common = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=DEFAULTS[key], annotation=annotation)
            for key, annotation in COMMON.items()
        ]
        run.__doc__ = work.__doc__
        run.__signature__ = inspect.Signature(own + common)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in own + common}
        to.command(name)(run)
        return work

    return register


@contextmanager
def errors_in_one_line(*, debug: bool) -> Iterator[None]:
    """Tell an error on stderr and end the program; with `debug` it is raised as it is."""
    try:
        yield
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except Exception as error:
        if debug:
            raise
        line = Text.assemble(("error: ", "bold red"), printable(" ".join(_told(error).split())))
        Desk().err.print(line, soft_wrap=True)
        raise typer.Exit(1) from None


def _told(error: Exception) -> str:
    if isinstance(error, SemanticMemoryError):
        return str(error)
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {error.filename}"
    return f"{type(error).__name__}: {error} (unexpected: --debug shows where)"


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("semantic-memory"))
        raise typer.Exit


@app.callback()
def _every_command(
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """What is true about your users, for agents: learned, recalled, explained."""


# ---- what many commands take ------------------------------------------------------------------------

User = Annotated[str, typer.Argument(metavar="USER", help="The user's id, exactly as your program gives it.")]
FactId = Annotated[str, typer.Argument(metavar="FACT", help="The fact's id, as `facts` and `recall` show it.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept in the fact's history.")]
Query = Annotated[str, typer.Argument(metavar="QUERY", help="A question, or a few words.")]


def moment(text: str) -> datetime:
    """A date or a time of the command line; UTC unless it says otherwise."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date such as 2026-03-01 or 2026-03-01T09:30") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


Limit = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="At most so many facts.")]
MaxTokens = Annotated[
    int | None, typer.Option("--max-tokens", min=1, metavar="N", help="A context block of at most so many tokens.")
]
MinRelevance = Annotated[
    float | None,
    typer.Option("--min-relevance", min=0, max=1, metavar="P", help="Instead of the calibrated threshold."),
]
MinShare = Annotated[
    float | None, typer.Option("--min-share", min=0, max=1, metavar="P", help="Least share of the best fact's odds.")
]
Labels = Annotated[list[str] | None, typer.Option("--label", metavar="LABEL", help="Only facts with it.")]
AsOf = Annotated[
    datetime | None, typer.Option("--as-of", metavar="DATE", parser=moment, help="From what was believed then; UTC.")
]
Earlier = Annotated[
    list[str] | None, typer.Option("--earlier", metavar="TEXT", help="A turn before the question; may be repeated.")
]
