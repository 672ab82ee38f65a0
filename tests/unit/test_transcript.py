"""Session items become messages; what is new, popped, asked."""

import json
from collections import Counter

import pytest
from agents import Agent, RunConfig, Runner, SQLiteSession, function_tool
from agents.testing import ScriptedModel, assistant_message, function_call
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseFunctionToolCall

from semantic_memory.transcript import (
    CONTEXT_MARK,
    digest,
    last_turn,
    merged,
    messages,
    new_messages,
    popped,
    query_text,
    run_messages,
)

QUIET = RunConfig(tracing_disabled=True)


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [part]}


def call(name, call_id="c1"):
    return {"type": "function_call", "name": name, "call_id": call_id, "arguments": "{}"}


def output(text, call_id="c1"):
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def texts(items):
    return [(message.role, message.text) for message in messages(items)]


class TestWhichItemsAreMessages:
    def test_easy_typed_and_output_messages_keep_role_text_and_index(self):
        items = [
            user("I live in Rome"),
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "and Oslo"}]},
            assistant("Noted."),
            {"role": "developer", "content": "Be brief."},
        ]
        assert [(m.position, m.role, m.text) for m in messages(items)] == [
            (0, "user", "I live in Rome"),
            (1, "user", "and Oslo"),
            (2, "assistant", "Noted."),
            (3, "system", "Be brief."),
        ]

    def test_several_parts_are_one_text_and_images_and_files_have_none(self):
        parts = [
            {"type": "input_text", "text": "My cat"},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
            {"type": "input_file", "filename": "cv.pdf", "file_id": "f1"},
            {"type": "input_text", "text": "is called Ada"},
        ]
        assert texts([user(parts)]) == [("user", "My cat\nis called Ada")]
        assert texts([user(parts[1:3])]) == []

    def test_tool_outputs_are_tool_messages_and_tool_calls_are_none(self):
        items = [
            call("weather"),
            output("sunny"),
            output([{"type": "input_text", "text": "22 degrees"}, {"type": "input_image", "file_id": "x"}], "c2"),
            {"type": "mcp_call", "name": "search", "arguments": "{}", "output": "3 hits"},
        ]
        assert texts(items) == [("tool", "sunny"), ("tool", "22 degrees"), ("tool", "3 hits")]

    @pytest.mark.parametrize(
        "item",
        [
            {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "thinking"}]},
            {"type": "compaction", "encrypted_content": "..."},
            {"type": "web_search_call", "id": "w", "status": "completed", "action": {"query": "I am x"}},
            {"type": "file_search_call", "results": [{"text": "I live in a file"}]},
            {"type": "computer_call", "call_id": "k", "action": {"type": "type", "text": "hello"}},
            {"type": "computer_call_output", "call_id": "k", "output": {"type": "computer_screenshot"}},
            {"type": "item_reference", "id": "i"},
            {"type": "telepathy", "role": "user", "content": "from the future"},
            {"role": "critic", "content": "unknown role"},
            {"role": ["user"], "content": "role of a wrong type"},
            {"role": "user", "content": None},
            {"role": "user", "content": 7},
            {"role": "user", "content": [None, 3, {"text": 5}]},
            {"role": "user", "content": "  \n "},
            {},
            None,
            "a bare string",
            42,
            ["user", "hello"],
        ],
    )
    def test_everything_else_is_no_message(self, item):
        assert messages([item]) == []

    def test_pydantic_models_read_like_their_dicts(self):
        tool_call = ResponseFunctionToolCall(type="function_call", name="recall", call_id="c1", arguments="{}")
        assert texts([tool_call, output("echo"), assistant_message("Hi.")]) == [("assistant", "Hi.")]

    @given(
        st.lists(
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=8),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(
                        st.sampled_from(["role", "type", "content", "output", "text", "call_id", "name"]),
                        inner | st.sampled_from(["user", "message", "function_call", "function_call_output"]),
                        max_size=5,
                    )
                ),
                max_leaves=12,
            ),
            max_size=5,
        )
    )
    def test_no_shape_of_junk_raises(self, items):
        for message in messages(items):
            message.text.encode()
        last_turn(items)
        query_text(items)


