"""Variants of an embedding model are models like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from semantic_memory.embedding.bundled import verified_folder
from semantic_memory.embedding.sentence_transformers import SentenceTransformerEmbedding
from semantic_memory.evaluation.variants import of_words


async def test_a_model_of_words_is_loaded_from_its_folder_and_knows_what_is_alike(tmp_path: Path) -> None:
    model = SentenceTransformerEmbedding(of_words(verified_folder(), tmp_path / "words", dimension=64))
    try:
        assert (await model.load()).dimension == 64
        rows = await model.embed_documents(["my daughter", "the cathedral", "our server"])
        assert np.allclose(np.linalg.norm(rows, axis=1), 1)
        likeness = rows @ await model.embed_query("my son")
        assert likeness.argmax() == 0
        assert np.allclose(
            await model.embed_query("dog bites man"), await model.embed_query("man bites dog"), atol=1e-5
        )
    finally:
        await model.close()
