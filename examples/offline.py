"""A model that needs no network: it says what its instructions know about the user.

It stands in for a real one, so that the examples run without a key. Give `Agent` the name of a model instead.
"""

import re

from agents.testing import ModelCall, ModelStep, ScriptedModel, assistant_message


def offline_model(*, turns: int = 100) -> ScriptedModel:
    """A model for so many turns."""
    return ScriptedModel([ModelStep.respond(_answer)] * turns)


def _answer(call: ModelCall) -> ModelStep:
    known = re.findall(r'^\w{12} .*?"(.*)"$', call.system_instructions or "", re.MULTILINE)
    told = f"As you told me: {known[0]}" if known else "I know nothing about that yet."
    return ModelStep(output=[assistant_message(told)])
