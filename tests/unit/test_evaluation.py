"""The evaluator: data sets, metrics, reports and fitting."""

from __future__ import annotations

import dataclasses
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import ndcg_score

from semantic_memory.errors import InvalidInput
from semantic_memory.evaluation import ablation, datasets, fitting, locomo, metrics, training
from semantic_memory.evaluation import evaluate as evaluating
from semantic_memory.evaluation.evaluate import Answer, answer, evaluate, fit
from semantic_memory.evaluation.fitting import ORDER
from semantic_memory.evaluation.namesakes import namesakes
from semantic_memory.evaluation.report import Report
from semantic_memory.evaluation.trials import Trial, embed
from semantic_memory.retrieval.relevance import Calibration
from semantic_memory.testing import HashEmbeddingModel

PIECES = [{"a", "b"}, {"c"}]
DATA = os.environ.get("SEMANTIC_MEMORY_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="SEMANTIC_MEMORY_DATA is unset")


class TestMetrics:
    def test_any_asks_for_one_piece_and_all_for_every_piece(self):
        assert (metrics.any_at(["x", "a"], PIECES, 2), metrics.all_at(["x", "a"], PIECES, 2)) == (1, 0)
        assert metrics.all_at(["c", "x", "b"], PIECES, 3) == 1
        assert metrics.any_at(["x", "a"], PIECES, 1) == 0

    def test_reciprocal_rank_is_of_the_first_right_fact(self):
        assert metrics.reciprocal_rank(["x", "y", "c", "a"], PIECES) == pytest.approx(1 / 3)
        assert metrics.reciprocal_rank(["x"], PIECES) == 0

    def test_ndcg_is_the_usual_one_where_every_piece_is_one_fact(self):
        ranked, right = ["x", "a", "y", "b", "z", "w"], {"a", "b", "c"}
        truth = [[float(one in right) for one in [*ranked, "c"]]]
        usual = ndcg_score(truth, [np.arange(7, 0, -1)], k=5)
        assert metrics.ndcg_at(ranked, [{one} for one in right], 5) == pytest.approx(usual)

    def test_ndcg_pays_once_for_two_facts_of_one_piece(self):
        assert metrics.ndcg_at(["a", "b"], [{"a", "b"}], 5) == metrics.ndcg_at(["a", "x"], [{"a", "b"}], 5) == 1

    def test_an_estimate_holds_its_mean_and_narrows_with_more_questions(self):
        few, many = metrics.estimate([0, 1] * 10), metrics.estimate([0, 1] * 1000)
        assert few.low < few.mean == 0.5 < few.high
        assert many.high - many.low < few.high - few.low

    def test_values_of_one_user_count_as_one_draw(self):
        values, users = [0.0] * 50 + [1.0] * 50, ["ada"] * 50 + ["bob"] * 50
        apart, together = metrics.estimate(values), metrics.estimate(values, users)
        assert together.mean == apart.mean == 0.5
        assert (together.low, together.high) == (0, 1)
        assert 0.3 < apart.low < apart.high < 0.7

    def test_what_is_predicted_as_it_happens_has_no_calibration_error(self):
        random = np.random.default_rng(0)
        chance = random.random(20_000)
        happened = random.random(20_000) < chance
        assert metrics.calibration_error(metrics.reliability(chance, happened)) < 0.02
        assert metrics.calibration_error(metrics.reliability(chance / 2, happened)) == pytest.approx(0.25, abs=0.02)

    def test_bins_hold_equally_many(self):
        assert {one.count for one in metrics.reliability(np.linspace(0, 1, 100), np.zeros(100))} == {10}


DIALOGUE = {
    "sample_id": "conv",
    "conversation": {
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [
            {"speaker": "Ann", "dia_id": "D1:1", "text": "Hi"},
            {"speaker": "Bob", "dia_id": "D1:2", "text": "Look", "blip_caption": "a cat"},
        ],
    },
    "observation": {"session_1_observation": {"Bob": [["Bob has a cat.", "D1:2"], ["Bob waves.", ["D1:1", "D1:2"]]]}},
    "qa": [
        {"question": "What does Bob show?", "evidence": ["D1:2; D1:1"], "category": 1},
        {"question": "Nothing there", "evidence": ["D9:9"], "category": 2},
        {"question": "What does Ann show?", "evidence": ["D1:2"], "category": 5},
    ],
}


class TestDatasets:
    def test_locomo_turns_are_facts_with_speaker_caption_session_and_time(self):
        turns = locomo.read([DIALOGUE])[0].cases[0]
        fact = turns.facts[1]
        assert (fact.text, fact.position) == ("Bob: Look [shares a cat]", 1)
        assert fact.said_at == datetime(2023, 5, 8, 13, 56, tzinfo=UTC)
        assert [len(question.evidence) for question in turns.questions] == [2, 1]

    def test_a_locomo_fact_covers_each_turn_it_was_seen_in(self):
        facts = locomo.read([DIALOGUE])[1].cases[0]
        (question,) = facts.questions
        assert question.evidence == (frozenset({"conv/o0", "conv/o1"}), frozenset({"conv/o1"}))

    def test_the_own_set_has_only_active_facts_and_answers_among_them(self):
        (own,) = datasets.load("own")
        for case in own.cases:
            known = {fact.id for fact in case.facts}
            assert all(piece <= known for question in case.questions for piece in question.evidence)
        assert sum(len(case.facts) for case in own.cases) >= 150
        assert sum(len(case.questions) for case in own.cases) >= 120
        assert len(datasets.unrelated_prompts()) >= 300

    def test_a_file_of_ones_own_is_read(self, tmp_path: Path):
        rows = [
            {"type": "fact", "user": "u", "id": "1", "text": "Likes tea", "said_at": "2026-01-01"},
            {"type": "question", "user": "u", "text": "Tea?", "gold": ["1"], "asked_at": "2026-02-01"},
        ]
        (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
        (found,) = datasets.load("file", tmp_path)
        assert found.cases[0].questions[0].evidence == (frozenset({"u/1"}),)

    @pytest.mark.parametrize("name", ["locomo", "nonsense"])
    def test_a_set_that_is_not_there_is_an_error_that_says_so(self, name: str, tmp_path: Path):
        with pytest.raises(InvalidInput):
            datasets.load(name, tmp_path)

    @needs_data
    def test_locomo_is_counted_as_its_readme_says(self):
        turns, facts = datasets.load("locomo", Path(DATA or ""))
        assert [sum(len(case.questions) for case in one.cases) for one in (turns, facts)] == [996, 546]
        assert sum(len(case.facts) for case in turns.cases) == 2760

    @needs_data
    def test_prefeval_pools_every_preference_in_one_user(self):
        (found,) = datasets.load("prefeval", Path(DATA or "") / "prefeval")
        assert [len(case.questions) for case in found.cases] == [505]


@pytest.fixture(scope="module")
def few_users() -> datasets.Dataset:
    (own,) = datasets.load("own")
    return dataclasses.replace(own, cases=own.cases[:2])


def _remembering(learned: dict[str, set[tuple[str, str]]], seen: list[Trial], name: str) -> Calibration:
    asked = {("text", trial.query.text) for trial in seen}
    learned[name] = asked | {("user", user) for trial in seen for user in (trial.group, trial.asker) if user}
    return dataclasses.replace(Calibration.load("default"), name=name)


def _noting(measured: list[tuple[Calibration, Trial]], trial: Trial, used: Calibration) -> Answer:
    measured.append((used, trial))
    return answer(trial, used)


class TestEvaluate:
    async def test_recall_is_reported_beside_dense_and_words(self, few_users: datasets.Dataset):
        (report,) = await evaluate([few_users], HashEmbeddingModel())
        assert [one.ranker for one in report.scores] == ["recall", "dense only", "words only"]
        recall = report.scores[0]
        assert recall.all_at[1].mean <= recall.all_at[5].mean <= recall.any_at[5].mean <= 1
        assert recall.all_at[10].mean > 0.5
        assert 0 <= report.silence.shown_to_prompts.mean <= report.silence.shown_to_unrelated.high
        asked = {question.text for case in few_users.cases for question in case.questions}
        assert report.silence.strangers
        assert {text for text, _ in report.silence.strangers} <= asked
        assert set(report.by_kind) == {"direct", "paraphrased", "temporal", "multi", "superseded"}
        assert report.silence.shown_to_unanswerable is not None
        assert report.in_block.all.mean <= report.in_block.any.mean <= recall.any_at[10].mean
        assert 0 < report.in_block.facts <= report.in_block.limit == 8

    async def test_out_of_fold_nothing_is_measured_with_what_has_seen_its_user_its_asker_or_its_prompt(
        self, few_users: datasets.Dataset, monkeypatch: pytest.MonkeyPatch
    ):
        learned: dict[str, set[tuple[str, str]]] = {}
        measured: list[tuple[Calibration, Trial]] = []
        monkeypatch.setattr(fitting, "examples", lambda trials, *, relative: list(trials))
        monkeypatch.setattr(
            fitting.Learned,
            "of",
            lambda seen, **_: SimpleNamespace(calibration=lambda name, _: _remembering(learned, seen, name)),
        )
        monkeypatch.setattr(evaluating, "answer", lambda trial, used: _noting(measured, trial, used))
        await evaluate([few_users], HashEmbeddingModel(), out_of_fold=True)
        prompts, personal = set(datasets.unrelated_prompts()), set(datasets.personal_prompts())
        assert {"user", "text"} == {kind for seen in learned.values() for kind, _ in seen}
        for used, trial in measured:
            seen = learned[used.name]
            assert ("user", trial.group) not in seen
            assert trial.asker is None or ("user", trial.asker) not in seen
            assert trial.query.text not in prompts | personal or ("text", trial.query.text) not in seen
        asked = {trial.query.text for _, trial in measured}
        assert prompts < asked
        assert personal < asked

    async def test_namesakes_are_asked_about_in_others_questions_and_never_answer(self):
        (own,) = datasets.load("own")
        embedded = await embed(own, HashEmbeddingModel())
        asked = {trial.query.text: trial.group for one in embedded for trial in one.trials}
        found = await namesakes(embedded, HashEmbeddingModel())
        assert len(found) > 100
        assert {trial.group for trial in found} == set(own.groups)
        for trial in found:
            assert not trial.right
            assert trial.asker in own.groups
            assert trial.asker != trial.group
            assert trial.query.text not in asked
            assert any(trial.shelf.lexicon.frequency(name) for name in trial.query.names)

    async def test_a_set_that_is_held_out_is_fitted_on_by_nobody(
        self, few_users: datasets.Dataset, monkeypatch: pytest.MonkeyPatch
    ):
        seen: list[Trial] = []
        monkeypatch.setattr(fitting, "examples", lambda trials, *, relative: seen.extend(trials))
        monkeypatch.setattr(fitting, "fit", lambda *_, **__: Calibration.load("default"))
        await fit([few_users, *datasets.load(datasets.HELD_OUT)], HashEmbeddingModel())
        sources = {trial.source for trial in seen}
        assert {"own", datasets.FITTED_ON} < sources
        assert not any(datasets.HELD_OUT in source for source in sources)

    async def test_a_report_reads_as_a_table_and_as_json(self, few_users: datasets.Dataset):
        (report,) = await evaluate([few_users], HashEmbeddingModel())
        assert Report.from_json(report.to_json()) == report
        console = Console(record=True, width=80)
        console.print(report.render())
        shown = console.export_text()
        assert "…" not in shown
        assert all(heading in shown for heading in ("recall", "dense only", "words only", "all@20", "any@1 ", "nDCG@5"))
        best = report.scores[0].all_at[5]
        assert f"{100 * best.mean:.1f} ({100 * best.low:.1f}-{100 * best.high:.1f})" in shown

    async def test_a_fitted_calibration_prefers_what_holds_the_words_of_the_question(self, few_users: datasets.Dataset):
        found = await fit([few_users], HashEmbeddingModel())
        assert set(ORDER) < set(found.helps.weights)
        assert 0 < found.min_relevance < 0.5
        assert Calibration.from_json(found.to_json()) == found
        again = await fit([few_users], HashEmbeddingModel())
        assert again == found

    async def test_a_silence_that_may_not_see_what_the_facts_know_keeps_less(self, monkeypatch: pytest.MonkeyPatch):
        (own,) = datasets.load("own")
        some = dataclasses.replace(own, cases=own.cases[:4])
        for most in ("SMALL_SHELVES", "STRANGERS", "FOREIGNERS", "UNRELATED"):
            monkeypatch.setattr(training, most, 5)
        names = ("unknown_names", "known_names", "no_names", "named", "named_cosine", "named_coverage")
        blind = ("query_known", "query_coverage", "query_cosine", "query_best", "query_best_three", "query_lead")
        blind += (*names, "personal", "asks_user")
        monkeypatch.setattr(ablation, "SILENT", {"nothing": (), "what it knows": blind})
        found = await ablation.ablate_silence([some], HashEmbeddingModel())
        whole, without = found["nothing"]["own"], found["what it knows"]["own"]
        assert whole.shown.mean < 0.2
        assert whole.kept.mean > without.kept.mean + 0.2

    @needs_data
    async def test_recall_beats_both_baselines_on_dialogues(self):
        # hashed words stand in for meaning here: what is held is that the parts work together
        turns = datasets.load("locomo", Path(DATA or ""))[0]
        some = dataclasses.replace(turns, cases=turns.cases[:1])
        (report,) = await evaluate([some], HashEmbeddingModel())
        recall, dense, words = (one.all_at[10].mean for one in report.scores)
        assert recall > max(dense, words)
