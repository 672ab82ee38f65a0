"""The index on a Chroma server: when it is down, slow or restarted, and when several processes write."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from uuid import uuid4

import httpx
import pytest

from semantic_memory.errors import IndexFailed, IndexLocked, InvalidInput
from semantic_memory.index import Place, ServerIndex, leases
from semantic_memory.index.chroma import connect_server, disconnect_server
from semantic_memory.index.leases import Lease
from tests import processes
from tests.chroma_server import ChromaServer, free_port
from tests.vectors import items, unit_vectors


@pytest.fixture
def place() -> Place:
    return Place(user_key=uuid4().hex, generation="g1", dimension=32)


@pytest.fixture
async def index(chroma_server):
    index = ServerIndex(chroma_server.url)
    yield index
    await index.close()


@pytest.fixture
async def other(chroma_server):
    """What another process would use."""
    index = ServerIndex(chroma_server.url)
    yield index
    await index.close()


@pytest.fixture
def client(chroma_server):
    client = connect_server(chroma_server.url, {}, 5.0)
    yield client
    disconnect_server(client)


def collections(client) -> list[str]:
    return [collection.name for collection in client.list_collections()]


class TestAServerThatFails:
    @pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "http://", ""])
    async def test_an_url_that_is_none_is_bad_input(self, url, place):
        index = ServerIndex(url)
        with pytest.raises(InvalidInput, match="URL"):
            await index.open(place)
        await index.close()

    async def test_every_verb_fails_typed_where_nothing_listens(self, place):
        index = ServerIndex(f"http://127.0.0.1:{free_port()}")
        for call in (
            index.open(place),
            index.rebuild(place, items(1), 1),
            index.apply(place, upserts=[], deletes=[], revision=1),
            index.nearest(place, unit_vectors(1)[0], 1),
            index.count(place),
            index.drop(place),
        ):
            with pytest.raises(IndexFailed):
                await call
        assert "Connect" in (await index.check(place))[0]
        assert index.watermark(place) is None
        await index.close()

    async def test_a_server_that_never_answers_costs_the_timeout(self, place):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            index = ServerIndex(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.3)
            start = time.monotonic()
            with pytest.raises(IndexFailed, match="timed out"):
                await index.open(place)
            assert time.monotonic() - start < 2
            await index.close()

    async def test_a_server_that_hangs_later_takes_its_revision_with_it(self, tmp_path, place):
        with ChromaServer(tmp_path) as server:
            index = ServerIndex(server.url, timeout=0.5)
            await index.rebuild(place, items(5), 1)
            server.process.send_signal(signal.SIGSTOP)
            start = time.monotonic()
            with pytest.raises(IndexFailed):
                await index.nearest(place, unit_vectors(1)[0], 1)
            assert time.monotonic() - start < 2
            assert index.watermark(place) is None
            server.process.send_signal(signal.SIGCONT)
            assert await index.open(place) == 1
            assert (await index.nearest(place, unit_vectors(1)[0], 1))[0].fact_id == "fact-0"
            await index.close()

    async def test_a_killed_server_comes_back_with_everything(self, tmp_path, place):
        with ChromaServer(tmp_path) as server:
            index = ServerIndex(server.url)
            await index.rebuild(place, items(50), 1)
            await index.apply(place, upserts=items(60)[50:], deletes=["fact-0"], revision=2)
            server.stop()
            with pytest.raises(IndexFailed):
                await index.apply(place, upserts=items(61)[60:], deletes=[], revision=3)
            server.start()
            assert await index.open(place) == 2
            assert await index.check(place) == []
            await index.apply(place, upserts=items(61)[60:], deletes=[], revision=3, expected_count=60)
            await index.close()


class TestSeveralProcesses:
    async def test_each_sees_what_the_other_wrote_once_it_asks(self, index, other, place):
        await index.rebuild(place, items(5), 1)
        assert other.watermark(place) is None
        assert await other.open(place) == 1
        await other.apply(place, upserts=items(6)[5:], deletes=[], revision=2)
        assert index.watermark(place) == 1
        assert await index.open(place) == 2

    async def test_a_difference_that_is_out_of_date_is_not_written(self, index, other, place):
        await index.rebuild(place, items(5), 1)
        await other.open(place)
        await other.apply(place, upserts=[], deletes=["fact-2"], revision=3, expected_count=4)
        with pytest.raises(IndexLocked):
            await index.apply(place, upserts=items(5)[2:3], deletes=[], revision=2)
        assert index.watermark(place) == 3
        assert await index.count(place) == 4

    async def test_another_processes_rebuild_is_noticed(self, index, other, place):
        await index.rebuild(place, items(5), 1)
        await other.rebuild(place, items(9), 1)
        with pytest.raises(IndexFailed):
            await index.nearest(place, unit_vectors(1)[0], 1)
        assert index.watermark(place) is None
        assert await index.open(place) == 1
        assert await index.count(place) == 9

    async def test_another_processes_drop_is_noticed(self, index, other, place):
        await index.rebuild(place, items(5), 1)
        assert await other.drop(place)
        with pytest.raises(IndexFailed):
            await index.nearest(place, unit_vectors(1)[0], 1)
        assert await index.open(place) is None

    async def test_three_processes_that_write_at_once_lose_nothing(self, chroma_server, index, place):
        """Each follows the same log of 60 revisions, one fact a revision, as workers behind one ledger do."""
        await index.rebuild(place, [], 0)
        code = """
            index, rows = ServerIndex(sys.argv[1]), items(60)
            place = Place(user_key=sys.argv[2], generation="g1", dimension=32)
            while (at := index.watermark(place)) != 60:
                try:
                    at = await index.open(place) if at is None else at
                    to, due = at + 2, rows[at : at + 2]
                    await index.apply(place, upserts=due, deletes=[], revision=to, expected_count=to)
                except IndexLocked:
                    await asyncio.sleep(0.01)
            await index.close()
        """
        workers = [processes.start(code, chroma_server.url, place.user_key) for _ in range(3)]
        for worker in workers:
            worker.communicate(timeout=120)
        assert [worker.returncode for worker in workers] == [0, 0, 0]
        assert await index.open(place) == 60
        assert await index.count(place) == 60
        assert await index.check(place) == []

    async def test_a_place_that_gets_its_first_facts_meanwhile_is_not_taken_for_a_broken_one(
        self, chroma_server, index
    ):
        """Chroma can't search a collection between the rows and the graph of an upsert."""
        places = [Place(user_key=uuid4().hex, generation="g1", dimension=32) for _ in range(20)]
        for place in places:
            await index.rebuild(place, [], 0)
        code = """
            index, seen = ServerIndex(sys.argv[1]), set()
            await index.prepare()
            say("ready")
            for user_key in sys.argv[2:]:
                place, at = Place(user_key=user_key, generation="g1", dimension=32), 0
                while at != 2:
                    with suppress(IndexLocked):
                        at = await index.open(place)
                        seen.add(at)
            await index.close()
            assert seen <= {0, 2}, seen
        """
        reader = processes.start(code, chroma_server.url, *(place.user_key for place in places))
        assert await asyncio.to_thread(reader.stdout.readline) == "ready\n"
        for place in places:
            await index.apply(place, upserts=items(2), deletes=[], revision=2)
            await asyncio.sleep(0.02)
        reader.communicate(timeout=60)
        assert reader.returncode == 0


