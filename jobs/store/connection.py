# pyright: reportUnknownMemberType=false
"""How everyone reaches Redis: which one, and clients with the right time-outs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.retry import Retry

from jobs.settings import Settings
from jobs.store.data_folder import DataFolder
from jobs.store.outage import is_final
from jobs.store.redis_connections import connection_options
from jobs.store.redis_server import RedisServer
from jobs.store.servers.memory import share_bytes

# A server that restarts is away for some ten milliseconds: try again for about a second, then say so. Sending a
# command twice is safe, because every script of ours that writes is idempotent.
_RETRIES = 6
_BACKOFF = ExponentialWithJitterBackoff(base=0.02, cap=0.5)
_OPTIONS: dict[str, Any] = {
    "socket_connect_timeout": 3,
    "socket_timeout": 10,  # over the longest blocking command, under the patience of a caller
    "health_check_interval": 30,  # a PING before the first command after a pause; a busy connection sends none
    "decode_responses": False,
}


_BRISK: dict[str, Any] = {
    "retry": Retry(NoBackoff(), 0),
    "socket_connect_timeout": 2,
    "socket_timeout": 2,
}


class _Retry(Retry):
    """Tries again what may go well the next time: not with a password that was refused."""

    def call_with_retry(
        self, do: Any, fail: Any, is_retryable: Any = None, with_failure_count: bool = False
    ) -> Any:
        return super().call_with_retry(do, fail, _both(is_retryable), with_failure_count)


class _AsyncRetry(AsyncRetry):
    """The same for asyncio."""

    async def call_with_retry(
        self, do: Any, fail: Any, is_retryable: Any = None, with_failure_count: bool = False
    ) -> Any:
        return await super().call_with_retry(do, fail, _both(is_retryable), with_failure_count)


def _both(is_retryable: Callable[[Exception], bool] | None) -> Callable[[Exception], bool]:
    return lambda error: not is_final(error) and (is_retryable is None or is_retryable(error))


def redis_url(settings: Settings) -> str:
    """REDIS_URL, else the socket of the Redis that `mlxq up` starts in the data folder."""
    return settings.redis_url or DataFolder(settings.data / "redis").url


def own_server(settings: Settings) -> RedisServer | None:
    """The Redis to start, not yet started; None where REDIS_URL names one."""
    if settings.redis_url:
        return None
    return RedisServer(settings.data / "redis", max_bytes=settings.redis_bytes or share_bytes())


def own_folder(settings: Settings) -> Path | None:
    """Where our own Redis keeps its data; None where another's is used."""
    folder = DataFolder(settings.data / "redis")
    return folder.path if redis_url(settings) == folder.url else None


def connect(url: str) -> redis.Redis:
    """A blocking client. Replies are bytes. Raises: ValueError for a URL that is none, without quoting it."""
    return _connect(url, _OPTIONS | {"retry": _Retry(_BACKOFF, _RETRIES)})


def connect_once(url: str) -> redis.Redis:
    """A blocking client that tries everything once, and waits no longer than two seconds."""
    return _connect(url, _BRISK)


def brisk(client: redis.Redis) -> redis.Redis:
    """A blocking client of the same Redis, with connections of its own, that tries everything once and waits no longer
    than two seconds.
    """
    pool = client.connection_pool
    options: dict[str, Any] = pool.connection_kwargs | _BRISK
    return redis.Redis.from_pool(redis.ConnectionPool(connection_class=pool.connection_class, **options))


def _connect(url: str, options: dict[str, Any]) -> redis.Redis:
    pool = redis.ConnectionPool(**(options | connection_options(url, is_async=False)))
    return redis.Redis.from_pool(pool)


def connect_async(url: str) -> redis.asyncio.Redis:
    """An asyncio client. Replies are bytes. Raises: ValueError for a URL that is none, without quoting it.

    A thousand callers at once share a few connections and wait their turn.
    """
    options: dict[str, Any] = (
        _OPTIONS | {"retry": _AsyncRetry(_BACKOFF, _RETRIES)} | connection_options(url, is_async=True)
    )
    pool = redis.asyncio.BlockingConnectionPool(max_connections=32, timeout=10, **options)
    return redis.asyncio.Redis.from_pool(pool)


def impatient(client: redis.asyncio.Redis, timeout_s: float) -> redis.asyncio.Redis:
    """A client of the same Redis that tries everything once, and no longer than this."""
    pool = client.connection_pool
    options: dict[str, Any] = pool.connection_kwargs | {
        "retry": AsyncRetry(NoBackoff(), 0),
        "socket_connect_timeout": timeout_s,
        "socket_timeout": timeout_s,
    }
    options.pop("timeout", None)
    return redis.asyncio.Redis.from_pool(
        redis.asyncio.ConnectionPool(connection_class=pool.connection_class, **options)
    )
