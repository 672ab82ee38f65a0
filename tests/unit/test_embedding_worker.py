from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait

import numpy as np
import pytest

from semantic_memory.embedding import Fingerprint, Matrix
from semantic_memory.embedding.local import COUNTED, LocalEmbedding
from semantic_memory.embedding.worker import EncodingWorker, Kind
from semantic_memory.errors import EmbeddingFailed

BROKEN = "this one breaks the model"


class SlowEncoder:
    """Encodes a text as the direction of its length; each batch waits for a permission."""

    fingerprint = Fingerprint(name="slow", weights="1", dimension=2)
    threads = 1
    text_limit = 1_000
    batch_limit = 100

    def __init__(self) -> None:
        self.batches: list[tuple[Kind, list[str]]] = []
        self.permissions = threading.Semaphore(0)
        self.started = threading.Semaphore(0)

    def encode(self, texts: Sequence[str], kind: Kind) -> Matrix:
        self.started.release()
        assert self.permissions.acquire(timeout=10)
        self.batches.append((kind, list(texts)))
        if BROKEN in texts:
            raise RuntimeError("out of order")
        return np.array([[1, len(text)] for text in texts], dtype=np.float32)

    def count_tokens(self, text: str) -> int:
        return len(text.split())


@pytest.fixture
def encoder() -> SlowEncoder:
    return SlowEncoder()


@pytest.fixture
def worker(encoder: SlowEncoder) -> Iterator[EncodingWorker]:
    worker = EncodingWorker("slow", lambda: encoder)
    yield worker
    encoder.permissions.release(1_000)
    worker.close(10)


def occupy(worker: EncodingWorker, encoder: SlowEncoder) -> Future[Matrix]:
    """Start a batch that runs until it is permitted to end."""
    running = worker.submit(["busy"], "query")
    assert encoder.started.acquire(timeout=10)
    return running


def finish(encoder: SlowEncoder, *futures: Future[Matrix]) -> None:
    encoder.permissions.release(1_000)
    assert not wait(futures, timeout=10).not_done


def test_queries_that_queued_up_meanwhile_are_encoded_together(worker: EncodingWorker, encoder: SlowEncoder) -> None:
    running = occupy(worker, encoder)
    queries = [worker.submit([text], "query") for text in ("a", "bb", "ccc")]
    finish(encoder, running, *queries)

    assert encoder.batches == [("query", ["busy"]), ("query", ["a", "bb", "ccc"])]
    assert queries[2].result() == pytest.approx(np.array([[1, 3]]) / np.sqrt(10))


def test_a_query_waits_for_one_batch_of_documents_and_not_for_all(worker: EncodingWorker, encoder: SlowEncoder) -> None:
    running = occupy(worker, encoder)
    documents = worker.submit(["x" * 50] * 6, "document")
    queries = [worker.submit(["first"], "query")]
    finish(encoder, running, documents, *queries)

    assert [kind for kind, _ in encoder.batches] == ["query", "document", "query", "document", "document"]


def test_a_small_call_passes_a_big_one(worker: EncodingWorker, encoder: SlowEncoder) -> None:
    running = occupy(worker, encoder)
    big = worker.submit(["x" * 50] * 20, "document")
    small = worker.submit(["small"], "document")
    encoder.permissions.release(3)
    assert small.result(timeout=10).shape == (1, 2)

    assert not big.done()
    finish(encoder, running, big)
    assert big.result().shape == (20, 2)


def test_documents_are_encoded_shortest_first_in_batches_of_bounded_size(
    worker: EncodingWorker, encoder: SlowEncoder
) -> None:
    documents = worker.submit(["x" * size for size in (60, 10, 50, 5, 200, 20)], "document")
    finish(encoder, documents)

    assert [[len(text) for text in texts] for _, texts in encoder.batches] == [[5, 10, 20], [50], [60], [200]]
    assert documents.result()[:, 1] == pytest.approx([size / np.sqrt(1 + size**2) for size in (60, 10, 50, 5, 200, 20)])


def test_as_many_batches_run_at_once_as_the_model_has_threads(worker: EncodingWorker, encoder: SlowEncoder) -> None:
    encoder.threads = 2
    encoder.permissions.release()
    worker.submit(["both threads sleep after this"], "query").result(timeout=10)
    encoder.started.acquire()
    documents = worker.submit(["x" * 50] * 20, "document")
    for _ in range(encoder.threads):
        assert encoder.started.acquire(timeout=10)
    assert len(encoder.batches) == 1
    finish(encoder, documents)

    assert documents.result() == pytest.approx(np.full((20, 2), [1, 50]) / np.sqrt(2_501))


