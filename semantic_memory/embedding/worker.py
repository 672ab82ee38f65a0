"""The threads that own a local model, and the queue in front of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from time import monotonic
from typing import Literal, Protocol

import numpy as np

from semantic_memory.embedding.protocol import Fingerprint, Matrix
from semantic_memory.embedding.rows import unit_rows
from semantic_memory.embedding.text import encodable
from semantic_memory.errors import EmbeddingFailed

Kind = Literal["query", "document"]


class Encoder(Protocol):
    """A loaded model. `encode` runs on `threads` of the worker's threads at once, `count_tokens` on any."""

    fingerprint: Fingerprint
    threads: int
    text_limit: int  # characters of a text that can matter; the tokenizer truncates by tokens
    batch_limit: int  # characters of a batch, padding included

    def encode(self, texts: Sequence[str], kind: Kind) -> Matrix:
        """One row for every text, not yet checked or normalised."""
        ...

    def count_tokens(self, text: str) -> int:
        """How many tokens the text has, special tokens left out."""
        ...


class EncodingWorker:
    """Loads a model on a thread of its own and encodes what callers on any thread submit.

    What queued up while a batch ran is encoded together in the next, without waiting for more. Batches
    of queries and of documents take turns, so that neither waits for all of the other.
    """

    def __init__(self, name: str, load: Callable[[], Encoder]) -> None:
        self._name = name
        self._load = load
        self._waiting: dict[Kind, deque[_Request]] = {"query": deque(), "document": deque()}
        self._wake = threading.Condition()
        self._loading: Future[Encoder] | None = None
        self._threads: list[threading.Thread] = []
        self._documents_next = False
        self._closed = False

    @property
    def encoder(self) -> Encoder | None:
        """The loaded model, or None where it isn't loaded (yet)."""
        loading = self._loading
        return loading.result() if loading and loading.done() and not loading.exception() else None

    def load(self) -> Future[Encoder]:
        """The model, once it is loaded; every caller gets the same future, and a failed load is tried again."""
        with self._wake:
            return self._started()

    def submit(self, texts: Sequence[str], kind: Kind) -> Future[Matrix]:
        """Unit rows for `texts`; cancel the future to take back what is not encoded yet."""
        request = _Request(texts)
        with self._wake:
            self._started()
            self._waiting[kind].append(request)
            self._wake.notify()
        return request.future

    def close(self, timeout: float = 0.0) -> None:
        """Fail what waits, let the thread end, and wait for that up to `timeout` seconds."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        deadline = monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))

    def _started(self) -> Future[Encoder]:
        if self._closed:
            raise EmbeddingFailed(f"the embedding model {self._name} is closed")
        if self._loading is None or not self._threads[0].is_alive():  # as in a forked child
            self._loading = Future()
            self._loading.set_running_or_notify_cancel()  # shared: no caller may cancel it
            self._threads = []
            self._start(self._run, self._loading)
        return self._loading

    def _start(self, target: Callable[..., None], *args: object) -> None:
        name = f"embedding {self._name} {len(self._threads)}"
        self._threads.append(threading.Thread(target=target, args=args, name=name, daemon=True))
        self._threads[-1].start()

    def _run(self, loading: Future[Encoder]) -> None:
        try:
            encoder = self._load()
        except BaseException as error:
            self._give_up(loading, self._translated(error))
            return
        for _ in range(encoder.threads - 1):
            self._start(self._serve, encoder)
        loading.set_result(encoder)
        self._serve(encoder)

    def _serve(self, encoder: Encoder) -> None:
        while batch := self._next_batch(encoder.batch_limit):
            self._encode(encoder, batch)
        with self._wake:
            self._fail_waiting(EmbeddingFailed(f"the embedding model {self._name} is closed"))

    def _give_up(self, loading: Future[Encoder], error: EmbeddingFailed) -> None:
        with self._wake:
            self._loading = None
            self._fail_waiting(error)
        loading.set_exception(error)

    def _fail_waiting(self, error: EmbeddingFailed) -> None:
        for requests in self._waiting.values():
            while requests:
                requests.popleft().fail(error)

    def _next_batch(self, limit: int) -> _Batch | None:
        """Sleep until there is work; None when the worker is closed."""
        with self._wake:
            while not self._closed:
                batch = _Batch(self._next_kind(), limit)
                batch.fill(self._waiting[batch.kind])
                more = any(self._waiting.values())
                if more:
                    self._wake.notify()  # another thread takes the next one
                if batch.texts:
                    return batch
                if not more:
                    self._wake.wait()
        return None

    def _next_kind(self) -> Kind:
        documents = bool(self._waiting["document"]) and (self._documents_next or not self._waiting["query"])
        self._documents_next = not documents
        return "document" if documents else "query"

    def _encode(self, encoder: Encoder, batch: _Batch) -> None:
        """Encode a batch; where it fails, each request alone, so that one bad text fails nobody else."""
        try:
            texts = [encodable(text, encoder.text_limit) for text in batch.texts]
            dimension = encoder.fingerprint.dimension
            rows = unit_rows(encoder.encode(texts, batch.kind), count=len(texts), dimension=dimension)
        except BaseException as error:
            parts = batch.by_request()
            if len(parts) == 1:
                batch.fail(self._translated(error))
            else:
                for part in parts:
                    self._encode(encoder, part)
        else:
            batch.deliver(rows)

    def _translated(self, error: BaseException) -> EmbeddingFailed:
        if isinstance(error, EmbeddingFailed):
            return error
        failed = EmbeddingFailed(f"{self._name}: {type(error).__name__}: {error}")
        failed.__cause__ = error
        return failed


class _Request:
    """The texts of one call, shortest first, and the rows that came back so far."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.future: Future[Matrix] = Future()
        self.texts = texts
        self.left = deque(sorted(range(len(texts)), key=lambda position: len(texts[position])))
        self._rows: Matrix | None = None
        self._missing = len(texts)
        self._lock = threading.Lock()

    def deliver(self, positions: Sequence[int], rows: Matrix) -> None:
        with self._lock:
            if self._rows is None:
                self._rows = np.empty((len(self.texts), rows.shape[1]), dtype=np.float32)
            self._rows[positions] = rows
            self._missing -= len(positions)
        if not self._missing:
            with suppress(InvalidStateError):  # cancelled meanwhile
                self.future.set_result(self._rows)

    def fail(self, error: EmbeddingFailed) -> None:
        with suppress(InvalidStateError):
            self.future.set_exception(error)


