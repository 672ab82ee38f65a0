"""A loopback server that speaks OpenAI's /v1/embeddings, and a tiny sentence-transformers model in a folder."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from semantic_memory.testing import HashEmbeddingModel

DIMENSION = 48
KEY = "loopback-key"
WORDS = "the a we i you deploy to hetzner aws oat milk likes lives in berlin with two dogs query passage : . ?"


class EmbeddingApi(ThreadingHTTPServer):
    """Answers with hashed words; `answer` lets a test change what is sent; `requests` holds what came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[dict[str, Any]] = []
        self.failures: list[int] = []  # status codes of the next answers
        self.change = lambda body: body

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EmbeddingApi

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(asked)
        if self.server.failures:
            self._send(self.server.failures.pop(0), {"error": {"message": "try again"}})
        elif self.headers["Authorization"] != f"Bearer {KEY}":
            self._send(401, {"error": {"message": "Incorrect API key provided"}})
        elif problem := _problem(asked):
            self._send(400, {"error": {"message": problem}})
        else:
            self._send(200, self.server.change(_answer(asked)))

    def _send(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Nothing on stderr."""


def _problem(asked: dict[str, Any]) -> str | None:
    texts = asked["input"]
    if asked["model"] != "text-embedding-3-small":
        return f"The model {asked['model']} does not exist"
    if not 0 < len(texts) <= 2_048 or not all(texts) or any(len(text) > 200_000 for text in texts):
        return "'$.input' is invalid"
    return None


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    dimension = asked.get("dimensions", DIMENSION)
    rows = asyncio.run(HashEmbeddingModel(dimension).embed_documents(asked["input"])) * np.float32(3)
    encode = _base64 if asked.get("encoding_format") == "base64" else np.ndarray.tolist
    data = [{"object": "embedding", "index": at, "embedding": encode(row)} for at, row in enumerate(rows)]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return {"object": "list", "data": data[::-1], "model": asked["model"], "usage": usage}


def _base64(row: np.ndarray) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()


@contextmanager
def embedding_api() -> Iterator[EmbeddingApi]:
    """The server, running."""
    with EmbeddingApi() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def tiny_model(folder: Path) -> Path:
    """A one-layer BERT with random weights and prompts of its own, as sentence-transformers saves it."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(0)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split(), *map(chr, range(97, 123))]
    (folder / "raw").mkdir(parents=True)
    (folder / "raw" / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(vocab=str(folder / "raw" / "vocab.txt")).save_pretrained(folder / "raw")
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64, initializer_range=0.5,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder / "raw")
    transformer = Transformer(str(folder / "raw"), max_seq_length=32)
    model = SentenceTransformer(
        modules=[transformer, Pooling(config.hidden_size)],
        device="cpu",
        prompts={"query": "query: ", "document": "passage: "},
    )
    model.save(str(folder / "tiny"), create_model_card=False)
    return folder / "tiny"
