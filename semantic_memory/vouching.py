"""Whether the user's own words carry what an agent wants to do in their name.

Any short quote is easily found in a message, and a page that the agent reads may choose it. So a quote has to say
something, and what is written in the user's name has to stand, for the most part, in what the user said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from semantic_memory.facts import Message
from semantic_memory.quotes import UNSPACED, find_quote
from semantic_memory.reconcile.wording import asks_to_delete, read

_UNSPACED_RUN = re.compile(f"[{UNSPACED}]+")
_PIECE = re.compile(f"[\u3400-\u9fff]|(?=([{UNSPACED}]{{2}}))")  # a Chinese character means something by itself


def vouching(
    quote: str, statement: str, said: Sequence[Message], *, conversation: Sequence[Message] = (), known: str = ""
) -> Message | None:
    """The user's message that holds the quote and carries the statement; None where none does.

    The names and numbers of the statement may stand in any message of the user, most of the rest stands in this
    one; what the statement keeps of the `known` fact that it replaces needs nobody's word. A message that is an
    answer, and quoted whole, is read with the question of the `conversation` that it answers.
    """
    if not _names_are_said(statement, said):
        return None
    for message in said:
        if find_quote(quote, message.text, whole=True) is None or not _is_enough(quote, statement, message):
            continue
        words = [message.text, *_question(quote, message, conversation)]
        if content(quote) & content(statement) and _covered(statement, words, known):
            return message
    return None


def asking_to_forget(quote: str, fact: str, said: Sequence[Message]) -> Message | None:
    """The user's message that holds a quote which wants this fact gone: it speaks of deleting, or of what the fact
    is about, and doesn't only repeat it."""
    if not asks_to_delete(quote) and not _says_more_about(fact, quote):
        return None
    found = (message for message in said if find_quote(quote, message.text, whole=True))
    return next((one for one in found if len(_words(quote)) > 1 or _is_whole(quote, one)), None)


def content(text: str) -> frozenset[str]:
    """What carries the meaning of a text: stems, numbers, and where words aren't told apart characters or pairs."""
    wording = read(_UNSPACED_RUN.sub(r" \g<0> ", text))
    runs = [token for token in wording.tokens if _UNSPACED_RUN.fullmatch(token)]
    pieces = {found[0] or found[1] for run in runs for found in _PIECE.finditer(run)}
    stems = {term for term in wording.terms if not _UNSPACED_RUN.fullmatch(term)}
    return frozenset(stems | pieces | set(wording.numbers))


def _names_are_said(statement: str, said: Sequence[Message]) -> bool:
    """Whether the user has said each name and number in the statement."""
    claimed, own = read(statement), read("\n".join(message.text for message in said))
    return claimed.names - {claimed.opening} <= set(own.tokens) and set(claimed.numbers) <= set(own.numbers)


def _is_enough(quote: str, statement: str, message: Message) -> bool:
    """Whether a quote says something: two words of meaning, all that the statement does, or the whole message."""
    said = content(quote)
    alike = len(_words(quote)) > 1 and content(statement) <= said
    return len(said) > 1 or alike or _is_whole(quote, message)


def _covered(statement: str, words: Sequence[str], known: str) -> bool:
    """Whether half of what a statement says, beyond what is known, or more, stands in some words."""
    claimed, said = content(statement) - content(known), content("\n".join(words))
    return 2 * len(claimed & said) >= len(claimed)


def _question(quote: str, message: Message, conversation: Sequence[Message]) -> list[str]:
    """What the agent said right before a message that is quoted whole."""
    at = next((at for at, one in enumerate(conversation) if one == message), 0)
    before = conversation[at - 1] if at else None
    asked = before is not None and before.role == "assistant" and _is_whole(quote, message)
    return [before.text] if before is not None and asked else []


def _says_more_about(fact: str, quote: str) -> bool:
    known, said = content(fact), content(quote)
    return bool(known & said) and (bool(said - known) or read(quote).negated != read(fact).negated)


def _is_whole(quote: str, message: Message) -> bool:
    return _words(quote) == _words(message.text)


def _words(text: str) -> tuple[str, ...]:
    return read(text).tokens
