# pyright: reportUnknownMemberType=false
"""Machines that are reached through Redis."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

import msgspec
import redis.asyncio

from jobs.catalogue.details import ModelDetails
from jobs.errors import QueueUnavailable
from jobs.machines.announcements import AnnouncementReader
from jobs.machines.commands import Command, Progress, decode_command, decode_progress, interrupted
from jobs.machines.machines import MachineInfo
from jobs.store import keys, record

LIVE_S = 10
"""A machine that said nothing for so long is gone. It says something every two seconds."""

UNREAD_S = 60
"""Commands that no machine takes for so long are dropped."""

SILENT_S = 10
"""A machine that lives takes a command up within this time."""

FIRST_POLLS_S = 0.02
POLL_S = 0.25


class RedisMachines:
    """A jobs.machines.machines.Machines."""

    def __init__(
        self,
        redis: redis.asyncio.Redis,
        reaching: Callable[[], contextlib.AbstractAsyncContextManager[None]],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """reaching: is entered around commands; makes QueueUnavailable of Redis's errors. changed: is called when a
        command has ended, which may have changed what models there are.
        """
        self._changed = changed
        self._redis = redis
        self._reaching = reaching
        self._reader = AnnouncementReader()

    async def details(self, model: str) -> ModelDetails:
        """What a model's files say of it. model: its id. Empty where no worker has told it."""
        async with self._reaching():
            raw: Any = await self._redis.hget(keys.MODEL_DETAILS, model)
        found = self._reader.details(raw, f"{keys.MODEL_DETAILS} {model}") if raw else None
        return found or ModelDetails()

    async def live(self) -> tuple[MachineInfo, ...]:
        """Those that can be told something now."""
        async with self._reaching():
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.time()
            pipeline.hgetall(keys.MACHINES)
            (now, _), replies = await pipeline.execute()
        found = [self._reader.machine(raw, keys.announced_machine(name)) for name, raw in replies.items()]
        return tuple(each for each in found if each and not each.has_left and each.seen_at > now - LIVE_S)

    async def send(self, machine: str, command: Command) -> None:
        """Tell a machine to do something."""
        async with self._reaching():
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.rpush(keys.machine_commands(machine), record.pack(command))
            pipeline.expire(keys.machine_commands(machine), UNREAD_S)
            await pipeline.execute()

    async def follow(self, machine: str, command_id: str) -> AsyncGenerator[Progress]:
        """The progress of a command, as it changes, up to its end."""
        last: Progress | None = None
        agent = ""
        answered_at, poll_s = time.monotonic(), FIRST_POLLS_S
        while last is None or not last.is_last:
            async with self._reaching():
                raw: Any = await self._redis.get(keys.progress(command_id))
            progress = _progress_of(raw)
            if progress is not None:
                agent, progress = progress.agent, msgspec.structs.replace(progress, agent="")
            if progress is not None and progress != last:
                if progress.is_last:
                    self._changed()
                yield progress
                last = progress
                continue
            if time.monotonic() - answered_at > SILENT_S:
                there = next((each for each in await self.live() if each.id == machine), None)
                if last is None or there is None:
                    await self._withdraw(machine, command_id)
                    raise QueueUnavailable(
                        f"The machine {machine} does not answer: look whether its `mlxq up` or `mlxq worker` runs."
                    )
                if there.agent != agent:
                    self._changed()  # it may have been done before the end
                    yield interrupted(machine)
                    return
                answered_at = time.monotonic()
            await asyncio.sleep(poll_s)
            poll_s = min(POLL_S, poll_s * 1.2)

    async def _withdraw(self, machine: str, command_id: str) -> None:
        """A machine that comes back must not do what its caller was told has failed."""
        key = keys.machine_commands(machine)
        async with self._reaching():
            waiting: Any = await self._redis.lrange(key, 0, -1)
            for raw in waiting:
                with contextlib.suppress(msgspec.MsgspecError, UnicodeError):
                    if decode_command(raw).id == command_id:
                        await self._redis.lrem(key, 1, raw)


def _progress_of(raw: bytes | None) -> Progress | None:
    try:
        return decode_progress(raw) if raw else None
    except (msgspec.MsgspecError, UnicodeError):
        return Progress(error="The machine's mlxq is of another version, and its answer cannot be read.")
