"""The API's description at `/openapi.json`: what FastAPI makes of the routes, with problems and examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from pydantic_core import to_jsonable_python

from semantic_memory.frontends.http_api.examples import ANSWERS, PARAMETERS
from semantic_memory.frontends.http_api.problems import Problem

JSON = "application/json"


def describe(app: FastAPI) -> None:
    """Put the problem document and the examples into the app's description."""
    described = app.openapi

    def complete() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = described()
            document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
            for operation in _operations(document):
                _exemplify(operation)
        return described()

    app.openapi = complete  # type: ignore[method-assign]


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def _exemplify(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in PARAMETERS:
            parameter["example"] = PARAMETERS[parameter["name"]]
    for status, answer in operation["responses"].items():
        if status.startswith("2") and JSON in answer.get("content", {}):
            told = answer["content"][JSON]
            told["example"] = to_jsonable_python(_example(told["schema"]))


def _example(schema: dict[str, Any]) -> Any:
    """An example of what a schema describes: of a list one with one element."""
    if "anyOf" in schema:
        return _example(schema["anyOf"][0])
    if schema.get("type") == "array":
        return [_example(schema["items"])]
    return ANSWERS.get(schema["$ref"].rpartition("/")[2]) if "$ref" in schema else PARAMETERS["user_id"]
