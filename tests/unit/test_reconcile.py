"""What becomes of candidate facts, given what is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantic_memory.embedding.bundled import bundled
from semantic_memory.embedding.protocol import Matrix
from semantic_memory.errors import InvalidInput
from semantic_memory.evaluation.reconciliation import evaluate_reconciliation
from semantic_memory.facts import CandidateFact, Fact, Message, Operation, Role, Status
from semantic_memory.quotes import CONTEXT, find_quote
from semantic_memory.reconcile import STRICT, Decision, Thresholds, reconcile

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
NEAR = 0.9  # a cosine that stands in nobody's way


def fact(text: str, fact_id: str = "f1", **changes: Any) -> Fact:
    values = {"user_id": "ada", "origin": "user", "status": "active", "said_at": NOON, "recorded_at": NOON, **changes}
    return Fact(id=fact_id, text=text, **values)


def candidate(text: str, **changes: Any) -> CandidateFact:
    return CandidateFact(text=text, **{"position": 0, "quote": text, **changes})


def message(text: str, role: Role = "user", position: int = 0) -> Message:
    return Message(position=position, role=role, text=text, digest="0" * 64)


def cosines(rows: int, columns: int, value: float = NEAR) -> Matrix:
    return np.full((rows, columns), value, dtype=np.float32)


def decide(
    new: CandidateFact | str, *known: Fact | str, said: Message | None = None, cosine: float = NEAR, **options: Any
) -> Decision:
    """The decision on one candidate that cites its own words unless `said` is given."""
    one = candidate(new) if isinstance(new, str) else new
    facts = [fact(old, f"f{n}") if isinstance(old, str) else old for n, old in enumerate(known, start=1)]
    said = said or message(one.quote)
    return reconcile([one], facts, cosines(1, len(facts), cosine), messages=[said], **options)[0]


def batch(*texts: str) -> list[Decision]:
    """The decisions on candidates of one batch, with nothing known before."""
    messages = [message(text, position=place) for place, text in enumerate(texts)]
    candidates = [candidate(text, position=place) for place, text in enumerate(texts)]
    among = cosines(len(texts), len(texts))
    return reconcile(candidates, [], cosines(len(texts), 0), messages=messages, among=among)


class TestWordsAlone:
    """Without a model extractor every candidate is proposed as new."""

    def test_the_first_fact_is_new(self) -> None:
        assert decide("I live in Munich.").action == "new"

    @pytest.mark.parametrize(
        ("known", "said"),
        [
            ("My manager is Bruno.", "my manager is bruno"),
            ("My manager is Bruno.", "Bruno is my manager."),
            ("I'm allergic to peanuts.", "I have a peanut allergy."),
            ("I have two dogs.", "I have 2 dogs."),
            ("My daughter is four years old.", "I have a four-year-old daughter."),
            ("I drive a green Volvo.", "My car is a green Volvo."),
            ("My birthday is 3 May.", "I was born on 3 May."),
            ("Our prod db is Postgres 16.", "The production database is Postgres 16."),
        ],
    )
    def test_the_same_in_other_words_reaffirms(self, known: str, said: str) -> None:
        decision = decide(said, known)
        assert (decision.action, decision.target) == ("same", "f1")

    @pytest.mark.parametrize(
        ("known", "said"),
        [
            ("Deploy target is Hetzner", "Our deploy target is AWS now"),
            ("I live in Munich.", "I moved to Berlin."),
            ("Our stand-up is at 9:30.", "Stand-up has been moved from 9:30 to 11."),
            ("I own some Apple shares.", "I sold all my Apple shares."),
            ("I use Vim for everything.", "I've switched to Helix, I don't use Vim anymore."),
            ("I moved to Munich.", "I moved to Berlin."),
            ("I moved the stand-up to 9:30.", "I moved the stand-up to 11."),
        ],
    )
    def test_a_change_replaces(self, known: str, said: str) -> None:
        decision = decide(said, known, cosine=0.6)
        assert (decision.action, decision.target) == ("replaces", "f1")

    @pytest.mark.parametrize(
        ("known", "said"),
        [
            ("My manager is Bruno.", "My manager is Claudia."),
            ("My rent is 900 euros.", "My rent is 950 euros."),
            ("I like tea.", "I don't like tea."),
            ("The thesis is due on 30 June.", "The thesis is due on 30 July."),
        ],
    )
    def test_a_contradiction_without_a_sign_of_change_keeps_both(self, known: str, said: str) -> None:
        decision = decide(said, known)
        assert (decision.action, decision.target) == ("conflicts", "f1")

    @pytest.mark.parametrize(
        ("known", "said"),
        [
            ("My brother Tom is a pilot.", "My brother Tim is a pilot."),
            ("My sister lives in Oslo.", "I live in Oslo."),
            ("Rosa values her friendship with Emil.", "Emil values his friendship with Rosa."),
            ("I like tea.", "I like coffee."),
            ("I play the violin.", "I play the piano as well."),
            ("My manager is Bruno.", "My manager is also Claudia."),
            ("My manager is Bruno.", "My manager is Claudia this week."),
            ("I live in Munich.", "I'm in Berlin this week."),
            ("I work from home when my back is bad.", "I work from home."),
            ("The upper field has cardamom.", "The lower field has pepper."),
            ("I take my coffee with milk.", "I take sugar in my coffee."),
            ("My trainer Mia repairs boats in Hamburg.", "My trainer Kim sold boats in Lagos."),
            ("My trainer Mia repairs boats in Hamburg.", "My landlord Lev sold boats in Lagos."),
            ("I sold the bike to Karim in Rome.", "I sold the tent to Karim in Lagos."),
            (
                "Our cat Miso ate the fern in May and asked for tuna.",
                "Our cat Miso left a mouse in June and asked for ham.",
            ),
        ],
    )
    def test_what_can_hold_beside_it_is_new(self, known: str, said: str) -> None:
        assert decide(said, known, cosine=0.79).action == "new"

    def test_another_language_gets_duplicates_rather_than_wrong_merges(self) -> None:
        assert decide("Ich mag keinen Tee.", "Ich mag Tee.", cosine=0.99).action != "same"
        assert decide("Je n'aime pas le thé.", "J'aime le thé.", cosine=0.99).action != "same"

    def test_far_off_statements_are_new_whatever_their_words(self) -> None:
        assert decide("Bruno is my manager.", "My manager is Bruno.", cosine=0.3).action == "new"

    def test_the_very_same_words_meet_without_vectors(self) -> None:
        others = [fact(f"I like the number {n}.", f"n{n}") for n in range(20)]
        decision = decide("i  like tea", *others, fact("I like tea.", "tea"), cosine=0.0)
        assert (decision.action, decision.target) == ("same", "tea")

    def test_a_model_that_nobody_fitted_merges_hardly_more_than_the_same_words(self) -> None:
        assert Thresholds.of_model("some-other-model") == STRICT
        assert decide("Bruno is my manager.", "My manager is Bruno.", thresholds=STRICT).action == "new"

    def test_an_event_stays_true(self) -> None:
        event = fact("I moved to Berlin.", kind="event")
        assert decide("I moved to Hamburg, not Berlin now.", event).action == "new"

    def test_the_nearest_of_several_is_replaced(self) -> None:
        known = [fact("The build server is called otter.", "build"), fact("The cat is called otter.", "cat")]
        one = candidate("The build server was renamed from otter to falcon.")
        similarity = np.array([[0.8, 0.6]], dtype=np.float32)
        decision = reconcile([one], known, similarity, messages=[message(one.text)])[0]
        assert (decision.action, decision.target) == ("replaces", "build")


class TestEvidence:
    """A candidate is believed only as far as somebody said it."""

    def test_the_excerpt_is_the_exact_place_in_the_message(self) -> None:
        said = message("Well, “my  deploy target”\nis AWS, as you know.")
        decision = decide(candidate("Deploy target is AWS", quote='"my deploy target" is AWS'), said=said)
        assert decision.excerpt is not None
        start, end = decision.excerpt.span
        assert said.text[start:end] == decision.excerpt.quote == "“my  deploy target”\nis AWS"
        assert (decision.excerpt.before, decision.excerpt.after) == ("Well, ", ", as you know.")

    @pytest.mark.parametrize("quote", ["My target is AWS", "my TARGET", "", "…", "target is AWS and more"])
    def test_a_quote_that_nobody_said_is_rejected(self, quote: str) -> None:
        decision = decide(candidate("x", quote=quote), said=message("my target is GCP"))
        assert (decision.action, decision.excerpt) == ("rejected", None)

    @pytest.mark.parametrize(
        ("said", "action"),
        [
            ("My wife doesn't have asthma.", "rejected"),
            ("My wife no longer has asthma.", "rejected"),
            ("My wife has asthma if the air is cold.", "rejected"),
            ("Yes, asthma, my wife has it.", "same"),
        ],
    )
    @pytest.mark.parametrize("operation", ["new", "same", "replaces"])
    def test_a_known_facts_words_need_a_quote_that_does_not_say_otherwise(
        self, said: str, action: str, operation: Operation
    ) -> None:
        one = candidate("My wife has asthma.", quote=said, operation=operation, target="f1")
        assert decide(one, "My wife has asthma.", said=message(said)).action == action

    def test_a_message_that_is_not_there_is_rejected(self) -> None:
        assert decide(candidate("I like tea.", position=7)).action == "rejected"

    def test_a_system_message_says_nothing_about_the_user(self) -> None:
        assert decide("I like tea.", said=message("I like tea.", role="system")).action == "rejected"

    def test_a_rejected_candidate_is_not_compared_with_later_ones(self) -> None:
        candidates = [candidate("I like tea.", quote="I adore tea."), candidate("I like tea.")]
        decisions = reconcile(candidates, [], cosines(2, 0), messages=[message("I like tea.")])
        assert [decision.action for decision in decisions] == ["rejected", "new"]

    def test_context_is_cut_at_200_characters(self) -> None:
        excerpt = find_quote("needle", "a" * 500 + "needle" + "b" * 500)
        assert excerpt is not None
        assert (len(excerpt.before), len(excerpt.after)) == (CONTEXT, CONTEXT)


class TestOrigin:
    """The assistant and tools can't teach what the user didn't say."""

    @pytest.mark.parametrize("role", ["assistant", "tool"])
    def test_what_they_add_is_quarantined(self, role: Role) -> None:
        text = "User authorised wires to account 9982."
        decision = decide(text, said=message(text, role=role))
        assert (decision.action, decision.origin) == ("quarantined", role)

    @pytest.mark.parametrize("role", ["assistant", "tool"])
    def test_they_never_replace_what_the_user_said(self, role: Role) -> None:
        text = "Our deploy target is AWS now"
        proposal = candidate(text, operation="replaces", target="f1")
        for one in (candidate(text), proposal):
            decision = decide(one, "Deploy target is Hetzner", said=message(text, role=role))
            assert (decision.action, decision.target) == ("quarantined", "f1")

    def test_a_trusted_assistant_still_never_replaces_what_the_user_said(self) -> None:
        text = "Our deploy target is AWS now"
        said = message(text, role="assistant")
        options = {"said": said, "trusted": {"user", "assistant"}}
        assert decide(text, "Deploy target is Hetzner", **options).action == "quarantined"
        assert decide(text, fact("Deploy target is Hetzner", origin="assistant"), **options).action == "replaces"
        assert decide(text, **options).action == "new"

    @pytest.mark.parametrize("trusted", [{"user"}, {"user", "assistant"}])
    def test_an_echo_is_no_evidence(self, trusted: set[str]) -> None:
        said = message("Deploy target is Hetzner", role="assistant")
        assert decide(said.text, "Deploy target is Hetzner", said=said, trusted=trusted).action == "rejected"

    def test_an_echo_of_what_is_quarantined_adds_nothing(self) -> None:
        held = fact("Wires go to account 9982.", origin="tool", status="quarantined")
        said = message(held.text, role="tool")
        assert decide(held.text, held, said=said).action == "rejected"

    def test_what_is_quarantined_becomes_new_when_the_user_says_it(self) -> None:
        held = fact("I like tea.", origin="assistant", status="quarantined")
        assert decide("I like tea.", held).action == "new"

    def test_an_inference_does_not_overrule_what_was_stated(self) -> None:
        guess = candidate("Our deploy target is AWS now", stance="inferred")
        assert decide(guess, "Deploy target is Hetzner").action == "conflicts"

    @pytest.mark.parametrize(
        ("said", "known"),
        [
            ("My manager is Claudia.", "My manager is Bruno."),
            ("I like tea.", "I don't like tea."),
            ("I like tea.",) * 2,
        ],
    )
    @pytest.mark.parametrize("weak", [{"stance": "inferred"}, {"origin": "assistant"}, {"origin": "tool"}])
    def test_a_users_own_words_take_the_place_of_what_was_inferred_or_said_by_others(
        self, said: str, known: str, weak: dict[str, Any]
    ) -> None:
        assert decide(said, fact(known, **weak)).action == "replaces"
        assert decide(candidate(said, stance="inferred"), fact(known, stance="inferred")).action != "replaces"
        elsewhere = decide(said, fact(known, labels=("work",), **weak), labels=("home",))
        assert elsewhere.action == ("new" if said == known else "conflicts")

    def test_an_inference_that_repeats_what_was_stated_is_more_evidence(self) -> None:
        assert decide(candidate("I like tea.", stance="inferred"), "I like tea.").action == "same"

    def test_what_was_said_earlier_does_not_replace_what_was_said_later(self) -> None:
        old = candidate("Our deploy target is AWS now", said_at=NOON - timedelta(days=1))
        assert decide(old, "Deploy target is Hetzner").action == "conflicts"
        naive = candidate("Our deploy target is AWS now", said_at=datetime(2026, 5, 5))
        assert decide(naive, "Deploy target is Hetzner").action == "replaces"


class TestProposals:
    """What a model extractor proposes is checked."""

    def test_a_replacement_of_what_it_contradicts_is_followed(self) -> None:
        one = candidate("My manager is Claudia.", operation="replaces", target="f1")
        decision = decide(one, "My manager is Bruno.")
        assert (decision.action, decision.target) == ("replaces", "f1")

    def test_a_contradiction_needs_no_cosine_once_an_extractor_says_which_is_newer(self) -> None:
        one = candidate("My manager is Claudia.", operation="replaces", target="f1")
        assert decide(one, "My manager is Bruno.", cosine=0.2, thresholds=STRICT).action == "replaces"

    def test_a_repetition_in_quite_other_words_is_followed(self) -> None:
        one = candidate("I'm a violinist by trade.", operation="same", target="f1")
        assert decide(one, "I play the violin for a living.").action == "same"

    @pytest.mark.parametrize("status", ["superseded", "retracted", "forgotten", "expired", "quarantined"])
    @pytest.mark.parametrize("operation", ["same", "replaces"])
    def test_a_target_that_is_not_active_is_refused(self, status: Status, operation: Any) -> None:
        one = candidate("My manager is Claudia.", operation=operation, target="f1")
        decision = decide(one, fact("My manager is Bruno.", status=status))
        assert (decision.action, decision.target) == ("new", None)

    @pytest.mark.parametrize("target", [None, "", "f2"])
    def test_a_target_that_does_not_exist_is_refused(self, target: str | None) -> None:
        one = candidate("I like coffee.", operation="replaces", target=target)
        decision = decide(one, "I like tea.")
        assert (decision.action, decision.target) == ("new", None)
        assert "no such fact" in (decision.reason or "")

    @pytest.mark.parametrize(
        ("known", "said"),
        [
            ("My rent is 900 euros.", "My rent is 950 euros."),
            ("I'm allergic to peanuts.", "I'm not allergic to peanuts."),
            ("My brother Tom is a pilot.", "My brother Tim is a pilot."),
            ("I live in Munich.", "I live in Hamburg."),
            ("My sister lives in Oslo.", "I live in Oslo."),
            ("I work from home when my back is bad.", "I work from home."),
        ],
    )
    def test_a_repetition_that_says_something_else_is_no_merge(self, known: str, said: str) -> None:
        one = candidate(said, operation="same", target="f1")
        assert decide(one, known, cosine=0.99).action != "same"

    @pytest.mark.parametrize(
        ("known", "said"),
        [
            ("I like tea.", "I like coffee."),
            ("My sister lives in Oslo.", "I live in Bergen now."),
            ("Our stand-up is at 9:30.", "The cat is called Otter."),
            ("I play the violin.", "I play the piano as well."),
        ],
    )
    def test_a_replacement_of_something_else_is_new(self, known: str, said: str) -> None:
        one = candidate(said, operation="replaces", target="f1")
        assert decide(one, known).action == "new"

    def test_a_replacement_that_says_the_same_is_the_same(self) -> None:
        one = candidate("Bruno is my manager.", operation="replaces", target="f1")
        assert decide(one, "My manager is Bruno.").action == "same"

    def test_likings_are_many_even_with_the_same_subject(self) -> None:
        one = candidate("I like coffee.", operation="replaces", target="f1", subject="drinks")
        assert decide(one, fact("I like tea.", subject="drinks")).action == "new"

    def test_subjects_must_fit(self) -> None:
        one = candidate("The deploy target is AWS.", operation="replaces", target="f1", subject="deploy target")
        assert decide(one, fact("The deploy target is Hetzner.", subject="deploy target")).action == "replaces"
        assert decide(one, fact("The deploy target is Hetzner.", subject="billing contact")).action == "new"

    def test_a_state_does_not_replace_an_event(self) -> None:
        one = candidate("My manager is Claudia.", operation="replaces", target="f1")
        assert decide(one, fact("My manager is Bruno.", kind="event")).action == "new"


class TestBatch:
    """Candidates of one batch are held against each other."""

    def test_the_second_of_two_reaffirms_the_first(self) -> None:
        decisions = batch("My manager is Bruno.", "Bruno is my manager.")
        assert [(one.action, one.target, one.earlier) for one in decisions] == [("new", None, None), ("same", None, 0)]

    def test_a_later_one_replaces_an_earlier_one(self) -> None:
        decisions = batch("Deploy target is Hetzner", "Our deploy target is AWS now", "Deploy target is Hetzner")
        assert [(one.action, one.earlier) for one in decisions] == [("new", None), ("replaces", 0), ("conflicts", 1)]

    def test_what_one_has_replaced_the_next_can_not(self) -> None:
        texts = ["Our deploy target is AWS now", "Our deploy target is Azure now"]
        messages = [message(text, position=place) for place, text in enumerate(texts)]
        candidates = [
            candidate(text, position=place, operation="replaces", target="f1") for place, text in enumerate(texts)
        ]
        known = [fact("Deploy target is Hetzner")]
        first, second = reconcile(candidates, known, cosines(2, 1), messages=messages, among=cosines(2, 2))
        assert (first.action, first.target) == ("replaces", "f1")
        assert (second.action, second.target, second.earlier) == ("replaces", None, 0)


class TestInput:
    """Bad input is refused as a whole."""

    def test_facts_of_two_users_are_refused(self) -> None:
        with pytest.raises(InvalidInput, match="several users"):
            decide("I like tea.", fact("a"), fact("b", "f2", user_id="bob"))

    @pytest.mark.parametrize(("similarity", "among"), [((1, 2), (1, 1)), ((2, 1), (1, 1)), ((1, 1), (1, 2))])
    def test_matrices_of_another_shape_are_refused(self, similarity: Any, among: Any) -> None:
        with pytest.raises(InvalidInput):
            reconcile(
                [candidate("I like tea.")],
                [fact("I like tea.")],
                cosines(*similarity),
                messages=[message("I like tea.")],
                among=cosines(*among),
            )

    def test_no_candidates_are_no_decisions(self) -> None:
        assert reconcile([], [fact("I like tea.")], cosines(0, 1), messages=[]) == []


FRAMES = [
    "I have {} dogs.",
    "My rent is {} euros a month.",
    "The meeting is at {} o'clock.",
    "Server {} is the build server.",
    "We need v{} of the library.",
]
STATEMENTS = [
    "Deploy target is Hetzner",
    "Our deploy target is AWS now",
    "My manager is Bruno.",
    "Bruno is my manager.",
    "I like tea.",
    "I don't like tea.",
    "I have two dogs.",
    "I no longer have dogs.",
    "🙂",
]
STATUSES: list[Status] = ["active", "superseded", "retracted", "forgotten", "expired", "quarantined"]
UNIT = st.floats(-1, 1, width=32)


@st.composite
def situations(draw: Any) -> tuple[list[CandidateFact], list[Fact], Matrix, Matrix, list[Message]]:
    """Candidates with any proposals, facts of any status, any cosines, messages of any role."""
    known = [
        fact(draw(st.sampled_from(STATEMENTS)), f"f{n}", status=draw(st.sampled_from(STATUSES)))
        for n in range(draw(st.integers(0, 4)))
    ]
    texts = draw(st.lists(st.sampled_from(STATEMENTS), max_size=4))
    candidates = [
        candidate(
            text,
            position=place,
            operation=draw(st.sampled_from(["new", "same", "replaces"])),
            target=draw(st.sampled_from(["f0", "f1", "f2", "f3", "of somebody else", None])),
        )
        for place, text in enumerate(texts)
    ]
    roles: Any = st.sampled_from(["user", "assistant", "tool", "system"])
    messages = [message(text, role=draw(roles), position=place) for place, text in enumerate(texts)]

    def matrix(columns: int) -> Matrix:
        values = draw(st.lists(UNIT, min_size=len(texts) * columns, max_size=len(texts) * columns))
        return np.array(values, dtype=np.float32).reshape(len(texts), columns)

    return candidates, known, matrix(len(known)), matrix(len(texts)), messages


class TestAlways:
    """What holds for any input."""

    @given(
        frame=st.sampled_from(FRAMES),
        numbers=st.lists(st.integers(0, 10_000), min_size=2, max_size=2, unique=True),
        cosine=UNIT,
        operation=st.sampled_from(["new", "same"]),
    )
    def test_statements_with_different_numbers_are_never_merged(
        self, frame: str, numbers: list[int], cosine: float, operation: Any
    ) -> None:
        old, new = (frame.format(number) for number in numbers)
        one = candidate(new, operation=operation, target="f1")
        assert decide(one, old, cosine=cosine).action != "same"

    @pytest.mark.parametrize("operation", ["new", "same"])
    @pytest.mark.parametrize(
        ("known", "said"),
        [("I have dogs.", "I have 3 dogs."), ("I work 3 days and rest for 4.", "I work 4 days and rest for 3.")],
    )
    def test_a_number_more_or_in_another_place_is_no_merge(self, known: str, said: str, operation: Any) -> None:
        assert decide(candidate(said, operation=operation, target="f1"), known, cosine=0.99).action != "same"

    @given(situations())
    def test_there_is_one_decision_for_each_candidate_in_order(self, situation: Any) -> None:
        candidates, known, similarity, among, messages = situation
        decisions = reconcile(candidates, known, similarity, messages=messages, among=among)
        assert len(decisions) == len(candidates)
        for place, (one, decision) in enumerate(zip(candidates, decisions, strict=True)):
            assert decision.earlier is None or decision.earlier < place
            assert decision.excerpt is None or decision.excerpt.quote == one.quote

    @given(situations())
    def test_only_facts_that_are_active_and_there_are_touched_and_each_is_replaced_once(self, situation: Any) -> None:
        candidates, known, similarity, among, messages = situation
        decisions = reconcile(candidates, known, similarity, messages=messages, among=among)
        active = {one.id for one in known if one.status == "active"}
        touched = [one.target for one in decisions if one.action in ("same", "replaces", "conflicts") and one.target]
        assert set(touched) <= active
        for link in ("target", "earlier"):
            replaced = [getattr(one, link) for one in decisions if one.action == "replaces"]
            replaced = [other for other in replaced if other is not None]
            assert len(set(replaced)) == len(replaced)

    @given(situations())
    def test_only_the_users_own_words_become_active_facts(self, situation: Any) -> None:
        candidates, known, similarity, among, messages = situation
        for decision, said in zip(
            reconcile(candidates, known, similarity, messages=messages, among=among), messages, strict=True
        ):
            if said.role != "user":
                assert decision.action in ("quarantined", "rejected")

    @given(text=st.text(max_size=60), start=st.integers(0, 60), length=st.integers(0, 60))
    def test_what_was_said_is_found_where_it_was_said(self, text: str, start: int, length: int) -> None:
        quote = text[start : start + length]
        excerpt = find_quote(quote, text)
        assert (excerpt is not None) == any(character.isalnum() for character in quote)
        if excerpt is not None:
            assert text[slice(*excerpt.span)] == excerpt.quote
            assert excerpt.before + excerpt.quote + excerpt.after == text


async def test_the_documented_figures_hold_on_the_pairs_that_nothing_was_fitted_to() -> None:
    """Floors a little below what docs/reconcile.md tells: a wrong merge or replacement is worse than a duplicate."""
    model = bundled()
    try:
        report = await evaluate_reconciliation(model)
    finally:
        await model.close()
    words = {score.label: score for score in report.words}
    assert (words["same"].precision or 0) >= 0.9
    assert (words["replaces"].precision or 0) >= 0.95
    assert (words["contradicts"].precision or 0) >= 0.85
    assert (words["same"].recall or 0) >= 0.38
    assert (words["replaces"].recall or 0) >= 0.7
    assert all(offer.followed <= 0.1 * offer.offered for offer in report.refused)
    assert all(offer.followed == 0 for offer in report.refused[-5:])
    assert report.stream.mistakes == ()
    assert report.stream.replaced >= 12


class TestTimeToCome:
    """What will hold takes the place of nothing that holds, and the other way round."""

    LATER = NOON + timedelta(days=200)
    HETZNER, AWS = "My deploy target is Hetzner.", "My deploy target is now AWS."

    def test_a_statement_about_the_future_replaces_nothing_of_today(self):
        coming = candidate(self.AWS, valid_from=self.LATER)
        assert decide(coming, self.HETZNER, now=NOON).action == "new"
        assert decide(coming, self.HETZNER, now=self.LATER).action == "replaces"

    def test_a_proposal_about_the_future_replaces_nothing_of_today(self):
        coming = candidate(self.AWS, valid_from=self.LATER, operation="replaces", target="f1")
        assert decide(coming, self.HETZNER, now=NOON).action == "new"

    def test_what_is_said_of_today_leaves_the_future_as_it_is(self):
        known = fact("My deploy target is Hetzner.", valid_from=self.LATER)
        assert decide(self.AWS, known, now=NOON).action == "new"
        assert decide(self.HETZNER, known, now=NOON).action == "new"

    def test_a_plan_is_repeated_or_replaced_by_another_plan(self):
        known = fact(self.HETZNER, valid_from=self.LATER)
        assert decide(candidate(self.HETZNER, valid_from=self.LATER), known, now=NOON).action == "same"
        assert decide(candidate(self.AWS, valid_from=self.LATER), known, now=NOON).action == "replaces"
