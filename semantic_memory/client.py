"""The same verbs, asked of a server: `RemoteMemory` and its users."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from semantic_memory.answers import error_of, made
from semantic_memory.blocks import Blocks
from semantic_memory.errors import MemoryUnavailable
from semantic_memory.facts import (
    Asked,
    CandidateFact,
    Certificate,
    Explanation,
    Fact,
    FactFilter,
    Learned,
    Lineage,
    Message,
    Placed,
    Recall,
    Receipt,
    Source,
)
from semantic_memory.findings import Health
from semantic_memory.identity import check_user_id, new_id
from semantic_memory.portions import MOST_STATEMENTS, Portion, batches, body_of, linked, portions
from semantic_memory.posting import PostedLearner
from semantic_memory.questions import check_filter, check_page
from semantic_memory.reasons import Reason
from semantic_memory.runs import Runs
from semantic_memory.settings import Settings
from semantic_memory.statements import check_labels, check_lineage, check_many, check_moment, check_statement
from semantic_memory.transcript import messages
from semantic_memory.verbs import UserVerbs, statement
from semantic_memory.workroom import Workroom

if TYPE_CHECKING:
    from collections.abc import Callable


T = TypeVar("T")
log = logging.getLogger("semantic_memory")

PAGE = 1000  # facts in one answer
LINES = "application/x-ndjson"


class RemoteMemory(Runs):
    """A memory on a server: `async with RemoteMemory(url, key=...) as memory`.

    The verbs are those of `SemanticMemory`, from any event loop. `settings` are for what happens here: the deadline
    of a hook, how many facts it asks for, where it puts them. A key that is bound to a user reaches that user only.
    """

    def __init__(self, url: str, *, key: str, settings: Settings | None = None, patience: float = 60.0) -> None:
        import httpx

        super().__init__(Blocks())
        self._settings = settings or Settings()
        self._workroom = Workroom()
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=patience,
            transport=httpx.AsyncHTTPTransport(retries=1),  # of connecting only: nothing is sent twice
        )

    async def __aenter__(self) -> RemoteMemory:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait for the learn passes of runs and give the connections back."""
        await self._drain()
        await self._workroom.call(self._http.aclose())
        await self._workroom.close()

    @property
    def settings(self) -> Settings:
        """What happens on this side."""
        return self._settings

    def user(self, user_id: str) -> RemoteUser:
        """One user's memory. Raises `InvalidUserId`."""
        return RemoteUser(self, check_user_id(user_id))

    async def users(self) -> list[str]:
        """The ids of all users with a memory."""
        return made(list[str], await self.read("/v1/users"))

    async def health(self) -> Health:
        """What the doctor sees."""
        return made(Health, await self.read("/v1/health"))

    async def read(self, path: str, wanted: Mapping[str, Any] | None = None) -> bytes:
        """What the server answers to a question; its errors are raised as the library's own."""
        return await self._workroom.call(self._send("GET", path, params=_given(wanted or {})))

    async def ask(self, path: str, body: Mapping[str, Any]) -> bytes:
        """The same for a question with a body; giving up on it changes nothing."""
        return await self._workroom.call(self._send("POST", path, json=body))

    async def write(self, method: str, path: str, **request: Any) -> bytes:
        """What the server answers to a write, which goes on even if the caller is cancelled."""
        return await self._workroom.finish(self._send(method, path, **request))

    async def _send(self, method: str, path: str, **request: Any) -> bytes:
        import httpx

        try:
            answer = await self._http.request(method, path, **request)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise MemoryUnavailable(f"the server can't be reached: {type(error).__name__}: {error}") from error
        if answer.is_success:
            return answer.content
        raise error_of(answer)


