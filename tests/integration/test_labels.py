"""Labels: walls inside one user, for those who want them."""

from __future__ import annotations

from typing import Any

import pytest
from agents import Agent, Runner, SQLiteSession, function_tool
from agents.testing import ScriptedModel, assistant_message, function_call

from semantic_memory import CandidateFact, FactFilter, InvalidInput, UserMemory
from semantic_memory.embedding.bundled import bundled

WORK, HOME = "My project is called Apollo.", "My cat is called Miso."
QUESTION = "What are my project and my cat called?"


async def texts(user: UserMemory, *labels: str) -> set[str]:
    return {found.fact.text for found in (await user.recall(QUESTION, labels=labels)).facts}


async def test_a_recall_with_labels_sees_only_what_carries_one_of_them(ada: UserMemory) -> None:
    await ada.remember(WORK, labels=["work"])
    await ada.remember(HOME, labels=["home"])
    assert await texts(ada) == await texts(ada, "work", "home") == {WORK, HOME}
    assert await texts(ada, "work") == {WORK}
    assert await texts(ada, "worker") == set()
    assert [fact.text for fact in await ada.facts(FactFilter(label="home"))] == [HOME]


async def test_what_a_labelled_session_teaches_carries_its_label(ada: UserMemory) -> None:
    session = SQLiteSession("s")
    await session.add_items([{"role": "user", "content": WORK}])
    await ada.learn(session, labels=["work"])
    assert await texts(ada, "work") == {WORK}
    assert await texts(ada, "home") == set()


async def test_a_fact_that_is_said_under_another_label_carries_both(ada: UserMemory) -> None:
    fact = await ada.remember(WORK, labels=["work"])
    assert (await ada.remember(WORK, labels=["home", "work"])).id == fact.id
    assert (await ada.fact(fact.id)).labels == ("work", "home")
    assert await texts(ada, "home") == {WORK}


async def test_a_correction_is_known_wherever_the_old_fact_was(ada: UserMemory) -> None:
    fact = await ada.remember(WORK, labels=["work"])
    newer = await ada.correct(fact.id, "My project is called Artemis.")
    assert newer.labels == ("work",)
    assert await texts(ada, "work") == {newer.text}


async def test_a_labelled_run_recalls_by_hook_and_tool_and_learns_under_its_label(ada: UserMemory) -> None:
    await ada.remember(WORK, labels=["work"])
    await ada.remember(HOME, labels=["home"])
    script = ScriptedModel(
        [
            [function_call("recall", {"query": QUESTION}, call_id="c")],
            [function_call("remember", {"statement": "My deadline is Friday.", "quote": "Friday"}, call_id="d")],
            [assistant_message("ok")],
        ]
    )
    agent: Agent[Any] = Agent(name="helper", model=script, tools=ada.tools())
    said = [{"role": "user", "content": text} for text in ("I moved to Lisbon. My deadline is Friday.", QUESTION)]
    await ada.run(agent, said, labels=["home"], learn="wait")
    seen = [call.system_instructions or "" for call in script.calls] + [str(script.calls[-1].input)]
    assert all("Miso" in text for text in seen)
    assert not any("Apollo" in text for text in seen)
    assert await ada.facts(FactFilter(label="work")) == [one for one in await ada.facts() if one.text == WORK]


# ---- walls ---------------------------------------------------------------------------------------------


async def everything(user: UserMemory) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {fact.text: (fact.status, fact.labels) for fact in await user.facts(FactFilter(status=()))}


async def test_the_same_said_behind_two_labels_is_two_facts(ada: UserMemory) -> None:
    one, other = await ada.remember(WORK, labels=["work"]), await ada.remember(WORK, labels=["home"])
    assert one.id != other.id
    assert (one.labels, other.labels) == (("work",), ("home",))
    assert [len((await ada.explain(fact.id)).evidence) for fact in (one, other)] == [1, 1]


async def test_a_change_behind_one_label_replaces_nothing_behind_another(open_memory: Any) -> None:
    ada = (await open_memory(embedding=bundled())).user("ada")
    moved = "My project is now called Artemis."
    await ada.remember(WORK, labels=["work"])
    newer = await ada.remember(moved, labels=["home"])
    assert await everything(ada) == {WORK: ("active", ("work",)), moved: ("active", ("home",))}
    assert newer.supersedes is None
    for labels, disputed in ((["work"], 0), (["home"], 0), ([], 2)):
        assert (await ada.recall(QUESTION, labels=labels)).context.count("disputed") == disputed


