"""Routes of one user's facts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from semantic_memory import Explanation, Fact, InvalidInput, NotFound, Reason
from semantic_memory.frontends.http_api.bodies import Ask, Correct, Quoted, Remember, Wanted, Why
from semantic_memory.frontends.http_api.guard import Reader, Writer

router = APIRouter(prefix="/v1/users/{user_id}/facts", tags=["facts"])

FactId = Annotated[str, Path(description="The fact's id.", examples=["zxszg2ah9ewp"])]


@router.get("", summary="List facts, the last said first")
async def facts(user: Reader, wanted: Annotated[Wanted, Query()]) -> list[Fact]:
    """By default the active ones. With `as_of` instead what was believed at that moment."""
    return await user.facts(wanted.filter(), as_of=wanted.as_of, limit=wanted.limit, offset=wanted.offset)


@router.post("", summary="Keep statements")
async def remember(user: Writer, body: Remember) -> list[Fact]:
    """The facts that now say them, in their order: new ones, or known ones that are said again."""
    source = body.source.source()
    return await user.remember_all([one.candidate() for one in body.statements], source=source)


@router.post("/quoted", summary="Keep what an agent says that the user said")
async def remember_quoted(user: Writer, body: Quoted) -> Fact:
    """In the user's name where their message holds the quote; otherwise aside, never recalled."""
    return await user.remember_quoted(body.text, body.quote, body.message(), body.source.source())


@router.get("/{fact_id}", summary="One fact, whatever its status")
async def fact(user: Reader, fact_id: FactId) -> Fact:
    """The fact as it is now."""
    return await user.fact(known_shape(fact_id))


@router.get("/{fact_id}/explanation", summary="Why a fact is believed, and where it was used")
async def explain(user: Reader, fact_id: FactId) -> Explanation:
    """Its evidence with the exact words, its history, what it replaced, and the recalls that showed it."""
    return await user.explain(known_shape(fact_id))


@router.post("/{fact_id}/why-not", summary="What a recall makes of one fact")
async def why_not(user: Reader, fact_id: FactId, body: Ask) -> Reason:
    """What stops the fact, or that it is shown, for a question as a recall takes it. Leaves no receipt."""
    return await user.ask_why_not(known_shape(fact_id), body.asked(user.settings))


@router.post("/{fact_id}/correct", summary="Replace a fact by a newer statement")
async def correct(user: Writer, fact_id: FactId, body: Correct) -> Fact:
    """The newer fact; the old one stays, superseded and linked."""
    return await user.correct(known_shape(fact_id), body.text, reason=body.reason)


@router.post("/{fact_id}/correct/quoted", summary="Replace a fact by what an agent says that the user said")
async def correct_quoted(user: Writer, fact_id: FactId, body: Quoted) -> Fact:
    """The newer fact, in the user's name: their message, which holds the quote, is its evidence."""
    said = body.message()
    if said is None:
        raise InvalidInput("without the user's message nothing says that they said so")
    return await user.correct_quoted(known_shape(fact_id), body.text, body.quote, said, body.source.source())


@router.post("/{fact_id}/forget", summary="Blank a fact for good", status_code=204)
async def forget(user: Writer, fact_id: FactId, body: Why) -> Response:
    """Its text, its quotes and its vectors are gone; that there was one stays on record."""
    await user.forget(known_shape(fact_id), reason=body.reason)
    return Response(status_code=204)


@router.post("/{fact_id}/reinstate", summary="Believe a fact again")
async def reinstate(user: Writer, fact_id: FactId, body: Why) -> Fact:
    """The fact that says so now: what was superseded, taken back or kept aside, confirmed by whoever has the key."""
    return await user.reinstate(known_shape(fact_id), reason=body.reason)


def known_shape(fact_id: str) -> str:
    """The id, if it can be one at all; for the rest no database needs to be asked. Raises `NotFound`."""
    if not fact_id.isascii() or "%" in fact_id:
        raise NotFound
    return fact_id
