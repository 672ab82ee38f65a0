"""Text to unit vectors: the protocol, and the models that ship."""

from semantic_memory.embedding.protocol import EmbeddingModel, Fingerprint, Matrix

__all__ = ["EmbeddingModel", "Fingerprint", "Matrix"]
