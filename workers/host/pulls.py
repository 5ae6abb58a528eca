"""The pulls of a machine: some at once, others wait; callers who pull the same follow one."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable

import msgspec

from jobs.errors import InternalError, JobCanceled, Overloaded, UnknownJob
from jobs.machines.commands import CancelPull, Progress, PullModel, failed
from jobs.process.cancelling import cancel_and_wait
from workers.host.progress import ProgressWriter
from workers.host.pull_process import CANCELLED, PullProcess

log = logging.getLogger(__name__)

AT_ONCE = 2
MAX_WAITING = 16

LEFT = Progress(error="The pull was cancelled; another caller's goes on.", code=JobCanceled.code)
WAITING = Progress(status="waiting for other pulls to end")
STARTING = Progress(status="pulling manifest")


class _Pull:
    """One that goes on or waits."""

    def __init__(self, process: PullProcess, follower: str) -> None:
        self.process = process
        self.followers = [follower]
        """The ids of all commands that asked for it."""
        self.said = STARTING
        self.has_begun = False
        self.task: asyncio.Task[None] | None = None


class Pulls:
    """Of one machine."""

    def __init__(
        self,
        progress: ProgressWriter,
        process: Callable[[PullModel], PullProcess],
        ended: Callable[[], Awaitable[None]],
    ) -> None:
        """process: of a command. ended: is called before the end of one is told."""
        self._progress = progress
        self._process = process
        self._ended = ended
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._pulls: dict[PullModel, _Pull] = {}
        """By the command without its id: those that can be followed."""
        self._ending: dict[PullModel, asyncio.Task[None]] = {}
        """Of those that were cancelled and have not ended yet."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def follow(self, command: PullModel) -> None:
        """Begin it, or follow the one that goes on. Does not wait for it."""
        same = msgspec.structs.replace(command, id="")
        if found := self._pulls.get(same):
            found.followers.append(command.id)
            await self._progress.write([command.id], found.said)
            return
        if len(self._pulls) >= AT_ONCE + MAX_WAITING:
            refusal = Overloaded(f"{len(self._pulls)} pulls go on or wait on this machine. Try again later.")
            await self._progress.write([command.id], failed(refusal))
            return
        pull = self._pulls[same] = _Pull(self._process(command), command.id)
        before = self._ending.get(same)
        if before is not None or self._slots.locked():
            pull.said = WAITING
        pull.task = asyncio.create_task(self._run(same, pull, before))
        self._tasks.add(pull.task)
        pull.task.add_done_callback(self._tasks.discard)
        await self._progress.write([command.id], pull.said)

    async def cancel(self, command: CancelPull) -> None:
        """The process ends when nobody follows it any more. Who asks for the same after that waits for its end."""
        for same, pull in self._pulls.items():
            if command.command not in pull.followers:
                continue
            if len(pull.followers) > 1:
                pull.followers.remove(command.command)
                await self._progress.write([command.command], LEFT)
            else:
                del self._pulls[same]
                await self._end(same, pull)
            await self._progress.write([command.id], Progress(status="success"))
            return
        no_such = UnknownJob("There is no such pull, or it has ended.")
        await self._progress.write([command.id], failed(no_such))

    async def aclose(self) -> None:
        """End them all. Their followers are told nothing."""
        await cancel_and_wait(*self._tasks)

    async def _end(self, same: PullModel, pull: _Pull) -> None:
        assert pull.task is not None
        if not pull.has_begun:
            pull.task.cancel()
            await self._progress.write(pull.followers, CANCELLED)
            return
        ending = self._ending[same] = pull.task
        pull.process.cancel()

        def ended(task: asyncio.Task[None]) -> None:
            if self._ending.get(same) is task:
                del self._ending[same]

        ending.add_done_callback(ended)

    async def _run(self, same: PullModel, pull: _Pull, before: asyncio.Task[None] | None) -> None:
        end = failed(InternalError())
        try:
            if before is not None:
                await asyncio.wait({before})
            async with self._slots:
                pull.has_begun = True
                end = await self._tell(pull)
        except OSError as error:
            log.exception("a pull cannot be started")
            end = failed(
                InternalError(f"The process that pulls cannot be started: {os.strerror(error.errno or 0)}.")
            )
        except Exception:  # whoever follows it must be told, whatever it was
            log.exception("a pull failed")
        finally:
            if self._pulls.get(same) is pull:
                del self._pulls[same]
        await self._ended()
        await self._progress.write(pull.followers, end)

    async def _tell(self, pull: _Pull) -> Progress:
        """Its end; what it says before that is told to all who follow it."""
        end = failed(InternalError())
        if pull.said == WAITING:
            pull.said = STARTING
            await self._progress.write(pull.followers, pull.said)
        async with contextlib.aclosing(pull.process.run()) as said:
            async for progress in said:
                if progress.is_last:
                    end = progress
                else:
                    pull.said = progress
                    await self._progress.write(pull.followers, progress)
        return end
