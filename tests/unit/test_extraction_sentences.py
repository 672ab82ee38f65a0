"""The extractor without a model keeps what users say of themselves and leaves the rest."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantic_memory.extraction.prose import READ_CHARACTERS
from semantic_memory.extraction.sentences import LONGEST_STATEMENT, SentenceExtractor
from semantic_memory.transcript import messages
from tests.unit.utterances import KEEP, KEEP_ASIDE, LEAVE, LEAVE_ASIDE


async def extract(text, *, role="user", assistant=False):
    found = await SentenceExtractor(assistant=assistant).extract(messages([{"role": role, "content": text}]))
    return list(found)


async def texts(text):
    return [candidate.text for candidate in await extract(text)]


@pytest.mark.parametrize("utterance", KEEP)
async def test_keeps(utterance):
    assert await texts(utterance) == KEEP[utterance]


@pytest.mark.parametrize("utterance", LEAVE)
async def test_leaves(utterance):
    assert await texts(utterance) == []


async def test_precision_and_recall_on_utterances_kept_aside():
    labelled = KEEP_ASIDE | {utterance: [] for utterance in LEAVE_ASIDE}
    found = {(u, text) for u in labelled for text in await texts(u)}
    wanted = {(u, text) for u, statements in labelled.items() for text in statements}
    assert len(found & wanted) / len(found) >= 0.9
    assert len(found & wanted) / len(wanted) >= 0.9


class TestQuotes:
    async def test_the_quote_is_the_exact_words_and_the_text_only_tidier(self):
        message = "Hey!  Remember that my\tdeploy   target is Hetzner . Ok?"
        (candidate,) = await extract(message)
        assert candidate.quote == "my\tdeploy   target is Hetzner ."
        assert candidate.text == "my deploy target is Hetzner ."
        assert candidate.quote in message

    @given(st.text(max_size=300) | st.sampled_from(sorted(KEEP | KEEP_ASIDE)).map(lambda t: f"😺 {t}\r\n{t}"))
    async def test_a_quote_always_occurs_in_its_message(self, text):
        for message in messages([{"role": "user", "content": text}]):
            for candidate in await SentenceExtractor().extract([message]):
                assert candidate.quote in message.text
                assert candidate.text.strip()

    async def test_the_position_is_the_messages(self):
        said = [{"role": "user", "content": text} for text in ("Hello", "I live in Rome.", "I like tea a lot.")]
        found = await SentenceExtractor().extract(messages(said))
        assert [(candidate.position, candidate.text) for candidate in found] == [
            (1, "I live in Rome."),
            (2, "I like tea a lot."),
        ]


class TestWhoSpeaks:
    @pytest.mark.parametrize("role", ["assistant", "developer"])
    async def test_only_the_users_word_counts(self, role):
        assert await extract("I live in Rome.", role=role) == []

    async def test_the_assistants_word_where_asked_for(self):
        assert len(await extract("I booked flight LH 123 for Friday.", role="assistant", assistant=True)) == 1

    async def test_tools_never(self):
        item = {"type": "function_call_output", "call_id": "c", "output": "I live in Rome."}
        assert await SentenceExtractor(assistant=True).extract(messages([item])) == []


class TestSubjectAndKind:
    @pytest.mark.parametrize(
        ("statement", "subject"),
        [
            ("My deploy target is Hetzner.", "deploy target"),
            ("Our deploy target is now AWS.", "deploy target"),
            ("My sister's name is Eva.", "sister's name"),
            ("I live in Rome.", "home"),
            ("We're based in Oslo now.", "home"),
            ("I work at Bosch.", "employer"),
            ("I work as a nurse.", "job"),
            ("Call me Lex.", "name"),
            ("My sister is a nurse.", None),
            ("My cats are loud at night.", None),
            ("My dog is not well today.", None),
            ("I like strong tea.", None),
        ],
    )
    async def test_a_subject_only_where_it_is_certain(self, statement, subject):
        assert [candidate.subject for candidate in await extract(statement)] == [subject]

    @pytest.mark.parametrize(
        ("statement", "kind"),
        [
            ("I prefer window seats.", "preference"),
            ("We'll move to Oslo in May.", "plan"),
            ("I live in Rome.", "fact"),
        ],
    )
    async def test_kind(self, statement, kind):
        assert [candidate.kind for candidate in await extract(statement)] == [kind]


class TestLimits:
    async def test_a_statement_longer_than_anyone_says_is_left(self):
        assert await texts("I like " + "very " * (LONGEST_STATEMENT // 5) + "strong tea.") == []

    async def test_behind_the_read_characters_nothing_is_read(self):
        assert await texts("I like tea.\n" + " \n" * READ_CHARACTERS + "I like coffee a lot.") == ["I like tea."]

    @pytest.mark.parametrize("text", ["I like tea. ", "hi, ", "in ", "check this ", "a\n", "- ", "😺 A", "{"])
    async def test_a_megabyte_takes_no_longer_than_the_characters_read(self, text):
        begin = time.perf_counter()
        await extract(text * (1_000_000 // len(text)))
        assert time.perf_counter() - begin < 3
