"""A first look at an untrusted folder, in a process of its own: a damaged graph ends the one that loads it.

Run as `python -m semantic_memory.index.probe FOLDER COLLECTION DIMENSION`; exits 0 if every fact can be
found.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from semantic_memory.errors import IndexFailed
from semantic_memory.index.chroma import opened_folder, translated
from semantic_memory.index.collection import FactCollection

TIMEOUT = 120.0  # seconds; a look at 100,000 facts takes about 30


def probe(folder: Path, collection: str, dimension: int) -> None:
    """Raise `IndexFailed` with the reason if the folder can't be trusted."""
    command = [sys.executable, "-m", "semantic_memory.index.probe", str(folder), collection, str(dimension)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        done = subprocess.run(  # noqa: S603
            command,
            env=environment,
            timeout=TIMEOUT,
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise IndexFailed(f"a look at it took more than {TIMEOUT:.0f} s") from None
    if done.returncode < 0:
        raise IndexFailed(f"loading it ended the process with signal {-done.returncode}")
    if done.returncode:
        raise IndexFailed(done.stdout.decode(errors="replace").strip() or "it can't be loaded")


def look(folder: Path, collection: str, dimension: int) -> list[str]:
    """What is wrong with the folder, found by loading it in this process."""
    try:
        with translated("look"), opened_folder(folder) as client:
            return FactCollection.find(client, collection, dimension).problems()
    except IndexFailed as error:
        return [str(error)]


def main() -> int:
    """The exit status of the look that the command line asks for."""
    folder, collection, dimension = sys.argv[1:]
    problems = look(Path(folder), collection, int(dimension))
    sys.stdout.write("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
