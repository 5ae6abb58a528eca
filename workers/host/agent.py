# pyright: reportUnknownMemberType=false
"""The agent of a machine: tells what is in its catalogue, and does what it is told with its models."""

import asyncio
import contextlib
import fcntl
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from jobs.catalogue.file import CatalogueFile, CatalogueUnusable
from jobs.errors import InternalError, JobError
from jobs.machines.commands import CancelPull, Command, Progress, PullModel, decode_command, failed
from jobs.machines.machines import MachineInfo, machine_id
from jobs.process.cancelling import cancel_and_wait
from jobs.store import keys, record
from workers.host.changes import Change, Changes
from workers.host.parents import Parents
from workers.host.progress import ProgressWriter
from workers.host.pull_process import PROGRAM, PullProcess
from workers.host.pulls import Pulls

log = logging.getLogger(__name__)

ANNOUNCE_S = 2.0
TAKE_S = 2.0
"""Longest that it blocks on Redis for the next command."""
RETRY_S = 1.0
LOCK_RETRY_S = 2.0


class Agent:
    """At most one for each machine and data folder; a second one waits for the end of the first.

    Changes of the catalogue are made one after the other. Pulls go on beside them, each in a process of its own.
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
        self._id = record.new_id()
        self._parents = Parents(redis, self.machine, self._id, served, needed)
        self._file = CatalogueFile(data)
        self._changes = Changes(data, served, needed)
        self._waiting: asyncio.Queue[Change] = asyncio.Queue()
        self._progress = ProgressWriter(redis, self._id)
        self._pulls = Pulls(
            self._progress,
            lambda command: PullProcess(command, environ, parent_fd, pull_program),
            self._announce_or_log,
        )
        self._complained = ""

    async def run(self) -> None:
        """Until it is cancelled; then pulls end, too."""
        try:
            await self._run()
        finally:
            with contextlib.suppress(RedisError, OSError):
                await self._parents.leave()

    async def _run(self) -> None:
        with await self._alone():
            beside = [asyncio.create_task(each()) for each in (self._announce_again, self._make_changes)]
            try:
                await self._take_commands()
            finally:
                await cancel_and_wait(*beside)
                await self._pulls.aclose()
                with contextlib.suppress(RedisError, OSError):
                    await self.announce(has_left=True)  # jobs are still taken for its names

    async def _alone(self) -> contextlib.AbstractContextManager[Any]:
        """Waits for the lock of the data folder. Whoever has it tells what our settings name, too."""
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (self._data / "agent.lock").open("w")
        try:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return lock
                except BlockingIOError:
                    with contextlib.suppress(RedisError, OSError):
                        await self._parents.tell()
                    await asyncio.sleep(LOCK_RETRY_S)
        except BaseException:
            lock.close()
            raise

    # What is told

    async def _announce_again(self) -> None:
        while True:
            await self._announce_or_log()
            await asyncio.sleep(ANNOUNCE_S)

    async def _announce_or_log(self) -> None:
        try:
            await self.announce()
        except (RedisError, OSError) as error:
            log.debug("the catalogue cannot be announced", extra={"cause": type(error).__name__})
        except Exception as error:  # noqa: BLE001 - logged, once; the next one may be announced
            self._complain(f"the catalogue cannot be announced: {error!r}", error)

    async def announce(self, *, has_left: bool = False) -> None:
        """Write to Redis what is in the catalogue. has_left: for the last time. Raises RedisError, OSError."""
        try:
            entries = self._file.read().entries
            self._complained = ""
        except CatalogueUnusable as error:
            entries = ()
            self._complain(f"{error}")
        now = await self._parents.tell()
        told = await self._parents.told(now)
        self._changes.served, self._changes.needed = told.served, told.needed
        info = MachineInfo(self.machine, now, told.served, entries, self._id, has_left)
        await self._redis.hset(keys.MACHINES, self.machine, record.pack(info))

    def _complain(self, message: str, error: Exception | None = None) -> None:
        """Once, not every two seconds. error: its traceback is logged."""
        if message != self._complained:
            self._complained = message
            log.error(message, exc_info=error)

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
            except (msgspec.MsgspecError, UnicodeError):
                log.warning("a command for this machine is unreadable and ignored")
                continue
            try:
                await self._begin(command)
            except Exception:  # one command must not end the agent
                log.exception("a command for this machine failed")
                await self._progress.write([command.id], failed(InternalError()))

    async def _begin(self, command: Command) -> None:
        if isinstance(command, PullModel):
            await self._pulls.follow(command)
        elif isinstance(command, CancelPull):
            await self._pulls.cancel(command)
        else:
            # At once: who gets no answer takes the machine for gone. It may take long, or wait for those before it.
            await self._progress.write([command.id], Progress(status="working"))
            self._waiting.put_nowait(command)

    async def _make_changes(self) -> None:
        while True:
            command = await self._waiting.get()
            end = await self._change(command)
            await self._announce_or_log()  # before the caller is told: it may ask for the model at once
            await self._progress.write([command.id], end)

    async def _change(self, command: Change) -> Progress:
        try:
            name = await asyncio.to_thread(self._changes.carry_out, command)
        except JobError as error:
            return failed(error)
        except CatalogueUnusable as error:
            return failed(InternalError(f"{error}"))
        except OSError as error:
            log.exception("a command for this machine failed")
            return failed(InternalError(f"The files of {self.machine} cannot be changed: {error.strerror}."))
        except Exception:  # one command must not end the agent
            log.exception("a command for this machine failed")
            return failed(InternalError())
        return Progress(status="success", name=name)
