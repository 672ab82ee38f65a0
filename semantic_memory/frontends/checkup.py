"""What the doctor saw, on one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.text import Text

from semantic_memory import Fact, Finding, Health, UserHealth
from semantic_memory.findings import Check
from semantic_memory.frontends.pages import count, fact_text, grid
from semantic_memory.frontends.plain import printable

FINDINGS_SHOWN = 8  # the rest is counted; --json has them all
ALIKE_SHOWN = 3  # of one kind
FACTS_SHOWN = 2  # of a finding
USERS_SHOWN = 8
REPAIRED_SHOWN = 5
HINTS: Mapping[Check, str] = {
    "ledger": "`doctor --repair` makes the ledger's own indexes again; if that isn't enough, take your last backup",
    "index": "`doctor --repair` builds an index again",
    "leftover": "`doctor --repair` removes folders that belong to nobody",
    "unembedded": "`doctor --repair` embeds facts without a vector",
    "dead letter": "`doctor --retry` gives what could not be learned another chance",
    "secret": "`forget` blanks a fact that holds a credential",
}


def told(health: Health) -> Sequence[Finding]:
    """The findings that the page names, what is wrong first."""
    shown: list[Finding] = []
    for finding in sorted(health.findings, key=lambda finding: not finding.grave):
        if sum(_alike(finding, one) for one in shown) < ALIKE_SHOWN:
            shown.append(finding)
    return shown[:FINDINGS_SHOWN]


def _alike(one: Finding, other: Finding) -> bool:
    return (one.check, one.grave) == (other.check, other.grave)


def health_page(health: Health, facts: Mapping[str, Fact], *, retried: int) -> RenderableType:
    """The verdict, the findings with the facts that they are about, the users, the sizes."""
    return Group(*_parts(health, facts, retried))


def _parts(health: Health, facts: Mapping[str, Fact], retried: int) -> Iterator[RenderableType]:
    yield _verdict(health)
    if retried:
        yield Text(f"{count(retried, 'message')} will be tried again by the next `learn`")
    for finding in health.repaired[:REPAIRED_SHOWN]:
        yield _finding(finding, "repaired", "green")
    if len(health.repaired) > REPAIRED_SHOWN:
        yield Text(f"and {len(health.repaired) - REPAIRED_SHOWN} more repaired", "dim")
    for finding in told(health):
        yield _finding(finding, *(("wrong", "bold red") if finding.grave else ("look", "yellow")))
        named = [facts[one] for one in finding.fact_ids if one in facts]
        if named:
            yield grid((Text(" " * 8), Text(fact.id, "cyan"), _words(finding, fact)) for fact in named)
    if more := _more(health):
        yield Text(f"and {more} more: --json has them all", "dim")
    if health.findings or health.repaired:
        yield Text()
    if health.users:
        yield grid([_HEADINGS, *map(_user, health.users[:USERS_SHOWN])])
    if len(health.users) > USERS_SHOWN:
        yield Text(f"and {count(len(health.users) - USERS_SHOWN, 'other user')}", "dim")
    job = "running: no other can begin" if health.job else "none"
    lines = (f"model: {health.model or 'none'}", f"generations: {_generations(health)}", f"job: {job}")
    yield Text("\n".join((*lines, f"on disk: {_sizes(health.size)}")), "dim")


def _generations(health: Health) -> str:
    """Which models the indexes were built with, or are being built with, of how many users."""
    told = (
        f"{printable(model)} ({', '.join(f'{users} {state}' for state, users in states.items())})"
        for model, states in health.generations.items()
        if states
    )
    return ", ".join(told) or "none"


def _more(health: Health) -> str:
    """How many findings the page doesn't name, by kind."""
    left = Counter(one.check for one in health.findings) - Counter(one.check for one in told(health))
    return ", ".join(f"{number} {check}" for check, number in left.items())


def _words(finding: Finding, fact: Fact) -> Text:
    """The fact's words; a credential is told to nobody."""
    return Text("(not shown)", "dim") if finding.check == "secret" else fact_text(fact)


def _verdict(health: Health) -> Text:
    grave = [finding.check for finding in health.findings if finding.grave]
    if not grave:
        return Text("sound: nothing is wrong", "bold green")
    hints = "".join(f"\n{hint}" for check, hint in HINTS.items() if check in grave)
    return Text.assemble((f"{count(len(grave), 'thing')} wrong", "bold red"), (hints, "dim"))


def _finding(finding: Finding, sort: str, style: str) -> RenderableType:
    whose = f"{printable(finding.user_id)}: " if finding.user_id else ""
    what = Text.assemble((f"{finding.check}  ", "bold"), whose, printable(finding.what))
    return grid([(Text(f"{sort:8}", style), what)])


_HEADINGS = tuple(Text(heading, "dim") for heading in ("user", "never recalled", "index", "facts"))


def _user(user: UserHealth) -> tuple[Text, ...]:
    index = "not open here" if user.watermark is None else f"revision {user.watermark} of {user.revision}"
    facts = ", ".join(f"{number} {status}" for status, number in user.facts.items()) or "none"
    return Text(printable(user.user_id), "cyan"), Text(str(user.never_recalled)), Text(index), Text(facts)


def _sizes(size: Mapping[str, int]) -> str:
    return ", ".join(f"{part} {decimal(number)}" for part, number in size.items() if number)
