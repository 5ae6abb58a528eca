# pyright: reportUnknownMemberType=false
"""What a user is told about Redis."""

import contextlib
import logging

from redis.exceptions import RedisError

from jobs.connection import connect

log = logging.getLogger(__name__)


def shown_url(url: str) -> str:
    """Without user, password and query (which may hold a password too)."""
    scheme, mark, rest = url.partition("?")[0].partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def warn_if_away(url: str) -> None:
    """The API starts without Redis and answers 503 until it is there; say so at once."""
    with contextlib.closing(connect(url)) as client:
        try:
            client.ping()
        except RedisError as error:
            log.warning(
                "Redis cannot be reached (%s): requests are answered 503 until it is there. "
                "Start it, or set REDIS_URL to another.",
                error,
            )
