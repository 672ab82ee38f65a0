"""Routes of recall and learning, and of the record of both."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from semantic_memory import Learned, Lineage, Recall, Receipt
from semantic_memory.frontends.http_api.backlog import Backlog
from semantic_memory.frontends.http_api.bodies import Ask, Learn, Receipts, Rewind, WhatWasShown
from semantic_memory.frontends.http_api.guard import Reader, Writer
from semantic_memory.frontends.http_api.problems import PENDING
from semantic_memory.frontends.http_api.wiring import backlog

router = APIRouter(prefix="/v1/users/{user_id}", tags=["conversations"])

ReceiptId = Annotated[str, Path(description="The receipt's id, as a recall names it.")]


@router.post("/recall", summary="The facts that help with a question; often none")
async def recall(user: Reader, body: Ask) -> Recall:
    """Best first, with the context block to put behind an agent's instructions, and what was left out and why."""
    return await user.ask(body.asked(user.settings))


@router.post("/learn", summary="Learn what is new in posted messages", responses=PENDING)
async def learn(
    user: Writer, body: Learn, waiting: Annotated[Backlog, Depends(backlog)], response: Response
) -> Learned | None:
    """Each message of a session teaches once, however often it is posted. `failed` says what to post again."""
    known = {"agent": body.agent, "run_id": body.run_id, "trace_id": body.trace_id}
    work = user.learn_items(body.items, session_id=body.session_id, labels=body.labels, part=body.part(), **known)
    if not body.background:
        return await work
    waiting.add(work)
    response.status_code = 202
    return None


@router.post("/rewind", summary="Retract what only the last items of a conversation taught")
async def rewind(user: Writer, body: Rewind) -> Learned:
    """For a turn that was taken back: `items` is the conversation with it, `start` where it begins."""
    return await user.take_back(body.items, session_id=body.session_id, start=body.start, part=body.part())


@router.get("/receipts", summary="The newest recalls")
async def receipts(user: Reader, wanted: Annotated[Receipts, Query()]) -> list[Receipt]:
    """What was asked and what was shown: of everything, of a fact, a run, a trace or a session."""
    return await user.receipts(**wanted.model_dump())


@router.get("/receipts/{receipt_id}", summary="One recall")
async def receipt(user: Reader, receipt_id: ReceiptId) -> Receipt:
    """What was asked, what was shown with its rank, and what was nearly shown."""
    return await user.receipt(receipt_id)


@router.get("/shown", summary="What the model was told, with the words that taught it")
async def shown(user: Reader, what: Annotated[WhatWasShown, Query()]) -> list[Lineage]:
    """In a recall, or in all recalls of a run."""
    return await user.shown(receipt_id=what.receipt_id, run_id=what.run_id)
