"""Messages to candidate facts: the protocol, and the extractors that ship."""

from semantic_memory.extraction.protocol import Extractor

__all__ = ["Extractor"]