async def test_what_is_said_without_a_label_concerns_everything(open_memory: Any) -> None:
    ada = (await open_memory(embedding=bundled())).user("ada")
    moved = "My project is now called Artemis."
    await ada.remember(WORK, labels=["work"])
    await ada.remember(moved)
    assert await everything(ada) == {WORK: ("superseded", ("work",)), moved: ("active", ("work",))}
    assert await texts(ada, "work") == {moved}


async def test_an_extractor_is_shown_no_fact_from_behind_a_wall(open_memory: Any) -> None:
    seeing = SeeingExtractor()
    ada = (await open_memory(extractor=seeing)).user("ada")
    await ada.remember(WORK, labels=["work"])
    await ada.remember(HOME, labels=["home"])
    for name, labels in (("a", ["home"]), ("b", [])):
        session = SQLiteSession(name)
        await session.add_items([{"role": "user", "content": "What is called Apollo, and what Miso?"}])
        await ada.learn(session, labels=labels)
    assert seeing.shown == [{HOME}, {WORK, HOME}]


class SeeingExtractor:
    """Finds nothing, and keeps what it was shown."""

    version = "seeing/1"

    def __init__(self) -> None:
        self.shown: list[set[str]] = []

    async def extract(self, messages: Any, *, known: Any = (), context: Any = ()) -> list[CandidateFact]:
        self.shown.append({fact.text for fact in known})
        return []


async def test_a_rewound_turn_takes_back_the_label_that_only_it_gave(ada: UserMemory) -> None:
    await ada.remember(WORK, labels=["work"])
    session = SQLiteSession("s")
    await session.add_items([{"role": "user", "content": WORK}, {"role": "assistant", "content": "Noted."}])
    learned = await ada.learn(session, labels=["work", "home"])
    assert len(learned.reaffirmed) == 1
    assert await texts(ada, "home") == {WORK}
    taken = await ada.rewind(session)
    assert taken.retracted == ()
    assert await texts(ada, "home") == set()
    assert await texts(ada, "work") == {WORK}


async def test_a_plain_runner_call_has_the_labels_of_its_configuration_and_of_its_tools(ada: UserMemory) -> None:
    await ada.remember(WORK, labels=["work"])
    await ada.remember(HOME, labels=["home"])
    steps = [[function_call("recall", {"query": QUESTION}, call_id="c")], [assistant_message("ok")]]
    for given in ({"run_config": ada.run_config(labels=["home"])}, {"instructions": True}):
        script = ScriptedModel(list(steps))
        own = {"instructions": ada.instructions("Be brief.", labels=["home"])} if "instructions" in given else {}
        agent: Agent[Any] = Agent(name="helper", model=script, tools=ada.tools(labels=["home"]), **own)
        await Runner.run(agent, QUESTION, run_config=given.get("run_config"))
        seen = [call.system_instructions or "" for call in script.calls] + [str(script.calls[-1].input)]
        assert all("Miso" in text for text in seen)
        assert not any("Apollo" in text for text in seen)


async def test_a_run_inside_a_tool_of_another_keeps_to_its_own_labels(ada: UserMemory) -> None:
    await ada.remember(WORK, labels=["work"])
    await ada.remember(HOME, labels=["home"])
    inner = ScriptedModel([[assistant_message("ok")]])

    @function_tool
    async def ask_at_home() -> str:
        """Ask the same at home."""
        await Runner.run(Agent(name="home", model=inner), QUESTION, run_config=ada.run_config(labels=["home"]))
        return "done"

    outer = ScriptedModel([[function_call("ask_at_home", {}, call_id="c")], [assistant_message("ok")]])
    agent: Agent[Any] = Agent(name="work", model=outer, tools=[ask_at_home])
    await Runner.run(agent, QUESTION, run_config=ada.run_config(labels=["work"]))
    told = [call.system_instructions or "" for call in (*outer.calls, *inner.calls)]
    assert ["Apollo" in text for text in told] == [True, True, False]
    assert ["Miso" in text for text in told] == [False, False, True]


@pytest.mark.parametrize("labels", ["work", [""], ["x" * 65], [7], ["\ud800"]])
async def test_what_is_no_label_is_refused(ada: UserMemory, labels: Any) -> None:
    with pytest.raises(InvalidInput):
        await ada.remember(WORK, labels=labels)
    with pytest.raises(InvalidInput):
        await ada.recall(QUESTION, labels=labels)
    with pytest.raises(InvalidInput):
        ada.run_config(labels=labels)
    assert await ada.facts() == []
