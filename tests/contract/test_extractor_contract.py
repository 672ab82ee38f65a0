"""What every extractor keeps: one class, inherited by each implementation, the fake included."""

import json

from agents.testing import ModelStep, ScriptedModel, assistant_message

from semantic_memory.extraction import Extractor
from semantic_memory.extraction.model import ModelExtractor
from semantic_memory.extraction.sentences import SentenceExtractor
from semantic_memory.facts import CandidateFact
from semantic_memory.testing import ScriptedExtractor
from semantic_memory.transcript import messages

CONVERSATION = messages(
    [
        {"role": "user", "content": "Hi! My deploy target is Hetzner."},
        {"role": "assistant", "content": "Noted. I deploy to Mars."},
        {"role": "user", "content": "And I live in Rome. Where do we deploy?"},
    ]
)


class ExtractorContract:
    """Of a conversation in which the user states two facts."""

    def extractor(self) -> Extractor:
        raise NotImplementedError

    async def test_it_is_an_extractor_with_name_and_version(self):
        extractor = self.extractor()
        assert isinstance(extractor, Extractor)
        assert "/" in extractor.version

    async def test_candidates_quote_the_exact_words_of_the_users_message_at_their_position(self):
        said = {message.position: message for message in CONVERSATION}
        found = await self.extractor().extract(CONVERSATION)
        assert len(found) == 2
        for candidate in found:
            assert isinstance(candidate, CandidateFact)
            assert candidate.quote
            assert candidate.quote in said[candidate.position].text
            assert said[candidate.position].role == "user"
            assert candidate.text.strip()

    async def test_context_is_not_learned_from(self):
        found = await self.extractor().extract(CONVERSATION[2:], context=CONVERSATION[:2])
        assert [candidate.position for candidate in found] == [2]

    async def test_of_no_messages_there_are_no_candidates(self):
        assert list(await self.extractor().extract([])) == []


class TestSentenceExtractor(ExtractorContract):
    def extractor(self) -> Extractor:
        return SentenceExtractor()


class TestScriptedExtractor(ExtractorContract):
    def extractor(self) -> Extractor:
        facts = {0: "My deploy target is Hetzner.", 2: "I live in Rome."}
        return ScriptedExtractor(
            [
                lambda given: [
                    CandidateFact(text=facts[m.position], quote=facts[m.position], position=m.position)
                    for m in given
                    if m.position in facts
                ]
            ]
        )


class TestModelExtractor(ExtractorContract):
    """The model is scripted: it proposes whichever of the two facts it is shown, and junk beside it."""

    def extractor(self) -> Extractor:
        return ModelExtractor(ScriptedModel([ModelStep.respond(self.answer)]))

    def answer(self, call):
        shown = [json.loads(line) for line in call.input[0]["content"].splitlines() if line.startswith("{")]
        proposals = [
            {
                "message": line["message"],
                "quote": quote,
                "act": "statement",
                "fact": quote,
                "operation": "new",
            }
            | {"known": None, "kind": "fact", "subject": None, "stance": "stated"}
            | {"valid_from": None, "valid_to": None}
            for line in shown
            for quote in ("My deploy target is Hetzner.", "I live in Rome.", "I deploy to Mars.")
            if "message" in line and (quote in line["text"] or "Mars" in quote)
        ]
        return [assistant_message(json.dumps({"facts": proposals}))]
