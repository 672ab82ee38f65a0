"""Where facts come from and what became of them, as people read it: trees and timelines in 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.segment import Segment
from rich.text import Text
from rich.tree import Tree

from semantic_memory import Change, Evidence, Explanation, Fact, Lineage, Receipt
from semantic_memory.facts import Origin
from semantic_memory.frontends.pages import asked, count, day, fact_text, grid, minute, words
from semantic_memory.frontends.plain import printable

RECEIPTS_SHOWN = 5  # of a fact; `receipts` lists them all
CONTEXT_SHOWN = 60  # characters on either side of a quote

# ---- one fact ----------------------------------------------------------------------------------------


def explanation_page(explanation: Explanation) -> RenderableType:
    """A fact as a tree: its evidence, its history, the facts before and after it, the recalls that showed it."""
    fact = explanation.fact
    tree = Tree(Text.assemble((fact.id, "bold cyan"), "  ", words(fact)), guide_style="dim")
    for about in _standing(fact):
        tree.add(Text(about))
    _branch(tree, "because", [evidence_text(one) for one in explanation.evidence])
    _branch(tree, "history", [_change_text(one) for one in explanation.history])
    chain = [one for one in explanation.chain if len(explanation.chain) > 1]
    _branch(tree, "what stood in its place, oldest first", [_chain_text(one, fact) for one in chain])
    shown = [_receipt_text(receipt, fact) for receipt in explanation.receipts[:RECEIPTS_SHOWN]]
    _branch(tree, f"shown in {count(len(explanation.receipts), 'recall')}", shown)
    return tree


def _branch(tree: Tree, title: str, leaves: Sequence[Text]) -> None:
    if leaves:
        branch = tree.add(Text(title, "bold"))
        for leaf in leaves:
            branch.add(leaf)


def _standing(fact: Fact) -> Iterator[str]:
    """What is to be said of a fact beside its words."""
    stance = f", {fact.stance}" if fact.stance != "stated" else ""
    yield f"{fact.status} {printable(fact.kind)}, said by {_who(fact.origin)} on {minute(fact.said_at)} UTC{stance}"
    times = {"holds from": fact.valid_from, "holds until": fact.valid_to, "expires on": fact.expires_at}
    parts = [f"about {printable(fact.subject)}"] if fact.subject else []
    parts += [f"{what} {day(moment)}" for what, moment in times.items() if moment]
    parts += [f"labels {', '.join(map(printable, fact.labels))}"] if fact.labels else []
    parts += [f"contradicts {fact.conflicts_with}"] if fact.conflicts_with else []
    if parts:
        yield ", ".join(parts)


def _who(origin: Origin) -> str:
    who = {"user": "the user", "operator": "the program", "import": "an import"}
    return who.get(origin, f"the {origin}")


def evidence_text(evidence: Evidence) -> Text:
    """The quote in its surroundings, and where it stands."""
    before, after = _end_of(printable(evidence.before)), _beginning_of(printable(evidence.after))
    quote = printable(evidence.quote) if evidence.quote else "(words forgotten)"
    text = Text.assemble((before, "dim"), ("“", "dim"), (quote, "bold"), ("”", "dim"), (after, "dim"))
    return text.append(f"\n{_place(evidence)}", "dim")


def _beginning_of(text: str) -> str:
    return text if len(text) <= CONTEXT_SHOWN else f"{text[:CONTEXT_SHOWN].rpartition(' ')[0]} …"


def _end_of(text: str) -> str:
    return text if len(text) <= CONTEXT_SHOWN else f"… {text[-CONTEXT_SHOWN:].partition(' ')[2]}"


def _place(evidence: Evidence) -> str:
    where = [f"session {evidence.session_id}"] if evidence.session_id else [f"said by {_who(evidence.origin)}"]
    if evidence.position is not None:
        where.append(f"item {evidence.position}")
    if evidence.span and evidence.session_id:
        where.append(f"characters {evidence.span[0]} to {evidence.span[1]}")
    where += [f"agent {evidence.agent}"] if evidence.agent else []
    where += [evidence.extractor] if evidence.extractor else []
    return printable(", ".join(where))


def _change_text(change: Change) -> Text:
    moved = change.before != change.after
    what = f"{change.before or 'written'} → {change.after}" if moved else ""
    parts = (what, printable(change.reason or ""))
    return Text.assemble((f"{minute(change.at)}  ", "dim"), "  ".join(filter(None, parts)))


def _chain_text(one: Fact, fact: Fact) -> Text:
    this = "  ← this one" if one.id == fact.id else ""
    return Text.assemble((f"{day(one.said_at)}  ", "dim"), (one.id, "cyan"), "  ", fact_text(one), (this, "dim"))


def _receipt_text(receipt: Receipt, fact: Fact) -> Text:
    relevance = dict(receipt.shown).get(fact.id, 0.0)
    return Text.assemble((f"{minute(receipt.at)}  ", "dim"), f"{relevance:.2f}  ", asked(receipt))


# ---- many facts --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Station:
    """A part of a timeline: its mark, and a line down to the next one beside whatever it shows."""

    shown: RenderableType
    holds: bool
    last: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines, each behind the mark or the line."""
        mark = Segment("● ", console.get_style("green")) if self.holds else Segment("○ ", console.get_style("dim"))
        rest = Segment("  " if self.last else "│ ", console.get_style("dim"))
        for number, line in enumerate(console.render_lines(self.shown, options.update_width(options.max_width - 2))):
            yield rest if number else mark
            yield from line
            yield Segment.line()


