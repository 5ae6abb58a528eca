"""The processes of a run: workers that are restarted as `mlxq worker` restarts them, and producers."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path

import msgspec
import redis.asyncio

from jobs.process.parent_watch import ParentPipe
from jobs.settings import Settings
from jobs.store import keys
from tests.chaos.plan import Plan
from tests.chaos.producer import Counts, Note
from tests.support.waiting import until_async
from workers.supervisor import Supervisor

POLL_S = 0.1
READY_S = 120
"""On a machine that is busy with other things a worker takes long to start."""


def logged(log: Path, *command: str) -> tuple[str, ...]:
    """The command with its stderr at the end of a file; it keeps its pid."""
    return ("/bin/sh", "-c", 'exec "$@" 2>>"$0"', str(log), *command)


class Workers:
    """url of worker n is urls[n % len(urls)]."""

    def __init__(self, plan: Plan, urls: Sequence[str], folder: Path) -> None:
        self._pipe = ParentPipe()
        settings = Settings(
            lease_s=plan.lease_s,
            batch_timeout_s=plan.batch_timeout_s,
            max_crashes=plan.max_crashes,
            sweep_s=plan.sweep_s,
        ).model_dump_json(exclude_defaults=True)
        self.log = folder / "workers.log"
        self._marks = folder / "marks"
        self._marks.mkdir()
        self._urls = urls
        self._settings = settings
        self._supervisors = [
            self._supervisor(f"w{number}", number, *(["--newer"] if number < plan.newer_workers else []))
            for number in range(plan.workers)
        ]
        self._running = [asyncio.create_task(each.run()) for each in self._supervisors]

    def _supervisor(self, name: str, number: int, *options: str) -> Supervisor:
        command = logged(
            self.log, sys.executable, "-m", "tests.chaos.worker_process", "--name", name, "--parent-fd",
            f"{self._pipe.read_fd}", "--url", self._urls[number % len(self._urls)], "--folder", str(self._marks),
            "--settings", self._settings, *options,
        )  # fmt: skip
        return Supervisor(name, command, os.environ, pass_fds=(self._pipe.read_fd,))

    @contextlib.asynccontextmanager
    async def one_without_model(self) -> AsyncIterator[Supervisor]:
        """One more, beside those in `pids`, whose model cannot be loaded."""
        supervisor = self._supervisor("without-model", 0, "--without-model")
        running = asyncio.create_task(supervisor.run())
        try:
            yield supervisor
        finally:
            supervisor.stop()
            await running

    @property
    def pids(self) -> list[int]:
        """Of those that live now, started up or not."""
        return [pid for each in self._supervisors if (pid := each.pid)]

    @staticmethod
    def send(pid: int, number: signal.Signals) -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            return True
        return False

    async def stop(self) -> None:
        for each in self._supervisors:
            each.stop()
        await asyncio.gather(*self._running)
        self._pipe.close()


async def announced(client: redis.asyncio.Redis) -> set[int]:
    """Pids of the workers that gave a sign of life within their lease."""
    prefix = keys.worker("")
    names = [
        name.decode().removeprefix(prefix) async for name in client.scan_iter(f"{prefix}*", count=10_000)
    ]
    return {int(name.split(".")[1]) for name in names}


async def all_ready(
    client: redis.asyncio.Redis, workers: Workers, count: int, gone: Collection[int] = ()
) -> None:
    """Waits until `count` of the processes that live now have announced themselves. gone: not these."""

    async def are_ready() -> bool:
        return len((await announced(client) & set(workers.pids)).difference(gone)) >= count

    await until_async(are_ready, READY_S, poll_s=POLL_S)


class Producers:
    """Producer n reaches Redis at urls[n % len(urls)]."""

    def __init__(self, plan: Plan, urls: Sequence[str], folder: Path) -> None:
        self._plan = plan
        self._urls = urls
        self.log = folder / "producers.log"
        self._notes = [folder / f"notes-{number}.json" for number in range(plan.producers)]
        self._processes: list[asyncio.subprocess.Process] = []
        self._counts = [Counts() for _ in range(plan.producers)]
        self._readers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        for number, notes in enumerate(self._notes):
            process = await asyncio.create_subprocess_exec(
                *logged(self.log, sys.executable, "-m", "tests.chaos.producer", "--number", f"{number}", "--plan",
                        msgspec.json.encode(self._plan).decode(), "--url", self._urls[number % len(self._urls)],
                        "--notes", str(notes)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            self._processes.append(process)
            self._readers.append(asyncio.create_task(self._read(number, process)))

    async def _read(self, number: int, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            self._counts[number] = msgspec.json.decode(line, type=Counts)

    @property
    def submitted(self) -> int:
        return sum(each.submitted for each in self._counts)

    @property
    def open(self) -> int:
        return sum(each.open for each in self._counts)

    @property
    def open_poison(self) -> int:
        return sum(each.open_poison for each in self._counts)

    def calm(self) -> None:
        """No more poison from now on."""
        self._tell(b"calm\n")

    def slow(self) -> None:
        """Few jobs from now on."""
        self._tell(b"slow\n")

    def rush(self) -> None:
        """Many jobs at once."""
        self._tell(b"rush\n")

    def _tell(self, line: bytes) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(line)

    def stop(self) -> None:
        """No more jobs from now on."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()

    async def notes(self) -> list[Note]:
        """All notes, once every job is settled (or given up)."""
        await asyncio.gather(*(process.wait() for process in self._processes), *self._readers)
        return [
            note for path in self._notes for note in msgspec.json.decode(path.read_bytes(), type=list[Note])
        ]

    async def kill(self) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
