"""Write `semantic_memory/embedding/bundled.onnx`: the computation of all-MiniLM-L6-v2 without its weights.

    python scripts/bundled_graph.py path/to/model.safetensors     (needs `pip install onnx`)

The graph names where in model.safetensors each tensor lies, so that onnxruntime maps the weights from the
file as it was published. It holds for one file only, whose sha256 is checked before the graph is used.
The model: https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2 (a six-layer BERT, mean pooling).
The fused operators: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import onnx
from onnx import TensorProto, helper

GRAPH = Path(__file__).parents[1] / "semantic_memory" / "embedding" / "bundled.onnx"
FUSED = "com.microsoft"
LAYERS, HEADS, DIMENSION, EPSILON = 6, 12, 384, 1e-12
INPUTS = ("input_ids", "token_type_ids", "attention_mask")


class Graph:
    """Nodes and weights as they are added; every method returns the name of what it made."""

    def __init__(self, weights: Path) -> None:
        with weights.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            self._tensors = json.loads(file.read(size))
        self._start = 8 + size
        self._file = weights.name
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}

    def weight(self, name: str) -> str:
        """A tensor of the file, by the place where its bytes lie."""
        entry = self._tensors[name]
        first, last = entry["data_offsets"]
        assert entry["dtype"] == "F32", entry
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=entry["shape"])
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (
            ("location", self._file),
            ("offset", self._start + first),
            ("length", last - first),
        ):
            tensor.external_data.add(key=key, value=str(value))
        self._weights[name] = tensor
        return name

    def transposed(self, name: str) -> str:
        """A linear layer's weight as a right factor; onnxruntime folds it once, at load."""
        return self.add("Transpose", self.weight(name), perm=[1, 0])

    def constant(self, name: str, values: list[int]) -> str:
        """A list of whole numbers."""
        self._weights[name] = helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
        return name

    def add(self, operator: str, *inputs: str, domain: str = "", outputs: int = 1, **attributes: object) -> str:
        """A node; the name of its first output."""
        name = f"{operator}.{len(self._nodes)}"
        names = [name, *(f"{name}.{number}" for number in range(1, outputs))]
        self._nodes.append(helper.make_node(operator, list(inputs), names, domain=domain, **attributes))
        return name

    def model(self, result: str) -> onnx.ModelProto:
        """The whole, with `result` as its only output."""
        graph = helper.make_graph(
            self._nodes,
            "all-MiniLM-L6-v2",
            [helper.make_tensor_value_info(name, TensorProto.INT32, ["texts", "tokens"]) for name in INPUTS],
            [helper.make_tensor_value_info(result, TensorProto.FLOAT, ["texts", DIMENSION])],
            initializer=list(self._weights.values()),
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(FUSED, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="semantic_memory")


def embeddings(graph: Graph) -> str:
    """Words, positions and segments."""
    tables = (graph.weight(f"embeddings.{table}_embeddings.weight") for table in ("word", "position", "token_type"))
    norm = (graph.weight(f"embeddings.LayerNorm.{part}") for part in ("weight", "bias"))
    return graph.add("EmbedLayerNormalization", *INPUTS[:2], *tables, *norm, domain=FUSED, outputs=2, epsilon=EPSILON)


def layer(graph: Graph, hidden: str, name: str) -> str:
    """Self-attention and the feed-forward block, each with its residual and normalisation."""
    parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
    weight = graph.add("Concat", *(graph.transposed(f"{part}.weight") for part in parts), axis=1)
    bias = graph.add("Concat", *(graph.weight(f"{part}.bias") for part in parts), axis=0)
    attended = graph.add("Attention", hidden, weight, bias, INPUTS[2], domain=FUSED, num_heads=HEADS)
    hidden = residual(graph, attended, hidden, f"{name}.attention.output")
    wide = graph.add("MatMul", hidden, graph.transposed(f"{name}.intermediate.dense.weight"))
    wide = graph.add("BiasGelu", wide, graph.weight(f"{name}.intermediate.dense.bias"), domain=FUSED)
    return residual(graph, wide, hidden, f"{name}.output")


def residual(graph: Graph, values: str, hidden: str, name: str) -> str:
    """A linear layer, added to what it started from and normalised.

    Not the fused SkipLayerNormalization: on the CPU it makes the whole model a tenth slower.
    """
    values = graph.add("MatMul", values, graph.transposed(f"{name}.dense.weight"))
    values = graph.add("Add", graph.add("Add", values, graph.weight(f"{name}.dense.bias")), hidden)
    norm = (graph.weight(f"{name}.LayerNorm.{part}") for part in ("weight", "bias"))
    return graph.add("LayerNormalization", values, *norm, epsilon=EPSILON)


def token_sum(graph: Graph, hidden: str) -> str:
    """The sum over a text's tokens: a positive multiple of their mean, and only the direction counts."""
    second = graph.constant("second", [1])
    mask = graph.add("Unsqueeze", graph.add("Cast", INPUTS[2], to=TensorProto.FLOAT), second)
    return graph.add("Squeeze", graph.add("MatMul", mask, hidden), second)


def built(weights: Path) -> bytes:
    """The serialised graph; the same bytes for the same file."""
    graph = Graph(weights)
    hidden = embeddings(graph)
    for number in range(LAYERS):
        hidden = layer(graph, hidden, f"encoder.layer.{number}")
    return graph.model(token_sum(graph, hidden)).SerializeToString(deterministic=True)


if __name__ == "__main__":
    GRAPH.write_bytes(built(Path(sys.argv[1])))
