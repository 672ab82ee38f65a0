"""Any sentence-transformers model, by name or folder."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from semantic_memory.embedding.local import LocalEmbedding
from semantic_memory.embedding.probes import GAIN, PROBES, same_vectors, seconds
from semantic_memory.embedding.protocol import Fingerprint, Matrix
from semantic_memory.embedding.weights import folder_digest
from semantic_memory.embedding.worker import Kind

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

Precision = Literal["auto", "float32", "bfloat16"]

CHARACTERS_PER_TOKEN = 64  # far above any tokenizer's average: only what truncation would drop is cut
LONGEST = 8_192  # tokens, where the model names no limit
CPU_BATCH = 2_048  # padded characters, about 500 tokens: beyond it the throughput of a core doesn't grow
GPU_BATCH = 131_072
MOST_THREADS = 4
LOADING = threading.Lock()  # quietness is global in transformers: one load at a time changes it


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Which model to load, and how."""

    name_or_path: str
    title: str | None = None  # the name to go by, where it isn't the folder's
    query_prompt: str | None = None  # None: the model's own
    document_prompt: str | None = None
    device: str | None = None  # None: what sentence-transformers prefers
    precision: Precision = "auto"
    local_files_only: bool = False

    @property
    def name(self) -> str:
        """The name to go by: the folder's, or the model's on the Hugging Face hub."""
        path = Path(self.name_or_path)
        return self.title or (path.resolve().name if path.is_dir() else self.name_or_path)

    @property
    def repository(self) -> str:
        """The folder, or the model's whole name on the hub."""
        bare = "/" not in self.name_or_path and not Path(self.name_or_path).is_dir()
        return f"sentence-transformers/{self.name_or_path}" if bare else self.name_or_path


class SentenceTransformerEmbedding(LocalEmbedding):
    """A sentence-transformers model by name or folder; code from a model's repository is never run.

    `query_prompt` and `document_prompt` replace the model's own. `precision="auto"` is bfloat16 where
    the processor multiplies it in hardware, it is measured to be faster when the model is loaded, and the vectors
    stay the same within noise; else float32.
    """

    def __init__(
        self,
        name_or_path: str | Path,
        *,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
        device: str | None = None,
        precision: Precision = "auto",
        local_files_only: bool = False,
    ) -> None:
        source = Source(
            name_or_path=str(name_or_path),
            query_prompt=query_prompt,
            document_prompt=document_prompt,
            device=device,
            precision=precision,
            local_files_only=local_files_only,
        )
        super().__init__(source.name, lambda: load(source))


class TorchEncoder:
    """A loaded sentence-transformers model.

    On a processor several batches run at a time, on a share of the cores each: cores that work on one batch wait for
    each other (on two cores, one batch on each embeds 1.3 times the texts a second, in bfloat16 1.5 times).
    """

    def __init__(self, model: SentenceTransformer, source: Source, weights: str) -> None:
        cores = os.cpu_count() or 1
        self.threads = min(cores, MOST_THREADS) if model.device.type == "cpu" else 1
        self._cores = max(1, cores // self.threads)  # for each thread
        self._own = threading.local()
        self._model = model
        self._count = _token_counter(model.tokenizer)
        self._prompts: dict[Kind, str] = {
            "query": _prompt(model, source.query_prompt, "query"),
            "document": _prompt(model, source.document_prompt, "document", "passage", "corpus"),
        }
        self.text_limit = CHARACTERS_PER_TOKEN * min(model.max_seq_length or LONGEST, LONGEST)
        self.batch_limit = CPU_BATCH if model.device.type == "cpu" else GPU_BATCH
        self.fingerprint = Fingerprint(
            name=source.name,
            weights=weights,
            dimension=self.encode(PROBES[:1], "query").shape[1],
            query_prompt=self._prompts["query"],
            document_prompt=self._prompts["document"],
        )

    def encode(self, texts: Sequence[str], kind: Kind) -> Matrix:
        """One row for every text."""
        self._keep_to_own_cores()
        encode = self._model.encode_query if kind == "query" else self._model.encode_document
        prompt, size = self._prompts[kind], len(texts)
        rows = encode(list(texts), prompt=prompt, batch_size=size, show_progress_bar=False, convert_to_tensor=True)
        return np.asarray(rows.float().cpu().numpy(), dtype=np.float32)

    def count_tokens(self, text: str) -> int:
        """How many tokens the text has, special tokens left out."""
        return self._count(text)

    def _keep_to_own_cores(self) -> None:
        """OpenMP's number of threads belongs to the thread that sets it: nobody else's torch is changed."""
        if self.threads > 1 and not hasattr(self._own, "limit"):
            import torch
            from threadpoolctl import ThreadpoolController

            torch.get_num_threads()  # sets this thread's number, the first time
            openmp = ThreadpoolController().select(internal_api="openmp")
            self._own.limit = openmp.limit(limits=self._cores)


def load(source: Source) -> TorchEncoder:
    """Load the model in float32, and in bfloat16 where that is wanted and good."""
    model = _open(source)
    weights = folder_digest(_folder(source))
    encoder = TorchEncoder(model, source, weights)
    if not _may_be_bfloat16(source.precision, model):
        return encoder
    encode = partial(encoder.encode, PROBES, "document")
    expected, wide = encode(), seconds(encode)
    model.to(_bfloat16())
    same = same_vectors(expected, encode())
    if source.precision == "bfloat16":
        return encoder if same else TorchEncoder(model, source, f"{weights} in bfloat16")
    if same and wide >= GAIN * seconds(encode):
        return encoder
    return TorchEncoder(_open(source), source, weights)


def _may_be_bfloat16(precision: Precision, model: SentenceTransformer) -> bool:
    if precision == "auto":
        return model.device.type == "cpu" and _multiplies_bfloat16()
    return precision == "bfloat16"


def _multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for it; how much they bring is another question."""
    import torch

    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def _bfloat16() -> torch.dtype:
    import torch

    return torch.bfloat16


def _open(source: Source) -> SentenceTransformer:
    with LOADING, _quiet():
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(source.repository, device=source.device, local_files_only=source.local_files_only)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress bar over weights that are in memory in a blink."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _folder(source: Source) -> Path:
    """Where the loaded model's files are."""
    if Path(source.name_or_path).is_dir():
        return Path(source.name_or_path)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(source.repository, local_files_only=True))


def _prompt(model: SentenceTransformer, given: str | None, *names: str) -> str:
    """The prompt that was given, else the first that the model has under one of `names`."""
    if given is not None:
        return given
    return next((prompt for name in names if (prompt := model.prompts.get(name))), "")


def _token_counter(tokenizer: Any) -> Callable[[str], int]:
    """Counts tokens on any thread: with a copy, since encoding changes the tokenizer's truncation as it goes."""
    from tokenizers import Tokenizer

    fast = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not isinstance(fast, Tokenizer):
        return lambda text: len(tokenizer.tokenize(text))
    copy = Tokenizer.from_str(fast.to_str())
    copy.no_truncation()
    copy.no_padding()
    return lambda text: len(copy.encode(text, add_special_tokens=False))
