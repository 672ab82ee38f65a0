"""What all tests share: nothing leaves the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests import network
from tests.chroma_server import ChromaServer

network.guard()
os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"  # read when the SDK is imported: no trace is ever uploaded
os.environ["HF_HUB_OFFLINE"] = "1"

settings.register_profile("thorough", deadline=None)  # pytest --hypothesis-profile=thorough


@pytest.fixture(scope="session")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    """A real `chroma run` on the loopback, for the tests that speak to one."""
    with ChromaServer(tmp_path_factory.mktemp("chroma-server")) as server:
        yield server
