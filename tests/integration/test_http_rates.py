"""How often callers may ask: each server for itself, or several together by way of a Redis."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from semantic_memory import InvalidInput
from semantic_memory.settings import ServerSettings
from tests.http_server import served
from tests.servers import REDIS

ADA = "/v1/users/ada"


@pytest.fixture
def redis_url() -> Iterator[str]:
    """A Redis, without what these tests counted in it before or leave in it."""
    url = REDIS.url
    with Redis.from_url(url) as redis:
        yield url
        for key in redis.scan_iter("semantic_memory*"):
            redis.delete(key)


async def test_servers_with_one_redis_count_together(tmp_path: Path, redis_url: str) -> None:
    limits = ServerSettings(rate="5/minute", rate_storage=redis_url)
    async with (
        served(tmp_path / "memory", server=limits) as one,
        served(tmp_path / "memory", server=limits) as other,
        one.client() as here,
        other.client() as elsewhere,
    ):
        elsewhere.headers["authorization"] = here.headers["authorization"]
        answers = [await (here, elsewhere)[n % 2].get(f"{ADA}/facts") for n in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


async def test_a_redis_that_is_away_makes_the_server_unavailable_and_says_so(tmp_path: Path) -> None:
    """Nobody's rate is known then, and whoever asks is told to come back."""
    limits = ServerSettings(rate_storage=f"redis://127.0.0.1:1/{uuid.uuid4().int % 10}")
    async with served(tmp_path / "memory", server=limits) as server, server.client() as program:
        answer = await program.get(f"{ADA}/facts")
        assert answer.status_code == 503
        assert answer.json()["detail"] == "the storage of rates does not answer"
        assert answer.headers["retry-after"]
        assert (await program.get("/health/live")).status_code == 200


@pytest.mark.parametrize(
    "given", [{"rate": "often"}, {"rate": ""}, {"rate_storage": "redis"}, {"rate_storage": "file:///x"}]
)
def test_a_rate_that_is_none_is_refused_where_it_is_set(given: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(given))):
        ServerSettings(**given)  # type: ignore[arg-type]
