"""Errors as problem documents (RFC 9457), the same for whatever can't be found."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from semantic_memory import errors
from semantic_memory.frontends.http_api.requests import request_id

log = logging.getLogger("semantic_memory.server")

NAMESPACE = "urn:semantic-memory:problem:"
NOTHING_HERE = "there is no such thing, or it is not yours"  # whichever it is: the answers must not differ
RETRY_AFTER = 1  # seconds, when memory is unavailable

STATUS: dict[type[errors.SemanticMemoryError], HTTPStatus] = {  # the first that fits
    errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.Erased: HTTPStatus.CONFLICT,
    errors.MemoryUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


# The phrase of this one depends on the version of Python.
NAMES = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "ContentTooLarge"}


class Problem(BaseModel):
    """What went wrong, for programs (`type`, `status`) and for people (`detail`)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[dict[str, Any]] | None = None  # where the request is not as the API wants it


def _documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    content = {"application/problem+json": schema}
    return {int(status): {"description": status.phrase, "content": content} for status in statuses}


COMMON = _documented(*map(HTTPStatus, (400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 503)))
PENDING: dict[int | str, dict[str, Any]] = {202: {"description": "It is learned behind this answer"}}


class Refused(HTTPException):
    """A request that is turned away before the memory is asked."""

    def __init__(self, status: HTTPStatus, detail: str, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        super().__init__(status_code=status, detail=detail, headers=named or None)


def add_handlers(app: FastAPI) -> None:
    """Have every error of the app answered with a problem document."""
    app.add_exception_handler(errors.SemanticMemoryError, _from_memory)
    app.add_exception_handler(RequestValidationError, _from_validation)
    app.add_exception_handler(HTTPException, _from_http)


def problem(
    status: int, name: str, detail: str, *, headers: dict[str, str] | None = None, where: list[Any] | None = None
) -> JSONResponse:
    """A problem document as a response."""
    document = Problem(
        type=NAMESPACE + name,
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        request_id=request_id.get(),
        errors=where,
    )
    body = document.model_dump(exclude_none=True)
    return JSONResponse(body, status_code=status, headers=headers, media_type="application/problem+json")


async def _from_memory(_request: Request, error: Exception) -> JSONResponse:
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), None)
    if status is None:
        return unexpected(error)
    if status is HTTPStatus.NOT_FOUND:
        return problem(status, "NotFound", NOTHING_HERE)
    headers = {"Retry-After": str(RETRY_AFTER)} if status is HTTPStatus.SERVICE_UNAVAILABLE else None
    return problem(status, type(error).__name__, str(error), headers=headers)


async def _from_validation(_request: Request, error: Exception) -> JSONResponse:
    """What was sent is not repeated: it can be anything, also a secret."""
    if not isinstance(error, RequestValidationError):
        raise error
    where = [{"at": ".".join(map(_place, one["loc"])), "what": one["msg"]} for one in error.errors()]
    detail = "; ".join(f"{one['at']}: {one['what']}" for one in where[:3]) or "the request is not as it should be"
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "InvalidInput", detail, where=where)


def _place(part: int | str) -> str:
    return str(part).encode("utf-8", "replace").decode()


async def _from_http(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    return refusal(error)


def refusal(error: HTTPException) -> JSONResponse:
    """The answer to a request that is turned away."""
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.NOT_FOUND:
        return problem(status, "NotFound", NOTHING_HERE)
    name = NAMES.get(status) or "".join(word.capitalize() for word in status.phrase.split())
    return problem(status, name, error.detail, headers=dict(error.headers) if error.headers else None)


def unexpected(error: Exception) -> JSONResponse:
    """The answer to an error that no handler knows; what it says goes nowhere."""
    log.error("unexpected error", exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Unexpected", "the server failed; its log says why")
