"""The example of several machines says what the server knows, and waits longer than the server does."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from semantic_memory.settings import ServerSettings, Settings

ROOT = Path(__file__).parents[2]
SERVERS = ("one", "other")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return found


def test_its_variables_are_settings(services: dict[str, Any]) -> None:
    known = {f"SEMANTIC_MEMORY_{one.name.upper()}" for one in fields(Settings)}
    known |= {f"SEMANTIC_MEMORY_SERVER_{one.name.upper()}" for one in fields(ServerSettings)}
    for name in SERVERS:
        given = services[name]["environment"]
        assert set(given) <= known
        Settings.from_environment(given)
        ServerSettings.from_environment(given)


def test_nobody_is_killed_while_what_was_begun_comes_to_an_end(services: dict[str, Any]) -> None:
    for name in SERVERS:
        patience = ServerSettings.from_environment(services[name]["environment"]).drain_patience
        assert int(services[name]["stop_grace_period"].removesuffix("s")) >= patience + 10


def test_everything_says_whether_it_is_well_and_comes_back_and_is_reached_from_here_only(
    services: dict[str, Any],
) -> None:
    for name, service in services.items():
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
    for name in SERVERS:
        assert services[name]["ports"]
        assert {one["condition"] for one in services[name]["depends_on"].values()} == {"service_healthy"}
        assert set(services[name]["depends_on"]) == set(services) - set(SERVERS)


def test_the_image_installs_extras_that_there_are_with_the_pinned_versions() -> None:
    [install] = re.findall(r"pip install .*?-c constraints.txt '\.\[(.*?)\]'", (ROOT / "Dockerfile").read_text())
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(install.split(",")) <= set(extras)
    assert {"server", "postgresql"} <= set(install.split(","))
    chroma = re.search(r"^chromadb==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert chroma is not None
    assert f"chromadb/chroma:{chroma[1]}" in (ROOT / "compose.yaml").read_text()
