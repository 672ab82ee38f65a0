"""The command as a person runs it: a process of its own, in a folder of its own."""

from __future__ import annotations

import ast
import inspect
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from semantic_memory.frontends.cli import main
from tests.network import PATHS

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "semantic_memory.frontends.cli")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Its one JSON document."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Its JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Ran]


def environment(**more: str) -> dict[str, str]:
    """This process's environment, without what would change the command's behaviour."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("SEMANTIC_MEMORY_", "OPENAI_"))}
    for loud in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        ours.pop(loud, None)
    return ours | {"COLUMNS": "80", "PYTHONPATH": PATHS, "PYTHONIOENCODING": "utf-8", "HF_HUB_OFFLINE": "1"} | more


async def execute(code: str, names: dict[str, Any], *, page: str = "README.md") -> None:
    """Run code of a page that may await at its top level."""
    running = eval(compile(code, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if inspect.isawaitable(running):
        await running


def ran(*arguments: str, cwd: Path, given: str | None = None, **more: str) -> Ran:
    """Run `semantic-memory` with these arguments."""
    process = subprocess.run(
        [*COMMAND, *arguments], cwd=cwd, env=environment(**more), input=given, capture_output=True, encoding="utf-8"
    )
    return Ran(code=process.returncode, out=process.stdout, err=process.stderr)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `semantic-memory` in the test's folder, where its memory is `memory`."""

    def run(*arguments: str, given: str | None = None, **more: str) -> Ran:
        return ran(*arguments, cwd=tmp_path, given=given, **more)

    return run


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """The same without a process of its own, for the many small cases."""
    monkeypatch.chdir(tmp_path)
    for key in set(os.environ) - set(environment()):
        monkeypatch.delenv(key)
    for key, value in environment().items():
        monkeypatch.setenv(key, value)
    ours = signal.getsignal(signal.SIGINT)

    def call(*arguments: str, given: str | None = None, **more: str) -> Ran:
        with monkeypatch.context() as here:
            here.setattr(sys, "argv", ["semantic-memory", *arguments])
            here.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((given or "").encode()), encoding="utf-8"))
            for key, value in more.items():
                here.setenv(key, value)
            with pytest.raises(SystemExit) as ended:
                main()
        shown = capsys.readouterr()
        return Ran(code=int(ended.value.code or 0), out=shown.out, err=shown.err)

    yield call
    signal.signal(signal.SIGINT, ours)


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the demo has been played: its memory, and `conversations.db` inside it."""
    folder = tmp_path_factory.mktemp("story")
    told = ran("demo", "--memory", "memory", cwd=folder)
    assert (told.code, told.err) == (0, "")
    return folder / "memory"


@pytest.fixture
def told(story: Path, tmp_path: Path) -> Path:
    """The test's own copy of the demo's memory."""
    return Path(shutil.copytree(story, tmp_path / "memory"))