def test_what_is_cancelled_is_not_encoded(worker: EncodingWorker, encoder: SlowEncoder) -> None:
    running = occupy(worker, encoder)
    gone = worker.submit(["gone"], "query")
    kept = worker.submit(["kept"], "query")
    assert gone.cancel()
    finish(encoder, running, kept)

    assert encoder.batches[1:] == [("query", ["kept"])]


def test_a_big_call_can_be_cancelled_half_way(worker: EncodingWorker, encoder: SlowEncoder) -> None:
    documents = worker.submit(["x" * 50] * 20, "document")
    assert encoder.started.acquire(timeout=10)
    assert documents.cancel()
    finish(encoder, worker.submit(["next"], "query"))

    assert [len(texts) for _, texts in encoder.batches] == [2, 1]


def test_a_text_that_breaks_the_model_fails_only_its_own_call(worker: EncodingWorker, encoder: SlowEncoder) -> None:
    running = occupy(worker, encoder)
    good, bad = worker.submit(["good"], "query"), worker.submit([BROKEN], "query")
    finish(encoder, running, good, bad)

    assert good.result().shape == (1, 2)
    with pytest.raises(EmbeddingFailed, match="slow: RuntimeError: out of order"):
        bad.result()


def test_closing_fails_what_waits_and_refuses_what_comes(worker: EncodingWorker, encoder: SlowEncoder) -> None:
    running = occupy(worker, encoder)
    waiting = worker.submit(["too late"], "document")
    worker.close()
    finish(encoder, running, waiting)

    with pytest.raises(EmbeddingFailed, match="closed"):
        waiting.result()
    with pytest.raises(EmbeddingFailed, match="closed"):
        worker.submit(["later still"], "query")


def test_a_failed_load_fails_who_waits_and_is_tried_again(encoder: SlowEncoder) -> None:
    attempts = iter([OSError("no such folder"), None])

    def load() -> SlowEncoder:
        if error := next(attempts):
            raise error
        return encoder

    worker = EncodingWorker("slow", load)
    encoder.permissions.release(10)
    with pytest.raises(EmbeddingFailed, match="slow: OSError: no such folder"):
        worker.submit(["first"], "query").result(timeout=10)
    assert worker.submit(["second"], "query").result(timeout=10).shape == (1, 2)
    worker.close(10)


async def test_a_cancelled_wait_for_the_load_cancels_nobody_else(encoder: SlowEncoder) -> None:
    may_load = threading.Event()
    model = LocalEmbedding("slow", lambda: may_load.wait(10) and encoder)
    impatient, patient = asyncio.ensure_future(model.load()), asyncio.ensure_future(model.load())
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait({impatient})
    may_load.set()

    assert await patient == encoder.fingerprint
    await model.close()


async def test_tokens_are_estimated_before_the_model_is_loaded_and_extrapolated_in_long_texts(
    encoder: SlowEncoder,
) -> None:
    model = LocalEmbedding("slow", lambda: encoder)
    assert model.count_tokens("twelve bytes") == 3

    await model.load()
    assert model.count_tokens("two words") == 2
    assert model.count_tokens("word " * COUNTED) == pytest.approx(COUNTED, rel=0.01)
    await model.close()


async def test_a_model_that_nobody_holds_ends_its_thread(encoder: SlowEncoder) -> None:
    model = LocalEmbedding("forgotten", lambda: encoder)
    await model.load()
    (thread,) = (one for one in threading.enumerate() if one.name.startswith("embedding forgotten"))
    del model
    gc.collect()
    await asyncio.to_thread(thread.join, 10)

    assert not thread.is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_loads_a_model_of_its_own() -> None:
    program = """
import asyncio, os, warnings
warnings.simplefilter("ignore")
from semantic_memory.embedding.bundled import bundled
model = bundled()
asyncio.run(model.embed_query("parent"))
child = os.fork()
row = asyncio.run(asyncio.wait_for(model.embed_query("both"), 30))
if child:
    raise SystemExit(os.waitpid(child, 0)[1])
os._exit(0 if row.shape == (384,) else 1)
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