class TestTextAndDigest:
    def test_what_no_store_can_hold_is_replaced_and_the_rest_is_kept_exactly(self):
        text = "\ud83da\0  שלום\u202e 👩‍👩‍👧\r\n\ttwo  spaces "
        assert messages([user(text)])[0].text == "\ufffda  שלום\u202e 👩‍👩‍👧\r\n\ttwo  spaces "

    def test_a_megabyte_is_kept_whole(self):
        assert len(messages([user("I like tea. " * 90_000)])[0].text) == 12 * 90_000

    def test_a_digest_ignores_white_space_and_unicode_composition_but_not_the_role(self):
        assert digest("user", " Caf\u00e9\n\n noir ") == digest("user", "Cafe\u0301 noir")
        assert digest("user", "Yes") != digest("assistant", "Yes")
        assert digest("user", "Yes") != digest("user", "yes")

    def test_equal_digests_are_counted(self):
        found = messages([user("ok"), assistant("ok"), user(" ok "), user("ok")])
        assert [message.occurrence for message in found] == [0, 0, 1, 2]


class TestMemoryNeverLearnsItsEcho:
    @pytest.mark.parametrize("name", ["remember", "recall", "correct", "forget", "mcp_memory__recall"])
    def test_outputs_of_its_own_tools_are_no_messages(self, name):
        items = [call(name, "a"), call("weather", "b"), output("You live in Rome", "a"), output("sunny", "b")]
        assert texts(items) == [("tool", "sunny")]

    def test_its_tools_behind_a_hosted_mcp_server_neither(self):
        assert texts([{"type": "mcp_call", "name": "recall", "arguments": "{}", "output": "Rome"}]) == []

    def test_a_context_block_in_a_developer_item_or_a_tool_output_is_no_message(self):
        block = f"Known:\n{CONTEXT_MARK}>\n- lives in Rome\n"
        assert texts([{"role": "developer", "content": block}, output(block)]) == []

    def test_the_users_own_words_stay_whatever_they_hold(self):
        assert texts([user(f"What does {CONTEXT_MARK} mean?")]) != []


class TestNewMessages:
    def test_of_equal_messages_the_later_ones_are_new(self):
        found = messages([user("ok"), user("I moved"), user("ok")])
        learned = Counter([found[0].digest])
        assert [message.position for message in new_messages(found, learned)] == [1, 2]

    def test_nothing_is_new_after_compaction_shifted_the_positions(self):
        before = messages([user("a"), assistant("b"), user("c")])
        after = messages([{"type": "compaction", "encrypted_content": ""}, user("c")])
        assert new_messages(after, Counter(message.digest for message in before)) == []

    @given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
    def test_it_is_the_multiset_difference(self, now, learned):
        known = Counter(digest("user", text) for text in learned)
        new = new_messages(messages([user(text) for text in now]), known)
        assert Counter(message.digest for message in new) == Counter(digest("user", t) for t in now) - known


class TestMerged:
    def test_what_the_session_lost_is_added_behind_it_and_nothing_counts_twice(self):
        session = messages([{"type": "compaction", "encrypted_content": ""}, user("ok"), assistant("Hi")])
        run = messages([user("ok"), user("I moved to Oslo"), user("ok"), assistant("Hi")])
        found = merged(session, run)
        assert [(m.position, m.text, m.occurrence) for m in found] == [
            (1, "ok", 0),
            (2, "Hi", 0),
            (3, "I moved to Oslo", 0),
            (4, "ok", 1),
        ]


class TestPopped:
    turns = (user("hi"), assistant("hello"), user("I live in Rome"), assistant("Nice"))
    known = tuple(message.digest for message in messages(turns))

    def infer(self, *items):
        return popped(self.known, messages(items), items)

    def test_the_turn_that_is_gone_from_the_end(self):
        assert self.infer(*self.turns[:2]) == self.known[2:]
        assert self.infer(*self.turns[:3]) == self.known[3:]

    def test_also_when_the_conversation_went_on_since(self):
        assert self.infer(*self.turns[:2], user("I live in Oslo"), assistant("Ah")) == self.known[2:]

    @pytest.mark.parametrize(
        "items",
        [
            pytest.param(turns, id="nothing is gone"),
            pytest.param((*turns, user("more")), id="only new messages"),
            pytest.param((), id="cleared"),
            pytest.param((user("other"), assistant("talk")), id="cleared and begun anew"),
            pytest.param((user("hi"), assistant("good day")), id="cleared and begun with the same words"),
            pytest.param(turns[2:], id="trimmed at the front"),
            pytest.param((*turns[:2], turns[3]), id="one taken out of the middle"),
            pytest.param((*turns[:2], {"type": "compaction", "encrypted_content": ""}), id="compacted"),
        ],
    )
    def test_anything_else_retracts_nothing(self, items):
        assert self.infer(*items) == ()

    def test_a_prefix_that_is_also_the_end_may_be_trimming(self):
        known = [digest("user", text) for text in ("hi", "hi")]
        assert popped(known, messages([user("hi")]), [user("hi")]) == ()


