from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from semantic_memory.embedding import Matrix, sentence_transformers
from semantic_memory.embedding import bundled as module
from semantic_memory.embedding.bundled import LONGEST, SHA256, OnnxEncoder, bundled, verified_folder
from semantic_memory.embedding.probes import PROBES
from semantic_memory.embedding.sentence_transformers import SentenceTransformerEmbedding
from semantic_memory.errors import EmbeddingFailed, InvalidInput
from semantic_memory.rooms import embedding_model
from semantic_memory.settings import Settings

TEXTS = [*PROBES, "one", "straße 12, düsseldorf 🦜", "a much longer text " * 40, "word " * 600]


async def documents(model: SentenceTransformerEmbedding, texts: list[str]) -> Matrix:
    try:
        return await model.embed_documents(texts)
    finally:
        await model.close()


async def test_its_vectors_and_its_weights_are_those_of_sentence_transformers() -> None:
    model, reference = bundled(), SentenceTransformerEmbedding(verified_folder(), precision="float32")
    ours, theirs = await model.load(), await reference.load()

    assert (ours.weights, ours.dimension) == (theirs.weights, theirs.dimension) == (SHA256, 384)
    for text in TEXTS:
        assert model.count_tokens(text) == reference.count_tokens(text)
    expected = await documents(reference, TEXTS)
    assert await documents(model, TEXTS) == pytest.approx(expected, abs=2e-6)


async def test_a_question_has_nearly_the_vector_of_sentence_transformers() -> None:
    model, reference = bundled(), SentenceTransformerEmbedding(verified_folder(), precision="float32")
    expected = await documents(reference, TEXTS)
    found = np.stack([await model.embed_query(text) for text in TEXTS])
    await model.close()

    assert np.all(np.sum(expected * found, axis=1) > 1 - module.ROUNDING)


def test_a_question_has_the_same_vector_whatever_else_is_asked_at_the_time() -> None:
    encoder = OnnxEncoder(verified_folder())
    encoder._brief = module._session(verified_folder(), module.BRIEF)
    together = encoder.encode(TEXTS, "query")

    for text, row in zip(TEXTS, together, strict=True):
        assert np.array_equal(encoder.encode([text], "query")[0], row)


@pytest.mark.parametrize(
    ("brief_takes", "near", "right", "graph", "brief"),
    [
        (0.5, True, True, module.BRIEF, True),
        (0.9, True, True, module.BRIEF, False),
        (0.5, False, True, module.BRIEF, False),
        (0.5, True, False, module.BRIEF, False),
        (0.5, True, True, "none.onnx", False),
    ],
)
def test_questions_are_encoded_in_8_bits_where_that_is_faster_and_near_enough(
    monkeypatch: pytest.MonkeyPatch, *, brief_takes: float, near: bool, right: bool, graph: str, brief: bool
) -> None:
    times = iter([1.0, brief_takes])
    monkeypatch.setattr(module, "seconds", lambda _: next(times))
    monkeypatch.setattr(module, "same_vectors", lambda *_, noise: near and noise == module.ROUNDING)
    monkeypatch.setattr(module, "_multiplies_rightly", lambda _: right)
    monkeypatch.setattr(module, "BRIEF", graph)
    encoder = OnnxEncoder(verified_folder())
    exact = encoder.encode(PROBES, "document")
    encoder.shorten_queries()

    assert np.array_equal(encoder.encode(PROBES, "document"), exact)
    assert np.array_equal(encoder.encode(PROBES, "query"), exact) is not brief


