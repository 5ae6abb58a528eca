"""What a user is told about Redis."""

import contextlib
import logging
from urllib.parse import urlsplit

from redis.exceptions import RedisError

from jobs.connection import connect

log = logging.getLogger(__name__)


def shown_url(url: str) -> str:
    """Without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


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
