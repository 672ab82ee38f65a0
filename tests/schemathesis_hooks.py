"""What schemathesis is told about the API that its description doesn't say."""

from __future__ import annotations

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context: object, value: object) -> bytes:
    """JSON lines are a text."""
    return str(value).encode("utf-8", "replace")
