"""The extractor without a model: the user's own declarative statements, one fact each.

Conservative on purpose: a missed fact can be said again, a junk fact comes back in every recall.
"""

from __future__ import annotations

from collections.abc import Sequence

from semantic_memory.extraction import cues
from semantic_memory.extraction.prose import Span, sentences
from semantic_memory.facts import CandidateFact, Fact, Message, Role

LONGEST_STATEMENT = 400  # characters


class SentenceExtractor:
    """The user's statements about themselves, as they were said; no model, no network.

    Questions, requests, chat, hypotheses, quotations and pasted material are left out. With
    `assistant=True` the assistant's statements are proposed too.
    """

    version = "sentences/1"

    def __init__(self, *, assistant: bool = False) -> None:
        self._roles: frozenset[Role] = frozenset({"user", "assistant"} if assistant else {"user"})

    async def extract(
        self, messages: Sequence[Message], *, known: Sequence[Fact] = (), context: Sequence[Message] = ()
    ) -> list[CandidateFact]:
        """One candidate a statement, in the order they were said; `known` and `context` are not used."""
        said = (message for message in messages if message.role in self._roles)
        return [_candidate(message, span) for message in said for span in statements(message.text)]


def statements(text: str) -> list[Span]:
    """Where the statements of a message are; one that only stands with the one before is joined to it."""
    found: list[Span] = []
    previous = -1  # where the sentence before ended
    for start, end in sentences(text):
        form = cues.canonical(text[start : min(end, start + LONGEST_STATEMENT)])
        if cues.MATERIAL.match(form):
            break
        if statement := _statement(text, start, end):
            found.append(statement)
        elif found and found[-1][1] == previous and _follows(form, end - found[-1][0]):
            found[-1] = (found[-1][0], end)
        previous = end
    return found


def _follows(form: str, joined_length: int) -> bool:
    fits = joined_length <= LONGEST_STATEMENT
    return fits and bool(cues.FOLLOW_ON.match(form)) and not cues.QUESTION.match(form)


def _statement(text: str, start: int, end: int) -> Span | None:
    """The part of a sentence that says something lasting of the user; None where there is none."""
    if end - start > LONGEST_STATEMENT:
        return None
    start = _after_lead_ins(text, start, end)
    if explicit := cues.EXPLICIT.match(text, start, end):
        end = start + len(text[start:end].rstrip(" ?"))
        return (explicit.end(), end) if end - explicit.end() > 3 else None
    if "?" in text[start:end]:
        request = cues.REQUEST_BEHIND.search(text, start, end)
        end = request.start() if request else start
    return (start, end) if _is_statement(text[start:end]) else None


def _after_lead_ins(text: str, start: int, end: int) -> int:
    """Where the sentence begins without its greeting and the like; a correction keeps its own."""
    while not cues.CORRECTION.match(cues.canonical(text[start:end])):
        lead_in = cues.LEAD_IN.match(text, start, end)
        if not lead_in:
            break
        start = lead_in.end()
    return start


def _is_statement(sentence: str) -> bool:
    form = cues.canonical(sentence)
    if not form or cues.QUESTION.match(form):
        return False
    if cues.CORRECTION.match(form) or cues.STANDING.match(form):
        return True
    if cues.OWN.match(form) or cues.OWNED.match(form):
        return not any(cue.match(form) for cue in (cues.UNREAL, cues.CHAT, cues.TROUBLE, cues.REPORTED))
    return bool(cues.OTHER_LANGUAGE.match(form)) and not cues.ENGLISH.match(form)


def _candidate(message: Message, span: Span) -> CandidateFact:
    quote = message.text[slice(*span)]
    text = " ".join(quote.split())
    form = cues.canonical(text)
    return CandidateFact(
        text=text,
        position=message.position,
        quote=quote,
        kind=next((kind for pattern, kind in cues.KINDS if pattern.match(form)), "fact"),
        subject=_subject(form),
    )


def _subject(form: str) -> str | None:
    """What a statement of a plain pattern is about, if it can have but one value."""
    fixed = next((subject for pattern, subject in cues.SUBJECTS if pattern.match(form)), None)
    own = cues.OWN_SUBJECT.match(form)
    return fixed or (own[1] if own and not cues.MANY_VALUED.match(own[1]) else None)
