# pyright: reportUnknownMemberType=false
"""How everyone reaches Redis: which one, and clients with the right time-outs."""

from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from jobs.data_folder import DataFolder
from jobs.redis_connections import connection_options
from jobs.server import RedisServer
from jobs.settings import Settings

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


def redis_url(settings: Settings) -> str:
    """REDIS_URL, else the socket of the Redis that `mlxq up` starts in the data folder."""
    return settings.redis_url or DataFolder(settings.data / "redis").url


def own_server(settings: Settings) -> RedisServer | None:
    """The Redis to start, not yet started; None where REDIS_URL names one."""
    return None if settings.redis_url else RedisServer(settings.data / "redis")


def connect(url: str) -> redis.Redis:
    """A blocking client. Replies are bytes. Raises: ValueError for a URL that is none."""
    return redis.Redis.from_url(url, retry=Retry(_BACKOFF, _RETRIES), **_OPTIONS)


def connect_async(url: str) -> redis.asyncio.Redis:
    """An asyncio client. Replies are bytes. Raises: ValueError for a URL that is none.

    A thousand callers at once share a few connections and wait their turn.
    """
    options: dict[str, Any] = _OPTIONS | {"retry": AsyncRetry(_BACKOFF, _RETRIES)} | connection_options(url)
    pool = redis.asyncio.BlockingConnectionPool(max_connections=32, timeout=10, **options)
    return redis.asyncio.Redis.from_pool(pool)
