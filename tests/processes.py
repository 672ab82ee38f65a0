"""Python code in a process of its own, for what can only be seen between processes."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

from tests.network import PATHS

PRELUDE = """
import asyncio, sys, time
from contextlib import suppress
from semantic_memory.errors import *
from semantic_memory.index import FolderIndex, Place, ServerIndex
from tests.vectors import items, unit_vectors

def say(*words):
    print(*words, flush=True)
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Begin to run `code` as the body of an async function; what it says comes line by line from `stdout`."""
    body = textwrap.indent(textwrap.dedent(code), "    ")
    script = f"{PRELUDE}\nasync def main():\n{body}\n\nasyncio.run(main())\n"
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": PATHS},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def run(code: str, *arguments: object, timeout: float = 60) -> list[str]:
    """The lines that `code` said; it must end well."""
    process = start(code, *arguments)
    output, _ = process.communicate(timeout=timeout)
    assert process.returncode == 0, f"exit status {process.returncode} after {output!r}"
    return output.splitlines()


def kill(process: subprocess.Popen[str]) -> None:
    """End it as a power cut would, and give back its pipes."""
    process.kill()
    process.communicate()
