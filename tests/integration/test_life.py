"""Whatever happens to a memory, in whatever order, it agrees with a model of a few dictionaries."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from agents import SQLiteSession
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from semantic_memory import CandidateFact, FactFilter, SemanticMemory, Settings
from semantic_memory.chains import broken_links
from semantic_memory.testing import HashEmbeddingModel

THOROUGH = settings.get_current_profile_name() == "thorough"  # pytest --hypothesis-profile=thorough
EXAMPLES, STEPS = (200, 60) if THOROUGH else (8, 25)

MINUTE = timedelta(minutes=1)
TEXTS = [
    f"{form} is {value}."
    for form, values in {
        "My deploy target": ("Hetzner", "AWS", "Fly"),
        "My cat's name": ("Miso", "Kater"),
        "My favourite editor": ("Vim", "Emacs"),
    }.items()
    for value in values
]
SESSIONS = ("billing", "onboarding")

texts, sessions = st.sampled_from(TEXTS), st.sampled_from(SESSIONS)
Said = tuple[str, str, int]  # session, text and which of its equal messages: what can be learned, once


@dataclass
class Believed:
    """A fact as the model knows it."""

    text: str
    status: str = "active"
    because: set[Any] = field(default_factory=set)
    superseded_by: str | None = None
    expires_at: datetime | None = None


class Replacing:
    """Takes every message for a fact, which replaces one that is known of its subject, as a model would say."""

    version = "replacing/1"

    async def extract(self, messages: Any, *, known: Any = (), context: Any = ()) -> list[CandidateFact]:
        return [self.candidate(message, known) for message in messages if message.role == "user"]

    def candidate(self, message: Any, known: Any) -> CandidateFact:
        text = message.text
        older = [fact.id for fact in known if fact.subject == subject(text) and fact.text != text]
        operation = {"operation": "replaces", "target": older[0]} if older else {}
        return CandidateFact(
            text=text, position=message.position, quote=text, subject=subject(text), kind="fact", **operation
        )


def subject(text: str) -> str:
    return text.removeprefix("My ").partition(" is ")[0]


class Life(RuleBasedStateMachine):
    """Random lives of one user's memory."""

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 5, 1, tzinfo=UTC)
        self.folder = tempfile.mkdtemp()
        self.loop = asyncio.new_event_loop()
        given = Settings(path=self.folder)
        parts = {"embedding": HashEmbeddingModel(), "extractor": Replacing(), "clock": lambda: self.now}
        self.opened = SemanticMemory.open(given, **parts)
        self.memory = self.do(self.opened.__aenter__())
        self.ada = self.memory.user("ada")
        self.sessions = {name: SQLiteSession(name) for name in SESSIONS}
        self.turns: dict[str, list[str]] = {name: [] for name in SESSIONS}  # what each transcript still holds
        self.learned: set[Said] = set()
        self.facts: dict[str, Believed] = {}
        self.past: list[tuple[datetime, frozenset[str]]] = []
        self.statements = 0

    def do(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.the_index_holds_the_active_facts()
        self.do(self.opened.__aexit__(None, None, None))
        for session in self.sessions.values():
            session.close()
        self.loop.close()
        shutil.rmtree(self.folder)

    # ---- what happens ------------------------------------------------------------------------------

    @rule(text=texts, minutes=st.none() | st.integers(1, 8))
    def remember(self, text: str, minutes: int | None) -> None:
        until = None if minutes is None else self.now + minutes * MINUTE
        fact = self.do(self.ada.remember(text, subject=subject(text), expires_at=until))
        self.statements += 1
        self.was_said(fact, ("said directly", self.statements), until)

    @rule(name=sessions, text=texts)
    def say(self, name: str, text: str) -> None:
        items = [{"role": "user", "content": text}, {"role": "assistant", "content": "Noted."}]
        self.do(self.sessions[name].add_items(items))
        said = (name, text, self.turns[name].count(text))
        self.turns[name].append(text)
        learned = self.do(self.ada.learn(self.sessions[name]))
        assert learned.retracted == ()
        if said in self.learned:
            assert (learned.written, learned.reaffirmed) == ((), ())
            return
        self.learned.add(said)
        assert len(learned.written) + len(learned.reaffirmed) == 1
        for fact in learned.written:
            self.was_said(fact, said, None)
        for fact_id in learned.reaffirmed:
            self.facts[fact_id].because.add(said)

    @rule(name=sessions)
    def rewind(self, name: str) -> None:
        taken = self.do(self.ada.rewind(self.sessions[name]))
        expected = set()
        if self.turns[name]:
            text = self.turns[name].pop()
            said = (name, text, self.turns[name].count(text))
            self.learned.discard(said)
            expected = {fact_id for fact_id in self.facts if self.lost(fact_id, said)}
        assert set(taken.retracted) == expected

    @rule(name=sessions)
    def compact(self, name: str) -> None:
        self.do(self.sessions[name].clear_session())
        self.do(self.sessions[name].add_items([{"type": "compaction", "encrypted_content": "x", "id": "c"}]))
        self.turns[name] = []

    @precondition(lambda self: self.active())
    @rule(data=st.data(), text=texts)
    def correct(self, data: Any, text: str) -> None:
        old = data.draw(st.sampled_from(sorted(self.active(), key=list(self.facts).index)))
        fact = self.do(self.ada.correct(old, text))
        self.statements += 1
        assert fact.supersedes == old
        self.was_said(fact, ("said directly", self.statements), None)

    @precondition(lambda self: self.facts)
    @rule(data=st.data())
    def forget(self, data: Any) -> None:
        fact_id = data.draw(st.sampled_from(list(self.facts)))
        self.do(self.ada.forget(fact_id))
        self.facts[fact_id].status, self.facts[fact_id].text = "forgotten", ""

    @precondition(lambda self: len(self.facts) > 3)
    @rule()
    def erase(self) -> None:
        assert self.do(self.ada.erase()).removed["memory_facts"] == len(self.facts)
        self.facts, self.past = {}, []

    @rule(minutes=st.integers(1, 5))
    def wait(self, minutes: int) -> None:
        self.now += minutes * MINUTE

    # ---- the model ---------------------------------------------------------------------------------

    def was_said(self, fact: Any, because: Any, until: datetime | None) -> None:
        known = self.facts.get(fact.id)
        if known is not None:
            assert known.text == fact.text
            known.because.add(because)
            known.expires_at = max(filter(None, (known.expires_at, until))) if known.expires_at else None
            return
        replaced = {fact.supersedes, *self.twins(fact.text)} if fact.supersedes else set()
        for old in replaced:
            assert self.status(old) == "active"
            self.facts[old].status, self.facts[old].superseded_by = "superseded", fact.id
        self.facts[fact.id] = Believed(fact.text, because={because}, expires_at=until)

    def twins(self, text: str) -> list[str]:
        return [fact_id for fact_id in self.active() if self.facts[fact_id].text == text]

    def lost(self, fact_id: str, said: Said) -> bool:
        """Take one reason for a fact away; whether it was the last one."""
        fact = self.facts[fact_id]
        if said not in fact.because:
            return False
        fact.because.remove(said)
        if fact.because or fact.status == "forgotten":
            return False
        if fact.status == "active":
            fact.status = "retracted"
            self.bring_back(fact_id)
        fact.status = "retracted"
        return True

    def bring_back(self, gone: str) -> None:
        for fact_id, fact in reversed(self.facts.items()):
            if fact.superseded_by != gone:
                continue
            if fact.status != "superseded":
                self.bring_back(fact_id)
            elif twins := self.twins(fact.text):
                fact.superseded_by = twins[0]
            else:
                fact.status, fact.superseded_by = "active", None

    def status(self, fact_id: str) -> str:
        fact = self.facts[fact_id]
        over = fact.expires_at is not None and fact.expires_at <= self.now
        return "expired" if over and fact.status == "active" else fact.status

    def active(self) -> set[str]:
        return {fact_id for fact_id in self.facts if self.status(fact_id) == "active"}

    # ---- what is always true -----------------------------------------------------------------------

    @invariant()
    def every_fact_has_the_status_of_the_model(self) -> None:
        found = self.do(self.ada.facts(FactFilter(status=())))
        assert {fact.id: fact.status for fact in found} == {fact_id: self.status(fact_id) for fact_id in self.facts}
        assert {fact.id: fact.text for fact in found} == {fact_id: fact.text for fact_id, fact in self.facts.items()}

    @invariant()
    def no_two_active_facts_have_the_same_words(self) -> None:
        assert max(Counter(fact.text for fact in self.do(self.ada.facts())).values(), default=1) == 1

    @invariant()
    def a_chain_has_at_most_one_active_fact_and_no_broken_link(self) -> None:
        chains = self.do(self.ada.timeline())
        assert all(Counter(one.fact.status for one in chain)["active"] <= 1 for chain in chains)
        assert broken_links([one.fact for chain in chains for one in chain]) == []

    @invariant()
    def no_evidence_dangles(self) -> None:
        for one in self.do(self.ada.lineages()):
            believed = self.facts[one.fact.id]
            assert len(one.evidence) == len(believed.because)
            assert all(evidence.fact_id == one.fact.id for evidence in one.evidence)
            if one.fact.status == "active":
                assert one.evidence
                assert one.fact.evidence_count == len(one.evidence)
                assert all(evidence.quote in TEXTS for evidence in one.evidence)

    @invariant()
    def the_past_stays_as_it_was_but_for_what_was_forgotten(self) -> None:
        for moment, then in self.past[-3:] + self.past[::7]:
            found = {fact.id for fact in self.do(self.ada.facts(as_of=moment))}
            assert found == {fact_id for fact_id in then if self.facts[fact_id].status != "forgotten"}
        self.past.append((self.now, frozenset(self.active())))
        self.now += MINUTE

    def the_index_holds_the_active_facts(self) -> None:
        health = self.do(self.memory.health())
        assert [one for one in health.findings if one.grave] == []
        assert self.do(self.memory.health(repair=True)).sound
        assert self.do(self.held_by_the_index()) == self.active()

    async def held_by_the_index(self) -> set[str]:
        rooms = self.memory._rooms

        async def work() -> set[str]:
            state = await rooms.ledger.user(rooms.ledger.user_key("ada"))
            place = rooms.follower.place(state, 64) if state else None
            if place is None:
                return set()
            anything = await HashEmbeddingModel().embed_query("anything")
            return {near.fact_id for near in await rooms.index.nearest(place, anything, 1000)}

        return await rooms.workroom.call(work())


def test_a_life_in_random_steps_agrees_with_the_model() -> None:
    phases = tuple(Phase) if THOROUGH else (Phase.reuse, Phase.generate)  # to shrink takes minutes
    steps = settings(max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, print_blob=True, phases=phases)
    run_state_machine_as_test(Life, settings=steps)
