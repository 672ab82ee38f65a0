from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semantic_memory.embedding import sentence_transformers as module
from semantic_memory.embedding.sentence_transformers import SentenceTransformerEmbedding
from semantic_memory.errors import EmbeddingFailed
from tests.embedding_api import tiny_model

COMMIT = "0123456789" * 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


async def row(model: SentenceTransformerEmbedding, text: str = "we deploy to hetzner") -> np.ndarray:
    try:
        return await model.embed_query(text)
    finally:
        await model.close()


async def test_the_vectors_are_those_of_the_library(folder: Path) -> None:
    from sentence_transformers import SentenceTransformer

    texts = ["we deploy to hetzner", "oat milk", "the two dogs live in berlin " * 9]
    library = SentenceTransformer(str(folder), device="cpu")
    model = SentenceTransformerEmbedding(folder, device="cpu", precision="float32")

    assert await model.embed_documents(texts) == pytest.approx(
        library.encode_document(texts, normalize_embeddings=True), abs=1e-6
    )
    assert await row(model) == pytest.approx(
        library.encode_query("we deploy to hetzner", normalize_embeddings=True), abs=1e-6
    )


async def test_given_prompts_replace_those_of_the_model_and_belong_to_the_fingerprint(folder: Path) -> None:
    plain = SentenceTransformerEmbedding(folder, query_prompt="", document_prompt="")
    fingerprint = await plain.load()
    documents = await plain.embed_documents(["we deploy to hetzner"])

    assert (fingerprint.query_prompt, fingerprint.document_prompt) == ("", "")
    assert await row(plain) == pytest.approx(documents[0], abs=1e-6)
    assert not np.allclose(await row(SentenceTransformerEmbedding(folder)), documents[0], atol=1e-3)


async def test_a_copied_model_with_other_weights_has_another_fingerprint(folder: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    copy = Path(shutil.copytree(folder, tmp_path / folder.name))
    same = SentenceTransformerEmbedding(copy)
    original = SentenceTransformerEmbedding(folder)
    assert await same.load() == await original.load()

    weights = load_file(copy / "model.safetensors")
    weights["embeddings.LayerNorm.bias"] = weights["embeddings.LayerNorm.bias"] + np.float32(0.5)
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    other = SentenceTransformerEmbedding(copy)
    assert (await other.load()).weights != (await original.load()).weights
    for model in (same, original, other):
        await model.close()


async def test_bfloat16_that_differs_beyond_noise_is_another_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "same_vectors", lambda *_: False)
    wide, narrow = (SentenceTransformerEmbedding(folder, precision=precision) for precision in ("float32", "bfloat16"))

    assert (await narrow.load()).weights == (await wide.load()).weights + " in bfloat16"
    assert await row(narrow) == pytest.approx(await row(wide), abs=0.05)


async def test_bfloat16_within_noise_is_the_same_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "same_vectors", lambda *_: True)
    wide, narrow = (SentenceTransformerEmbedding(folder, precision=precision) for precision in ("float32", "bfloat16"))

    assert await narrow.load() == await wide.load()
    assert 0 < np.abs(await row(narrow) - await row(wide)).max() < 0.05


@pytest.mark.parametrize(
    ("able", "faithful", "narrow_takes", "taken"),
    [
        (True, True, 0.5, True),
        (True, False, 0.5, False),
        (True, True, 1.0, False),
        (False, True, 0.5, False),
    ],
)
async def test_bfloat16_is_taken_where_it_is_faster_and_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, able: bool, faithful: bool, narrow_takes: float, taken: bool
) -> None:
    import torch

    def seconds(encode: Any) -> float:
        return narrow_takes if encode.func.__self__._model.dtype == torch.bfloat16 else 1.0

    wide = await row(SentenceTransformerEmbedding(folder, precision="float32"))
    monkeypatch.setattr(module, "_multiplies_bfloat16", lambda: able)
    monkeypatch.setattr(module, "same_vectors", lambda *_: faithful)
    monkeypatch.setattr(module, "seconds", seconds)

    assert np.array_equal(await row(SentenceTransformerEmbedding(folder, device="cpu")), wide) != taken


async def test_batches_run_side_by_side_on_their_share_of_the_cores(folder: Path) -> None:
    import torch

    before = torch.get_num_threads()
    texts = [f"the dog number {number} lives in berlin" for number in range(400)]
    model = SentenceTransformerEmbedding(folder, device="cpu", precision="float32")
    await model.load()
    encoder = model._worker.encoder
    assert isinstance(encoder, module.TorchEncoder)
    seen: dict[int, int] = {}
    encode = encoder._model.forward

    def forward(*given: object, **named: object) -> object:
        seen[threading.get_ident()] = torch.get_num_threads()
        time.sleep(0.01)
        return encode(*given, **named)

    encoder._model.forward = forward
    rows = await model.embed_documents(texts)
    encoder._model.forward = encode

    cores = os.cpu_count() or 1
    assert len(seen) == encoder.threads == min(cores, module.MOST_THREADS)
    assert set(seen.values()) == {cores // encoder.threads}
    assert torch.get_num_threads() == before
    assert rows == pytest.approx(encoder._model.encode_document(texts, normalize_embeddings=True), abs=1e-6)
    await model.close()


async def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to load here")

    with pytest.raises(EmbeddingFailed, match=tmp_path.name):
        await SentenceTransformerEmbedding(tmp_path).load()


async def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(EmbeddingFailed, match="nobody/no-such-model"):
        await SentenceTransformerEmbedding("nobody/no-such-model", local_files_only=True).load()


async def test_weights_that_make_nan_are_refused(folder: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    copy = Path(shutil.copytree(folder, tmp_path / "nan"))
    weights = load_file(copy / "model.safetensors")
    weights["embeddings.LayerNorm.bias"] = np.full_like(weights["embeddings.LayerNorm.bias"], np.nan)
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(EmbeddingFailed, match="NaN"):
        await row(SentenceTransformerEmbedding(copy))


@pytest.fixture(scope="module")
def fresh_process(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """Loads the tiny model in a new process: from a folder, and by name from a cache of the hub."""
    cache = tmp_path_factory.mktemp("hub")
    repository = cache / "models--sentence-transformers--tiny-by-name"
    shutil.copytree(folder, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    program = f"""
import asyncio, json
from dataclasses import asdict
from semantic_memory.embedding.sentence_transformers import SentenceTransformerEmbedding
models = [SentenceTransformerEmbedding(name, local_files_only=True) for name in ({str(folder)!r}, "tiny-by-name")]
fingerprints = [asdict(asyncio.run(model.load())) for model in models]
from huggingface_hub.utils import are_progress_bars_disabled
from transformers.utils import logging
print(json.dumps([fingerprints, logging.is_progress_bar_enabled() and not are_progress_bars_disabled()]))
"""
    environment = {"HF_HUB_CACHE": str(cache), "HOME": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=180, env=os.environ | environment, check=False
    )


def test_loading_says_nothing_and_leaves_the_progress_bars_of_others_alone(
    fresh_process: subprocess.CompletedProcess[str],
) -> None:
    assert fresh_process.stderr == ""
    _, bars = json.loads(fresh_process.stdout)
    assert bars


def test_a_model_of_the_hub_is_known_by_its_cached_files(
    fresh_process: subprocess.CompletedProcess[str],
) -> None:
    (local, named), _ = json.loads(fresh_process.stdout)

    assert named == local | {"name": "tiny-by-name"}
