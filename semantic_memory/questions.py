"""Whether a question about the memory itself can be asked: filters, pages."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

from semantic_memory.errors import InvalidInput
from semantic_memory.facts import FactFilter, Origin, Status
from semantic_memory.statements import check_many, check_moment, check_one_of

_MOMENTS, _FLAGS = ("since", "until"), ("disputed", "never_recalled")
_TEXTS = tuple(one.name for one in fields(FactFilter) if one.name not in {"status", "origin", *_MOMENTS, *_FLAGS})


def check_filter(wanted: object) -> FactFilter:
    """`wanted`, if it is a filter that facts can be held against; `InvalidInput` otherwise. None: the active ones."""
    if wanted is None:
        return FactFilter()
    if not isinstance(wanted, FactFilter):
        raise InvalidInput(f"a filter is a FactFilter, not {type(wanted).__name__}")
    for status in check_many("status words", wanted.status):
        check_one_of("status", status, get_args(Status))
    check_one_of("origin", wanted.origin, (None, *get_args(Origin)))
    for name in _TEXTS:
        _check_words(name, getattr(wanted, name))
    for name in _MOMENTS:
        check_moment(name, getattr(wanted, name))
    return wanted


def check_page(limit: object, offset: object = 0) -> None:
    """Raise `InvalidInput` for a limit (None: all) or an offset that is no number from 0 on."""
    for name, value in (("limit", 0 if limit is None else limit), ("offset", offset)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise InvalidInput(f"{name} is a number from 0 on, not {value!r}")


def _check_words(name: str, value: object) -> None:
    if not isinstance(value, str | None):
        raise InvalidInput(f"{name} is a text, not {type(value).__name__}")
    if value and ("\0" in value or (not value.isascii() and _is_broken(value))):
        raise InvalidInput(f"{name} holds NUL or half of a surrogate pair: no fact does")


def _is_broken(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
