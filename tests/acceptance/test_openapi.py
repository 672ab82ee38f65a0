"""The API's description: what it says is so, and what it doesn't say doesn't happen."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from semantic_memory.frontends.http_api import examples
from semantic_memory.settings import ServerSettings
from tests.http_server import Served, served

EXAMPLES = "12"  # of an operation, beside the edges of everything that it takes
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path / "memory", server=ServerSettings(rate="1000000/second")) as running:
        yield running


async def fuzzed(server: Served, folder: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    """Schemathesis over the server: how it ended, its report, and what it printed."""
    await server.memory.user("ada").restore([examples.LINEAGE, examples.NEWER])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
        *("--header", f"Authorization: Bearer {await server.token()}", "--request-timeout", "120"),
        *(
            "--checks",
            CHECKS,
            "--seed",
            "1",
            "--no-shrink",
            "--report-json-path",
            str(folder / "report.json"),
            *options,
        ),
        cwd=folder,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.schemathesis_hooks", "NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed = (await process.communicate())[0].decode(errors="replace")
    assert process.returncode is not None
    return process.returncode, json.loads((folder / "report.json").read_text()), printed


async def test_no_request_gets_an_error_of_the_server_or_a_status_that_is_not_described(
    server: Served, tmp_path: Path
) -> None:
    code, report, printed = await fuzzed(
        server, tmp_path, "--max-examples", EXAMPLES, "--phases", "examples,coverage,fuzzing"
    )
    told = {name: report[name] for name in ("operations", "test_cases", "failures", "errors")}
    assert code == 0, f"{json.dumps(told)[:4000]}\n{printed[-2000:]}"
    assert report["operations"]["tested"] == report["operations"]["total"] >= 24
    assert report["test_cases"]["generated"] > 1000


# ---- examples --------------------------------------------------------------------------------------


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, str, list[Any]]]:
    """Each operation with a body, the type of it, and examples of it."""
    for name, operation in operations(document):
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            component = document["components"]["schemas"].get(content["schema"].get("$ref", "").rpartition("/")[2], {})
            yield name, kind, component.get("examples") or [content.get("example")]


async def test_everything_that_is_sent_and_answered_has_an_example(server: Served) -> None:
    document = server.app.openapi()
    for name, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            assert "example" in parameter, (name, parameter["name"])
        for status, answer in operation["responses"].items():
            for content in answer.get("content", {}).values():
                assert not status.startswith("2") or content.get("example") is not None, (name, status)
    assert [name for name, _, shown in bodies(document) if shown == [None]] == []


async def test_examples_are_what_the_schemas_describe(server: Served) -> None:
    document = server.app.openapi()
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            content = answer.get("content", {}).get("application/json", {})
            if status.startswith("2") and content:
                schema = content["schema"] | {"components": document["components"]}
                assert jsonschema.Draft202012Validator(schema).is_valid(content["example"]), name


async def test_the_examples_of_bodies_and_parameters_are_accepted(server: Served) -> None:
    async with server.client() as program:
        for name, kind, shown in bodies(server.app.openapi()):
            for example in shown:
                await server.memory.user("ada").erase()
                await server.memory.user("ada").restore([examples.LINEAGE, examples.NEWER])
                fact_id = examples.OLD_ID if name.endswith("reinstate") else examples.NEW_ID
                method, path = name.split(" ")
                content = example if isinstance(example, str) else json.dumps(example)
                url = path.format(user_id="ada", fact_id=fact_id)
                answer = await program.request(method, url, content=content, headers={"content-type": kind})
                assert answer.is_success, (name, answer.text)
        filters = {name: value for name, value in examples.PARAMETERS.items() if name not in NOT_OF_FACTS}
        assert (await program.get("/v1/users/ada/facts", params=filters)).status_code == 200


NOT_OF_FACTS = {"about", "fact_id", "receipt_id", "trace_id", "user_id"}
