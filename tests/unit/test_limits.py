"""What a recall may be limited to: the same for settings and for each question."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from semantic_memory import InvalidInput, Settings
from semantic_memory.facts import Asked

WRONG = [
    *({"limit": value} for value in (0, -1, 2.5, "8", True, float("nan"))),
    *({"max_tokens": value} for value in (0, -5, 12.5, "400", float("inf"))),
    *({name: value} for name in ("min_relevance", "min_share") for value in (-0.1, 1.1, float("nan"), "0.5", True)),
]
RIGHT = {"limit": 1, "max_tokens": np.int64(10**6), "min_relevance": np.float32(0.5), "min_share": 0}


def name(given: Any) -> str:
    return str(given)


@pytest.mark.parametrize("given", WRONG, ids=name)
def test_settings_and_questions_refuse_the_same_in_the_same_words(given: dict[str, Any]) -> None:
    [limit] = given
    with pytest.raises(InvalidInput, match=rf"^{limit} is a (whole )?number") as of_settings:
        Settings(**given)
    with pytest.raises(InvalidInput) as of_question:
        Asked(**{"text": "?", "limit": 8, "max_tokens": 400} | given)
    assert str(of_settings.value) == str(of_question.value)


def test_numbers_of_any_kind_will_do() -> None:
    assert Settings(**RIGHT).limit == Asked(text="?", **RIGHT).limit == 1


@pytest.mark.parametrize("setting", ["deadline", "learn_timeout", "learn_tries", "open_folders"])
@pytest.mark.parametrize("value", [0, float("nan")])
def test_what_takes_no_time_and_no_tries_is_no_setting(setting: str, value: float) -> None:
    with pytest.raises(InvalidInput, match=setting):
        Settings(**{setting: value})
