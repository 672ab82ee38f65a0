"""Re-embedding through a real one-node Ray with two CPUs, over a real PostgreSQL ledger."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from semantic_memory import EmbeddingFailed, InvalidInput, LedgerFailed, SemanticMemory, Settings, jobs
from semantic_memory.jobs import building
from semantic_memory.jobs.on_ray import RayEngine
from semantic_memory.testing import HashEmbeddingModel
from tests.integration.test_jobs_reembed import STATEMENTS, is_right
from tests.jobs_models import OtherModel, PoisonedModel
from tests.network import ROOT
from tests.servers import POSTGRESQL

ray = pytest.importorskip("ray", reason="these need: pip install -c constraints.txt '.[ray]'")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A node of its own. Ray's daemons look for the machine's address by a socket that points outward, so they run
    without the guard against that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        here = {"_node_ip_address": "127.0.0.1", "include_dashboard": False, "log_to_driver": False}
        ray.init(num_cpus=2, object_store_memory=100_000_000, **here)
        yield
        ray.shutdown()


@pytest.fixture
async def database() -> AsyncIterator[str]:
    """The URL of an empty PostgreSQL database of its own: workers know nothing but a URL."""
    server, name = make_url(POSTGRESQL.url), f"test_{uuid.uuid4().hex}"
    engine = create_async_engine(server, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.set(database=name).render_as_string(hide_password=False)
    async with engine.connect() as connection:
        await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    await engine.dispose()


async def test_workers_embed_and_the_job_does_the_rest(
    cluster: None, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(path=tmp_path / "memory", ledger_url=database, min_relevance=0.05)
    async with SemanticMemory.open(settings, embedding=HashEmbeddingModel()) as memory:
        for user in ("ada", "bob", "eve"):
            await memory.user(user).remember_all(STATEMENTS)
        await memory.user("eve").remember("The vial of poison is in the cellar.")
        engine = RayEngine(memory, PoisonedModel, workers=2)
        report = await jobs.reembed(memory, PoisonedModel(), engine=engine)
        assert (report.users, report.texts) == (2, 2 * len(STATEMENTS))
        assert [(one.user_id, one.error) for one in report.failed] == [("eve", "it is poisoned")]

        monkeypatch.setattr(building, "BATCH", 4)
        monkeypatch.setattr(building, "LARGE", 8)  # eve's facts are divided among the workers
        report = await jobs.reembed(memory, OtherModel(), engine=RayEngine(memory, OtherModel, workers=2))
        assert (report.users, report.failed) == (1, ())
        async with SemanticMemory.open(settings, embedding=OtherModel()) as new:
            for user in ("ada", "bob", "eve"):
                await is_right(new, user, OtherModel())


async def test_a_worker_that_can_not_help_ends_the_job_with_its_own_words(
    cluster: None, database: str, tmp_path: Path
) -> None:
    settings = Settings(path=tmp_path / "memory", ledger_url=database)
    async with SemanticMemory.open(settings, embedding=HashEmbeddingModel()) as memory:
        await memory.user("ada").remember_all(STATEMENTS)
        other_weights = RayEngine(memory, partial(OtherModel, name="third"))
        with pytest.raises(EmbeddingFailed, match=r"third .* isn't the job's"):
            await jobs.reembed(memory, OtherModel(), engine=other_weights)
        nowhere = RayEngine(memory, OtherModel)
        nowhere._url = str(make_url(database).set(port=1))
        with pytest.raises(LedgerFailed, match="can't be reached"):
            await jobs.reembed(memory, OtherModel(), engine=nowhere)
        with pytest.raises(EmbeddingFailed, match="Ray failed"):
            await jobs.reembed(memory, OtherModel(), engine=RayEngine(memory, no_model))
        assert [use.fingerprint.name for use in (await jobs.status(memory)).models] == ["hash"]


def no_model() -> OtherModel:
    raise KeyError("what nobody thought of")


async def test_a_sqlite_file_is_no_ledger_for_many_machines(tmp_path: Path) -> None:
    async with SemanticMemory.open(tmp_path / "memory", embedding=HashEmbeddingModel()) as memory:
        with pytest.raises(InvalidInput, match="PostgreSQL"):
            RayEngine(memory, OtherModel)