class _Batch:
    """Pieces of requests that are encoded together, in order of arrival."""

    def __init__(self, kind: Kind, limit: int) -> None:
        self.kind = kind
        self.texts: list[str] = []
        self.pieces: list[tuple[_Request, list[int]]] = []
        self._limit = limit
        self._longest = 1

    def fill(self, waiting: deque[_Request]) -> None:
        """Take from the front what fits; a request that is cut goes to the back, so that small ones pass it."""
        while waiting:
            request = waiting.popleft()
            if request.future.done():
                continue
            self._take(request)
            if request.left:
                waiting.append(request)
                return

    def _take(self, request: _Request) -> None:
        positions: list[int] = []
        while request.left and self._fits(request.texts[request.left[0]]):
            positions.append(request.left.popleft())
            self.texts.append(request.texts[positions[-1]])
            self._longest = max(self._longest, len(self.texts[-1]))
        if positions:
            self.pieces.append((request, positions))

    def _fits(self, text: str) -> bool:
        return not self.texts or (len(self.texts) + 1) * max(self._longest, len(text)) <= self._limit

    def by_request(self) -> list[_Batch]:
        """The same pieces as batches of their own."""
        batches = []
        for request, positions in self.pieces:
            batch = _Batch(self.kind, self._limit)
            batch.texts, batch.pieces = [request.texts[at] for at in positions], [(request, positions)]
            batches.append(batch)
        return batches

    def deliver(self, rows: Matrix) -> None:
        """Hand every request its rows."""
        start = 0
        for request, positions in self.pieces:
            request.deliver(positions, rows[start : start + len(positions)])
            start += len(positions)

    def fail(self, error: EmbeddingFailed) -> None:
        """Tell every request that it failed."""
        for request, _ in self.pieces:
            request.fail(error)
