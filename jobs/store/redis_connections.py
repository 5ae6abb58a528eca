# pyright: reportUnknownMemberType=false, reportUnknownParameterType=false, reportUnknownArgumentType=false
"""redis-py's asyncio connections, with one repair: a cancelled command ends."""

import asyncio
from typing import Any

from redis.asyncio.connection import (
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)


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


class _Tcp(_Cancellable, Connection):
    pass


class _Tls(_Cancellable, SSLConnection):
    pass


class _Unix(_Cancellable, UnixDomainSocketConnection):
    pass


_CLASSES = {SSLConnection: _Tls, UnixDomainSocketConnection: _Unix}


def connection_options(url: str) -> dict[str, Any]:
    """Of a connection pool to that Redis. Raises: ValueError for a URL that is none."""
    options: dict[str, Any] = dict(parse_url(url))
    options["connection_class"] = _CLASSES.get(options.get("connection_class"), _Tcp)  # pyright: ignore
    return options
