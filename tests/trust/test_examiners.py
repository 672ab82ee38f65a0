"""What outside examiners at pinned versions say. Where they find a weakness that is known, the test says which."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from agent_memory_guard.bench.harness import run_suite
from agent_memory_guard.bench.scoring import score_report
from agmi.attacks.at_rest import AT_REST_ATTACKS_WITH_SNAPSHOT
from agmi.attacks.memory_specific import ALL_MEMORY_ATTACKS

from tests.trust.counts import note
from tests.trust.examiners import ROOMS, AtRest, Bench, Semantic


@pytest.fixture(scope="module")
def semantic() -> Iterator[Semantic]:
    adapter = Semantic()
    yield adapter
    adapter.close()


@pytest.mark.parametrize("attack", ALL_MEMORY_ATTACKS, ids=lambda attack: attack.name)
def test_agmi_attacks_by_writing(semantic: Semantic, attack: type) -> None:
    result = attack().run(semantic)
    note(7, f"agmi {attack.name}", status=result.status, detail=result.detail, error=result.error)
    assert result.error is None
    for channel, outcomes in result.channels.items():
        if channel != "agent-laundered":  # what the user is made to say looks like what the user says
            assert not any(outcomes), result.detail


SEEN_AT_REST = {"truncate", "delete_middle", "forge"}  # by counting; a changed text is not: nothing is signed


@pytest.mark.parametrize("attack", AT_REST_ATTACKS_WITH_SNAPSHOT, ids=lambda attack: attack.name)
def test_agmi_attacks_on_the_file(attack: type) -> None:
    result = attack().run(AtRest())
    note(4, f"agmi at rest: {attack.name}", status=result.status, detail=result.detail, error=result.error)
    assert (result.error, result.guard) == (None, None)
    assert result.detected == (attack.name in SEEN_AT_REST)


def test_the_benchmark_of_agent_memory_guard() -> None:
    try:
        card = score_report(run_suite(Bench))
    finally:
        while ROOMS:
            ROOMS.pop().end()
    note(
        7,
        "agent-memory-guard benchmark",
        grade=card.grade.value,
        score=round(card.score, 1),
        defended=f"{card.defended_total} of {card.malicious_total}",
        false_positives=f"{card.false_positives} of {card.benign_total}",
    )
    assert (card.defended_total, card.false_positives) == (card.malicious_total, 0)
