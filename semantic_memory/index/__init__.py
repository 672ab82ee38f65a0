"""The index: each user's active facts in a Chroma collection of their own. A projection of the ledger."""

from semantic_memory.index.folders import FolderIndex
from semantic_memory.index.protocol import Index, Place, Vector
from semantic_memory.index.server import ServerIndex

__all__ = ["FolderIndex", "Index", "Place", "ServerIndex", "Vector"]
