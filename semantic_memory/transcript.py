"""Session items to messages: which are new, which were popped, and what the user asks.

Pure, and total: an item of any shape gives a message or none, never an error.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from semantic_memory.facts import Message, Role

if TYPE_CHECKING:
    from agents import RunResultBase

Items = str | Sequence[Any]  # as the SDK takes them: a text, or dicts and pydantic models

MEMORY_TOOLS = frozenset({"remember", "recall", "correct", "forget"})
CONTEXT_MARK = "<user_memory"  # how a context block begins

_ROLES: dict[object, Role] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
}
_TOOL_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output", "mcp_call"})
_HISTORY_MARK = "<CONVERSATION HISTORY>"  # the SDK's summary for the next agent of a handoff chain
_HISTORY_LINE = re.compile(r"^\d+\. (?:user: (?P<text>.+)|(?P<item>\{.+\}))$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Part:
    """Where items stand that are not a whole transcript."""

    position: int = 0  # of the first item
    before: Mapping[str, int] = field(default_factory=dict)  # equal messages that come before them, by digest


WHOLE = Part()


def messages(items: Items, part: Part = WHOLE) -> list[Message]:
    """The items that carry someone's words, as plain text, each with its index in the transcript.

    Left out: items without text, tool calls, reasoning, compaction, unknown types; and what memory
    itself put there (outputs of its own tools, its context block), so that it never learns its echo.
    """
    listed = _listed(items)
    own_calls = _memory_calls(listed)
    seen = Counter(part.before)
    found = []
    for position, item in enumerate(listed, start=part.position):
        role, text = _role(item), _text(item)
        if role is None or not text.strip() or _is_echo(item, role, text, own_calls):
            continue
        key = digest(role, text)
        found.append(Message(position=position, role=role, text=text, digest=key, occurrence=seen[key]))
        seen[key] += 1
    return found


def digest(role: Role, text: str) -> str:
    """What identifies a message when its position shifts: sha256 hex of its role and normalised text.

    Normalised: Unicode NFC, every run of white space one space, none at the ends.
    """
    normalised = " ".join(unicodedata.normalize("NFC", text).split())
    return hashlib.sha256(f"{role}\0{normalised}".encode()).hexdigest()


def new_messages(transcript: Sequence[Message], learned: Mapping[str, int]) -> list[Message]:
    """The messages not learned yet: `transcript` minus the multiset of learned digests.

    Of messages with equal digests the later ones are the new ones.
    """
    return [message for message in transcript if message.occurrence >= learned.get(message.digest, 0)]


def merged(transcript: Sequence[Message], run: Sequence[Message]) -> list[Message]:
    """The messages of a session, and behind them those of a run that the session no longer holds.

    A message in both counts once. The added ones get positions behind the transcript's last.
    """
    held = Counter(message.digest for message in transcript)
    end = max((message.position for message in transcript), default=-1) + 1
    missing = new_messages(run, held)
    return [*transcript, *(replace(message, position=end + i) for i, message in enumerate(missing))]


def popped(known: Sequence[str], transcript: Sequence[Message], items: Items) -> tuple[str, ...]:
    """The digests that someone popped from the end of a session; () where it may be anything else.

    `known` are the digests learned from the session, in its order; `transcript` are the messages
    of `items` now, which may go on with new ones. A pop is what leaves an exact, non-empty prefix
    of `known`, at least half of it, and nothing of what went in any later place. Compaction,
    clearing and trimming look different, or can't be told from a pop; they retract nothing.
    """
    now = [message.digest for message in transcript]
    kept = _common_prefix(known, now)
    gone = tuple(known[kept:])
    if not gone or len(gone) > kept or _has_compaction(items):
        return ()
    trimmed_at_the_front = list(known[:kept]) == list(known[-kept:])
    moved = not set(gone).isdisjoint(now[kept:])
    return () if trimmed_at_the_front or moved else gone


def last_turn(items: Items) -> list[Any]:
    """The items from the last input on; [] where no user speaks.

    An input may be several items: those of the user and the program that stand together, with nothing of an agent's
    between them. A session doesn't tell them from an earlier input that nobody answered; that one goes too.
    """
    listed = _listed(items)
    roles = [_role(item) for item in listed]
    if "user" not in roles:
        return []
    start = len(roles) - 1 - roles[::-1].index("user")
    while start and roles[start - 1] in ("user", "system"):
        start -= 1
    return listed[start:]


def query_text(items: Items) -> tuple[str, list[Message]]:
    """What the user asks in the input of a model call, and the messages before it.

    The answer is ("", []) where no user speaks. In the summary that the SDK can make of a
    conversation for the next agent of a handoff chain, the user's last turn is the question.
    """
    found = messages(items)
    asked = [index for index, message in enumerate(found) if message.role == "user"]
    if asked:
        return found[asked[-1]].text, found[: asked[-1]]
    summary = "\n".join(text for item in _listed(items) if _HISTORY_MARK in (text := _text(item)))
    return next(reversed(list(_user_turns(summary))), ""), []


def run_messages(result: RunResultBase, *, given: Items = ()) -> list[Message]:
    """The messages of a finished run: its input, with the session's history, and its new items.

    `given` is the input that the caller passed to the run: a nested handoff rewrites `result.input`
    into a summary, and the user's own words would be lost. Positions count the run's messages.
    """
    authors = {
        digest("assistant", _text(item.raw_item)): getattr(item.agent, "name", None) for item in result.new_items
    }
    run = messages(result.to_input_list())
    rewritten = new_messages(messages(given), Counter(message.digest for message in run))
    return [
        replace(message, position=position, agent=authors.get(message.digest))
        for position, message in enumerate([*rewritten, *run])
    ]


def clean(text: str) -> str:
    """`text` as every store can hold it: no NUL, no lone surrogates (U+FFFD in their place)."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "")


