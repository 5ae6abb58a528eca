# pyright: reportUnknownMemberType=false
"""The agent of a machine: tells what is in its catalogue, and does what it is told with its models."""

import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from jobs.catalogue.file import CatalogueFile, CatalogueUnusable
from jobs.errors import InternalError, JobError, UnknownJob
from jobs.machines.commands import CancelPull, Command, Progress, PullModel, decode_command, failed
from jobs.machines.machines import MachineInfo, machine_id
from jobs.process.cancelling import cancel_and_wait
from jobs.store import keys, record
from workers.host.changes import Changes
from workers.host.progress import ProgressWriter
from workers.host.pull_process import PROGRAM, PullProcess

log = logging.getLogger(__name__)

ANNOUNCE_S = 2.0
TAKE_S = 2.0
"""Longest that it blocks on Redis for the next command."""
RETRY_S = 1.0
LOCK_RETRY_S = 2.0


class Agent:
    """At most one for each machine and data folder; a second one waits for the end of the first.

    Changes of the catalogue are made one after the other. Pulls go on beside them, each in a process of its own; two
    callers who pull the same follow one.
    """

    def __init__(
        self,
        redis: redis.asyncio.Redis,
        data: Path,
        served: Collection[str],
        environ: Mapping[str, str],
        parent_fd: int,
        pull_program: Sequence[str] = PROGRAM,
        needed: Collection[str] = (),
    ) -> None:
        """served, needed: see Changes. environ, parent_fd, pull_program: see PullProcess."""
        self.machine = machine_id(data)
        self._redis = redis
        self._data = data
        self._served = tuple(served)
        self._environ = environ
        self._parent_fd = parent_fd
        self._pull_program = pull_program
        self._file = CatalogueFile(data)
        self._changes = Changes(data, served, needed)
        self._progress = ProgressWriter(redis)
        self._pulls: dict[PullModel, tuple[PullProcess, list[str]]] = {}
        """By the command without its id: the process, and the ids of all commands that asked for it."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._complained = ""

    async def run(self) -> None:
        """Until it is cancelled; then pulls end, too."""
        with await self._alone():
            announcing = asyncio.create_task(self._announce_again())
            try:
                await self._take_commands()
            finally:
                await cancel_and_wait(announcing, *self._tasks)
                with contextlib.suppress(RedisError, OSError):
                    await self._redis.hdel(keys.MACHINES, self.machine)

    async def _alone(self) -> contextlib.AbstractContextManager[Any]:
        """Waits for the lock of the data folder."""
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (self._data / "agent.lock").open("w")
        try:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return lock
                except BlockingIOError:
                    await asyncio.sleep(LOCK_RETRY_S)
        except BaseException:
            lock.close()
            raise

    # What is told

    async def _announce_again(self) -> None:
        while True:
            try:
                await self.announce()
            except (RedisError, OSError) as error:
                log.debug("the catalogue cannot be announced", extra={"cause": type(error).__name__})
            await asyncio.sleep(ANNOUNCE_S)

    async def announce(self) -> None:
        """Write to Redis what is in the catalogue. Raises RedisError, OSError."""
        try:
            entries = self._file.read().entries
            self._complained = ""
        except CatalogueUnusable as error:
            entries = ()
            self._complain(f"{error}")
        seconds, microseconds = await self._redis.time()
        info = MachineInfo(self.machine, seconds + microseconds / 1e6, self._served, entries)
        await self._redis.hset(keys.MACHINES, self.machine, record.pack(info))

    def _complain(self, message: str) -> None:
        """Once, not every two seconds."""
        if message != self._complained:
            self._complained = message
            log.error(message)

    # What is done

    async def _take_commands(self) -> None:
        while True:
            try:
                taken: Any = await self._redis.blpop([keys.machine_commands(self.machine)], timeout=TAKE_S)
            except (RedisError, OSError) as error:
                log.debug("no commands can be taken", extra={"cause": type(error).__name__})
                await asyncio.sleep(RETRY_S)
                continue
            if taken is None:
                continue
            try:
                command = decode_command(taken[1])
            except msgspec.MsgspecError:
                log.warning("a command for this machine is unreadable and ignored")
                continue
            await self._begin(command)

    async def _begin(self, command: Command) -> None:
        if isinstance(command, PullModel):
            await self._progress.write([command.id], Progress(status="pulling manifest"))
            self._follow(command)
        elif isinstance(command, CancelPull):
            await self._cancel(command)
        else:
            end = await self._change(command)
            with contextlib.suppress(RedisError, OSError):
                await self.announce()  # before the caller is told: it may ask for the model at once
            await self._progress.write([command.id], end)

    async def _change(self, command: Any) -> Progress:
        try:
            name = await asyncio.to_thread(self._changes.carry_out, command)
        except JobError as error:
            return failed(error)
        except CatalogueUnusable as error:
            return failed(InternalError(f"{error}"))
        except OSError as error:
            log.exception("a command for this machine failed")
            return failed(InternalError(f"The files of {self.machine} cannot be changed: {error.strerror}."))
        return Progress(status="success", name=name)

    def _follow(self, command: PullModel) -> None:
        same = msgspec.structs.replace(command, id="")
        if found := self._pulls.get(same):
            found[1].append(command.id)
            return
        pull = PullProcess(command, self._environ, self._parent_fd, self._pull_program)
        self._pulls[same] = pull, [command.id]
        task = asyncio.create_task(self._pull(same, pull))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pull(self, same: PullModel, pull: PullProcess) -> None:
        _, followers = self._pulls[same]
        end = failed(InternalError())
        try:
            async with contextlib.aclosing(pull.run()) as said:
                async for progress in said:
                    if progress.is_last:
                        end = progress
                    else:
                        await self._progress.write(followers, progress)
        except OSError as error:
            end = failed(
                InternalError(f"The process that pulls cannot be started: {os.strerror(error.errno or 0)}.")
            )
        finally:
            del self._pulls[same]
        with contextlib.suppress(RedisError, OSError):
            await self.announce()
        await self._progress.write(followers, end)

    async def _cancel(self, command: CancelPull) -> None:
        """The process ends when nobody follows it any more."""
        for pull, followers in self._pulls.values():
            if command.command in followers:
                if len(followers) > 1:
                    followers.remove(command.command)
                    await self._progress.write([command.command], _CANCELLED)
                else:
                    pull.cancel()
                await self._progress.write([command.id], Progress(status="success"))
                return
        await self._progress.write(
            [command.id], failed(UnknownJob("There is no such pull, or it has ended."))
        )


_CANCELLED = Progress(error="The pull was cancelled; another caller's goes on.", code="job_canceled")
