"""Where a command works: the memory that it opens, and where its answer goes."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from rich.console import Console, RenderableType

from semantic_memory import NotFound, SemanticMemory, Settings
from semantic_memory.frontends.plain import to_json

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Desk:
    """One call of the command line: answers go to `out`; what happens meanwhile, and errors, to `err`."""

    folder: Path | None = None  # None: as the environment says
    as_json: bool = False
    out: Console = field(default_factory=lambda: Console(highlight=False, emoji=False))
    err: Console = field(default_factory=lambda: Console(stderr=True, highlight=False, emoji=False))

    @asynccontextmanager
    async def memory(
        self, doing: str | None = None, *, load: Literal["wait", "lazy"] = "lazy", begin: bool = False
    ) -> AsyncIterator[SemanticMemory]:
        """The memory, open; `doing` is shown on a terminal while it lasts.

        Where there is none yet, one is begun only if `begin` says so; a mistyped folder is no new memory.
        """
        settings = Settings.from_environment(path=self.folder)
        if not begin and not settings.ledger_url and not (settings.path / "ledger.db").exists():
            raise NotFound(f"there is no memory in {settings.path}; `remember` and `learn` begin one")
        with self.waiting(doing):
            async with SemanticMemory.open(settings, load=load) as memory:
                yield memory

    @contextmanager
    def folder_or_temporary(self) -> Iterator[Path]:
        """The folder that the caller names, or one that is gone afterwards."""
        if self.folder:
            yield self.folder
            return
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)

    @contextmanager
    def waiting(self, doing: str | None) -> Iterator[None]:
        """Show a spinner on a terminal."""
        shown = doing and self.err.is_terminal
        with self.err.status(f"{doing} …") if shown else contextlib.nullcontext():
            yield

    def progress(self) -> Progress:
        """Progress bars for a terminal."""
        from rich.progress import Progress

        return Progress(console=self.err, transient=True, disable=not self.err.is_terminal)

    def tracked(self, things: Sequence[T], doing: str) -> Iterator[T]:
        """The things one by one, with a progress bar on a terminal."""
        with self.progress() as progress:
            yield from progress.track(things, description=doing)

    def answer(self, value: Any, shown: RenderableType) -> None:
        """Print one answer: as a JSON document, or as it is shown to people."""
        if self.as_json:
            self.write(to_json(value))
        else:
            self.show(shown)

    def answers(self, values: Iterable[Any], shown: RenderableType) -> None:
        """Print many answers: as JSON lines, or as they are shown to people."""
        if not self.as_json:
            self.show(shown)
            return
        for value in values:
            self.write(to_json(value))

    def event(self, value: Any) -> None:
        """Print one of many lines of JSON at once, for who reads them while the work goes on."""
        self.write(to_json(value))
        self.out.file.flush()

    def show(self, shown: RenderableType) -> None:
        """Print something for people, without the blanks that fill up columns."""
        with self.out.capture() as captured:
            self.out.print(shown)
        self.out.file.write("\n".join(line.rstrip() for line in captured.get().split("\n")))

    def write(self, line: str) -> None:
        """Print a line of data: never wrapped, coloured or cut."""
        self.out.file.write(f"{line}\n")