def _listed(items: Items) -> list[Any]:
    return [{"role": "user", "content": items}] if isinstance(items, str) else list(items)


def _field(item: object, name: str) -> Any:
    return item.get(name) if isinstance(item, Mapping) else getattr(item, name, None)


def _role(item: object) -> Role | None:
    kind, role = _field(item, "type"), _field(item, "role")
    if isinstance(kind, str) and kind in _TOOL_OUTPUTS:
        return "tool"
    if kind not in (None, "message") or not isinstance(role, str):
        return None
    return _ROLES.get(role)


def _text(item: object) -> str:
    content = _field(item, "content")
    return clean("\n".join(_parts(_field(item, "output") if content is None else content)))


def _parts(content: object) -> Iterator[str]:
    """The texts of a string or of a list of content parts; images, files and refusals have none."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, Sequence) and not isinstance(content, bytes | bytearray):
        texts = (part if isinstance(part, str) else _field(part, "text") for part in content)
        yield from (text for text in texts if isinstance(text, str))


def _user_turns(summary: str) -> Iterator[str]:
    """The user's turns in the SDK's summary: one a line, as text or as the item's JSON."""
    for line in _HISTORY_LINE.finditer(summary):
        item = _json(line["item"]) if line["item"] else {"role": "user", "content": line["text"]}
        if _role(item) == "user":
            yield _text(item)


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _memory_calls(items: Sequence[object]) -> set[str]:
    calls = (item for item in items if _field(item, "type") == "function_call" and _is_memory_tool(item))
    return {call_id for call in calls if isinstance(call_id := _field(call, "call_id"), str)}


def _is_memory_tool(call: object) -> bool:
    name = _field(call, "name")  # an MCP server's name may come before it: mcp_memory__recall
    return isinstance(name, str) and name.rpartition("__")[2] in MEMORY_TOOLS


def _is_echo(item: object, role: Role, text: str, memory_calls: set[str]) -> bool:
    if role == "tool":
        call_id = _field(item, "call_id")
        own = isinstance(call_id, str) and call_id in memory_calls
        return own or _is_memory_tool(item) or CONTEXT_MARK in text
    if role == "system":
        return CONTEXT_MARK in text
    return role == "assistant" and _HISTORY_MARK in text


def _has_compaction(items: Items) -> bool:
    return any("compaction" in str(_field(item, "type")) for item in _listed(items))


def _common_prefix(known: Sequence[str], now: Sequence[str]) -> int:
    pairs = zip(known, now, strict=False)
    return next((i for i, (old, new) in enumerate(pairs) if old != new), min(len(known), len(now)))