def timeline_page(user_id: str, chains: Sequence[Sequence[Lineage]]) -> RenderableType:
    """Chains of facts, each below the one that it replaced."""
    if not chains:
        return Text(f"nothing of this is known about {printable(user_id)}")
    width = max(len(day(one.fact.said_at)) for chain in chains for one in chain)
    return Group(*(_station(one, width, last=one is chain[-1]) for chain in chains for one in chain))


def _station(one: Lineage, width: int, *, last: bool) -> Station:
    holds = one.fact.status == "active"
    date = Text(f"{day(one.fact.said_at):{width}}", "bold" if holds else "dim")
    fact = grid([(date, Text(one.fact.id, "cyan"), fact_text(one.fact, status=False))])
    lines = [*(_taught(evidence, one.fact) for evidence in one.evidence), *_ends(one)]
    below = [Padding(line, (0, 0, 0, width + 2)) for line in lines]
    return Station(Group(fact, *below), holds, last)


def _taught(evidence: Evidence, fact: Fact) -> Text:
    """Where a fact was said, and in which words, where these aren't the fact's own."""
    who = f"said by {_who(evidence.origin)}"
    where = f" in {printable(evidence.session_id)}" if evidence.session_id else ""
    item = "" if evidence.position is None else f", item {evidence.position}"
    text = Text(f"{who}{where}{item}", "dim")
    own = evidence.quote.strip(" .") == fact.text.strip(" .")
    return text if own or not evidence.quote else text.append(f": “{printable(evidence.quote)}”")


def _ends(one: Lineage) -> Iterator[Text]:
    """When and why a fact ceased to hold, and held again."""
    for change in one.history:
        if change.before and change.before != change.after:
            what = "active again" if change.after == "active" else change.after
            why = f": {printable(change.reason)}" if change.reason else ""
            yield Text.assemble((what, "bold"), f" on {day(change.at)}{why}")
    if one.fact.status == "expired" and one.history and one.history[-1].after != "expired":
        yield Text("expired", "bold")


def shown_page(lineages: Sequence[Lineage]) -> RenderableType:
    """What a model was told, and the words that taught each fact."""
    if not lineages:
        return Text("nothing: memory was silent")
    return Group(*(part for one in lineages for part in _told(one)))


def _told(one: Lineage) -> Iterator[RenderableType]:
    yield Text.assemble((one.fact.id, "cyan"), "  ", fact_text(one.fact))
    for evidence in one.evidence:
        yield Padding(evidence_text(evidence), (0, 0, 0, 2))