class RemoteUser(UserVerbs):
    """One user's facts on a server."""

    _memory: RemoteMemory

    @property
    def settings(self) -> Settings:
        """What happens on this side."""
        return self._memory.settings

    @property
    def learner(self) -> PostedLearner:
        """Learning, as runs know it."""
        return PostedLearner(self)

    # ---- facts -------------------------------------------------------------------------------------

    async def remember_all(
        self, statements: Sequence[str | CandidateFact], *, source: Source | None = None
    ) -> list[Fact]:
        """Keep many statements; the facts that now say them, in their order.

        All are checked before any is posted. Beyond 4,096 they are posted in portions, of which each is kept whole
        or not at all.
        """
        candidates = [_plain(check_statement(statement(one))) for one in check_many("statements", statements)]
        given, kept = _from(source or Source(origin="operator")), list[Fact]()
        for batch in batches(candidates, lambda one: len(json.dumps(one)), most=MOST_STATEMENTS):
            body = {"statements": batch, "source": given}
            kept += made(list[Fact], await self._write("POST", "/facts", json=body))
        return kept

    async def remember_quoted(self, text: str, quote: str, said: Message | None, source: Source) -> Fact:
        """Keep what an agent says the user said: in their name where `said`, their message, holds the quote."""
        body = _quoted(text, quote, said, source)
        return made(Fact, await self._write("POST", "/facts/quoted", json=body))

    async def correct_quoted(self, fact_id: str, text: str, quote: str, said: Message, source: Source) -> Fact:
        """Replace a fact by what an agent says the user said: its evidence is `said`, a message of theirs."""
        body = _quoted(text, quote, said, source)
        return made(Fact, await self._write("POST", f"/facts/{_segment(fact_id)}/correct/quoted", json=body))

    async def ask(self, asked: Asked) -> Recall:
        """A recall with everything about it said; see `recall`."""
        return made(Recall, await self._memory.ask(self._path("/recall"), _question(asked)))

    async def ask_why_not(self, fact_id: str, asked: Asked) -> Reason:
        """What a recall with everything about it said makes of one fact; see `why_not`."""
        path = self._path(f"/facts/{_segment(fact_id)}/why-not")
        return made(Reason, await self._memory.ask(path, _question(asked)))

    async def facts(
        self,
        wanted: FactFilter | None = None,
        *,
        as_of: Any = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Fact]:
        """Facts that fit a filter (by default the active ones), the last said first; with `as_of` those of then."""
        check_page(limit, offset)
        check_moment("as_of", as_of)
        asked = _plain(check_filter(wanted)) | {"as_of": as_of and as_of.isoformat()}
        asked |= {"any_status": not asked["status"]}
        found: list[Fact] = []
        while limit is None or len(found) < limit:
            size = PAGE if limit is None else min(PAGE, limit - len(found))
            page = asked | {"limit": size, "offset": offset + len(found)}
            some = made(list[Fact], await self._read("/facts", page))
            found += some
            if len(some) < size:
                break
        return found

    async def fact(self, fact_id: str) -> Fact:
        """One fact, whatever its status. Raises `NotFound`, also for another user's."""
        return made(Fact, await self._read(f"/facts/{_segment(fact_id)}"))

    async def correct(self, fact_id: str, text: str, *, reason: str | None = None) -> Fact:
        """Replace a fact by a newer statement; the old one stays, superseded and linked."""
        path, body = f"/facts/{_segment(fact_id)}/correct", {"text": text, "reason": reason}
        return made(Fact, await self._write("POST", path, json=body))

    async def forget(self, fact_id: str, *, reason: str | None = None) -> None:
        """Blank a fact for good: its text, its quotes and its vectors."""
        await self._write("POST", f"/facts/{_segment(fact_id)}/forget", json={"reason": reason})
        self._memory._blocks.drop(self.user_id)

    async def _erase(self) -> Certificate:
        certificate: Certificate = made(Certificate, await self._write("DELETE", ""))
        self._memory._blocks.drop(self.user_id)
        return certificate

    # ---- where they come from ----------------------------------------------------------------------

    async def explain(self, fact_id: str) -> Explanation:
        """Why a fact is believed, what became of it, and every recall that showed it."""
        return made(Explanation, await self._read(f"/facts/{_segment(fact_id)}/explanation"))

    async def map(self) -> list[Placed]:
        """The active facts on a plane; those without a vector are left out."""
        return made(list[Placed], await self._read("/map"))

    async def receipts(
        self,
        *,
        fact_id: str | None = None,
        run_id: str | None = None,
        trace_id: str | None = None,
        session_id: str | None = None,
        limit: int = 100,
    ) -> list[Receipt]:
        """The newest recalls: all, those that showed a fact, those of a run, of an SDK trace, of a session."""
        wanted = {"fact_id": fact_id, "run_id": run_id, "trace_id": trace_id, "session_id": session_id, "limit": limit}
        return made(list[Receipt], await self._read("/receipts", wanted))

    async def receipt(self, receipt_id: str) -> Receipt:
        """One recall. Raises `NotFound`."""
        return made(Receipt, await self._read(f"/receipts/{_segment(receipt_id)}"))

    async def shown(self, *, receipt_id: str | None = None, run_id: str | None = None) -> list[Lineage]:
        """What the model was told in a recall, or in all recalls of a run, with the words that taught it."""
        return made(list[Lineage], await self._read("/shown", {"receipt_id": receipt_id, "run_id": run_id}))

    async def timeline(self, about: str | None = None) -> list[tuple[Lineage, ...]]:
        """Chains of facts of which each replaced the one before, oldest first; all, or those about a subject."""
        return made(list[tuple[Lineage, ...]], await self._read("/timeline", {"about": about}))

    async def lineages(self) -> list[Lineage]:
        """All facts, whatever their status, with their evidence and history: what an export is made of."""
        return [made(Lineage, line) for line in (await self._read("/export")).splitlines()]

    async def restore(
        self, lineages: Sequence[Lineage], *, on_progress: Callable[[int], None] = lambda _: None
    ) -> list[Fact]:
        """Take over exported facts as they are; the new ones. Facts whose ids are known stay untouched.

        Many are posted in portions, of which each is taken over whole or not at all; doing it again goes on.
        """
        written: list[Fact] = []
        known = [check_lineage(one) for one in check_many("lineages", lineages)]
        groups = ["".join(json.dumps(_plain(one)) + "\n" for one in group) for group in linked(known)]
        for batch in batches(groups, len, most=len(groups)):
            answer = json.loads(
                await self._write("POST", "/import", content="".join(batch), headers={"Content-Type": LINES})
            )
            written += made(list[Fact], json.dumps(answer["written"]))
            on_progress(sum(group.count("\n") for group in batch))
        return written

    # ---- conversations -----------------------------------------------------------------------------

    async def learn_items(
        self, items: str | Sequence[Any], *, session_id: str | None, labels: Sequence[str] = (), **known: str | None
    ) -> Learned:
        """Learn what is new in items that come from elsewhere: a whole session, or its new end."""
        listed = items if isinstance(items, str) else check_many("items", items)
        return await self.learn_transcript(messages(listed), session_id, labels, known)

    async def learn_transcript(
        self, transcript: Sequence[Message], session_id: str | None, labels: Sequence[str], known: Mapping[str, Any]
    ) -> Learned:
        """Learn what is new among messages, each at its position."""
        whose = {"session_id": session_id, "labels": check_labels(labels), **known}
        return await self._post("/learn", portions(transcript), whose)

    async def take_back(self, items: Sequence[Any], *, session_id: str | None, start: int) -> Learned:
        """Retract what only the items from `start` on taught: a turn that was taken back elsewhere."""
        turn = [message for message in messages(items) if message.position >= start]
        return await self._post("/rewind", portions(turn, context=0), {"session_id": session_id, "start": 0})

    async def _post(self, path: str, parts: Iterable[Portion], more: Mapping[str, Any]) -> Learned:
        total = Learned(messages=0)
        for part in parts:
            total += made(Learned, await self._write("POST", path, json={**body_of(part), **more}))
        return total

    def new_id(self) -> str:
        """A new id for a run."""
        return new_id()

    def source(self, session_id: str | None, **known: Any) -> Source:
        """What this side knows of where a session's facts come from."""
        return Source(session_id=session_id, **known)

    def note_degraded(self, asked: Asked, reason: str, latency_ms: float) -> None:
        """The server that would keep the record is the one that didn't answer: the log has to do."""

    # ---- the way there -----------------------------------------------------------------------------

    def _path(self, path: str) -> str:
        return f"/v1/users/{_segment(self.user_id)}{path}"

    async def _read(self, path: str, wanted: Mapping[str, Any] | None = None) -> bytes:
        return await self._memory.read(self._path(path), wanted)

    async def _write(self, method: str, path: str, **request: Any) -> bytes:
        return await self._memory.write(method, self._path(path), **request)


def _segment(name: str) -> str:
    """A part of a path in which nothing means anything: no slash, no `..`."""
    return quote(name, safe="").replace(".", "%2E")


def _plain(value: Any) -> dict[str, Any]:
    from pydantic_core import to_jsonable_python

    plain: dict[str, Any] = to_jsonable_python({field.name: getattr(value, field.name) for field in fields(value)})
    return plain


def _question(asked: Asked) -> dict[str, Any]:
    body = _plain(asked)
    body["query"] = body.pop("text")
    del body["every"]  # whether all are told of is the server's own business
    return body


def _from(source: Source) -> dict[str, Any]:
    body = _plain(source)
    del body["session_key"]  # the server makes its own
    return body


def _quoted(text: str, quote: str, said: Message | None, source: Source) -> dict[str, Any]:
    message = {"said": said.text, "position": said.position, "occurrence": said.occurrence} if said else {}
    return {"text": text, "quote": quote, "source": _from(source)} | message


def _given(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if value is not None and value != []}
