"""What parameters and answers look like: the story of a deploy target, as the API's description tells it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from semantic_memory import (
    Certificate,
    Change,
    Evidence,
    Explanation,
    Fact,
    Health,
    Key,
    Learned,
    Lineage,
    Placed,
    Reason,
    Recall,
    RecalledFact,
    Receipt,
)
from semantic_memory.facts import NearMiss
from semantic_memory.findings import UserHealth

MARCH, MAY = datetime(2026, 3, 2, 9, 30, tzinfo=UTC), datetime(2026, 5, 4, 14, 0, tzinfo=UTC)
OLD_ID, NEW_ID, CAT_ID, RECEIPT_ID, RUN_ID = ("zxszg2ah9ewp", "mkegfx8fgtsh", "b4t7w0c2n9qd", "k3v8r1m6x0ya", "run-41")
TRACE_ID = "trace_0af7651916cd43dd8448eb211c80319c"

OLD = Fact(
    id=OLD_ID,
    user_id="ada",
    text="We deploy to Hetzner.",
    origin="user",
    status="superseded",
    said_at=MARCH,
    recorded_at=MARCH,
    superseded_by=NEW_ID,
    session_id="monday",
    position=0,
)
NEW = Fact(
    id=NEW_ID,
    user_id="ada",
    text="We deploy to AWS.",
    origin="operator",
    status="active",
    said_at=MAY,
    recorded_at=MAY,
    supersedes=OLD_ID,
)
EVIDENCE = Evidence(
    id="h5n2c8w1t6zb",
    fact_id=OLD_ID,
    origin="user",
    quote="We deploy to Hetzner.",
    span=(4, 25),
    before="Hi! ",
    session_id="monday",
    position=0,
    agent="Assistant",
    extractor="sentences/1",
    run_id=RUN_ID,
    said_at=MARCH,
    recorded_at=MARCH,
)
HISTORY = (
    Change(revision=1, fact_id=OLD_ID, before=None, after="active", reason=None, at=MARCH),
    Change(revision=2, fact_id=OLD_ID, before="active", after="superseded", reason="moved in May", at=MAY),
)
LINEAGE = Lineage(fact=OLD, evidence=(EVIDENCE,), history=HISTORY)
NEWER = Lineage(
    fact=NEW,
    evidence=(
        Evidence(id="t1d9m4x7k2vc", fact_id=NEW_ID, origin="operator", quote=NEW.text, said_at=MAY, recorded_at=MAY),
    ),
    history=(Change(revision=2, fact_id=NEW_ID, before=None, after="active", reason="moved in May", at=MAY),),
)
SIGNALS = {"meaning": 2.1, "words": 1.3, "baseline": -1.8}
MISS = NearMiss(fact_id=CAT_ID, relevance=0.04, stopped_by="threshold", signals={"meaning": -1.2, "baseline": -1.8})
RECALL = Recall(
    facts=(RecalledFact(fact=NEW, relevance=0.83, rank=1, signals=SIGNALS),),
    context=f'<user_memory>\n{NEW_ID} 4 May 2026 "We deploy to AWS."\n</user_memory>',
    receipt_id=RECEIPT_ID,
    near=(MISS,),
    answered_by="index",
    latency_ms=6.2,
)
RECEIPT = Receipt(
    id=RECEIPT_ID,
    at=MAY,
    query="Where do we deploy?",
    shown=((NEW_ID, 0.83),),
    signals=(SIGNALS,),
    near=(MISS,),
    source="http",
    answered_by="index",
    degraded=None,
    latency_ms=6.2,
    run_id=RUN_ID,
    session_id="friday",
    agent="Assistant",
)
ADA = UserHealth(
    user_id="ada",
    facts={"active": 1, "superseded": 1},
    never_recalled=0,
    revision=2,
    watermark=2,
    model="all-MiniLM-L6-v2",
)
ANSWERS: dict[str, Any] = {  # by the name of their schema
    "Alive": {"status": "ok"},
    "Certificate": Certificate(
        user_key="5f2c", at=MAY, removed={"memory_facts": 2}, index="removed", ledger="scrubbed",
        transcripts=("monday",), checked=("ledger", "index"),
    ),
    "Explanation": Explanation(fact=OLD, evidence=(EVIDENCE,), history=HISTORY, receipts=(RECEIPT,), chain=(OLD, NEW)),
    "Fact": NEW,
    "Health": Health(at=MAY, users=(ADA,), findings=(), repaired=(), model="all-MiniLM-L6-v2", size={"ledger": 81920}),
    "Imported": {"written": [NEW], "known": 0},
    "Key": Key(id="q8z3", name="notes", scopes=("read", "write"), user_id="ada", created_at=MARCH),
    "Learned": Learned(messages=2, written=(OLD,)),
    "Lineage": LINEAGE,
    "Reason": Reason(fact_id=CAT_ID, verdict="threshold", relevance=0.04, shares=MISS.signals),
    "Placed": Placed(fact=NEW, x=0.31, y=-0.72),
    "Recall": RECALL,
    "Receipt": RECEIPT,
}  # fmt: skip
PARAMETERS: dict[str, Any] = {
    "about": "deploy",
    "agent": "Assistant",
    "any_status": True,
    "as_of": "2026-04-01T00:00:00Z",
    "disputed": True,
    "fact_id": OLD_ID,
    "kind": "preference",
    "label": "work",
    "limit": 20,
    "never_recalled": True,
    "offset": 20,
    "origin": "user",
    "receipt_id": RECEIPT_ID,
    "run_id": RUN_ID,
    "session_id": "monday",
    "since": "2026-03-01T00:00:00Z",
    "status": ["active", "superseded"],
    "subject": "deploy target",
    "text": "deploy",
    "trace_id": TRACE_ID,
    "until": "2026-06-01T00:00:00Z",
    "user_id": "ada",
}
