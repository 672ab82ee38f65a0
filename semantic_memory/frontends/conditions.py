"""Which facts a command line wants: `--where kind=preference --where never_recalled` as one `FactFilter`."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, get_args

import typer

from semantic_memory.facts import FactFilter, Origin, Status
from semantic_memory.frontends.command import moment

TEXTS = {
    "kind": "kind",
    "subject": "subject",
    "text": "text",
    "label": "label",
    "session": "session_id",
    "run": "run_id",
    "agent": "agent",
}  # the word of a condition, and the field of the filter
MOMENTS = ("since", "until")
FLAGS = ("never_recalled", "disputed")
CONDITIONS = f"{', '.join(('status', 'origin', *TEXTS, *MOMENTS))} with =VALUE, or {' or '.join(FLAGS)} alone"


def fact_filter(conditions: Iterable[str]) -> FactFilter:
    """The filter of which every condition must hold; `typer.BadParameter` says which isn't one."""
    fields: dict[str, Any] = {}
    for condition in conditions:
        name, given, value = condition.partition("=")
        field = TEXTS.get(name, name)
        if field in fields:
            raise typer.BadParameter(f"{name!r} is given twice")
        fields[field] = _value(condition, name, value if given else None)
    return FactFilter(**fields)


def _value(condition: str, name: str, value: str | None) -> str | datetime | tuple[str, ...] | bool:
    if name in FLAGS and value is None:
        return True
    if not value or name not in {"status", "origin", *TEXTS, *MOMENTS}:
        raise typer.BadParameter(f"{condition!r} is no condition: {CONDITIONS}")
    if name == "status":
        return () if value == "any" else tuple(_one_of(name, one, get_args(Status)) for one in value.split(","))
    if name == "origin":
        return _one_of(name, value, get_args(Origin))
    return moment(value) if name in MOMENTS else value


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise typer.BadParameter(f"{value!r} is no {name}: {', '.join(choices)}")
    return value