class Saturating:
    """A session whose products of 8 bits end at 16, as where a processor has no instruction of its own for them."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.get_inputs = session.get_inputs

    def run(self, outputs: None, inputs: Any) -> Any:
        rows, sums = self._session.run(outputs, inputs)
        return rows, np.full_like(sums, sums.shape[1] // 2 * 32767)


def test_it_is_noticed_where_products_of_8_bits_are_cut() -> None:
    session = module._session(verified_folder(), module.BRIEF)

    assert not module._multiplies_rightly(Saturating(session))


async def test_what_is_beyond_the_longest_text_is_counted_and_not_encoded() -> None:
    encoder = OnnxEncoder(verified_folder())
    longest, longer = "word " * (LONGEST - 2), "word " * (LONGEST - 2) + "and something else"
    rows = encoder.encode([longest, longer, longest + "more"], "document")

    assert rows[1] == pytest.approx(rows[0])
    assert encoder.count_tokens(longer) == LONGEST + 1


ENCODER = cache(lambda: OnnxEncoder(verified_folder()))
TOKENIZER = cache(lambda: Tokenizer.from_file(str(verified_folder() / "tokenizer.json")))
LINES = st.lists(
    st.one_of(st.text(max_size=20), st.sampled_from(["\u0301", "\r", "the", "s", "\u2028x", " "])), max_size=6
)


@given(LINES)
def test_the_tokens_of_lines_are_those_of_the_whole(lines: list[str]) -> None:
    text = "\n".join(lines).encode("utf-8", "ignore").decode()
    TOKENIZER().no_truncation()
    TOKENIZER().no_padding()
    whole = len(TOKENIZER().encode(text, add_special_tokens=False))
    assert ENCODER().count_tokens(text) == ENCODER().count_tokens(text) == whole


def test_of_counted_lines_no_text_is_kept_and_not_more_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semantic_memory.embedding.bundled.COUNTED_LINES", 3)
    encoder = OnnxEncoder(verified_folder())
    assert [encoder.count_tokens(f"line {number}") for number in range(9)] == [2] * 9
    assert 0 < len(encoder._counts) <= 3
    assert all(isinstance(key, int) for key in encoder._counts)


async def test_where_onnxruntime_computes_something_else_sentence_transformers_takes_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(OnnxEncoder, "encode", lambda _self, texts, _kind: np.eye(len(texts), 384))
    monkeypatch.setattr(
        sentence_transformers, "_multiplies_bfloat16", lambda: False
    )  # float32, as onnxruntime computes
    model = bundled()
    with caplog.at_level(logging.WARNING):
        fingerprint = await model.load()
    row = (await documents(model, ["We deploy to Hetzner"]))[0]

    assert "onnxruntime can't run all-MiniLM-L6-v2 (its vectors differ)" in caplog.text
    monkeypatch.undo()
    model = bundled()
    assert await model.load() == fingerprint
    assert (await documents(model, ["We deploy to Hetzner"]))[0] == pytest.approx(row, abs=2e-6)


async def test_weights_that_were_replaced_are_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_, **__: tmp_path / "cache")
    package = tmp_path / "replaced_model"
    shutil.copytree(verified_folder(), package / "model")
    (package / "__init__.py").write_text("raise RuntimeError('code of the package ran')")
    with (package / "model" / "model.safetensors").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\0\1\2\3")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "PACKAGE", "replaced_model")

    with pytest.raises(EmbeddingFailed, match="damaged or replaced"):
        await bundled().load()


async def test_without_its_package_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACKAGE", "no_such_package")

    with pytest.raises(EmbeddingFailed, match="no_such_package, which holds the default model"):
        await bundled().load()


def test_it_runs_without_torch_and_says_nothing() -> None:
    program = (
        "import asyncio, json, sys\n"
        "from semantic_memory.embedding.bundled import bundled\n"
        "row = asyncio.run(bundled().embed_query('Where do we deploy?'))\n"
        "print(json.dumps([row.shape[0], 'torch' in sys.modules, 'transformers' in sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stderr == ""
    assert json.loads(done.stdout) == [384, False, False]


def test_the_graphs_are_what_the_script_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    root = Path(__file__).parents[2]
    monkeypatch.syspath_prepend(root / "scripts")
    import bundled_graph

    for name, kind in bundled_graph.GRAPHS.items():
        written = bundled_graph.built(kind(verified_folder() / "model.safetensors"))
        assert written == (bundled_graph.FOLDER / name).read_bytes()


async def test_a_setting_holds_questions_to_float32() -> None:
    exact = embedding_model(Settings.from_environment({"SEMANTIC_MEMORY_EMBEDDING_PRECISION": "float32"}))
    [document], query = await exact.embed_documents(TEXTS[:1]), await exact.embed_query(TEXTS[0])
    await exact.close()
    assert np.array_equal(document, query)

    with pytest.raises(InvalidInput, match="embedding_precision is auto or float32, not 'double'"):
        Settings.from_environment({"SEMANTIC_MEMORY_EMBEDDING_PRECISION": "double"})
