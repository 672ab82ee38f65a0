"""Who may import whom, and what importing the package costs."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import semantic_memory

ROOT = Path(semantic_memory.__file__).parent
VALUES = {"errors", "facts", "limits", "reasons"}
PURE = {
    *VALUES,
    *("chains", "context", "identity", "questions", "quotes", "reconcile", "retrieval", "secret_shapes", "secrets"),
    *("statements", "storable", "portions", "transcript", "vouching", "embedding.protocol"),
    *("extraction.cues", "extraction.prose", "extraction.sentences"),
}
ONLY_IMPORTERS = {  # of a package that does I/O: the rooms whose business it is
    "chromadb": {"index"},
    "sqlalchemy": {"ledger", "rooms", "memory", "frontends.sessions"},  # the last three for a caller's engine only
    "alembic": {"ledger"},
    "sentence_transformers": {"embedding", "retrieval.rerank", "evaluation.variants"},
    "torch": {"embedding"},
    "onnxruntime": {"embedding"},
    "typer": {"frontends"},
    "rich": {"frontends", "evaluation.report", "evaluation.page"},
    "matplotlib": {"evaluation.figures", "evaluation.plots", "evaluation.page"},
}
HEAVY = ("agents", "alembic", "chromadb", "numpy", "onnxruntime", "openai", "pydantic", "sqlalchemy", "torch", "typer")


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package, by its name inside it."""
    for path in sorted(ROOT.rglob("*.py")):
        yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path


@cache
def imports(path: Path) -> tuple[tuple[str, bool], ...]:
    """What a module imports, by full name, and whether only for its types."""
    tree = ast.parse(path.read_text())
    guarded = {
        id(node)
        for guard in ast.walk(tree)
        if isinstance(guard, ast.If) and isinstance(guard.test, ast.Name) and guard.test.id == "TYPE_CHECKING"
        for node in ast.walk(guard)
    }
    found: list[tuple[str, bool]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in guarded) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            found += [(f"{node.module}.{alias.name}", id(node) in guarded) for alias in node.names]
    return tuple(found)


def within(name: str, rooms: set[str]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def own_imports(path: Path, *, types_too: bool) -> set[str]:
    """The names inside the package that a module imports."""
    return {
        name.removeprefix("semantic_memory.")
        for name, for_types in imports(path)
        if name.startswith("semantic_memory.") and (types_too or not for_types)
    }


def test_values_are_below_everything_and_pure_rooms_touch_no_other() -> None:
    trespasses = {
        (name, one)
        for name, path in modules()
        if within(name, PURE)
        for one in own_imports(path, types_too=False)
        if not within(one, VALUES if name in VALUES else PURE)
    }
    assert trespasses == set()


@pytest.mark.parametrize("package", ONLY_IMPORTERS)
def test_what_does_input_and_output_has_a_room_of_its_own(package: str) -> None:
    importers = {name for name, path in modules() for one, _ in imports(path) if within(one, {package})}
    assert {name for name in importers if not within(name, ONLY_IMPORTERS[package])} == set()


def test_nothing_imports_the_front_ends() -> None:
    others = [(name, own_imports(path, types_too=True)) for name, path in modules() if not within(name, {"frontends"})]
    assert [name for name, imported in others if any(within(one, {"frontends"}) for one in imported)] == []


def test_front_ends_know_the_verbs_and_nothing_below_them() -> None:
    below = {"ledger", "index", "reconcile", "retrieval", "filing", "learning", "vectors", "workroom", "following"}
    ours = [(name, own_imports(path, types_too=False)) for name, path in modules() if within(name, {"frontends"})]
    assert [name for name, imported in ours if any(within(one, below) for one in imported)] == []


def test_only_the_composition_point_picks_the_parts() -> None:
    concrete = {"embedding.bundled", "embedding.sentence_transformers", "index.folders", "index.server"}
    choosers = {
        name
        for name, path in modules()
        if not within(name, {"embedding", "index"})
        and any(within(one, concrete) for one in own_imports(path, types_too=False))
    }
    assert choosers <= {"rooms"}


def test_only_the_settings_read_the_environment() -> None:
    readers = {name for name, path in modules() if "os.environ" in path.read_text() or "getenv" in path.read_text()}
    assert readers == {"settings", "index.probe"}  # the probe hands its own on to the process that it starts


def _in_a_new_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60).stdout


def test_importing_the_package_loads_nothing_heavy_and_touches_nothing(tmp_path: Path) -> None:
    code = f"import sys, json, semantic_memory; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT.parent), "HOME": str(tmp_path)},
    )
    assert json.loads(ran.stdout) == []
    assert ran.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_importing_the_package_is_instant() -> None:
    code = "import time; t = time.process_time(); import semantic_memory; print(time.process_time() - t)"
    assert min(float(_in_a_new_process(code)) for _ in range(3)) < 0.3  # seconds of processor time: others may run


def test_whoever_lists_facts_waits_for_no_model_no_index_and_no_numbers(tmp_path: Path) -> None:
    code = f"""
import asyncio, sys
from semantic_memory import SemanticMemory

async def write():
    from semantic_memory.testing import HashEmbeddingModel
    async with SemanticMemory.open({str(tmp_path)!r}, embedding=HashEmbeddingModel()) as memory:
        await memory.user("ada").remember("My deploy target is Hetzner.")

async def read():
    async with SemanticMemory.open({str(tmp_path)!r}, load="lazy") as memory:
        (fact,) = await memory.user("ada").facts()
        print(fact.text, len(await memory.users()), len((await memory.user("ada").explain(fact.id)).evidence))

asyncio.run(ACT())
print([m for m in ("numpy", "chromadb", "onnxruntime", "semantic_memory.recalling") if m in sys.modules])
"""
    written = _in_a_new_process(code.replace("ACT", "write"))
    assert written == "['numpy', 'chromadb', 'semantic_memory.recalling']\n"
    assert _in_a_new_process(code.replace("ACT", "read")) == "My deploy target is Hetzner. 1 1\n[]\n"


def test_every_public_name_is_there_and_documented() -> None:
    assert sorted(semantic_memory.__all__) == list(semantic_memory.__all__)
    for name in semantic_memory.__all__:
        assert getattr(semantic_memory, name).__doc__, name
