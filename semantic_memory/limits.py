"""What a recall may be limited to, wherever the numbers come from: settings, a call, a request, a command line."""

from __future__ import annotations

from numbers import Integral, Real

from semantic_memory.errors import InvalidInput

LIMITS = ("limit", "max_tokens", "min_relevance", "min_share")


def check_limits(*, limit: object, max_tokens: object, min_relevance: object, min_share: object) -> None:
    """Raise `InvalidInput` for what is no limit of a recall. None is a calibrated threshold or share."""
    for name, count in (("limit", limit), ("max_tokens", max_tokens)):
        check_count(name, count)
    for name, part in (("min_relevance", min_relevance), ("min_share", min_share)):
        if part is not None:
            _check_part(name, part)


def check_count(name: str, value: object) -> None:
    """Raise `InvalidInput` for anything but a whole number above 0."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise InvalidInput(f"{name} is a whole number above 0, not {value!r}")


def _check_part(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 1:  # nor NaN
        raise InvalidInput(f"{name} is a number from 0 to 1, not {value!r}")
