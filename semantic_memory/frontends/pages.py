"""Facts and recalls as people read them: 80 columns are enough, and colour is never needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from semantic_memory import Certificate, Fact, Learned, NearMiss, Recall, RecalledFact, Receipt
from semantic_memory.frontends.plain import printable
from semantic_memory.reasons import Reason, Verdict

LEAST_SHARE = 0.1  # of the log-odds: what moved a fact less goes without saying

WHY_NOT: dict[Verdict, str] = {
    "shown": "shown",
    "threshold": "not relevant enough",
    "gate": "the facts hold no answer, it seems",
    "share": "far behind the best",
    "limit": "behind the limit",
    "budget": "over the token budget",
    "duplicate": "says the same as a better one",
    "quota": "too many of its origin",
    "label": "has another label",
    "status": "not active",
    "candidate": "never came near the question",
}


def day(moment: datetime) -> str:
    """2 Mar 2026 (UTC)."""
    at = moment.astimezone(UTC)
    return f"{at.day} {at:%b %Y}"


def minute(moment: datetime) -> str:
    """2 Mar 2026 09:30 (UTC)."""
    return f"{day(moment)} {moment.astimezone(UTC):%H:%M}"


def count(number: int, thing: str) -> str:
    """1 fact, 2 facts."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def grid(rows: Iterable[Sequence[RenderableType]]) -> Table:
    """Columns without lines; only the last one is broken where it doesn't fit."""
    table = Table.grid(padding=(0, 2))
    for number, row in enumerate(rows):
        if not number:
            for _ in row[:-1]:
                table.add_column(no_wrap=True)
            table.add_column()
        table.add_row(*row)
    return table


# ---- facts -----------------------------------------------------------------------------------------


def fact_text(fact: Fact, *, status: bool = True) -> Text:
    """What a fact says, and behind it what is special about it, its status if that is to be told."""
    said, notes = words(fact), [note for note in _notes(fact) if note and (status or note != fact.status)]
    return said.append(f"  ({', '.join(notes)})", "dim") if notes else said


def words(fact: Fact) -> Text:
    """What a fact says."""
    return Text("(forgotten)", "dim") if fact.status == "forgotten" else Text(printable(fact.text))


def _notes(fact: Fact) -> tuple[str, ...]:
    return (
        printable(fact.kind) if fact.kind != "fact" else "",
        f"from {fact.origin}" if fact.origin not in ("user", "operator") else "",
        fact.status if fact.status not in ("active", "forgotten") else "",
        "disputed" if fact.conflicts_with else "",
        *(printable(label) for label in fact.labels),
    )


def facts_page(user_id: str, facts: Sequence[Fact]) -> RenderableType:
    """A list of facts."""
    if not facts:
        return Text(f"no such facts about {printable(user_id)}")
    return grid((Text(fact.id, "cyan"), Text(day(fact.said_at), "dim"), fact_text(fact)) for fact in facts)


def recall_page(recall: Recall, *, near: dict[str, Fact], why: bool = False) -> RenderableType:
    """What a recall answered, with `why` what spoke for it, and in `near` the facts that were left out."""
    lines: list[RenderableType] = []
    if recall.facts:
        lines.append(grid(_found(found, recall if why else None) for found in recall.facts))
    else:
        lines.append(Text("nothing relevant is known: nothing would be added to the instructions"))
    if why and recall.answerable is not None:
        lines.append(_gate(recall.answerable))
    if near:
        lines += [Text("\nleft out:", "dim"), grid(_near(miss, near) for miss in recall.near if miss.fact_id in near)]
    if recall.degraded:
        lines.append(Text(f"degraded: {recall.degraded}", "yellow"))
    return Group(*lines)


def _found(found: RecalledFact, explained: Recall | None) -> tuple[Text, Text, Text]:
    said = fact_text(found.fact)
    if explained is not None:
        said.append(f"\n{_spoke(explained.why_not(found.fact.id))}", "dim")
    return Text(f"{found.relevance:.2f}", "bold"), Text(found.fact.id, "cyan"), said


