"""Values as plain JSON, and text as a terminal may show it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

SPACES = "\u00a0\u2002\u2003\u2009\u202f\u3000"  # printable in any terminal, though `isprintable` says no


def plain(value: Any) -> Any:
    """`value` as dicts, lists, strings and numbers; times in ISO 8601. The keys are the fields' names;
    a field whose metadata says `told=False` stays inside."""
    if is_dataclass(value):
        told = (field.name for field in fields(value) if field.metadata.get("told", True))
        return {name: plain(getattr(value, name)) for name in told}
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value.isoformat() if isinstance(value, datetime) else value


def to_json(value: Any) -> str:
    """`value` as JSON on one line, readable in any language and harmless to a terminal."""
    return printable(json.dumps(plain(value), ensure_ascii=False))


def printable(text: str) -> str:
    """`text` with what a terminal would obey instead of show (control, direction, surrogates) as JSON escapes."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in SPACES else json.dumps(c)[1:-1].replace("\x7f", "\\u007f") for c in text
    )
