"""What a server answers, as the library's own values and errors."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from semantic_memory import errors
from semantic_memory.errors import InvalidInput, MemoryUnavailable, NotFound, SemanticMemoryError

if TYPE_CHECKING:
    import httpx
    from pydantic import TypeAdapter

T = TypeVar("T")
BUSY = {401, 403, 429, 500, 502, 503, 504}  # the server is there, and doesn't answer


def made(kind: type[T], answer: bytes | str) -> T:
    """The answer as the library's own value."""
    from pydantic import ValidationError

    try:
        value: T = _adapter(cast("Hashable", kind)).validate_json(answer)
    except ValidationError as error:
        raise MemoryUnavailable(f"the server's answer can't be read: {error.errors()[0]['msg']}") from None
    return value


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(cast("Any", kind))


def error_of(answer: httpx.Response) -> SemanticMemoryError:
    """The library's own error for a problem document; `MemoryUnavailable` for whatever else stands in the way."""
    try:
        problem = answer.json()
        name, detail = str(problem["type"]).rpartition(":")[2], str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return MemoryUnavailable(f"the server answered {answer.status_code}")
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, SemanticMemoryError):
        return kind(detail)
    if answer.status_code == 404:
        return NotFound(detail)
    return MemoryUnavailable(detail) if answer.status_code in BUSY else InvalidInput(detail)
