"""The fixtures of the integration tests."""

from tests.integration.conftest import memory, open_memory

__all__ = ["memory", "open_memory"]