class TestLastTurn:
    def test_from_the_last_user_message_on_with_the_tool_calls(self):
        items = [user("a"), assistant("b"), user("c"), call("weather"), output("sunny"), assistant("d")]
        assert last_turn(items) == items[2:]

    def test_an_image_alone_is_a_turn_too(self):
        items = [user("a"), assistant("b"), user([{"type": "input_image", "file_id": "f"}]), assistant("c")]
        assert last_turn(items) == items[2:]

    def test_an_input_of_several_items_is_one_turn(self):
        note = {"role": "developer", "content": "The user is in Graz."}
        items = [user("a"), assistant("b"), user("c"), note, user("d"), call("look"), output("e"), assistant("f")]
        assert last_turn(items) == items[2:]
        assert last_turn(items[:2]) == items[:2]

    def test_without_a_user_there_is_none(self):
        assert last_turn([assistant("a")]) == []


class TestQueryText:
    def test_the_last_user_message_and_what_was_said_before(self):
        items = [user("I deploy to AWS"), assistant("ok"), user("Where?"), call("weather"), output("sunny")]
        text, earlier = query_text(items)
        assert text == "Where?"
        assert [message.text for message in earlier] == ["I deploy to AWS", "ok"]

    def test_a_plain_string_is_the_question(self):
        assert query_text("Where?") == ("Where?", [])

    def test_no_user_no_question(self):
        assert query_text([assistant("hello")]) == ("", [])


@function_tool
def recall(query: str) -> str:
    return "The user lives in Rome"


class TestRunMessages:
    """Against the real Runner: what `result.input` and `new_items` hold is the SDK's business."""

    def handing_off(self, turn):
        second = Agent(name="Second", model=ScriptedModel([[assistant_message(f"Done {turn}")]]))
        steps = [
            [function_call("recall", {"query": "home"}, call_id=f"r{turn}")],
            [assistant_message("One moment"), function_call("transfer_to_second", {}, call_id=f"h{turn}")],
        ]
        return Agent(name="First", model=ScriptedModel(steps), handoffs=[second], tools=[recall])

    async def test_input_answer_and_authors_without_a_session(self):
        result = await Runner.run(self.handing_off(0), "I live in Rome", run_config=QUIET)
        found = [(m.role, m.agent, m.text) for m in run_messages(result) if m.role != "tool"]
        assert found == [
            ("user", None, "I live in Rome"),
            ("assistant", "First", "One moment"),
            ("assistant", "Second", "Done 0"),
        ]
        assert "The user lives in Rome" not in [message.text for message in run_messages(result)]

    async def test_the_same_messages_as_the_session_holds(self):
        session = SQLiteSession("s")
        for turn in range(2):
            result = await Runner.run(self.handing_off(turn), f"Turn {turn}", session=session, run_config=QUIET)
        held = messages(await session.get_items())
        assert [m.digest for m in run_messages(result)] == [m.digest for m in held]

    async def test_a_nested_handoff_does_not_lose_the_users_words(self):
        config = RunConfig(nest_handoff_history=True, tracing_disabled=True)
        result = await Runner.run(self.handing_off(0), "I live in Rome", run_config=config)
        assert [m.text for m in run_messages(result) if m.role == "user"] == []
        assert "CONVERSATION HISTORY" not in str(run_messages(result))
        found = run_messages(result, given="I live in Rome")
        assert [(m.position, m.text) for m in found][:1] == [(0, "I live in Rome")]
        assert len({m.position for m in found}) == len(found)

    @pytest.mark.parametrize("question", ["Where do I live?", "I moved.\nWhere do I live?"])
    async def test_the_next_agent_of_a_nested_handoff_is_asked_the_same(self, question):
        first = self.handing_off(0)
        config = RunConfig(nest_handoff_history=True, tracing_disabled=True)
        await Runner.run(first, question, run_config=config)
        seen = first.handoffs[0].model.last_call.input
        assert "CONVERSATION HISTORY" in json.dumps(seen)
        assert query_text(seen) == (question, [])

    async def test_a_streamed_run(self):
        agent = Agent(name="A", model=ScriptedModel([[assistant_message("Hi")]]))
        result = Runner.run_streamed(agent, "Hello there", run_config=QUIET)
        async for _ in result.stream_events():
            pass
        assert [(m.role, m.text) for m in run_messages(result)] == [
            ("user", "Hello there"),
            ("assistant", "Hi"),
        ]
