# pyright: reportUnknownMemberType=false, reportUnknownParameterType=false, reportUnknownArgumentType=false
"""redis-py's connections. One to a Redis that became a replica is made anew, the master of a service is the one that
its sentinels name, and a cancelled command ends.
"""

import asyncio
import time
from typing import Any

import redis.asyncio.connection
import redis.connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from jobs.store.redis_url import checked_url, sentinel_url
from jobs.store.servers.sentinel import Service

ANEW_S = 1.0
"""A connection that meets a replica is made anew at once, but not twice in this time: the caller is told then."""


_SERIALIZER = redis.connection.HiredisRespSerializer()


class BecameReplica(RedisConnectionError):
    """Redis is a replica now. The name or the sentinels may lead to another one, so it is connected to again."""

    def __init__(self) -> None:
        super().__init__("read-only replica", status_code="READONLY")


def _tells_of_replica(error: ResponseError) -> bool:
    """An error of a script in Redis 6 has the code in its text."""
    return error.status_code == "READONLY" or "READONLY " in str(error)


class _Leaving:
    """A connection stays with the server that its host was when it was made."""

    _left_at = float("-inf")

    def _leads_elsewhere(self) -> bool:
        """Whether a new connection may lead to another Redis: not where one has just led to a replica again."""
        now = time.monotonic()
        if now < self._left_at + ANEW_S:
            return False
        self._left_at = now
        return True


class _Anew(_Leaving):
    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)  # pyright: ignore
        except ResponseError as error:
            if not _tells_of_replica(error) or not self._leads_elsewhere():
                raise
            self.disconnect()  # pyright: ignore
            raise BecameReplica from error


class _OfService:
    """To the master that sentinels name."""

    def __init__(self, *, service: Service, **options: Any) -> None:
        self._service = service
        super().__init__(**options)

    def _connect(self) -> Any:
        self.host, self.port = self._service.find_master()
        return super()._connect()  # pyright: ignore

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if self._service.master != (self.host, self.port):
            self.disconnect()  # pyright: ignore
        super().send_packed_command(command, check_health)  # pyright: ignore


class _AnewAsync(_Leaving):
    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)  # pyright: ignore
        except ResponseError as error:
            if not _tells_of_replica(error) or not self._leads_elsewhere():
                raise
            await self.disconnect()  # pyright: ignore
            raise BecameReplica from error


class _OfServiceAsync:
    def __init__(self, *, service: Service, **options: Any) -> None:
        self._service = service
        super().__init__(**options)

    async def _connect(self) -> Any:
        self.host, self.port = await self._service.find_master_async()
        return await super()._connect()  # pyright: ignore

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if self._service.master != (self.host, self.port):
            await self.disconnect()  # pyright: ignore
        await super().send_packed_command(command, check_health)  # pyright: ignore


class _Cancellable:
    """redis-py sends by asyncio.wait_for, and that of Python 3.11 returns as if nothing had happened where a task is
    cancelled just when the command is out. The cancel is lost then, and the task goes on.
    """

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        task = asyncio.current_task()
        cancels = task.cancelling() if task else 0
        await super().send_packed_command(command, check_health)  # pyright: ignore
        if task and task.cancelling() > cancels:
            await self.disconnect(nowait=True)  # pyright: ignore - nobody will read the reply
            raise asyncio.CancelledError


class _PackedInC:
    """redis-py packs the commands of asynchronous connections in Python: half of what a job cost an API process."""

    def pack_command(self, *args: Any) -> list[bytes]:
        return _SERIALIZER.pack(*args)  # pyright: ignore


class _Tcp(_Anew, redis.connection.Connection):
    pass


class _Tls(_Anew, redis.connection.SSLConnection):
    pass


class _Unix(_Anew, redis.connection.UnixDomainSocketConnection):
    pass


class _ServiceTcp(_OfService, _Tcp):
    pass


class _ServiceTls(_OfService, _Tls):
    pass


class _AsyncTcp(_PackedInC, _Cancellable, _AnewAsync, redis.asyncio.connection.Connection):
    pass


class _AsyncTls(_PackedInC, _Cancellable, _AnewAsync, redis.asyncio.connection.SSLConnection):
    pass


class _AsyncUnix(_PackedInC, _Cancellable, _AnewAsync, redis.asyncio.connection.UnixDomainSocketConnection):
    pass


class _AsyncServiceTcp(
    _PackedInC, _Cancellable, _OfServiceAsync, _AnewAsync, redis.asyncio.connection.Connection
):
    pass


class _AsyncServiceTls(
    _PackedInC, _Cancellable, _OfServiceAsync, _AnewAsync, redis.asyncio.connection.SSLConnection
):
    pass


_TCP = (_Tcp, _AsyncTcp, _ServiceTcp, _AsyncServiceTcp)
_TLS = (_Tls, _AsyncTls, _ServiceTls, _AsyncServiceTls)
_UNIX = (_Unix, _AsyncUnix)


def connection_options(url: str, *, is_async: bool) -> dict[str, Any]:
    """Of a connection pool to that Redis. Raises: ValueError for a URL that is none, without quoting it."""
    url = checked_url(url)
    of_service = sentinel_url(url)
    options: dict[str, Any] = dict(redis.connection.parse_url(of_service.server if of_service else url))
    kind = options.pop("connection_class", redis.connection.Connection)
    tls = kind is redis.connection.SSLConnection
    if of_service:
        options = {name: value for name, value in options.items() if name not in ("host", "port")}
        options["service"] = Service(of_service, options, tls=tls)
    classes = _TLS if tls else _UNIX if kind is redis.connection.UnixDomainSocketConnection else _TCP
    options["connection_class"] = classes[2 * bool(of_service) + is_async]
    return options
