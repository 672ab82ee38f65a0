"""How often callers ask: counted here, or in a Redis where several servers count together."""

from __future__ import annotations

from http import HTTPStatus
from math import ceil
from time import time
from typing import TYPE_CHECKING

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError

from semantic_memory import MemoryUnavailable
from semantic_memory.frontends.http_api.problems import Refused

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

PATIENCE = 2.0  # seconds for the Redis to answer


class Rates:
    """Counts requests, and turns away those that are too many."""

    def __init__(self, rate: str, storage: str) -> None:
        self._rate: RateLimitItem = parse(rate)
        self._pool = None if storage.startswith("memory:") else _pool(storage)
        self._limiter = SlidingWindowCounterRateLimiter(_storage(self._pool, storage))

    async def count(self, *whose: str) -> None:
        """One request more. Raises `Refused` for one too many, `MemoryUnavailable` where nobody can count."""
        try:
            if await self._limiter.hit(self._rate, *whose):
                return
            again, _ = await self._limiter.get_window_stats(self._rate, *whose)
        except StorageError as error:
            raise MemoryUnavailable("the storage of rates does not answer") from error
        wait = str(max(1, ceil(again - time())))
        raise Refused(HTTPStatus.TOO_MANY_REQUESTS, f"at most {self._rate}", Retry_After=wait)

    async def close(self) -> None:
        """Give the connections back."""
        if self._pool is not None:
            await self._pool.aclose()


def _pool(url: str) -> ConnectionPool:
    from redis.asyncio import ConnectionPool

    return ConnectionPool.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)


def _storage(pool: ConnectionPool | None, url: str) -> Storage:
    if pool is None:
        return MemoryStorage()
    given = {"implementation": "redispy", "key_prefix": "semantic_memory", "connection_pool": pool}
    return RedisStorage(f"async+{url}", wrap_exceptions=True, **given)  # type: ignore[arg-type]
