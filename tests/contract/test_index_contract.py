"""What every index promises, tried on each implementation with real Chroma behind it."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import numpy as np
import pytest

from semantic_memory.errors import IndexFailed, InvalidInput
from semantic_memory.index import FolderIndex, Index, Place, ServerIndex
from tests.vectors import items, unit_vectors


def new_place(dimension: int = 32) -> Place:
    return Place(user_key=uuid4().hex, generation="g1", dimension=dimension)


def exact(rows, vector, k):
    """The reference: cosine over everything."""
    scored = [(fact_id, float(row @ vector)) for fact_id, row in rows]
    return sorted(scored, key=lambda pair: -pair[1])[:k]


class IndexContract:
    def make(self) -> Index:
        """Another index on the same store, as a restarted process would make it."""
        raise NotImplementedError

    @pytest.fixture
    async def index(self):
        index = self.make()
        yield index
        await index.close()

    @pytest.fixture
    def place(self) -> Place:
        return new_place()

    async def test_is_an_index(self, index):
        assert isinstance(index, Index)

    async def test_a_place_never_built_has_no_revision_and_answers_nothing(self, index, place):
        assert index.watermark(place) is None
        assert await index.open(place) is None
        assert index.watermark(place) is None
        with pytest.raises(IndexFailed):
            await index.nearest(place, unit_vectors(1)[0], 3)
        with pytest.raises(IndexFailed):
            await index.apply(place, upserts=items(1), deletes=[], revision=1)
        with pytest.raises(IndexFailed):
            await index.count(place)
        assert await index.check(place) == ["it is not built"]

    async def test_preparing_is_optional_and_may_be_repeated(self, index, place):
        await index.prepare()
        await index.prepare()
        assert await index.open(place) is None

    async def test_a_build_answers_as_exact_search_does(self, index, place):
        rows = items(300)
        await index.rebuild(place, rows, 7)
        assert index.watermark(place) == 7
        assert await index.count(place) == 300
        for query in unit_vectors(20, seed=9):
            found = await index.nearest(place, query, 5)
            expected = exact(rows, query, 5)
            assert [neighbour.fact_id for neighbour in found] == [fact_id for fact_id, _ in expected]
            assert [n.similarity for n in found] == pytest.approx([s for _, s in expected], abs=1e-5)
        assert await index.check(place) == []

    async def test_an_empty_build_is_a_build(self, index, place):
        await index.rebuild(place, [], 0)
        assert index.watermark(place) == 0
        assert await index.count(place) == 0
        assert await index.nearest(place, unit_vectors(1)[0], 3) == []
        assert await index.open(place) == 0
        assert await index.check(place) == []

    async def test_changes_are_followed(self, index, place):
        rows = items(50)
        await index.rebuild(place, rows[:40], 1)
        await index.apply(place, upserts=rows[40:], deletes=["fact-3", "never-there"], revision=2, expected_count=49)
        assert index.watermark(place) == 2
        assert await index.count(place) == 49
        assert (await index.nearest(place, rows[45][1], 1))[0].fact_id == "fact-45"
        assert (await index.nearest(place, rows[3][1], 1))[0].fact_id != "fact-3"

    async def test_applying_twice_changes_nothing(self, index, place):
        rows = items(50)
        await index.rebuild(place, rows[:40], 1)
        for _ in range(2):
            await index.apply(place, upserts=rows[38:], deletes=["fact-0"], revision=2, expected_count=49)
        assert await index.count(place) == 49
        found = await index.nearest(place, rows[45][1], 49)
        assert len({neighbour.fact_id for neighbour in found}) == 49

    async def test_a_fact_both_written_and_deleted_is_deleted(self, index, place):
        rows = items(3)
        await index.rebuild(place, rows[:2], 1)
        await index.apply(place, upserts=rows[2:], deletes=["fact-2"], revision=2, expected_count=2)
        assert await index.count(place) == 2

    async def test_a_vector_can_be_replaced(self, index, place):
        rows = items(10)
        await index.rebuild(place, rows, 1)
        moved = unit_vectors(1, seed=5)[0]
        await index.apply(place, upserts=[("fact-4", moved)], deletes=[], revision=2, expected_count=10)
        assert (await index.nearest(place, moved, 1))[0].fact_id == "fact-4"
        found = await index.nearest(place, moved, 1)
        assert found[0].similarity == pytest.approx(1.0, abs=1e-5)

    async def test_a_wrong_count_takes_the_revision_away_until_a_rebuild(self, index, place):
        rows = items(10)
        await index.rebuild(place, rows, 1)
        with pytest.raises(IndexFailed, match="rebuilt"):
            await index.apply(place, upserts=[], deletes=["fact-1"], revision=2, expected_count=10)
        assert index.watermark(place) is None
        assert await index.open(place) is None
        await index.close()
        again = self.make()
        assert await again.open(place) is None
        await again.rebuild(place, rows, 2)
        assert again.watermark(place) == 2
        await again.close()

    async def test_a_rebuild_keeps_only_what_it_was_given(self, index, place):
        await index.rebuild(place, items(30), 1)
        await index.rebuild(place, items(20)[10:], 5)
        assert index.watermark(place) == 5
        assert await index.count(place) == 10
        found = await index.nearest(place, unit_vectors(1)[0], 30)
        assert {neighbour.fact_id for neighbour in found} == {f"fact-{n}" for n in range(10, 20)}

    async def test_k_may_be_more_than_there_is_or_nothing(self, index, place):
        await index.rebuild(place, items(4), 1)
        query = unit_vectors(1, seed=2)[0]
        assert len(await index.nearest(place, query, 100)) == 4
        assert await index.nearest(place, query, 0) == []

    async def test_equal_vectors_are_all_found(self, index, place):
        vector = unit_vectors(1)[0]
        await index.rebuild(place, [("a", vector), ("b", vector), ("é🙂", vector)], 1)
        assert {n.fact_id for n in await index.nearest(place, vector, 3)} == {"a", "b", "é🙂"}

    @pytest.mark.parametrize(
        "bad",
        [
            pytest.param(("x", unit_vectors(1, 31)[0]), id="wrong dimension"),
            pytest.param(("x", np.full(32, np.nan, np.float32)), id="not a number"),
            pytest.param(("x", np.zeros(32, np.float32)), id="no length"),
            pytest.param(("x", unit_vectors(1)[0] * 3), id="not of length 1"),
            pytest.param(("", unit_vectors(1)[0]), id="empty id"),
            pytest.param((7, unit_vectors(1)[0]), id="id that is no string"),
        ],
    )
    async def test_what_cannot_be_stored_is_refused_and_changes_nothing(self, index, place, bad):
        await index.rebuild(place, items(5), 1)
        with pytest.raises(InvalidInput):
            await index.apply(place, upserts=[("good", unit_vectors(1, seed=3)[0]), bad], deletes=[], revision=2)
        with pytest.raises(InvalidInput):
            await index.rebuild(place, [bad], 3)
        assert index.watermark(place) == 1
        assert await index.count(place) == 5

    async def test_a_query_of_another_model_is_refused(self, index, place):
        await index.rebuild(place, items(5), 1)
        with pytest.raises(InvalidInput):
            await index.nearest(place, unit_vectors(1, 31)[0], 3)
        assert index.watermark(place) == 1

    async def test_users_and_generations_do_not_see_each_other(self, index, place):
        other = Place(user_key=place.user_key, generation="g2", dimension=8)
        stranger = new_place()
        await index.rebuild(place, items(5), 1)
        await index.rebuild(other, [("only", unit_vectors(1, 8)[0])], 2)
        await index.rebuild(stranger, [("foreign", unit_vectors(1)[0])], 3)
        assert [n.fact_id for n in await index.nearest(other, unit_vectors(1, 8)[0], 9)] == ["only"]
        assert len(await index.nearest(place, unit_vectors(1)[0], 9)) == 5
        assert [n.fact_id for n in await index.nearest(stranger, unit_vectors(1)[0], 9)] == ["foreign"]
        assert [index.watermark(p) for p in (place, other, stranger)] == [1, 2, 3]

    async def test_what_is_dropped_is_gone(self, index, place):
        await index.rebuild(place, items(5), 1)
        assert await index.drop(place)
        assert index.watermark(place) is None
        assert await index.open(place) is None
        assert await index.drop(place)

    async def test_a_restart_finds_what_was_written(self, index, place):
        rows = items(60)
        await index.rebuild(place, rows[:50], 1)
        await index.apply(place, upserts=rows[50:], deletes=["fact-0"], revision=2)
        await index.close()
        again = self.make()
        try:
            assert again.watermark(place) is None
            assert await again.open(place) == 2
            assert again.watermark(place) == 2
            assert await again.count(place) == 59
            assert (await again.nearest(place, rows[55][1], 1))[0].fact_id == "fact-55"
        finally:
            await again.close()

    async def test_a_closed_index_refuses_everything(self, index, place):
        await index.rebuild(place, items(5), 1)
        await index.close()
        await index.close()
        assert index.watermark(place) is None
        for call in (
            index.open(place),
            index.nearest(place, unit_vectors(1)[0], 1),
            index.count(place),
            index.rebuild(place, [], 1),
            index.apply(place, upserts=[], deletes=[], revision=1),
            index.drop(place),
        ):
            with pytest.raises(IndexFailed, match="closed"):
                await call

    async def test_many_callers_at_once(self, index, place):
        rows = items(64)
        await index.rebuild(place, rows[:1], 0)
        writes = (index.apply(place, upserts=[row], deletes=[], revision=n) for n, row in enumerate(rows[1:], start=1))
        reads = (index.nearest(place, rows[0][1], 1) for _ in range(64))
        answers = await asyncio.gather(*writes, *reads)
        assert all(answer[0].fact_id == "fact-0" for answer in answers[63:])
        assert index.watermark(place) == 63
        assert await index.count(place) == 64

    async def test_any_event_loop_in_any_thread_may_call(self, index, place):
        rows = items(20)
        await index.rebuild(place, rows, 1)
        together = threading.Barrier(4)

        def elsewhere(number: int) -> str:
            together.wait()
            found = asyncio.run(index.nearest(place, rows[number][1], 1))
            asyncio.run(index.apply(place, upserts=rows[:2], deletes=[], revision=1))
            return found[0].fact_id

        with ThreadPoolExecutor(4) as pool:
            loop = asyncio.get_running_loop()
            answers = await asyncio.gather(*(loop.run_in_executor(pool, elsewhere, n) for n in range(4)))
        assert answers == [f"fact-{n}" for n in range(4)]

    async def test_a_cancelled_write_is_done_whole_or_not_at_all(self, index, place):
        rows = items(400)
        await index.rebuild(place, rows[:10], 1)
        for revision, pause in enumerate((0.0, 0.001, 0.005, 0.02, 0.05), start=2):
            before = index.watermark(place)
            write = asyncio.create_task(
                index.apply(place, upserts=rows[: 30 * revision], deletes=[], revision=revision)
            )
            await asyncio.sleep(pause)
            if write.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await write
            else:  # a busy machine woke us late: it was done already
                await write
                assert index.watermark(place) == revision
            count = await index.count(place) if await index.open(place) is not None else None
            after = index.watermark(place)
            assert after in (before, revision)
            assert count == (30 * after if after > 1 else 10)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    async def test_a_forked_child_does_not_touch_it(self, index, place):
        await index.rebuild(place, items(5), 1)

        async def refused() -> bool:
            try:
                await index.nearest(place, unit_vectors(1)[0], 1)
            except IndexFailed as error:
                return "fork" in str(error) and index.watermark(place) is None
            return False

        child = os.fork()
        if not child:
            status = 1
            try:
                asyncio._set_running_loop(None)
                status = 0 if asyncio.run(refused()) else 2
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0  # noqa: ASYNC222
        assert (await index.nearest(place, unit_vectors(1)[0], 1))[0].fact_id == "fact-0"


class TestFolderIndex(IndexContract):
    @pytest.fixture(autouse=True)
    def root(self, tmp_path):
        self._root = tmp_path / "index"

    def make(self) -> Index:
        return FolderIndex(self._root)


class TestServerIndex(IndexContract):
    @pytest.fixture(autouse=True)
    def server(self, chroma_server):
        self._url = chroma_server.url

    def make(self) -> Index:
        return ServerIndex(self._url)
