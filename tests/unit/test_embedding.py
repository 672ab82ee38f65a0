from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantic_memory.embedding import Fingerprint, weights
from semantic_memory.embedding.probes import PROBES, same_cosines, same_vectors
from semantic_memory.embedding.rows import unit_rows
from semantic_memory.embedding.text import BLANK, encodable, estimated_tokens
from semantic_memory.embedding.weights import file_digest, folder_digest, verify
from semantic_memory.errors import EmbeddingFailed
from semantic_memory.testing import HashEmbeddingModel

SHA256_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_, **__: folder)
    return folder


@given(st.text(alphabet=st.characters(codec=None)), st.integers(1, 20))
def test_an_encodable_text_is_never_blank_and_survives_utf8(text: str, limit: int) -> None:
    clean = encodable(text, limit)

    assert clean.strip()
    assert "\0" not in clean
    assert len(clean) <= limit
    assert clean.encode().decode() == clean


@given(st.text(min_size=1).filter(lambda text: text.strip() and "\0" not in text))
def test_an_ordinary_text_is_left_alone(text: str) -> None:
    assert encodable(text) == text


def test_a_blank_text_becomes_a_word() -> None:
    assert encodable(" \n") == encodable("") == BLANK


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("four", 1), ("fives", 2), ("größe", 2), ("\ud800", 1)])
def test_tokens_are_estimated_from_bytes(text: str, tokens: int) -> None:
    assert estimated_tokens(text) == tokens


def test_rows_are_normalised_to_float32() -> None:
    rows = unit_rows([[3.0, 4.0], [0.0, 2.0]], count=2)

    assert rows.dtype == np.float32
    assert rows == pytest.approx(np.array([[0.6, 0.8], [0.0, 1.0]]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0, np.nan]], "NaN"),
        ([[1.0, np.inf]], "infinity"),
        ([[0.0, 0.0]], "zeros"),
        ([[1.0, 2.0, 3.0]], "dimension 2"),
        ([[1.0, 2.0], [1.0, 2.0]], "expected 1 vectors"),
        ([1.0, 2.0], "shape"),
    ],
)
def test_unusable_vectors_are_refused(values: list[object], message: str) -> None:
    with pytest.raises(EmbeddingFailed, match=message):
        unit_rows(values, count=1, dimension=2)


def test_noise_is_accepted_and_another_model_is_not() -> None:
    random = np.random.default_rng(0)
    rows = unit_rows(random.normal(size=(len(PROBES), 64)), count=len(PROBES))
    noisy = rows + random.normal(scale=0.001, size=rows.shape).astype(np.float32)
    other = rows + random.normal(scale=0.02, size=rows.shape).astype(np.float32)

    assert same_vectors(rows, noisy)
    assert not same_vectors(rows, other)
    assert same_cosines(rows @ rows.T, rows)
    assert not same_cosines(rows @ rows.T, other)


def test_a_fingerprint_key_depends_on_every_field() -> None:
    one = Fingerprint(name="a", weights="b", dimension=3)
    others = [
        replace(one, **change)
        for change in (
            {"name": "x"},
            {"weights": "x"},
            {"dimension": 4},
            {"query_prompt": "x"},
            {"document_prompt": "x"},
        )
    ]

    assert len({one.key, *(other.key for other in others)}) == 6


def test_a_digest_is_remembered_until_the_file_changes(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"abc")
    assert file_digest(path) == SHA256_OF_ABC
    with monkeypatch.context() as patch:
        patch.setattr(weights.hashlib, "file_digest", None)  # reading it again would fail
        assert file_digest(path) == SHA256_OF_ABC

    path.write_bytes(b"abd")
    os.utime(path, ns=(1, 1))
    assert file_digest(path) != SHA256_OF_ABC


def test_a_damaged_stamp_is_not_believed(cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"abc")
    file_digest(path)
    for stamp in (cache / "sha256").iterdir():
        stamp.write_bytes(b"\xff half a dig")

    assert file_digest(path) == SHA256_OF_ABC


def test_without_a_writable_cache_the_digest_is_right_all_the_same(cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"abc")
    cache.write_text("a file where the folder should be")

    assert file_digest(path) == SHA256_OF_ABC


def test_a_model_folder_is_known_by_its_safetensors_alone(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"abc")
    (tmp_path / "pytorch_model.bin").write_bytes(b"the same in another format")

    assert folder_digest(tmp_path) == SHA256_OF_ABC


def test_every_shard_of_a_model_counts_and_so_does_its_name(cache: Path, tmp_path: Path) -> None:
    for number in "12":
        (tmp_path / f"model-{number}.safetensors").write_bytes(number.encode())
    before = folder_digest(tmp_path)
    (tmp_path / "model-2.safetensors").rename(tmp_path / "model-3.safetensors")

    assert folder_digest(tmp_path) != before


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingFailed, match="holds no weights"):
        folder_digest(tmp_path)


def test_a_file_that_is_not_what_it_should_be_is_refused(cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(EmbeddingFailed, match="is missing"):
        verify(path, SHA256_OF_ABC)

    path.write_bytes(b"abd")
    with pytest.raises(EmbeddingFailed, match="damaged or replaced"):
        verify(path, SHA256_OF_ABC)


async def test_the_hash_model_brings_texts_with_shared_words_near() -> None:
    rows = await HashEmbeddingModel(dimension=256).embed_documents(
        ["We deploy to Hetzner", "where do we DEPLOY?", "oat milk"]
    )

    assert rows.shape == (3, 256)
    assert rows[0] @ rows[1] > 0.3 > abs(rows[0] @ rows[2])


def test_importing_the_models_loads_neither_torch_nor_onnxruntime_nor_openai() -> None:
    program = (
        "import json, sys\n"
        "import semantic_memory.embedding.bundled, semantic_memory.embedding.openai\n"
        "import semantic_memory.embedding.sentence_transformers\n"
        "print(json.dumps(sorted({'torch', 'transformers', 'onnxruntime', 'tokenizers'} & set(sys.modules))))\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60).stdout

    assert json.loads(found) == []
