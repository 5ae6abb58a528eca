# pyright: reportUnknownMemberType=false
"""The Redis that sentinels name as the master of a service."""

import contextlib
from collections.abc import Mapping
from typing import Any

import redis.asyncio.sentinel
import redis.sentinel

from jobs.store.redis_url import SentinelUrl

ASK_S = 1.0
"""How long one sentinel may take to answer: the next one is asked then."""

_TLS_OPTIONS = "ssl_"


class Service:
    """One service of some sentinels. Each connection that is made asks them, so a failover makes no answer stale."""

    def __init__(self, url: SentinelUrl, options: Mapping[str, Any], *, tls: bool) -> None:
        """options: of the connections to Redis; those for TLS count for the sentinels, too."""
        self._sentinels = url.sentinels
        self._name = url.service
        self._options: dict[str, Any] = {
            "socket_timeout": ASK_S,
            "socket_connect_timeout": ASK_S,
            "username": url.sentinel_username,
            "password": url.sentinel_password,
        }
        if tls:
            self._options["ssl"] = True
            self._options |= {name: value for name, value in options.items() if name.startswith(_TLS_OPTIONS)}
        self.master: tuple[str, int] | None = None
        """As it was last named. A connection to another one is out of date."""

    def find_master(self) -> tuple[str, int]:
        """Host and port. Raises: redis.sentinel.MasterNotFoundError."""
        sentinels = redis.sentinel.Sentinel(self._sentinels, sentinel_kwargs=self._options)
        with contextlib.closing(sentinels):
            self.master = sentinels.discover_master(self._name)
        return self.master

    async def find_master_async(self) -> tuple[str, int]:
        """The same, for asyncio. Raises: redis.asyncio.sentinel.MasterNotFoundError."""
        async with redis.asyncio.sentinel.Sentinel(
            self._sentinels, sentinel_kwargs=self._options
        ) as sentinels:
            self.master = await sentinels.discover_master(self._name)
        return self.master
