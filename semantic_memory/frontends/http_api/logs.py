"""Log lines as JSON. They name routes, statuses, times and kinds of errors, and never a path, a user or a word."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from traceback import extract_tb
from typing import Any

from semantic_memory.frontends.http_api.requests import request_id

PLACES = 8  # of an error, in its log line
FIELDS = ("method", "route", "status", "ms", "key")  # of a request's log line


class JsonLines(logging.Formatter):
    """A log line as one JSON object. Of an error it tells the kind and the place: its words may be a user's."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, message, the request it belongs to, and what else is known."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
            "request_id": request_id.get() or None,
        }
        line |= {name: getattr(record, name, None) for name in FIELDS}
        if record.exc_info and (error := record.exc_info[1]):
            line |= {"error": _kinds(error), "where": _places(error)}
        return json.dumps({name: value for name, value in line.items() if value is not None}, ensure_ascii=False)


def _message(record: logging.LogRecord) -> str:
    """The record's message, with the kinds of the errors that it would quote."""
    given = record.args if isinstance(record.args, tuple) else ()
    told = tuple(_kinds(one) if isinstance(one, BaseException) else one for one in given)
    return str(record.msg) % told if told else record.getMessage()


def _kinds(error: BaseException) -> str:
    """The error's type, and those of the errors that it came from."""
    chain = [error]
    while (before := chain[-1].__cause__ or chain[-1].__context__) and before not in chain:
        chain.append(before)
    return " from ".join(type(one).__name__ for one in chain)


def _places(error: BaseException) -> list[str]:
    """Where in the code it was raised, the innermost place last."""
    return [f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in extract_tb(error.__traceback__)[-PLACES:]]
