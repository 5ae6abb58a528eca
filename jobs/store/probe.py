# pyright: reportUnknownMemberType=false
"""Checks within a short time whether Redis can be used, and finds out why not."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import redis.asyncio
from redis.exceptions import InvalidResponse, RedisError, ResponseError

from jobs.process.free_time import free_timeout
from jobs.store.connection import impatient
from jobs.store.outage import NOT_ALLOWED, cause_of, is_final, is_reply, placed
from jobs.store.scripts import script
from jobs.store.servers.flavour import judge
from jobs.store.servers.rights import COMMANDS, named

T = TypeVar("T")

ANSWER_S = 1.0
"""How long Redis may take to answer a health check. With SECOND_LOOK_S a check takes less than two seconds."""

SECOND_LOOK_S = 0.4
"""How long it may take to find out whether only one end of a connection uses TLS."""

_SOCKET_S = 10
_NAME = "mlxq:probe"
"""Name of a key that never exists, and of a channel without subscribers."""


class RedisUnusable(Exception):
    """Redis cannot be used."""

    def __init__(self, cause: str, *, is_final: bool, folder: Path | None) -> None:
        """cause: why, in a few words without secrets. is_final: whether the same user and password will fail again.
        folder: of our own Redis.
        """
        self.cause = cause
        self.is_final = is_final
        super().__init__(f"Redis cannot be used: {placed(cause, folder)}.")


class WrongRedis(RedisUnusable):
    """Redis cannot be used as it is set up."""


class Probe:
    """Has connections of its own, so that it does not wait for other commands."""

    def __init__(self, client: redis.asyncio.Redis, folder: Path | None = None) -> None:
        """folder: of our own Redis; it is named where its disk is full."""
        self.redis = impatient(client, _SOCKET_S)
        self._folder = folder
        self._rights = self.redis.register_script(script("rights"))
        self._is_judged = False
        self.warnings: tuple[str, ...] = ()
        """What the operator should know of this Redis, once it was asked."""

    async def ask(self, question: Callable[[], Awaitable[T]], within_s: float = ANSWER_S) -> T:
        """The result of the question, which uses `redis`. Takes at most within_s + SECOND_LOOK_S, without the time in
        which the event loop is held up.

        Raises: RedisUnusable, also where Redis takes no writes or the user lacks a right; WrongRedis, where jobs would
        not be safe there; and what the question raises besides RedisError and OSError.
        """
        try:
            async with free_timeout(within_s):
                await self._try()
                return await question()
        except (RedisError, OSError) as error:
            self._is_judged = False  # after an outage it may be another Redis
            found = None if is_reply(error) else await self._mismatch()
            cause = found or cause_of(error, self._folder)
            raise RedisUnusable(cause, is_final=is_final(error), folder=self._folder) from error

    async def aclose(self) -> None:
        """Closes the connections of its own."""
        await self.redis.aclose()

    async def _try(self) -> None:
        """What mlxq needs, in commands that change nothing. Raises: RedisError, OSError, RedisUnusable."""
        try:
            with contextlib.suppress(
                ResponseError
            ):  # a proxy may know no INFO; a right that is missing is named below
                await self._judge()
            if missing := await self._rights(args=COMMANDS):
                raise RedisUnusable(f"{NOT_ALLOWED} ({named(missing)})", is_final=True, folder=self._folder)
            await self.redis.set(_NAME, b"", xx=True)  # refused where no write is taken
            await self.redis.publish(_NAME, b"")
        except (
            AttributeError,
            TypeError,
            ValueError,
        ) as error:  # redis-py's, where the other end is no Redis
            raise InvalidResponse from error

    async def _judge(self) -> None:
        """Once for each Redis. Raises: WrongRedis, RedisError, OSError."""
        if self._is_judged:
            return
        refusal, self.warnings = judge(await self.redis.info())
        if refusal is not None:
            raise WrongRedis(refusal, is_final=True, folder=self._folder)
        self._is_judged = True

    async def _mismatch(self) -> str | None:
        """With TLS at one end only, Redis seems silent or closes the connection: try the port the other way."""
        pool = self.redis.connection_pool
        host, port = pool.connection_kwargs.get("host"), pool.connection_kwargs.get("port", 6379)
        if host is None:
            return None
        look = (
            _speaks_plainly if issubclass(pool.connection_class, redis.asyncio.SSLConnection) else _speaks_tls
        )
        with contextlib.suppress(OSError, EOFError):  # among these: the time-out, and ssl.SSLError
            async with asyncio.timeout(SECOND_LOOK_S):
                return await look(host, port)
        return None


async def _speaks_plainly(host: str, port: int) -> str | None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(b"PING\r\n")
        said = await reader.read(16)
    finally:
        writer.close()
    return "TLS mismatch: the port speaks no TLS, use redis://" if said[:1] in (b"+", b"-") else None


async def _speaks_tls(host: str, port: int) -> str | None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing secret is sent
    _, writer = await asyncio.open_connection(host, port, ssl=context)
    writer.close()
    return "TLS mismatch: the port speaks TLS, use rediss://"