class TestLeases:
    async def test_nothing_of_it_is_left_after_a_write(self, index, client, place):
        await index.rebuild(place, items(5), 1)
        await index.apply(place, upserts=items(6), deletes=[], revision=2)
        assert [name for name in collections(client) if name.startswith(place.name)] == [place.name]
        await index.drop(place)
        assert [name for name in collections(client) if name.startswith(place.name)] == []

    async def test_who_finds_it_taken_is_refused(self, index, client, place):
        await index.rebuild(place, items(5), 1)
        with Lease(client, f"{place.name}.lock"):
            with pytest.raises(IndexLocked):
                await index.apply(place, upserts=[], deletes=[], revision=2)
            with pytest.raises(IndexLocked):
                await index.rebuild(place, [], 2)
            assert await index.drop(place) is False
            assert (await index.nearest(place, unit_vectors(1)[0], 1))[0].fact_id == "fact-0"
        await index.apply(place, upserts=[], deletes=[], revision=2)

    async def test_a_dead_writer_is_succeeded_when_its_time_is_over(self, index, client, place, monkeypatch):
        await index.rebuild(place, items(5), 1)
        monkeypatch.setattr(leases, "LEASE", 0.5)
        Lease(client, f"{place.name}.lock").__enter__()
        with pytest.raises(IndexLocked):
            await index.apply(place, upserts=[], deletes=[], revision=2)
        await asyncio.sleep(0.6)
        await index.apply(place, upserts=[], deletes=[], revision=2)
        assert index.watermark(place) == 2

    def test_a_writer_that_was_succeeded_may_not_go_on(self, client, place, monkeypatch):
        monkeypatch.setattr(leases, "LEASE", 0.2)
        slow, name = Lease(client, f"{place.name}.lock"), f"{place.name}.lock"
        with slow:
            time.sleep(0.3)
            with Lease(client, name):
                with pytest.raises(Exception, match="not exist"):
                    slow.renew()
                slow.__exit__(None, None, None)
                assert name in collections(client), "the slow one must not give back what isn't its own"

    def test_of_two_that_succeed_a_dead_writer_one_gets_it(self, client, place, monkeypatch):
        """The slower one has seen the expired lease, and acts on it after the faster one took over."""
        name = f"{place.name}.lock"
        monkeypatch.setattr(leases, "LEASE", 0.1)
        Lease(client, name).__enter__()
        time.sleep(0.2)
        monkeypatch.undo()

        class Slow:
            def __getattr__(self, verb):
                return getattr(client, verb)

            def get_collection(self, *arguments, **options):
                seen = client.get_collection(*arguments, **options)
                Lease(client, name).__enter__()
                return seen

        with pytest.raises(IndexLocked):
            Lease(Slow(), name).__enter__()
        assert name in collections(client)

    def test_a_long_write_keeps_it(self, client, place, monkeypatch):
        monkeypatch.setattr(leases, "LEASE", 1.5)
        with Lease(client, f"{place.name}.lock") as lease:
            for _ in range(8):
                time.sleep(0.25)
                lease.renew()
                with pytest.raises(IndexLocked):
                    Lease(client, f"{place.name}.lock").__enter__()


async def test_the_connections_of_a_closed_index_are_closed(chroma_server, place):
    index = ServerIndex(chroma_server.url)
    await index.rebuild(place, items(2), 1)
    session: httpx.Client = index._connected._server._session
    await index.close()
    assert session.is_closed