def _spoke(reason: Reason) -> str:
    """The kinds of signals that moved a fact, the strongest first."""
    moved = sorted((reason.shares or {}).items(), key=lambda one: -abs(one[1]))
    return ", ".join(f"{kind} {share:+.1f}" for kind, share in moved if abs(share) >= LEAST_SHARE) or "like the others"


def reason_page(fact: Fact, reason: Reason) -> RenderableType:
    """What a recall made of one fact."""
    chance = "-" if reason.relevance is None else f"{reason.relevance:.2f}"
    said = Text.assemble(fact_text(fact), (f"  {WHY_NOT[reason.verdict]}", "dim"))
    if reason.shares is not None:
        said.append(f"\n{_spoke(reason)}", "dim")
    lines: list[RenderableType] = [grid([(Text(chance, "bold"), Text(fact.id, "cyan"), said)])]
    return Group(*lines, *([] if reason.answerable is None else [_gate(reason.answerable)]))


def _gate(answerable: float) -> Text:
    """What stands before every relevance."""
    return Text(f"{answerable:.2f}  that these facts hold an answer at all", "dim")


def _near(miss: NearMiss, facts: dict[str, Fact]) -> tuple[Text, Text, Text]:
    fact = facts[miss.fact_id]
    why = Text.assemble(fact_text(fact), (f"  {WHY_NOT[miss.stopped_by]}", "dim"))
    return Text(f"{miss.relevance:.2f}", "dim"), Text(fact.id, "cyan"), why


def learned_page(learned: Learned) -> RenderableType:
    """What a learn pass did."""
    done = (
        count(len(learned.written), "fact") + " learned",
        f"{len(learned.reaffirmed)} said again" if learned.reaffirmed else "",
        f"{len(learned.superseded)} replaced" if learned.superseded else "",
        f"{len(learned.retracted)} taken back" if learned.retracted else "",
        f"{len(learned.rejected)} refused" if learned.rejected else "",
    )
    lines: list[RenderableType] = [Text(f"{count(learned.messages, 'new message')}: {', '.join(filter(None, done))}")]
    if learned.written:
        lines.append(grid((Text(fact.id, "cyan"), fact_text(fact)) for fact in learned.written))
    lines += [Text(f"refused ({reason}): {printable(text)}", "dim") for text, reason in learned.rejected]
    return Group(*lines)


def receipts_page(receipts: Sequence[Receipt]) -> RenderableType:
    """A list of recalls."""
    if not receipts:
        return Text("no recalls yet")
    rows = (
        (Text(one.id, "cyan"), Text(minute(one.at), "dim"), Text(_shown(one), "bold"), asked(one)) for one in receipts
    )
    return grid(rows)


def _shown(receipt: Receipt) -> str:
    return count(len(receipt.shown), "fact") if receipt.shown else "silence"


def asked(receipt: Receipt) -> Text:
    """What was asked, and on whose behalf."""
    notes = ", ".join(filter(None, (receipt.source, receipt.agent, receipt.degraded and "degraded")))
    return Text.assemble(f"“{printable(receipt.query)}”", (f"  ({printable(notes)})", "dim"))


def certificate_page(certificate: Certificate) -> RenderableType:
    """What an erasure removed."""
    rows = sum(certificate.removed.values())
    lines = [f"erased: {count(rows, 'row')} of the ledger; index {certificate.index}, ledger {certificate.ledger}"]
    lines += [f"checked: {printable(one)}" for one in certificate.checked]
    lines += [f"can't be proven from here: {printable(one)}" for one in certificate.unproven]
    if certificate.transcripts:
        lines.append(f"still yours to delete: the sessions {', '.join(map(printable, certificate.transcripts))}")
    return Text("\n".join(lines))
